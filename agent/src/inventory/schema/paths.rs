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
pub(super) struct Place {
    /// The name as between its quotes; of elements nothing.
    pub(super) key: Box<str>,
    /// The name of the field, or of the list it is an element of.
    pub(super) name: Box<str>,
    pub(super) path: Box<str>,
    /// The object or list that it is in; the outermost value is in none.
    around: u32,
    is_element: bool,
    /// The first member.
    first: u32,
    /// The next member of the same object.
    next: u32,
    /// Its elements.
    element: u32,
}

impl Place {
    fn new(around: u32, key: &str, name: &str, path: String) -> Self {
        Self {
            key: key.into(),
            name: name.into(),
            path: path.into(),
            around,
            is_element: false,
            first: NONE,
            next: NONE,
            element: NONE,
        }
    }
}

/// Where a walk stands among the members of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Among {
    object: u32,
    /// The member that was met last.
    last: u32,
    /// The one that came behind it in an object before.
    next: u32,
}

impl Paths {
    /// How many places it has.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// A text begins.
    pub(super) fn begin(&mut self) {
        if self.places.is_empty() {
            self.push(Place::new(NONE, "", "", "$".to_owned()));
        }
    }

    /// The name of a place as between its quotes.
    pub(crate) fn key(&self, place: u32) -> &str {
        self.get(place).map_or("", |place| &place.key)
    }

    /// The steps from a place to the outermost value: the name of each member as between its quotes, and `None` for an
    /// element of a list.
    pub(crate) fn outward(&self, place: u32) -> impl Iterator<Item = Option<&str>> {
        let inner = |place: u32| self.get(place).filter(|place| place.around != NONE);
        std::iter::successors(inner(place), move |place| inner(place.around))
            .map(|place| (!place.is_element).then_some(&*place.key))
    }

    /// An object begins: its members come from the first.
    pub(super) fn enter(&self, object: u32) -> Among {
        Among {
            object,
            last: NONE,
            next: self.first(object),
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
        let element = Place {
            is_element: true,
            ..Place::new(list, "", &of.name, path)
        };
        let number = self.push(element);
        if let Some(list) = self.get_mut(list) {
            list.element = number;
        }
        number
    }

    /// The member whose name stands so between its quotes; `plain` takes escapes off.
    pub(super) fn member<'k>(
        &mut self,
        among: &mut Among,
        key: &'k str,
        plain: impl FnOnce() -> std::borrow::Cow<'k, str>,
    ) -> u32 {
        let first = self.first(among.object);
        let found = self.find(among.next, key).or_else(|| {
            if among.next == first {
                None
            } else {
                self.find(first, key)
            }
        });
        let number = found.unwrap_or_else(|| self.add(*among, key, &plain()));
        among.last = number;
        among.next = self.get(number).map_or(NONE, |member| member.next);
        number
    }

    /// The member that comes next, if its name stands at the front of a text between quotes, and the bytes of that.
    pub(super) fn expected(&self, among: &mut Among, text: &[u8]) -> Option<(u32, usize)> {
        let number = among.next;
        let Place { key, next, .. } = self.get(number)?;
        let length = key.len() + 2;
        match text.get(..length)? {
            [b'"', name @ .., b'"'] if name == key.as_bytes() => {}
            _ => return None,
        }
        among.last = number;
        among.next = *next;
        Some((number, length))
    }

    fn first(&self, object: u32) -> u32 {
        self.get(object).map_or(NONE, |object| object.first)
    }

    /// A member of this name, here or a little further on.
    fn find(&self, mut number: u32, key: &str) -> Option<u32> {
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
    fn add(&mut self, among: Among, key: &str, name: &str) -> u32 {
        let Among { object, last, .. } = among;
        let path = self.get(object).map(|object| below(&object.path, name));
        let number = self.push(Place::new(object, key, name, path.unwrap_or_default()));
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

    pub(super) fn get(&self, number: u32) -> Option<&Place> {
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

    /// The only member that an object has this time.
    fn member(paths: &mut Paths, object: u32, key: &'static str) -> u32 {
        let mut among = paths.enter(object);
        paths.member(&mut among, key, || key.into())
    }

    fn named(paths: &Paths, place: u32) -> (&str, &str) {
        paths
            .get(place)
            .map_or(("", ""), |place| (&*place.path, &*place.name))
    }

    #[test]
    fn places_keep_their_numbers_in_any_order() {
        let mut paths = Paths::default();
        paths.begin();
        let mut numbers = std::collections::BTreeMap::new();
        for order in ["abcd", "dcba", "bd", "acbe", "e", "abcde"] {
            let mut among = paths.enter(ROOT);
            for at in 0..order.len() {
                let key = &order[at..=at];
                let number = paths.member(&mut among, key, || key.into());
                assert_eq!(*numbers.entry(key).or_insert(number), number, "{key} in {order}");
                assert_eq!(named(&paths, number), (&*format!("$.{key}"), key));
            }
        }
        assert_eq!(paths.len(), 6);
    }

    #[test]
    fn what_comes_next_is_told_from_what_begins_like_it() {
        let mut paths = Paths::default();
        paths.begin();
        let mut among = paths.enter(ROOT);
        let (one, two) = ["a", "bc"]
            .map(|key| paths.member(&mut among, key, || key.into()))
            .into();
        let mut among = paths.enter(ROOT);
        for other in ["", "a", "\"a", "\"ab\"", "a\"", "\"b\""] {
            assert_eq!(paths.expected(&mut among, other.as_bytes()), None, "{other}");
        }
        assert_eq!(paths.expected(&mut among, b"\"a\":1"), Some((one, 3)));
        assert_eq!(paths.expected(&mut among, b"\"bc\""), Some((two, 4)));
        assert_eq!(paths.expected(&mut among, b"\"bc\""), None);
    }

    #[test]
    fn elements_have_the_name_of_their_list() {
        let mut paths = Paths::default();
        paths.begin();
        let list = member(&mut paths, ROOT, "tags");
        let element = paths.element(list);
        assert_eq!(paths.element(list), element);
        let inner = member(&mut paths, element, "k.1");
        assert_eq!(named(&paths, element), ("$.tags[]", "tags"));
        assert_eq!(named(&paths, inner), ("$.tags[].k1", "k.1"));
    }

    #[test]
    fn the_way_outward_has_names_and_lists() {
        let mut paths = Paths::default();
        paths.begin();
        let list = member(&mut paths, ROOT, "tags");
        let element = paths.element(list);
        let inner = member(&mut paths, element, "");
        let way: Vec<_> = paths.outward(inner).collect();
        assert_eq!(way, [Some(""), None, Some("tags")]);
        assert_eq!(paths.outward(ROOT).count(), 0);
    }

    #[test]
    fn names_without_end_are_compared_with_a_few() {
        let mut paths = Paths::default();
        paths.begin();
        let keys: Vec<String> = (0..500).map(|at| format!("k{at}x")).collect();
        for _ in 0..3 {
            let mut among = paths.enter(ROOT);
            for key in &keys {
                paths.member(&mut among, key, || key.into());
            }
        }
        assert_eq!(paths.len(), 501, "the same order has the same numbers");
        let mut among = paths.enter(ROOT);
        for key in keys.iter().rev() {
            paths.member(&mut among, key, || key.into());
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
        assert!(named(&paths, place).0.len() <= MAX_PATH_BYTES + 64 + 2);
    }
}
