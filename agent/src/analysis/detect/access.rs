//! A success without a credential, where all others had one (API2:2023).
//!
//! In: exchanges. Out: an identity signal. When several sources do it, a deploy has opened the endpoint: that is told as
//! weaker evidence, for posture to judge.

use super::{Memory, Scene, memory::Few, signal};
use crate::verdict::{Group, Signal};

/// Endpoints remembered. Overflow policy: the one not seen for the longest is forgotten.
const MAX_REMEMBERED: usize = 4096;

/// Successes below which nothing is known.
const MIN: u64 = 50;

/// Sources from which it is the endpoint that has changed.
const MANY: usize = 5;

/// Who came in without a credential.
#[derive(Debug)]
pub(super) struct Access(Memory<Few>);

impl Default for Access {
    fn default() -> Self {
        Self(Memory::new(MAX_REMEMBERED))
    }
}

impl Access {
    pub(super) fn inspect(&mut self, scene: &Scene<'_>, signals: &mut Vec<Signal>) {
        let look = scene.look;
        let (Some(usual), Some(endpoint)) = (scene.usual, look.endpoint) else {
            return;
        };
        let is_preflight = &*look.request.method == "OPTIONS";
        if !look.is_success() || !look.request.credentials.is_empty() || !look.is_whole || is_preflight {
            return;
        }
        let anonymous = usual.anonymous;
        if anonymous.n < MIN || anonymous.bounds().1 > 0.25 || anonymous.share() > 0.01 {
            return;
        }
        let sources = self.0.of(endpoint.0);
        sources.add(look.source);
        let confidence = if sources.count() > MANY { 0.4 } else { 0.85 };
        let text = "a request without a credential succeeded where all others carry one";
        signals.push(
            signal(
                "access",
                "unauthenticated_access",
                Group::Identity,
                confidence,
                text,
            )
            .seen(
                "no credential",
                format!("{:.1} % carry one", 100.0 * (1.0 - anonymous.share())),
            )
            .of(anonymous.n),
        );
    }
}
