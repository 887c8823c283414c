//! The rows of a list that are wanted, picked while they come.
//!
//! In: batches of rows, in the order of the agent. Out: the page that was asked for. Understands no more of a row than the
//! options name, keeps no more rows than the page needs, and asks for no further ones when it is full.

use std::{cmp::Ordering, collections::BTreeSet, ops::ControlFlow};

use serde_json::Value;

use super::{
    Members, SelectError, Selection, at,
    filter::compare_text,
    rows::{self, pick},
};

/// Rows beyond the page that are kept before the last of them are dropped.
const SPARE: usize = 4096;

/// Rows that are looked at for the members that there are, when one is named that no row has.
const SAMPLE: usize = 1000;

/// Members that are told of when one is named that no row has. Overflow policy: the others are left out.
const MAX_TOLD: usize = 64;

/// What was picked so far; `L` holds the text of a row.
pub(crate) struct Picked<'a, L> {
    selection: &'a Selection,
    needed: Members,
    /// Whether looking at rows has taken too long.
    is_late: &'a (dyn Fn() -> bool + Sync),
    /// Options with members that no row has had yet.
    missing: Vec<(&'static str, &'a str)>,
    /// Members that the first rows have.
    members: BTreeSet<String>,
    /// What a row is ordered by, and the row.
    rows: Vec<(Value, L)>,
}

impl<'a, L: AsRef<str> + Sync> Picked<'a, L> {
    /// Nothing yet. Gives up as soon as `is_late` says so, which is asked for every row.
    pub(crate) fn new(selection: &'a Selection, is_late: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self {
            selection,
            needed: selection.needed(),
            is_late,
            missing: selection.named(),
            members: BTreeSet::new(),
            rows: Vec::new(),
        }
    }

    /// How many of the first rows are enough, where every row is wanted as it comes.
    pub(crate) fn first_rows(&self) -> Option<usize> {
        self.most().filter(|_| self.needed.is_empty())
    }

    /// Rows that are needed for the page.
    fn most(&self) -> Option<usize> {
        let options = self.selection.options();
        options.limit.map(|limit| limit.saturating_add(options.offset))
    }

    /// Picks of some rows those that are wanted.
    pub(crate) fn take(&mut self, batch: Vec<L>) -> Result<ControlFlow<()>, SelectError> {
        if self.needed.is_empty() {
            self.rows
                .extend(batch.into_iter().map(|line| (Value::Null, line)));
        } else {
            let read = rows::each(&batch, |line| {
                if (self.is_late)() {
                    return Err(SelectError::TooSlow);
                }
                let row = pick(line.as_ref(), &self.needed)?;
                let is_wanted = self.selection.accepts(&row);
                Ok((row, is_wanted))
            });
            let read = read.into_iter().collect::<Result<Vec<_>, SelectError>>()?;
            self.missing
                .retain(|(_, name)| read.iter().all(|(row, _)| row.get(name).is_none()));
            if !self.missing.is_empty() && self.members.is_empty() {
                for line in batch.iter().take(SAMPLE) {
                    self.members.extend(rows::names(line.as_ref())?);
                }
            }
            let key = self.selection.order().map(|(key, _)| key);
            let wanted = read
                .into_iter()
                .zip(batch)
                .filter(|((_, is_wanted), _)| *is_wanted);
            self.rows.extend(wanted.map(|((row, _), line)| {
                let value = key.map_or(Value::Null, |key| at(&row, key).clone());
                (value, line)
            }));
        }
        let Some(most) = self.most() else {
            return Ok(ControlFlow::Continue(()));
        };
        if self.selection.order().is_none() {
            return Ok(match self.rows.len() < most {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            });
        }
        if self.rows.len() > most.saturating_add(SPARE) {
            self.sort();
            self.rows.truncate(most);
        }
        Ok(ControlFlow::Continue(()))
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
        self.rows.sort_by(|(a, _), (b, _)| {
            let order = compare(a, b);
            let order = if reverse { order.reverse() } else { order };
            a.is_null().cmp(&b.is_null()).then(order)
        });
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

/// Numbers before text, absent values last, lists by length.
fn compare(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Bool(_) => 0,
        Value::Number(_) => 1,
        Value::String(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    };
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a
            .as_f64()
            .unwrap_or_default()
            .total_cmp(&b.as_f64().unwrap_or_default()),
        (Value::String(a), Value::String(b)) => compare_text(a, b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => a.len().cmp(&b.len()),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}
