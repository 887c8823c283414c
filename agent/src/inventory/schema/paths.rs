//! Paths of fields, worked out once: the next text has much the same names in much the same order.
//!
//! In: steps from a value to those in it, by name or as elements of a list. Out: a number for each place, and its path.
//! Grows with the names of what is walked: who keeps one forgets it when it has become large.

use crate::inventory::template::segment::{SegmentType, classify, is_plain_word};

/// Names of one object that are compared. Overflow policy: the path is worked out once more, and has two numbers.
const MAX_TRIES: usize = 32;

/// Longest path that goes on. Overflow policy: what is below has the same path, and is passed over.
pub(super) const MAX_PATH_BYTES: usize = 256;

/// No place.
const NONE: u32 = u32::MAX;

/// The outermost value.
pub(super) const ROOT: u32 = 0;

/// Paths by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paths {
    places: Vec<Place>,
}

/// One place.
#[derive(Debug, Clone)]
struct Place {
    /// The name as between its quotes.
    key: Box<str>,
    /// The name of the field, or of the list it is an element of.
    name: Box<str>,
    path: Box<str>,
    /// The first member, and the one that was met last.
    first: u32,
    last: u32,
    /// The next member of the same object.
    next: u32,
    /// Its elements.
    element: u32,
}

impl Place {
    fn new(key: &str, name: &str, path: String) -> Self {
        Self {
            key: key.into(),
            name: name.into(),
            path: path.into(),
            first: NONE,
            last: NONE,
            next: NONE,
            element: NONE,
        }
    }
}

impl Paths {
    /// How many places it has.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// A text begins.
    pub(super) fn begin(&mut self) {
        if self.places.is_empty() {
            self.push(Place::new("", "", "$".to_owned()));
        }
    }

    /// The path of a place, and the name of its field.
    pub(super) fn of(&self, place: u32) -> (&str, &str) {
        self.get(place)
            .map_or(("", ""), |place| (&*place.path, &*place.name))
    }

    /// An object begins: its members come from the first.
    pub(super) fn enter(&mut self, object: u32) {
        if let Some(object) = self.get_mut(object) {
            object.last = NONE;
        }
    }

    /// The elements of a list.
    pub(super) fn element(&mut self, list: u32) -> u32 {
        let Some(of) = self.get(list) else { return ROOT };
        if of.element != NONE {
            return of.element;
        }
        let path = if of.path.len() <= MAX_PATH_BYTES {
            format!("{}[]", of.path)
        } else {
            of.path.to_string()
        };
        let element = Place::new("", &of.name, path);
        let number = self.push(element);
        if let Some(list) = self.get_mut(list) {
            list.element = number;
        }
        number
    }

    /// The member of an object whose name stands so between its quotes; `plain` takes escapes off.
    pub(super) fn member<'k>(
        &mut self,
        object: u32,
        key: &'k str,
        plain: impl FnOnce() -> std::borrow::Cow<'k, str>,
    ) -> u32 {
        let Some(of) = self.get(object) else { return ROOT };
        let (first, last) = (of.first, of.last);
        let expected = self.next(of);
        let found = self.among(expected, key).or_else(|| {
            if expected == first {
                None
            } else {
                self.among(first, key)
            }
        });
        let number = found.unwrap_or_else(|| self.add(object, last, key, &plain()));
        if let Some(object) = self.get_mut(object) {
            object.last = number;
        }
        number
    }

    /// The member that comes next, as far as that is known.
    fn next(&self, object: &Place) -> u32 {
        self.get(object.last).map_or(object.first, |last| last.next)
    }

    /// The member that comes next, if its name stands at the front of a text between quotes, and the bytes of that.
    pub(super) fn expected(&mut self, object: u32, text: &[u8]) -> Option<(u32, usize)> {
        let number = self.next(self.get(object)?);
        let key = self.get(number)?.key.as_bytes();
        let length = key.len() + 2;
        match text.get(..length)? {
            [b'"', name @ .., b'"'] if name == key => {}
            _ => return None,
        }
        self.get_mut(object)?.last = number;
        Some((number, length))
    }

    /// A member of this name, here or a little further on.
    fn among(&self, mut number: u32, key: &str) -> Option<u32> {
        for _ in 0..MAX_TRIES {
            let place = self.get(number)?;
            if *place.key == *key {
                return Some(number);
            }
            number = place.next;
        }
        None
    }

    /// A new member behind the one that was met last.
    fn add(&mut self, object: u32, last: u32, key: &str, name: &str) -> u32 {
        let path = self.get(object).map(|object| below(&object.path, name));
        let number = self.push(Place::new(key, name, path.unwrap_or_default()));
        let before = match self.get_mut(last) {
            Some(last) => std::mem::replace(&mut last.next, number),
            None => self
                .get_mut(object)
                .map_or(NONE, |object| std::mem::replace(&mut object.first, number)),
        };
        if let Some(new) = self.get_mut(number) {
            new.next = before;
        }
        number
    }

    fn push(&mut self, place: Place) -> u32 {
        let number = u32::try_from(self.places.len()).unwrap_or(NONE);
        self.places.push(place);
        number
    }

    fn get(&self, number: u32) -> Option<&Place> {
        self.places.get(number as usize)
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut Place> {
        self.places.get_mut(number as usize)
    }
}

/// The path of a member. An identifier as a name makes the object a map.
fn below(path: &str, name: &str) -> String {
    let mut path = path.to_owned();
    if path.len() > MAX_PATH_BYTES {
        return path;
    }
    path.push('.');
    if is_plain_word(name.as_bytes()) {
        path.push_str(name);
        return path;
    }
    let kind = classify(name);
    if kind.is_parameter() && kind != SegmentType::Float || name.len() > 64 {
        path.push('*');
    } else {
        path.extend(name.chars().filter(|c| !c.is_control() && !".[]".contains(*c)));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(paths: &mut Paths, object: u32, key: &'static str) -> u32 {
        paths.member(object, key, || key.into())
    }

    #[test]
    fn places_keep_their_numbers_in_any_order() {
        let mut paths = Paths::default();
        paths.begin();
        let mut numbers = std::collections::BTreeMap::new();
        for order in ["abcd", "dcba", "bd", "acbe", "e", "abcde"] {
            paths.enter(ROOT);
            for at in 0..order.len() {
                let key = &order[at..=at];
                let number = member(&mut paths, ROOT, key);
                assert_eq!(*numbers.entry(key).or_insert(number), number, "{key} in {order}");
                assert_eq!(paths.of(number), (&*format!("$.{key}"), key));
            }
        }
        assert_eq!(paths.len(), 6);
    }

    #[test]
    fn what_comes_next_is_told_from_what_begins_like_it() {
        let mut paths = Paths::default();
        paths.begin();
        let (one, two) = (member(&mut paths, ROOT, "a"), member(&mut paths, ROOT, "bc"));
        paths.enter(ROOT);
        for other in ["", "a", "\"a", "\"ab\"", "a\"", "\"b\""] {
            assert_eq!(paths.expected(ROOT, other.as_bytes()), None, "{other}");
        }
        assert_eq!(paths.expected(ROOT, b"\"a\":1"), Some((one, 3)));
        assert_eq!(paths.expected(ROOT, b"\"bc\""), Some((two, 4)));
        assert_eq!(paths.expected(ROOT, b"\"bc\""), None);
    }

    #[test]
    fn elements_have_the_name_of_their_list() {
        let mut paths = Paths::default();
        paths.begin();
        let list = member(&mut paths, ROOT, "tags");
        let element = paths.element(list);
        assert_eq!(paths.element(list), element);
        let inner = member(&mut paths, element, "k.1");
        assert_eq!(paths.of(element), ("$.tags[]", "tags"));
        assert_eq!(paths.of(inner), ("$.tags[].k1", "k.1"));
    }

    #[test]
    fn names_without_end_are_compared_with_a_few() {
        let mut paths = Paths::default();
        paths.begin();
        let keys: Vec<String> = (0..500).map(|at| format!("k{at}x")).collect();
        for _ in 0..3 {
            paths.enter(ROOT);
            for key in &keys {
                paths.member(ROOT, key, || key.into());
            }
        }
        assert_eq!(paths.len(), 501, "the same order has the same numbers");
        paths.enter(ROOT);
        for key in keys.iter().rev() {
            paths.member(ROOT, key, || key.into());
        }
        assert!(paths.len() <= 1001);
    }

    #[test]
    fn long_paths_end() {
        let mut paths = Paths::default();
        paths.begin();
        let mut place = ROOT;
        for _ in 0..100 {
            place = member(&mut paths, place, "a_name_of_some_length");
            place = paths.element(place);
        }
        assert!(paths.of(place).0.len() <= MAX_PATH_BYTES + 64 + 2);
    }
}
