//! What is found everywhere in an API, and so tells nothing of what belongs together.
//!
//! In: the observed tree. Out: members of answers and names of routes that most resources have: `{"ok":…,"result":…}`
//! around everything, `/{id}/permissions` below every collection. A resource is known by the route that leads to it; values
//! are none, so that what all values of one parameter have in common still tells. Also keeps what names read like, which
//! is asked for again and again.

use std::collections::{HashMap, HashSet};

use super::{
    super::words::{ROUTE, wordness},
    Node, PARAMETER,
};

/// Fewest resources from which anything is called common.
const MIN_RESOURCES: usize = 3;

/// What most resources have.
#[derive(Debug, Default)]
pub(super) struct Commons {
    members: HashSet<u32>,
    routes: HashSet<Box<str>>,
    wordness: HashMap<Box<str>, f32>,
}

/// Occurrences, each with the resource it was found at.
#[derive(Debug, Default)]
struct Census<'a> {
    resources: u32,
    members: HashSet<(u32, u32)>,
    answering: HashSet<u32>,
    routes: HashSet<(&'a str, u32)>,
    leading: HashSet<u32>,
    wordness: HashMap<Box<str>, f32>,
}

impl Commons {
    pub(super) fn of(root: &Node) -> Self {
        let mut census = Census::default();
        census.count(root, 0);
        let routes = most(census.routes.iter().map(|(name, _)| *name), census.leading.len());
        Self {
            members: most(
                census.members.iter().map(|(hash, _)| *hash),
                census.answering.len(),
            ),
            routes: routes.into_iter().map(Box::from).collect(),
            wordness: census.wordness,
        }
    }

    /// How much a name of the tree reads like that of a route.
    pub(super) fn wordness(&self, name: &str) -> f32 {
        let known = self.wordness.get(name).copied();
        known.unwrap_or_else(|| wordness(name))
    }

    /// Whether most resources are answered with this member.
    pub(super) fn has_member(&self, hash: u32) -> bool {
        self.members.contains(&hash)
    }

    /// Whether this name stands below most resources.
    pub(super) fn has_route(&self, name: &str) -> bool {
        self.routes.contains(name)
    }
}

impl<'a> Census<'a> {
    fn count(&mut self, node: &'a Node, resource: u32) {
        for end in node.ends.values() {
            for hash in end.members.hashes() {
                self.answering.insert(resource);
                self.members.insert((hash, resource));
            }
        }
        for (key, child) in &node.children {
            let is_value =
                key.starts_with('{') || (wordness(key) <= ROUTE && !child.children.contains_key(PARAMETER));
            if is_value {
                self.count(child, resource);
                continue;
            }
            self.leading.insert(resource);
            self.routes.insert((key, resource));
            self.resources += 1;
            self.count(child, self.resources);
        }
    }
}

/// What occurs at more than half of the resources.
fn most<T: std::hash::Hash + Eq>(found: impl Iterator<Item = T>, resources: usize) -> HashSet<T> {
    let mut counts = HashMap::<T, usize>::new();
    for one in found {
        *counts.entry(one).or_default() += 1;
    }
    counts.retain(|_, count| resources >= MIN_RESOURCES && *count * 2 > resources);
    counts.into_keys().collect()
}
