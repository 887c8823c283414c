//! What was asked for, position by position: the material that learned templates are made from.
//!
//! In: lexical segments of paths that a server has accepted, with the method and the members of the answer. Out: a
//! tree of [`Node`]s; [`decide`] makes the learned tree from it, and [`route`] places paths in that. Everything
//! here is a union or a bounded count, so the order of arrival does not matter as long as no bound is reached. The
//! observed tree is kept beside the learned one: a decision that new evidence contradicts is taken back.

pub mod answer;
mod commons;
mod decide;
mod evidence;
pub(crate) mod route;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{SegmentType, lexical::Segment};
pub use answer::Members;
pub(crate) use decide::learn;

/// Nodes of one tree. Overflow policy: merged positions are folded, which makes their decisions final; when that
/// does not help, further paths are not learned from. A node takes about 150 bytes.
const MAX_NODES: usize = 20_000;

/// Literal children of one node. Overflow policy: further values count as a parameter's, and the path as exploded.
const MAX_CHILDREN: usize = 512;

/// Requests of one path and method that are told apart. More do not change what is concluded.
pub(crate) const MAX_HITS: u8 = 16;

/// The key of a parameter; what follows an identifier in its segment stands behind it: `{}.json`.
pub(crate) const PARAMETER: &str = "{}";

/// One position, with everything behind it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Types of the values of a parameter, as bits of [`SegmentType`].
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) kinds: u16,
    /// Different names that were folded into this parameter.
    #[serde(skip_serializing_if = "is_zero_u32")]
    pub(super) folded: u32,
    /// An answer to a path that leads through here has this segment for the name of a thing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) named: bool,
    /// Methods that were accepted for the path that ends here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) ends: BTreeMap<Box<str>, End>,
    /// By segment, or [`PARAMETER`] and what follows it. Canonical paths have no braces.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) children: BTreeMap<Box<str>, Node>,
}

/// One method of a path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct End {
    /// Requests, at most [`MAX_HITS`] per path.
    pub(super) hits: u32,
    /// Members of answers.
    pub(super) members: Members,
}

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// Nothing new.
    Known,
    /// There is something to learn from.
    New,
    /// It was counted under a parameter, as there were too many names beside it.
    Exploded,
    /// There was no room.
    NoRoom,
}

/// The observed tree of one workload.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trie {
    root: Node,
    #[serde(skip)]
    nodes: usize,
}

impl Trie {
    /// Whether nothing was observed.
    pub fn is_empty(&self) -> bool {
        self.root == Node::default()
    }

    /// Adds an accepted request, with the body it was answered with.
    pub(crate) fn insert(&mut self, path: &[Segment<'_>], method: &str, body: &[u8]) -> Inserted {
        if self.nodes == 0 {
            self.nodes = self.root.size();
        }
        let mut result = Inserted::Known;
        let mut node = &mut self.root;
        for segment in path {
            let mut key = segment.key();
            if !node.children.contains_key(&*key) {
                let is_full = segment.is_literal() && node.children.len() >= MAX_CHILDREN;
                if is_full {
                    key = PARAMETER.into();
                    result = Inserted::Exploded;
                }
                if !node.children.contains_key(&*key) {
                    if self.nodes >= MAX_NODES {
                        return Inserted::NoRoom;
                    }
                    self.nodes += 1;
                    if result == Inserted::Known {
                        result = Inserted::New;
                    }
                }
            }
            node = node.children.entry(key.into_owned().into()).or_default();
            if !segment.is_literal() || result == Inserted::Exploded {
                node.kinds |= bit(segment.kind());
            }
            if let Segment::Literal { text, .. } = segment
                && !node.named
                && answer::names(body, text)
            {
                node.named = true;
                if result == Inserted::Known {
                    result = Inserted::New;
                }
            }
        }
        let end = match node.ends.get_mut(method) {
            Some(end) => end,
            None => {
                if result == Inserted::Known {
                    result = Inserted::New;
                }
                node.ends.entry(method.into()).or_default()
            }
        };
        if end.hits < u32::from(MAX_HITS) {
            end.hits += 1;
        }
        if end.members.merge(&Members::of(body)) && result == Inserted::Known {
            result = Inserted::New;
        }
        result
    }

    /// Takes in what another tree has observed.
    pub(crate) fn merge(&mut self, other: Self) {
        self.root.absorb(other.root);
        self.nodes = self.root.size();
    }

    /// What follows from everything observed. Folds the tree if it is half full.
    pub(crate) fn learn(&mut self) -> Node {
        let learned = learn(self.root.clone());
        self.nodes = self.root.size();
        if self.nodes > MAX_NODES / 2 {
            self.root = learned.clone();
            self.nodes = self.root.size();
        }
        learned
    }
}

impl Node {
    /// Takes in everything another position has.
    pub(super) fn absorb(&mut self, other: Node) {
        let Node {
            kinds,
            folded,
            named,
            ends,
            children,
        } = other;
        self.kinds |= kinds;
        self.named |= named;
        self.folded = self.folded.saturating_add(folded);
        for (method, end) in ends {
            let mine = self.ends.entry(method).or_default();
            mine.hits = mine.hits.saturating_add(end.hits);
            mine.members.merge(&end.members);
        }
        for (key, child) in children {
            self.children.entry(key).or_default().absorb(child);
        }
    }

    fn size(&self) -> usize {
        1 + self.children.values().map(Node::size).sum::<usize>()
    }
}

/// All types that parameters can have.
const KINDS: &[SegmentType] = &[
    SegmentType::Int,
    SegmentType::Uuid,
    SegmentType::Ulid,
    SegmentType::ObjectId,
    SegmentType::Hex,
    SegmentType::Base64Url,
    SegmentType::PrefixedId,
    SegmentType::Email,
    SegmentType::Ip,
    SegmentType::Date,
    SegmentType::Float,
    SegmentType::Name,
];

/// The bit of a type; of everything that is no identifier, that of a name.
pub(super) fn bit(kind: SegmentType) -> u16 {
    let at = KINDS
        .iter()
        .position(|known| *known == kind)
        .unwrap_or(KINDS.len() - 1);
    1 << at
}

/// The only type of a set; of several, names give way to identifiers, and the first of these stands for all.
pub(super) fn kind_of(kinds: u16) -> SegmentType {
    let name = bit(SegmentType::Name);
    let of = |kinds: u16| KINDS.iter().copied().find(|kind| kinds & bit(*kind) != 0);
    match kinds & !name {
        0 => SegmentType::Name,
        ids if ids.count_ones() == 1 && kinds & name == 0 => of(ids).unwrap_or(SegmentType::Name),
        // E-mail addresses beside numbers are identifiers.
        ids => of(ids & !special()).unwrap_or(SegmentType::PrefixedId),
    }
}

/// Types with a name of their own.
fn special() -> u16 {
    bit(SegmentType::Email) | bit(SegmentType::Ip) | bit(SegmentType::Date) | bit(SegmentType::Float)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(value: &u16) -> bool {
    *value == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero_u32(value: &u32) -> bool {
    *value == 0
}
