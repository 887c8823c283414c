//! Which names at a position are values of one parameter.
//!
//! In: the observed tree. Out: the learned tree, with values merged. From the top down: where values are merged,
//! what is behind them is judged together. Each name is scored: its spelling, what stands before it, how many
//! others there are, and the [`evidence`](super::evidence) that it is of one kind with them. A word that routes are
//! made of needs much more evidence than a name with a digit in it, so `search` stays beside `{userId}`.

use std::collections::{BTreeSet, HashMap};

use super::{
    super::{
        SegmentType,
        segment::classify,
        words::{ROUTE, is_collection, is_reserved},
    },
    Node, PARAMETER, bit,
    commons::Commons,
    evidence::{Evidence, Group, Shape},
};

/// Rounds after which a group is taken as it is. Two are enough in practice.
const MAX_ROUNDS: usize = 3;

/// Score above which a name is a value.
const THRESHOLD: f32 = 0.3;

/// How many other values identifiers count for.
const IDENTIFIERS: usize = 3;

/// Fewest names at a position of which can be said that they are unlike routes.
const MIN_UNLIKE: usize = 6;

/// What stands before a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A plural: values are to be expected.
    Collection,
    /// Another word.
    Word,
    /// A parameter: actions and parts are to be expected.
    Parameter,
    /// Nothing but `api`, a version and the like: collections are to be expected.
    Root,
}

impl Before {
    /// What stands before the positions behind a segment.
    fn after(self, key: &str) -> Self {
        if key.starts_with('{') {
            return Before::Parameter;
        }
        let is_version = key.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        match classify(key) {
            SegmentType::StrongLiteral => Before::Root,
            _ if is_version
                || matches!(key, "rest" | "services" | "app" | "public") && self == Before::Root =>
            {
                Before::Root
            }
            _ if is_collection(key) => Before::Collection,
            _ => Before::Word,
        }
    }

    /// What speaks for a value before anything is known of it.
    fn prior(self) -> f32 {
        match self {
            Before::Collection => 2.0,
            Before::Word => -0.3,
            Before::Parameter => -1.5,
            Before::Root => -3.5,
        }
    }
}

/// Makes the learned tree. In two passes: what is a value at one place is likely to be one at another.
pub(crate) fn learn(observed: Node) -> Node {
    let commons = Commons::of(&observed);
    let mut first = Pass {
        commons: &commons,
        known: &Elsewhere::default(),
        found: Elsewhere::default(),
    };
    // Only what was found is of interest.
    drop(first.learn_below(observed.clone(), Before::Root, 0));
    let known = first.found;
    let mut second = Pass {
        commons: &commons,
        known: &known,
        found: Elsewhere::default(),
    };
    second.learn_below(observed, Before::Root, 0)
}

/// Names that are values, each with a position where it is one; [`SEVERAL`] if there are more.
type Elsewhere = HashMap<Box<str>, u64>;

/// Stands for several positions.
const SEVERAL: u64 = u64::MAX;

struct Pass<'a> {
    commons: &'a Commons,
    /// Values found by the pass before.
    known: &'a Elsewhere,
    found: Elsewhere,
}

impl Pass<'_> {
    /// `position` tells this node from others.
    fn learn_below(&mut self, mut node: Node, before: Before, position: u64) -> Node {
        let values = self.values(&node, before, position);
        if !values.is_empty() {
            let mut parameter = node.children.remove(PARAMETER).unwrap_or_default();
            for value in values {
                if let Some(child) = node.children.remove(&value) {
                    parameter.absorb(child);
                    parameter.kinds |= bit(SegmentType::Name);
                    parameter.folded = parameter.folded.saturating_add(1);
                    let place = self.found.entry(value).or_insert(position);
                    if *place != position {
                        *place = SEVERAL;
                    }
                }
            }
            node.children.insert(PARAMETER.into(), parameter);
        }
        node.children = std::mem::take(&mut node.children)
            .into_iter()
            .map(|(key, child)| {
                let child = self.learn_below(child, before.after(&key), below(position, &key));
                (key, child)
            })
            .collect();
        node
    }

    /// Whether a name is a value at another position.
    fn is_known(&self, name: &str, position: u64) -> bool {
        self.known.get(name).is_some_and(|place| *place != position)
    }
}

/// FNV-1a.
fn below(position: u64, key: &str) -> u64 {
    let start = position ^ 0xcbf2_9ce4_8422_2325;
    key.bytes().fold(start, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// One name at a position.
struct Name<'a> {
    text: &'a str,
    node: &'a Node,
    shape: Shape,
    wordness: f32,
    /// It is a value at another position.
    known: bool,
}

/// What is known of a position besides the name that is judged.
#[derive(Debug, Clone, Copy)]
struct Around {
    before: Before,
    /// Other values.
    others: usize,
    /// Hardly any name here is one that routes have.
    unlike_routes: bool,
}

impl Pass<'_> {
    /// The names that are values.
    fn values(&self, node: &Node, before: Before, position: u64) -> BTreeSet<Box<str>> {
        let parameter = node.children.get(PARAMETER);
        let names: Vec<Name<'_>> = node
            .children
            .iter()
            .filter(|(key, _)| !key.starts_with('{'))
            .map(|(key, child)| Name {
                text: key,
                node: child,
                shape: Shape::of(child, self.commons),
                wordness: self.commons.wordness(key),
                known: self.is_known(key, position),
            })
            .collect();
        let identifiers = parameter.map(|node| Shape::of(node, self.commons));
        let known = parameter.map_or(0, |node| IDENTIFIERS + node.folded as usize);
        if names.len() + known < 2 {
            return BTreeSet::new();
        }
        let routes = names.iter().filter(|name| name.wordness > ROUTE).count();
        let unlike_routes = names.len() >= MIN_UNLIKE && routes * 4 < names.len();
        let unlikely_routes = |(at, name): (usize, &Name<'_>)| (name.wordness <= ROUTE).then_some(at);
        let mut chosen: BTreeSet<usize> = names.iter().enumerate().filter_map(unlikely_routes).collect();
        for round in 0..MAX_ROUNDS {
            let shapes = chosen
                .iter()
                .filter_map(|at| names.get(*at).map(|name| (*at, &name.shape)));
            let group = Group::of(identifiers.iter().map(|shape| (usize::MAX, shape)).chain(shapes));
            let next: BTreeSet<usize> = names
            .iter()
            .enumerate()
            // Words may join what names have made plausible, not begin it.
            .filter(|(_, name)| (round > 0 && before != Before::Root) || name.wordness <= ROUTE)
            .filter(|(_, name)| !is_reserved(name.text))
            .filter(|(at, name)| {
                let others = chosen.len() - usize::from(chosen.contains(at)) + known;
                let around = Around { before, others, unlike_routes };
                others > 0 && is_value(name, around, group.compare(*at, &name.shape, self.commons))
            })
            .map(|(at, _)| at)
            .collect();
            let is_stable = next == chosen && round > 0;
            chosen = next;
            if is_stable {
                break;
            }
        }
        if chosen.len() < 2 && parameter.is_none() {
            return BTreeSet::new();
        }
        chosen
            .iter()
            .filter_map(|at| names.get(*at))
            .map(|name| name.text.into())
            .collect()
    }
}

fn is_value(name: &Name<'_>, around: Around, evidence: Evidence) -> bool {
    let Around {
        before,
        others,
        unlike_routes,
    } = around;
    let is_word = name.wordness > ROUTE;
    let mut score = before.prior() - 2.2 * name.wordness;
    // What identifiers follow is a collection itself.
    if name.node.children.contains_key(PARAMETER) {
        score -= 2.0;
    }
    if matches!(before, Before::Root | Before::Word) && is_collection(name.text) {
        score -= 1.0;
    }
    if is_word {
        score -= 1.0;
    }
    if is_action(name.node) {
        score -= 1.0;
    }
    if name.node.named {
        score += if is_word { 2.0 } else { 2.5 };
    }
    if name.known {
        score += if is_word { 0.5 } else { 1.5 };
    }
    score += 0.5 * (others as f32).log2().min(6.0) + evidence.weight();
    let is_plausible = before == Before::Collection
        || name.node.named
        || (name.known && !is_word)
        || (unlike_routes && before == Before::Word)
        || evidence.supports - evidence.opposes >= 0.5;
    score > THRESHOLD && is_plausible
}

/// Whether nothing can be done here but POST: an order given, not a thing that can be looked at.
fn is_action(node: &Node) -> bool {
    node.children.is_empty() && !node.ends.is_empty() && node.ends.keys().all(|method| &**method == "POST")
}
