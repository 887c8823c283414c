//! One credential used by two (API2:2023): from a place it never came from, by another program, while it is used at home.
//!
//! In: exchanges with credentials. Out: identity signals. A phone that changes networks keeps its program; a key that
//! several places share was shared from the start.

use super::{Memory, Scene, memory::Few, signal};
use crate::{
    analysis::{
        hash::hash,
        look::{ActorKind, Look},
    },
    clock::Timestamp,
    verdict::{Group, Signal},
};

/// Credentials remembered. Overflow policy: the one not seen for the longest is forgotten.
const MAX_REMEMBERED: usize = 16_384;

/// Seconds within which uses are at the same time.
const AT_ONCE: u64 = 600;

/// Uses at home after which a credential has one.
const SETTLED: u32 = 10;

/// Foreign places within an hour from which a credential is passed around.
const PLACES: usize = 4;

/// Where one credential is used.
#[derive(Debug, Default)]
struct Use {
    homes: Few,
    programs: Few,
    at_home: u32,
    last_home: Timestamp,
    foreign: Few,
    foreign_since: Timestamp,
    /// Changes between home and abroad.
    switches: u32,
    is_abroad: bool,
}

/// Where credentials are used.
#[derive(Debug)]
pub(super) struct Tokens(Memory<Use>);

impl Default for Tokens {
    fn default() -> Self {
        Self(Memory::new(MAX_REMEMBERED))
    }
}

impl Tokens {
    pub(super) fn inspect(&mut self, scene: &Scene<'_>, signals: &mut Vec<Signal>) {
        let look = scene.look;
        if look.actor_kind != ActorKind::Credential || !look.is_success() {
            return;
        }
        let program = program(look);
        let known = self.0.of(look.actor);
        if known.at_home < SETTLED || known.homes.has(look.network) {
            known.stay(look, program);
            return;
        }
        known.leave(look);
        let is_other_program = !known.programs.has(program);
        let is_at_once = look.at.since(known.last_home).as_secs() <= AT_ONCE;
        if is_other_program && is_at_once && known.switches >= 2 {
            let text = "a credential is used by another program elsewhere while it is used at home";
            signals.push(
                signal("token", "token_theft", Group::Identity, 0.85, text)
                    .seen(
                        format!("{} changes of place", known.switches),
                        "one place, or one program",
                    )
                    .of(u64::from(known.at_home))
                    .within(AT_ONCE),
            );
        } else if known.foreign.count() >= PLACES {
            let text = "a credential is used from many places at once";
            signals.push(
                signal("token", "token_reuse", Group::Identity, 0.6, text)
                    .seen(
                        format!("{} networks", known.foreign.count()),
                        format!("{} networks", known.homes.count()),
                    )
                    .of(u64::from(known.at_home))
                    .within(3600),
            );
        }
    }
}

impl Use {
    fn stay(&mut self, look: &Look<'_>, program: u64) {
        self.homes.add(look.network);
        self.programs.add(program);
        self.at_home = self.at_home.saturating_add(1);
        self.last_home = look.at;
        if self.is_abroad {
            self.is_abroad = false;
            self.switches = self.switches.saturating_add(1);
        }
    }

    fn leave(&mut self, look: &Look<'_>) {
        if look.at.since(self.foreign_since).as_secs() > 3600 {
            self.foreign_since = look.at;
            self.foreign = Few::default();
            self.switches = 0;
        }
        self.foreign.add(look.network);
        if !self.is_abroad {
            self.is_abroad = true;
            self.switches = self.switches.saturating_add(1);
        }
    }
}

/// Names the program that sent a request, without its version.
fn program(look: &Look<'_>) -> u64 {
    let agent = look.request.head.first("user-agent").unwrap_or_default();
    let end = agent
        .iter()
        .position(|byte| matches!(byte, b'/' | b' '))
        .unwrap_or(agent.len());
    hash(agent.get(..end).unwrap_or_default())
}
