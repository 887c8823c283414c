//! Names and strings of a JSON body that are worth a look of those who look for attacks, noted by the walk that reads its
//! fields: else a second one would find the same quotes once more.
//!
//! In: the events of a walk. Out: [`Strings`], in their order, with the way to each. Refuses bodies that were not read whole:
//! what was passed over must be looked for by who wants to see everything.

use std::ops::Range;

use crate::{
    analysis::signature::is_of_note,
    inventory::schema::{Event, Paths},
};

/// What was noted of one body.
#[derive(Debug, Clone, Default)]
pub(super) struct Noted {
    all: Vec<Note>,
    /// Whether the name of a place is worth a look, by the number of the place.
    names: Vec<Option<bool>>,
    is_whole: bool,
}

/// A name or a string.
#[derive(Debug, Clone)]
struct Note {
    place: u32,
    /// Where a string stands; the name is that of its place.
    quoted: Option<Range<usize>>,
}

impl Noted {
    /// A body begins.
    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.is_whole = false;
    }

    /// The numbers of places mean something else from now on.
    pub(super) fn forget(&mut self) {
        self.names.clear();
    }

    /// A value, behind its name.
    pub(super) fn see(&mut self, event: &Event<'_>, body: &[u8]) {
        if self.has_name_of_note(event) {
            self.all.push(Note {
                place: event.place,
                quoted: None,
            });
        }
        // An empty text is of no note, and most values are no texts.
        if !event.quoted.is_empty() && body.get(event.quoted.clone()).is_some_and(is_of_note) {
            self.all.push(Note {
                place: event.place,
                quoted: Some(event.quoted.clone()),
            });
        }
    }

    /// The body has ended; whether all of it was seen.
    pub(super) fn end(&mut self, is_whole: bool) {
        self.is_whole = is_whole;
    }

    /// What was noted, with the paths of the walk, if all was seen.
    pub(super) fn strings<'a>(&'a self, paths: &'a Paths) -> Option<Strings<'a>> {
        self.is_whole.then_some(Strings {
            all: &self.all,
            paths,
        })
    }

    /// A place keeps its name.
    fn has_name_of_note(&mut self, event: &Event<'_>) -> bool {
        let at = event.place as usize;
        if let Some(Some(known)) = self.names.get(at) {
            return *known;
        }
        if self.names.len() <= at {
            self.names.resize(at + 1, None);
        }
        let found = is_of_note(event.key.as_bytes());
        if let Some(name) = self.names.get_mut(at) {
            *name = Some(found);
        }
        found
    }
}

/// Names and strings of a body that was read whole, but for those that no detector looks at.
#[derive(Debug, Clone, Copy)]
pub(in crate::analysis) struct Strings<'a> {
    all: &'a [Note],
    paths: &'a Paths,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(in crate::analysis) struct Quoted<'a> {
    pub(in crate::analysis) is_name: bool,
    /// As between its quotes.
    pub(in crate::analysis) text: &'a [u8],
    place: u32,
    paths: &'a Paths,
}

impl<'a> Strings<'a> {
    /// All, in the order of the body they were noted from.
    pub(in crate::analysis) fn of(self, body: &'a [u8]) -> impl Iterator<Item = Quoted<'a>> {
        self.all.iter().map(move |note| Quoted {
            is_name: note.quoted.is_none(),
            text: match &note.quoted {
                Some(quoted) => body.get(quoted.clone()).unwrap_or_default(),
                None => self.paths.key(note.place).as_bytes(),
            },
            place: note.place,
            paths: self.paths,
        })
    }
}

impl<'a> Quoted<'a> {
    /// The steps from a string, or from the object that has a name, to the outermost value: names of members, and `None`
    /// for elements of lists.
    pub(in crate::analysis) fn outward(self) -> impl Iterator<Item = Option<&'a str>> {
        self.paths.outward(self.place).skip(usize::from(self.is_name))
    }
}
