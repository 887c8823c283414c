//! A function used by somebody who is not one of its few users (API5:2023).
//!
//! In: exchanges with credentials. Out: an identity signal when a credential that is known from ordinary endpoints
//! succeeds at one that had only a few users. A credential that starts there is a new colleague, and merely new.

use super::{Memory, Scene, signal, words::has_word};
use crate::{
    analysis::{
        hash::mix,
        look::ActorKind,
        sketch::{Distinct, Member},
    },
    verdict::{Group, Signal},
};

/// Credentials and workloads remembered. Overflow policy: the one not seen for the longest is forgotten.
const MAX_REMEMBERED: usize = 16_384;

/// Users that an endpoint for few has at the most.
const FEW: usize = 12;

/// How many times as many users its workload has at the least.
const TIMES: u64 = 3;

/// Exchanges after which a credential is known.
const KNOWN: u32 = 5;

/// Words in the place of functions for few.
const WORDS: &[&str] = &[
    "admin",
    "admins",
    "internal",
    "manage",
    "management",
    "root",
    "sudo",
    "debug",
    "config",
    "settings",
    "roles",
    "permissions",
    "audit",
    "export",
    "backup",
    "impersonate",
    "staff",
    "superuser",
    "approve",
    "refund",
];

/// What is known of a credential in a workload.
#[derive(Debug, Default)]
struct User {
    /// Exchanges at endpoints for everybody.
    ordinary: u32,
    /// Exchanges at endpoints for few, as one of them.
    privileged: u32,
}

/// Who uses what.
#[derive(Debug)]
pub(super) struct Privileges {
    users: Memory<User>,
    /// Users of a workload.
    all: Memory<Distinct>,
}

impl Default for Privileges {
    fn default() -> Self {
        Self {
            users: Memory::new(MAX_REMEMBERED),
            all: Memory::new(1024),
        }
    }
}

impl Privileges {
    pub(super) fn inspect(&mut self, scene: &Scene<'_>, signals: &mut Vec<Signal>) {
        let look = scene.look;
        if look.actor_kind != ActorKind::Credential || !look.is_success() {
            return;
        }
        let all = self.all.of(look.workload);
        all.add(look.actor);
        let user = self.users.of(mix(look.workload, look.actor));
        let Some(usual) = scene.usual else {
            user.ordinary = user.ordinary.saturating_add(1);
            return;
        };
        let few = usual.users.len();
        let is_for_few =
            !usual.users.is_open() && (1..=FEW).contains(&few) && all.count() >= TIMES * few as u64;
        if !is_for_few {
            user.ordinary = user.ordinary.saturating_add(1);
            return;
        }
        if usual.users.ask(look.actor) != Member::Stranger {
            user.privileged = user.privileged.saturating_add(1);
            return;
        }
        let place = look.seen.template.unwrap_or_default();
        let is_named = has_word(place, WORDS);
        let is_guarded = usual.refused.hits >= 3;
        let confidence = match (user.ordinary >= KNOWN, user.privileged > 0) {
            (_, true) => 0.4,
            (true, false) if is_named => 0.85,
            (true, false) if is_guarded => 0.8,
            (true, false) => 0.6,
            (false, false) => 0.45,
        };
        let text = "somebody who is not one of its few users was let in";
        signals.push(
            signal("privilege", "bfla", Group::Identity, confidence, text)
                .seen("a user of other endpoints", format!("one of {few} users"))
                .of(usual.n),
        );
    }
}
