//! Where a path belongs in the learned tree.
//!
//! In: lexical segments. Out: the keys of the positions they lead through. As a router does: a name that is a
//! route of its own goes before a parameter, with a way back when it leads nowhere.

use super::{
    super::{
        Template, lexical,
        lexical::Segment,
        words::{ROUTE, wordness},
    },
    Node, PARAMETER, kind_of,
};

/// Positions tried for one path. Overflow policy: the path stays as its shape alone has it.
const MAX_STEPS: usize = 256;

/// How certain it is that a path leads somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The server has accepted the request: names it has not been asked for before may be routes.
    Accepted,
    /// It has not: only what is known already counts.
    Other,
}

/// One position on the way: key and, for parameters, the types seen.
type Step<'a> = (&'a str, u16);

/// The template of a request; `None` if nothing in the tree answers such a request.
pub(crate) fn template(root: &Node, path: &[Segment<'_>], method: &str, answer: Answer) -> Option<Template> {
    let mut walk = Walk {
        method: Some(method),
        answer,
        steps: Vec::with_capacity(path.len()),
        left: MAX_STEPS,
    };
    if walk.find(root, path) {
        return Some(walk.template());
    }
    if answer == Answer::Other {
        return None;
    }
    walk = Walk {
        method: None,
        steps: Vec::with_capacity(path.len()),
        left: MAX_STEPS,
        ..walk
    };
    if !walk.find(root, path) {
        walk.go_along(root, path);
        let known = walk.steps.len();
        let rest = path.get(known..).unwrap_or_default();
        return Some(walk.template_with(rest));
    }
    Some(walk.template())
}

/// The template that stands now where another one, made of the same observations, stood.
pub(crate) fn renewed(root: &Node, path: &[Segment<'_>]) -> Template {
    let mut walk = Walk {
        method: None,
        answer: Answer::Other,
        steps: Vec::with_capacity(path.len()),
        left: MAX_STEPS,
    };
    walk.go_along(root, path);
    let rest = path.get(walk.steps.len()..).unwrap_or_default();
    walk.template_with(rest)
}

fn child<'a>(node: &'a Node, key: &str) -> Option<(&'a str, &'a Node)> {
    node.children
        .get_key_value(key)
        .map(|(key, child)| (&**key, child))
}

struct Walk<'a, 'm> {
    method: Option<&'m str>,
    answer: Answer,
    steps: Vec<Step<'a>>,
    left: usize,
}

impl<'a> Walk<'a, '_> {
    fn find(&mut self, node: &'a Node, path: &[Segment<'_>]) -> bool {
        let Some((segment, rest)) = path.split_first() else {
            return match self.method {
                Some(method) => node.ends.contains_key(method),
                None => !node.ends.is_empty(),
            };
        };
        let direct = child(node, &segment.key());
        let parameter = self.parameter(node, segment);
        for (key, next) in direct.into_iter().chain(parameter) {
            let Some(left) = self.left.checked_sub(1) else {
                return false;
            };
            self.left = left;
            self.steps.push((key, next.kinds));
            if self.find(next, rest) {
                return true;
            }
            self.steps.pop();
        }
        false
    }

    /// As far as the tree goes, without a way back.
    fn go_along(&mut self, root: &'a Node, path: &[Segment<'_>]) {
        self.steps.clear();
        let mut node = root;
        for segment in path {
            let direct = child(node, &segment.key());
            let Some((key, next)) = direct.or_else(|| self.parameter(node, segment)) else {
                return;
            };
            self.steps.push((key, next.kinds));
            node = next;
        }
    }

    /// The parameter that a name may be a value of.
    fn parameter(&self, node: &'a Node, segment: &Segment<'_>) -> Option<(&'a str, &'a Node)> {
        let Segment::Literal { text, .. } = segment else {
            return None;
        };
        let is_new_route = self.answer == Answer::Accepted && !node.children.contains_key(*text);
        if is_new_route && wordness(text) > ROUTE {
            return None;
        }
        child(node, PARAMETER)
    }

    fn template(self) -> Template {
        self.template_with(&[])
    }

    fn template_with(self, rest: &[Segment<'_>]) -> Template {
        let steps = self
            .steps
            .iter()
            .map(|(key, kinds)| match key.strip_prefix(PARAMETER) {
                Some(suffix) => Segment::Parameter {
                    kind: kind_of(*kinds),
                    suffix,
                },
                None => Segment::literal(key),
            });
        lexical::render(steps.chain(rest.iter().copied()))
    }
}
