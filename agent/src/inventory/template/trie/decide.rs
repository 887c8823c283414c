//! Which names at a position are values of one parameter.
//!
//! In: the observed tree. Out: the learned tree, with values merged. From the top down: where values are merged,
//! what is behind them is judged together. Each name is scored: its spelling, what stands before it, how many
//! others there are, and the [`evidence`](super::evidence) that it is of one kind with them. A word that routes are
//! made of needs much more evidence than a name with a digit in it, so `search` stays beside `{userId}`.

use std::collections::BTreeSet;

use super::{
    super::{
        SegmentType,
        segment::classify,
        words::{ROUTE, is_collection, is_reserved, wordness},
    },
    Node, PARAMETER, bit,
    evidence::{Group, Shape},
};

/// Rounds after which a group is taken as it is. Two are enough in practice.
const MAX_ROUNDS: usize = 3;

/// Score above which a name is a value.
const THRESHOLD: f32 = 0.3;

/// How many other values identifiers count for.
const IDENTIFIERS: usize = 3;

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
    fn of(segment: Option<&str>) -> Self {
        match segment {
            None => Before::Root,
            Some(key) if key.starts_with('{') => Before::Parameter,
            Some(word) if classify(word) == SegmentType::StrongLiteral || word == "rest" => Before::Root,
            Some(word) if is_collection(word) => Before::Collection,
            Some(_) => Before::Word,
        }
    }

    /// What speaks for a value before anything is known of it.
    fn prior(self) -> f32 {
        match self {
            Before::Collection => 2.0,
            Before::Word => -0.3,
            Before::Parameter => -0.8,
            Before::Root => -3.5,
        }
    }
}

/// Makes the learned tree.
pub(crate) fn learn(observed: Node) -> Node {
    learn_below(observed, None)
}

fn learn_below(mut node: Node, segment: Option<&str>) -> Node {
    let values = values(&node, Before::of(segment));
    if !values.is_empty() {
        let mut parameter = node.children.remove(PARAMETER).unwrap_or_default();
        for value in values {
            if let Some(child) = node.children.remove(&value) {
                parameter.absorb(child);
                parameter.kinds |= bit(SegmentType::Name);
                parameter.folded = parameter.folded.saturating_add(1);
            }
        }
        node.children.insert(PARAMETER.into(), parameter);
    }
    node.children = std::mem::take(&mut node.children)
        .into_iter()
        .map(|(key, child)| {
            let child = learn_below(child, Some(&key));
            (key, child)
        })
        .collect();
    node
}

/// One name at a position.
struct Name<'a> {
    text: &'a str,
    node: &'a Node,
    shape: Shape,
    wordness: f32,
}

/// The names that are values.
fn values(node: &Node, before: Before) -> BTreeSet<Box<str>> {
    let parameter = node.children.get(PARAMETER);
    let names: Vec<Name<'_>> = node
        .children
        .iter()
        .filter(|(key, _)| !key.starts_with('{'))
        .map(|(key, child)| Name {
            text: key,
            node: child,
            shape: Shape::of(child),
            wordness: wordness(key),
        })
        .collect();
    let identifiers = parameter.map(Shape::of);
    let known = parameter.map_or(0, |node| IDENTIFIERS + node.folded as usize);
    if names.len() + known < 2 {
        return BTreeSet::new();
    }
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
                others > 0 && is_value(name, *at, before, others, &group)
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

fn is_value(name: &Name<'_>, at: usize, before: Before, others: usize, group: &Group<'_>) -> bool {
    let evidence = group.compare(at, &name.shape);
    let mut score = before.prior() - 2.2 * name.wordness;
    // What identifiers follow is a collection itself.
    if name.node.children.contains_key(PARAMETER) {
        score -= 2.0;
    }
    if matches!(before, Before::Root | Before::Word) && is_collection(name.text) {
        score -= 1.0;
    }
    if name.wordness > ROUTE {
        score -= 1.0;
    }
    score += 0.5 * (others as f32).log2().min(6.0) + evidence.weight();
    let is_plausible = before == Before::Collection || evidence.supports - evidence.opposes >= 0.5;
    score > THRESHOLD && is_plausible
}
