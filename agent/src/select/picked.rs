//! The rows of a list that are wanted, picked while they come.
//!
//! In: batches of rows, in the order of the agent. Out: the page that was asked for. Understands no more of a row than
//! decides whether it is wanted, keeps no more rows than the page needs, and asks for no further ones when it is full.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeSet, ops::ControlFlow};

use super::{
    SelectError, Selection,
    filter::compare_text,
    line::Row,
    raw::Raw,
    rows::{self, each_of, no_object},
};

/// Rows beyond the page that are kept before the last of them are dropped.
const SPARE: usize = 1024;

/// Rows that are looked at before the clock is.
const STRIDE: usize = 64;

/// Strides that are worth a thread of their own.
const WORTH_A_THREAD: usize = 64;

/// Rows that are looked at for the members that there are, when one is named that no row has.
const SAMPLE: usize = 1000;

/// Members that are told of when one is named that no row has. Overflow policy: the others are left out.
const MAX_TOLD: usize = 64;

/// What was picked so far; `L` holds the text of a row.
pub(crate) struct Picked<'a, L> {
    selection: &'a Selection,
    /// Whether looking at rows has taken too long.
    is_late: &'a (dyn Fn() -> bool + Sync),
    /// Options with members that no row has had yet.
    missing: Vec<(&'static str, &'a str)>,
    /// Members that the first rows have.
    members: BTreeSet<String>,
    /// What a row is ordered by, and the row.
    rows: Vec<(Key<'static>, L)>,
    /// The last row of a full page, of those that were sorted: what comes after it is not wanted.
    last: Option<Key<'static>>,
}

/// What a row is ordered by: numbers before text, lists by length, absent values last.
#[derive(Debug, Clone)]
enum Key<'r> {
    Bool(bool),
    Number(f64),
    Text(Cow<'r, str>),
    List(usize),
    Object,
    Null,
}

impl<'r> Key<'r> {
    fn of(value: Raw<'r>) -> Self {
        match value {
            Raw::Null => Self::Null,
            Raw::Bool(value) => Self::Bool(value),
            Raw::Number(number, _) => Self::Number(number),
            Raw::Text(text) => Self::Text(text),
            Raw::List(_) => Self::List(value.items().map_or(0, Iterator::count)),
            Raw::Object(_) => Self::Object,
        }
    }

    fn into_owned(self) -> Key<'static> {
        match self {
            Self::Bool(value) => Key::Bool(value),
            Self::Number(number) => Key::Number(number),
            Self::Text(text) => Key::Text(Cow::Owned(text.into_owned())),
            Self::List(length) => Key::List(length),
            Self::Object => Key::Object,
            Self::Null => Key::Null,
        }
    }

    fn compare(&self, other: &Key<'_>, reverse: bool) -> Ordering {
        let rank = |key: &Key<'_>| match key {
            Key::Bool(_) => 0,
            Key::Number(_) => 1,
            Key::Text(_) => 2,
            Key::List(_) => 3,
            Key::Object => 4,
            Key::Null => 5,
        };
        let order = match (self, other) {
            (Key::Number(a), Key::Number(b)) => a.total_cmp(b),
            (Key::Text(a), Key::Text(b)) => compare_text(a, b),
            (Key::Bool(a), Key::Bool(b)) => a.cmp(b),
            (Key::List(a), Key::List(b)) => a.cmp(b),
            (Key::Null, Key::Null) => return Ordering::Equal,
            (Key::Null, _) => return Ordering::Greater,
            (_, Key::Null) => return Ordering::Less,
            (a, b) => rank(a).cmp(&rank(b)),
        };
        if reverse { order.reverse() } else { order }
    }
}

/// Rows of a batch that are wanted so far: their places in it, with what they are ordered by.
type Found = Vec<(usize, Key<'static>)>;

impl<'a, L: Row + Sync> Picked<'a, L> {
    /// Nothing yet. Gives up as soon as `is_late` says so, which is asked again and again.
    pub(crate) fn new(selection: &'a Selection, is_late: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self {
            selection,
            is_late,
            missing: selection.named(),
            members: BTreeSet::new(),
            rows: Vec::new(),
            last: None,
        }
    }

    /// How many of the first rows are enough, where every row is wanted as it comes.
    pub(crate) fn first_rows(&self) -> Option<usize> {
        self.most().filter(|_| self.selection.options().is_plain())
    }

    /// Rows that are needed for the page.
    fn most(&self) -> Option<usize> {
        let options = self.selection.options();
        options.limit.map(|limit| limit.saturating_add(options.offset))
    }

    /// Picks of some rows those that are wanted.
    pub(crate) fn take(&mut self, batch: Vec<L>) -> Result<ControlFlow<()>, SelectError> {
        let mut found = self.look(&batch)?.into_iter().peekable();
        let wanted = batch.into_iter().enumerate().filter_map(|(place, line)| {
            let (_, key) = found.next_if(|(next, _)| *next == place)?;
            Some((key, line))
        });
        self.rows.extend(wanted);
        Ok(self.trim())
    }

    /// The same, of rows that are kept.
    pub(crate) fn take_of(&mut self, batch: &[L]) -> Result<ControlFlow<()>, SelectError>
    where
        L: Clone,
    {
        let found = self.look(batch)?.into_iter();
        let wanted = found.filter_map(|(place, key)| Some((key, batch.get(place)?.clone())));
        self.rows.extend(wanted);
        Ok(self.trim())
    }

    /// Which rows of a batch are wanted.
    fn look(&mut self, batch: &[L]) -> Result<Found, SelectError> {
        self.missing
            .retain(|(_, name)| batch.iter().all(|line| line.member(name).is_none()));
        if !self.missing.is_empty() && self.members.is_empty() {
            for line in batch.iter().take(SAMPLE) {
                self.members.extend(rows::names(line.text())?);
            }
        }
        let this = &*self;
        let strides: Vec<(usize, &[L])> = (0..).step_by(STRIDE).zip(batch.chunks(STRIDE)).collect();
        let found = each_of(&strides, WORTH_A_THREAD, |(first, lines)| {
            if (this.is_late)() {
                return Err(SelectError::TooSlow);
            }
            let keys = lines.iter().map(|line| this.key(line)).zip(*first..);
            keys.filter_map(|(key, place)| Some(key.transpose()?.map(|key| (place, key))))
                .collect::<Result<Found, SelectError>>()
        });
        Ok(found.into_iter().collect::<Result<Vec<Found>, _>>()?.concat())
    }

    /// What a row is ordered by, if it is wanted.
    fn key(&self, line: &L) -> Result<Option<Key<'static>>, SelectError> {
        if self.selection.options().is_plain() {
            return Ok(Some(Key::Null));
        }
        if !line.is_object() {
            return Err(no_object());
        }
        let Some((path, reverse)) = self.selection.order() else {
            return Ok(self.selection.accepts(line)?.then_some(Key::Null));
        };
        let key = Key::of(self.ordered_by(line, path)?);
        let is_behind = |last: &Key<'_>| key.compare(last, reverse).is_ge();
        if self.last.as_ref().is_some_and(is_behind) || !self.selection.accepts(line)? {
            return Ok(None);
        }
        Ok(Some(key.into_owned()))
    }

    fn ordered_by<'l>(&self, line: &'l L, path: &str) -> Result<Raw<'l>, SelectError> {
        let mut path = path.split('.');
        let member = path.next().and_then(|name| line.member(name));
        member.map_or(Ok(Raw::Null), |member| Raw::of(member)?.at(path))
    }

    /// Drops what the page has no room for. Whether more rows are of use.
    fn trim(&mut self) -> ControlFlow<()> {
        let Some(most) = self.most() else {
            return ControlFlow::Continue(());
        };
        if self.selection.order().is_none() {
            return match self.rows.len() < most {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            };
        }
        if self.rows.len() > most.saturating_add(SPARE) {
            self.sort();
            self.rows.truncate(most);
            self.last = self.rows.last().map(|(key, _)| key.clone());
        }
        ControlFlow::Continue(())
    }

    /// The page that was asked for.
    pub(crate) fn page(mut self) -> Result<Vec<L>, SelectError> {
        // Where there was no row at all, nothing is known of its members.
        if let Some((option, name)) = self.missing.first()
            && !self.members.is_empty()
        {
            return Err(self.unknown_member(option, name));
        }
        self.sort();
        let options = self.selection.options();
        let rows = self.rows.into_iter().map(|(_, line)| line);
        let page = rows
            .skip(options.offset)
            .take(options.limit.unwrap_or(usize::MAX));
        Ok(page.collect())
    }

    /// The sort is stable: equal rows keep the order of the agent.
    fn sort(&mut self) {
        let Some((_, reverse)) = self.selection.order() else {
            return;
        };
        self.rows.sort_by(|(a, _), (b, _)| a.compare(b, reverse));
    }

    fn unknown_member(&self, option: &'static str, name: &str) -> SelectError {
        let nearest = self
            .members
            .iter()
            .map(|member| (strsim::damerau_levenshtein(member, name), member))
            .min()
            .filter(|(distance, _)| *distance <= 2);
        let hint = match nearest {
            Some((_, member)) => format!("did you mean `{member}`?"),
            None => {
                let all: Vec<&str> = self.members.iter().take(MAX_TOLD).map(String::as_str).collect();
                format!("there are {}", all.join(", "))
            }
        };
        SelectError::UnknownMember {
            option,
            name: name.to_owned(),
            hint,
        }
    }
}
