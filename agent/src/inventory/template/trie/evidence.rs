//! Whether two sub-trees are of one kind.
//!
//! In: sub-trees. Out: evidence for and against. Two positions agree when the same methods lead on to the same
//! routes (names of routes compared, values not) and answers have the same members. Equal members are the strongest
//! evidence there is, different ones speak against as strongly; a route found on one side only speaks against a
//! little: not everything has been asked for.

use std::collections::BTreeMap;

use super::{super::words::ROUTE, Node, PARAMETER, answer::Members, commons::Commons};

/// Levels below a position that are compared. Overflow policy: what is deeper does not count.
const MAX_DEPTH: usize = 6;

/// Routes below a position that are compared. Overflow policy: the first by name.
const MAX_ROUTES: usize = 256;

/// Others that one position is compared with. Overflow policy: the first by name.
const MAX_OTHERS: usize = 16;

/// A path below a position, values as `*`, and a method.
type Route = (String, Box<str>);

/// The routes below one position, with the members of their answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape(BTreeMap<Route, Members>);

/// Evidence that a position is of one kind with others.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Evidence {
    pub(super) supports: f32,
    pub(super) opposes: f32,
}

impl Shape {
    pub(super) fn of(node: &Node, commons: &Commons) -> Self {
        let mut shape = Self::default();
        shape.add(node, "", 0, commons);
        shape
    }

    fn add(&mut self, node: &Node, path: &str, depth: usize, commons: &Commons) {
        for (method, end) in &node.ends {
            if self.0.len() >= MAX_ROUTES {
                return;
            }
            self.0
                .entry((path.to_owned(), method.clone()))
                .or_default()
                .merge(&end.members);
        }
        if depth < MAX_DEPTH {
            for (key, child) in &node.children {
                let is_value =
                    &**key == PARAMETER || (!key.starts_with('{') && commons.wordness(key) <= ROUTE);
                let name = if is_value { "*" } else { key };
                self.add(child, &format!("{path}/{name}"), depth + 1, commons);
            }
        }
    }
}

/// The routes of several positions, each with whom it belongs to.
#[derive(Debug, Default)]
pub(super) struct Group<'a> {
    routes: BTreeMap<&'a Route, Vec<(usize, &'a Members)>>,
}

impl<'a> Group<'a> {
    pub(super) fn of(members: impl Iterator<Item = (usize, &'a Shape)>) -> Self {
        let mut group = Self::default();
        for (index, shape) in members {
            for (route, keys) in &shape.0 {
                let owners = group.routes.entry(route).or_default();
                // One more than is compared: it may be the position itself.
                if owners.len() <= MAX_OTHERS {
                    owners.push((index, keys));
                }
            }
        }
        group
    }

    /// Evidence that the position with this index is of one kind with the others of the group.
    pub(super) fn compare(&self, index: usize, shape: &Shape, commons: &Commons) -> Evidence {
        let mut evidence = Evidence::default();
        for (route, members) in &shape.0 {
            let owners = self.routes.get(route).map(Vec::as_slice).unwrap_or_default();
            let mut others = owners.iter().filter(|(owner, _)| *owner != index).peekable();
            let found = others.peek().is_some();
            let mut theirs = Members::default();
            for (_, keys) in others.take(MAX_OTHERS) {
                theirs.merge(keys);
            }
            evidence.add(route, found.then_some((members, &theirs)), commons);
        }
        evidence
    }
}

impl Evidence {
    fn add(&mut self, (path, method): &Route, found: Option<(&Members, &Members)>, commons: &Commons) {
        let mut names = path.split('/').filter(|name| !matches!(*name, "" | "*"));
        let leads_on = names.any(|name| !commons.has_route(name));
        let Some((mine, theirs)) = found else {
            self.opposes += 0.2;
            return;
        };
        let overlap = mine.overlap(theirs, |hash| commons.has_member(hash));
        if overlap.union > 1 && overlap.smaller > 0 {
            let of_all = overlap.common as f32 / overlap.union as f32;
            let of_smaller = overlap.common as f32 / overlap.smaller as f32;
            let likeness = if overlap.smaller >= 4 { of_smaller } else { of_all };
            match likeness {
                high if high >= 0.7 => self.supports += if overlap.common < 3 { 1.0 } else { 1.8 },
                low if low <= 0.45 => self.opposes += 1.5,
                _ => self.supports += 0.2,
            }
        } else {
            self.supports += match &**method {
                _ if leads_on => 0.9,
                // What can be put, patched or deleted is a thing, not an action.
                "PUT" | "PATCH" | "DELETE" => 0.5,
                "POST" => 0.0,
                _ => 0.2,
            };
        }
    }

    /// Weighs both sides: above 0 speaks for one kind.
    pub(super) fn weight(self) -> f32 {
        let total = self.supports + self.opposes;
        if total == 0.0 {
            return 0.0;
        }
        let share = self.supports / total;
        1.2 * self.supports.min(4.0) * share - 1.2 * self.opposes.min(4.0) * (1.0 - share)
    }
}
