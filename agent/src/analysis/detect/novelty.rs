//! What was never there before: a caller, a method, a field, an origin, a host that is called.
//!
//! In: exchanges. Out: novelty signals, which are odd and no more. Only where what is there had seemed complete: a set
//! that keeps growing, or a table of fields that is open, says nothing.

use super::{Memory, Scene, signal};
use crate::{
    analysis::{
        baseline::Novelty,
        hash::{hash, hash_all, mix},
        look::Look,
        sketch::{Member, Members},
    },
    clock::Timestamp,
    verdict::{Group, Signal},
};

/// Templates and workloads remembered, each. Overflow policy: the one not seen for the longest is forgotten.
const MAX_REMEMBERED: usize = 8192;

/// New fields of one exchange that are told. Overflow policy: the first so many.
const MAX_FIELDS: usize = 3;

/// Seconds for which a template has been known before a new method on it is odd.
const OLD: u64 = 3600;

/// Methods of one template.
#[derive(Debug, Default)]
struct Methods {
    since: Timestamp,
    methods: super::memory::Few,
    hits: u64,
}

/// What workloads usually have to do with.
#[derive(Debug)]
pub(super) struct Novelties {
    methods: Memory<Methods>,
    origins: Memory<Members>,
    hosts: Memory<Members>,
}

impl Default for Novelties {
    fn default() -> Self {
        Self {
            methods: Memory::new(MAX_REMEMBERED),
            origins: Memory::new(MAX_REMEMBERED),
            hosts: Memory::new(MAX_REMEMBERED),
        }
    }
}

impl Novelties {
    pub(super) fn inspect(&mut self, scene: &Scene<'_>, signals: &mut Vec<Signal>) {
        let look = scene.look;
        if !look.is_success() {
            return;
        }
        self.method(look, signals);
        self.origin(look, signals);
        let Some(usual) = scene.usual else {
            return;
        };
        if usual.callers.ask(look.source) == Member::Stranger {
            signals.push(
                signal(
                    "novelty",
                    "new_caller",
                    Group::Novelty,
                    0.5,
                    "somebody calls it who never did",
                )
                .seen("a new caller", format!("one of {} callers", usual.callers.len()))
                .of(usual.n),
            );
        }
        // One finding tells what a deploy has changed.
        if scene.is_after_deploy {
            return;
        }
        let mut left = MAX_FIELDS;
        for (field, novelty) in scene.asked.news() {
            let (class, confidence, text) = match novelty {
                Novelty::Known => continue,
                Novelty::Place => ("new_field", 0.5, "a field that was never sent before"),
                Novelty::Kind => ("new_field_kind", 0.4, "a field has a value of another kind"),
                Novelty::Choice => ("new_field_value", 0.3, "a field with few values has another one"),
            };
            signals.push(
                signal("novelty", class, Group::Novelty, confidence, text)
                    .at(field.path)
                    .of(usual.asked.messages()),
            );
            left -= 1;
            if left == 0 {
                break;
            }
        }
    }

    /// A host that a workload calls for the first time.
    pub(super) fn egress(&mut self, look: &Look<'_>, signals: &mut Vec<Signal>) {
        let Some(host) = look
            .request
            .head
            .first("host")
            .or_else(|| look.request.head.first(":authority"))
        else {
            return;
        };
        let known = self.hosts.of(look.workload);
        let host = hash(host);
        if known.ask(host) == Member::Stranger {
            let text = "the workload calls a host that it never called before";
            signals.push(
                signal("novelty", "new_egress_host", Group::Novelty, 0.6, text)
                    .seen("a new host", format!("one of {} hosts", known.len())),
            );
        }
        known.add(host, look.hour());
    }

    fn method(&mut self, look: &Look<'_>, signals: &mut Vec<Signal>) {
        let Some(template) = look.seen.template else {
            return;
        };
        let known = self.methods.of(mix(look.workload, hash_all([template])));
        if known.hits == 0 {
            known.since = look.at;
        }
        known.hits += 1;
        let is_new = known.methods.add(hash(look.request.method.as_bytes()));
        let is_harmless = matches!(&*look.request.method, "OPTIONS" | "HEAD");
        if is_new && !is_harmless && known.hits > 200 && look.at.since(known.since).as_secs() > OLD {
            let text = "a method that was never used on this path";
            signals.push(
                signal("novelty", "new_endpoint_method", Group::Novelty, 0.5, text)
                    .at("method")
                    .of(known.hits),
            );
        }
    }

    fn origin(&mut self, look: &Look<'_>, signals: &mut Vec<Signal>) {
        let Some(origin) = look.request.head.first("origin") else {
            return;
        };
        let known = self.origins.of(look.workload);
        let origin = hash(origin);
        if known.ask(origin) == Member::Stranger {
            let text = "pages of another origin use it";
            signals.push(
                signal("novelty", "new_origin", Group::Novelty, 0.5, text)
                    .at("header.origin")
                    .seen("a new origin", format!("one of {} origins", known.len())),
            );
        }
        known.add(origin, look.hour());
    }
}
