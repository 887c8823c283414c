//! Detectors that remember: each says what it saw in one exchange, none decides what it amounts to.
//!
//! In: a [`Scene`]: an exchange, its fields and what is usual. Out: signals. One file each. What they remember is bounded
//! by count; the one not seen for the longest is forgotten.

mod access;
mod claims;
mod exposure;
mod login;
mod memory;
mod novelty;
mod objects;
mod privilege;
mod property;
mod resource;
mod scan;
mod sequence;
mod slow;
mod ssrf;
mod statistical;
mod token;
mod words;

use super::{baseline::Baseline, fields::Fields, look::Look};
use crate::verdict::{Group, Reason, Signal};

pub(super) use exposure::is_sensitive;
pub(super) use login::is_login;
pub(super) use memory::Memory;
pub(super) use resource::{amount, work};
pub(super) use scan::{Scan, Scans};

/// What a detector may look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) look: &'a Look<'a>,
    /// Fields of the request.
    pub(super) asked: &'a Fields,
    /// Fields of the answer, if they were read.
    pub(super) answered: Option<&'a Fields>,
    /// What is usual for the endpoint, if it is believed.
    pub(super) usual: Option<&'a Baseline>,
    /// It is a login, by its endpoint and fields.
    pub(super) is_login: bool,
    /// What was learned so far, believed or not.
    pub(super) learned: Option<&'a Baseline>,
    /// The workload has come with a new version not long ago.
    pub(super) is_after_deploy: bool,
}

/// All detectors that remember.
#[derive(Debug, Default)]
pub(super) struct Detectors {
    access: access::Access,
    pub(super) claims: claims::Claims,
    login: login::Logins,
    novelty: novelty::Novelties,
    pub(super) objects: objects::Objects,
    privilege: privilege::Privileges,
    pub(super) sequence: sequence::Sequences,
    pub(super) ssrf: ssrf::Ssrf,
    token: token::Tokens,
}

impl Detectors {
    /// What all detectors see in a served exchange.
    pub(super) fn served(&mut self, scene: &Scene<'_>, signals: &mut Vec<Signal>) {
        self.login.inspect(scene, signals);
        self.objects.inspect(scene, signals);
        self.claims.inspect(scene, signals);
        self.privilege.inspect(scene, signals);
        self.token.inspect(scene, signals);
        self.access.inspect(scene, signals);
        self.sequence.inspect(scene, signals);
        self.ssrf.inbound(scene, signals);
        self.novelty.inspect(scene, signals);
        property::inspect(scene, signals);
        exposure::inspect(scene, signals);
        resource::inspect(scene, signals);
        slow::inspect(scene, signals);
        statistical::inspect(scene, signals);
    }

    /// The last exchange was a login that failed, whatever its status.
    pub(super) const fn has_login_failed(&self) -> bool {
        self.login.has_failed
    }

    /// What all detectors see in an exchange that a workload of this host sent elsewhere.
    pub(super) fn sent(&mut self, look: &Look<'_>, signals: &mut Vec<Signal>) {
        self.novelty.egress(look, signals);
        self.ssrf.outbound(look, !signals.is_empty());
    }

    /// Whether the answer must be read.
    pub(super) fn wants_answer(
        look: &Look<'_>,
        asked: &Fields,
        is_login: bool,
        usual: Option<&Baseline>,
    ) -> bool {
        look.is_success()
            && (is_login
                || property::has_news(asked)
                || usual.is_some_and(|usual| claims::wants_answer(claims::token(look), usual)))
    }
}

/// A signal in the making.
pub(super) fn signal(
    detector: &'static str,
    class: &'static str,
    group: Group,
    confidence: f32,
    text: &str,
) -> Signal {
    Signal {
        detector: detector.into(),
        class: class.into(),
        group,
        confidence,
        place: String::new(),
        reason: Some(Reason {
            group,
            detector: detector.into(),
            text: text.to_owned(),
            observed: None,
            expected: None,
            n: None,
            window: None,
        }),
    }
}

impl Signal {
    /// Where in the exchange.
    pub(super) fn at(mut self, place: &str) -> Self {
        place.clone_into(&mut self.place);
        self
    }

    /// What was seen, and what was expected.
    pub(super) fn seen(mut self, observed: impl ToString, expected: impl ToString) -> Self {
        if let Some(reason) = &mut self.reason {
            reason.observed = Some(observed.to_string());
            reason.expected = Some(expected.to_string());
        }
        self
    }

    /// Observations that this rests on.
    pub(super) fn of(mut self, n: u64) -> Self {
        if let Some(reason) = &mut self.reason {
            reason.n = Some(n);
        }
        self
    }

    /// Seconds that were looked at.
    pub(super) fn within(mut self, seconds: u64) -> Self {
        if let Some(reason) = &mut self.reason {
            reason.window = Some(seconds as f64);
        }
        self
    }
}
