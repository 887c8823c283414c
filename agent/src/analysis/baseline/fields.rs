//! Which fields the messages of an endpoint have.
//!
//! In: places, kinds and values as hashes. Out: whether a place was there before. A place is known when it came from
//! three sources, or often and in different hours: what one source sends in one hour stays unknown, however much.

use serde::{Deserialize, Serialize};

use crate::analysis::fields::Field;

/// Places of one table. Overflow policy: the table is open, nothing in it is new.
const MAX_PLACES: usize = 64;

/// Messages since the last place that became known from which a table is settled.
const SETTLED: u64 = 100;

/// Values of one place that are told apart. Overflow policy: the place has no closed set of values.
const MAX_CHOICES: usize = 4;

/// Times from which a place is known that came in different hours, from fewer than three sources.
const OFTEN: u32 = 50;

/// Times from which a place with few values has a closed set of them.
const CLOSED: u32 = 200;

/// Hours of the clock between two sightings that are not one visit.
const APART: u32 = 2;

/// The fields of one kind of message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FieldTable {
    /// In order of place.
    places: Vec<Place>,
    messages: u64,
    since: u64,
    is_open: bool,
}

/// What is known of a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    place: u64,
    count: u32,
    kinds: u8,
    is_known: bool,
    /// The first two sources, cut to 32 bits.
    sources: [u32; 2],
    first_hour: u32,
    /// Values, cut to 16 bits.
    choices: [u16; MAX_CHOICES],
    /// How many values; more than [`MAX_CHOICES`] when there are too many.
    different: u8,
}

/// What a field is to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Novelty {
    /// Nothing new.
    Known,
    /// It was not there before.
    Place,
    /// It was there with other kinds of values.
    Kind,
    /// It was there with a few other values only.
    Choice,
}

/// A field next to what was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) novelty: Novelty,
    /// Something can be learned from it.
    pub(crate) teaches: bool,
    /// Any other value of this place and kind would compare the same.
    pub(crate) is_any_value: bool,
}

/// Where and when a field was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sighting {
    pub(crate) source: u64,
    pub(crate) hour: u32,
}

impl FieldTable {
    /// One more message is read.
    pub(crate) fn message(&mut self) {
        self.messages += 1;
        self.since += 1;
    }

    /// Messages read.
    pub(crate) const fn messages(&self) -> u64 {
        self.messages
    }

    /// What a field is to what was learned so far.
    pub(crate) fn ask(&self, field: &Field<'_>) -> Novelty {
        self.compare(field).novelty
    }

    /// What a field is to what was learned so far, and what follows from that.
    pub(crate) fn compare(&self, field: &Field<'_>) -> Compared {
        let news = |novelty| Compared {
            novelty,
            teaches: true,
            is_any_value: false,
        };
        if self.is_open || self.since < SETTLED {
            return news(Novelty::Known);
        }
        let Some(place) = self.get(field.place).filter(|place| place.is_known) else {
            return news(Novelty::Place);
        };
        let has_kind = place.kinds & field.kind as u8 != 0;
        if !has_kind && place.count >= 100 {
            return news(Novelty::Kind);
        }
        let has_choices = place.different as usize <= MAX_CHOICES;
        let is_new_choice = has_choices && !place.has_choice(choice(field));
        if is_new_choice && place.count >= CLOSED && !field.text.is_empty() {
            return news(Novelty::Choice);
        }
        Compared {
            novelty: Novelty::Known,
            teaches: place.count < CLOSED || !has_kind || is_new_choice,
            is_any_value: !has_choices,
        }
    }

    /// Whether a place is known, however young the table is.
    pub(crate) fn knows(&self, place: u64) -> bool {
        self.get(place).is_some_and(|place| place.is_known)
    }

    /// Learns a field. Whether that made its place known to a settled table.
    pub(crate) fn learn(&mut self, field: &Field<'_>, sighting: Sighting) -> bool {
        let source = (sighting.source as u32).max(1);
        match self
            .places
            .binary_search_by_key(&field.place, |place| place.place)
        {
            Ok(at) => {
                let is_settled = self.since >= SETTLED;
                let Some(place) = self.places.get_mut(at) else {
                    return false;
                };
                let became = place.see(field, source, sighting.hour);
                if became {
                    self.since = 0;
                }
                became && is_settled
            }
            Err(at) if self.places.len() < MAX_PLACES => {
                let mut place = Place {
                    place: field.place,
                    count: 0,
                    kinds: 0,
                    is_known: false,
                    sources: [source, 0],
                    first_hour: sighting.hour,
                    choices: [0; MAX_CHOICES],
                    different: 0,
                };
                place.see(field, source, sighting.hour);
                self.places.insert(at, place);
                false
            }
            Err(_) => {
                self.make_room();
                false
            }
        }
    }

    /// Everything seen so far is known: the operator says so.
    pub(crate) fn settle(&mut self) {
        for place in &mut self.places {
            place.is_known = true;
        }
        self.since = self.since.max(SETTLED);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.messages += other.messages;
        self.since = self.since.max(other.since);
        self.is_open |= other.is_open;
        for more in &other.places {
            match self.places.binary_search_by_key(&more.place, |place| place.place) {
                Ok(at) => {
                    if let Some(place) = self.places.get_mut(at) {
                        place.merge(more);
                    }
                }
                Err(at) if self.places.len() < MAX_PLACES => self.places.insert(at, more.clone()),
                Err(_) => self.is_open = true,
            }
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>()
    }

    fn get(&self, place: u64) -> Option<&Place> {
        let at = self
            .places
            .binary_search_by_key(&place, |place| place.place)
            .ok()?;
        self.places.get(at)
    }

    /// Forgets what came least and is not known; a table of known places only is open.
    fn make_room(&mut self) {
        let before = self.places.len();
        self.places.retain(|place| place.is_known || place.count > 1);
        self.is_open |= self.places.len() == before;
    }
}

impl Place {
    /// Counts one value. Whether that made the place known.
    fn see(&mut self, field: &Field<'_>, source: u32, hour: u32) -> bool {
        self.count = self.count.saturating_add(1);
        let [first, second] = &mut self.sources;
        let is_third = *second != 0 && source != *first && source != *second;
        if *second == 0 && source != *first {
            *second = source;
        }
        let became =
            !self.is_known && (is_third || hour.abs_diff(self.first_hour) >= APART && self.count >= OFTEN);
        self.is_known |= became;
        self.kinds |= field.kind as u8;
        if self.different as usize <= MAX_CHOICES {
            self.add_choice(choice(field));
        }
        became
    }

    fn has_choice(&self, choice: u16) -> bool {
        self.choices
            .iter()
            .take(self.different as usize)
            .any(|known| *known == choice)
    }

    fn add_choice(&mut self, choice: u16) {
        if self.has_choice(choice) {
            return;
        }
        if let Some(free) = self.choices.get_mut(self.different as usize) {
            *free = choice;
        }
        self.different = self.different.saturating_add(1);
    }

    fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.kinds |= other.kinds;
        self.is_known |= other.is_known;
        self.first_hour = self.first_hour.min(other.first_hour);
        if other.different as usize > MAX_CHOICES {
            self.different = other.different;
        }
        let more = other.choices.iter().take(other.different as usize);
        more.for_each(|choice| self.add_choice(*choice));
    }
}

/// Names a value in 16 bits: two that share a name cost a novelty.
fn choice(field: &Field<'_>) -> u16 {
    field.value() as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::fields::{Kind, Part};

    fn field(path: &'static str, text: &'static str) -> Field<'static> {
        Field {
            part: Part::Body,
            kind: Kind::Text,
            place: crate::analysis::hash::hash(path.as_bytes()),
            path,
            text,
        }
    }

    fn settled() -> FieldTable {
        let mut table = FieldTable::default();
        for at in 0..300 {
            table.message();
            let sighting = Sighting {
                source: at % 5,
                hour: 1,
            };
            table.learn(&field("body.$.name", "x"), sighting);
        }
        table
    }

    #[test]
    fn one_source_in_one_hour_makes_nothing_known() {
        let mut table = settled();
        let new = field("body.$.is_admin", "true");
        assert_eq!(table.ask(&field("body.$.name", "x")), Novelty::Known);
        for _ in 0..10_000 {
            table.message();
            assert_eq!(table.ask(&new), Novelty::Place);
            assert!(!table.learn(&new, Sighting { source: 99, hour: 7 }));
        }
        assert!(!table.learn(&new, Sighting { source: 98, hour: 7 }));
        assert!(
            table.learn(&new, Sighting { source: 97, hour: 7 }),
            "a third source"
        );
        assert!(table.knows(new.place));
    }

    #[test]
    fn closed_sets_of_values_are_noticed() {
        let table = settled();
        assert_eq!(table.ask(&field("body.$.name", "root")), Novelty::Choice);
        let number = Field {
            kind: Kind::Number,
            ..field("body.$.name", "1")
        };
        assert_eq!(table.ask(&number), Novelty::Kind);
    }

    #[test]
    fn names_that_never_end_open_the_table() {
        let mut table = settled();
        let names: Vec<String> = (0..500).map(|at| format!("body.$.k{at}")).collect();
        for name in &names {
            for source in 0..4 {
                let field = Field {
                    place: crate::analysis::hash::hash(name.as_bytes()),
                    ..field("", "v")
                };
                table.learn(&field, Sighting { source, hour: 1 });
            }
        }
        assert!(table.is_open && table.places.len() <= MAX_PLACES);
    }
}
