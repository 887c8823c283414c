//! From exchanges to verdicts: detectors, baselines, and what their signals amount to.
//!
//! In: an exchange with what the inventory made of it ([`Seen`]). Out: a [`Conclusion`] for that exchange, and alerts,
//! anomalies and findings as they change. Sans-IO: the exchange's own time is the time, so a replay concludes what a
//! live agent would have.

mod baseline;
mod classes;
mod declared;
mod deploy;
mod detect;
mod engine;
mod fields;
pub(crate) mod findings;
pub(crate) mod hash;
mod judge;
mod look;
mod protection;
mod protocol;
mod recon;
mod repeated;
#[cfg(test)]
mod scenarios;
pub mod settings;
#[expect(dead_code, reason = "the agent's health will show what was looked at")]
mod signature;
mod sketch;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    clock::Timestamp,
    exchange::{Exchange, Side},
    inventory::EndpointId,
    policy::Policies,
    verdict::{Alert, AlertKind, Finding, Group, Signal, Verdict},
    workload::Workload,
};
pub use baseline::{BaselineRecord, BaselineSummary, Stage};
use engine::Engine;
use judge::{Raised, Subject};
use look::Look;
pub use protection::{AgentEvent, BLIND_SHARE};
use settings::Settings;

/// An exchange with what is known about it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Name of the exchange as a file gives it; else [`Exchange::id`] names it, when it is asked for.
    pub id: Option<&'a str>,
    /// The exchange.
    pub exchange: &'a Exchange,
    /// Who served it.
    pub workload: &'a Arc<Workload>,
    /// Who called, when that is a workload of this host.
    pub caller: Option<&'a Arc<Workload>>,
    /// Client as a file names it; the address of the connection counts where absent.
    pub client: Option<&'a str>,
    /// Its endpoint, if it has one (yet).
    pub endpoint: Option<EndpointId>,
    /// Path template so far.
    pub template: Option<&'a str>,
    /// It made its endpoint known.
    pub is_new: bool,
}

/// What was concluded about one exchange.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conclusion {
    /// Verdict.
    pub verdict: Verdict,
    /// What the detectors saw.
    pub signals: Vec<Signal>,
}

/// What changed since it was last asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Incidents that opened, went on in a way that people are told of, or ended.
    pub alerts: Vec<Alert>,
    /// Anomalies, likewise.
    pub anomalies: Vec<Alert>,
    /// Findings that are new or were seen again.
    pub findings: Vec<Finding>,
}

/// What a store kept of an earlier run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// Incidents.
    pub alerts: Vec<Alert>,
    /// Anomalies.
    pub anomalies: Vec<Alert>,
    /// Findings.
    pub findings: Vec<Finding>,
    /// Baselines.
    pub baselines: Vec<BaselineRecord>,
}

/// How many baselines there are, and what they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BaselineStats {
    /// Baselines: new, learning, active, stale.
    pub stages: [u64; 4],
    /// Bytes of all.
    pub bytes: u64,
    /// Bytes of the largest.
    pub largest_bytes: u64,
    /// Baselines forgotten for lack of room.
    pub forgotten: u64,
    /// Records that could not be read.
    pub skipped: u64,
}

/// All detectors and baselines.
#[derive(Debug, Default)]
pub struct Analysis {
    engine: Engine,
    policies: Policies,
    now: Timestamp,
}

impl Analysis {
    /// Takes over what the operator has decided; alerts and baselines stay.
    pub fn configure(&mut self, settings: Settings) {
        self.engine.baselines.gate = settings.gate;
        self.engine.judge.configure(settings);
    }

    /// Remembers harmless values, so that they are not looked into again, under a key that nobody else knows.
    /// Conclusions stay the same.
    pub fn remember_harmless(&mut self, key: [u8; 16]) {
        self.engine.signatures.remember(key);
    }

    /// Puts rules of the operator before the detectors.
    pub fn set_policies(&mut self, policies: Policies) {
        self.policies = policies;
    }

    /// How often each rule of the operator held.
    pub fn policy_hits(&self) -> &BTreeMap<String, u64> {
        self.policies.hits()
    }

    /// While this holds, detectors learn but do not judge what they learn from. At its end what was learned is
    /// believed: the operator vouches for it.
    pub fn set_learning_only(&mut self, learning_only: bool) {
        if std::mem::replace(&mut self.engine.learning_only, learning_only) && !learning_only {
            self.engine.baselines.trust();
        }
    }

    /// Whether an exchange carries an attack by itself: nothing is to be learned from it. To be asked before
    /// [`Analysis::exchange`] is given the same exchange, which takes over what was found.
    pub fn looks_bad(&mut self, exchange: &Exchange) -> bool {
        exchange.connection.side == Side::Server && self.engine.looks_bad(exchange)
    }

    /// Looks at one exchange.
    pub fn exchange(&mut self, seen: &Seen<'_>) -> Conclusion {
        self.now = self.now.max(seen.exchange.started);
        self.engine.judge.tick(self.now);
        let decision = self.policies.exchange(seen);
        if decision.is_ignored {
            self.engine.ahead = None;
            return Conclusion::default();
        }
        let mut conclusion = match Look::new(seen) {
            Some(look) if look.is_served() => self.engine.served(&look),
            Some(look) => self.engine.sent(&look),
            None => self.engine.torn(seen.exchange),
        };
        declared::raise(&mut self.engine.judge, seen, decision, &mut conclusion);
        conclusion
    }

    /// An endpoint has another id now, or has become one with another.
    pub fn moved(&mut self, from: EndpointId, to: EndpointId) {
        self.engine.baselines.moved(from, to);
    }

    /// Something has happened to the agent itself.
    pub fn agent(&mut self, event: AgentEvent, now: Timestamp) {
        let difference = event.difference();
        let (kind, class, severity, reason) = event.weigh();
        let subject = Subject {
            workload: 0,
            workload_name: "apiarist",
            owner: None,
            endpoint: None,
            endpoint_name: None,
            actor_group: difference,
            actor: "unknown".to_owned(),
            at: now,
        };
        let raised = Raised {
            kind,
            class: class.into(),
            group: Group::SelfProtection,
            severity,
            confidence: 0.9,
        };
        self.engine.judge.raise(&subject, raised, &[], Some(reason), None);
    }

    /// Time passes: windows end, alerts resolve. To be called about once a second.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.engine.judge.tick(now);
    }

    /// All incidents, the latest first.
    pub fn alerts(&self) -> Vec<Alert> {
        self.engine.judge.list(AlertKind::Incident)
    }

    /// All anomalies, the latest first.
    pub fn anomalies(&self) -> Vec<Alert> {
        self.engine.judge.list(AlertKind::Anomaly)
    }

    /// All findings that rest on behaviour, in order of id.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = self.engine.findings.list();
        findings.extend(self.policies.findings());
        findings.sort_by(|left, right| left.id.cmp(&right.id));
        findings
    }

    /// What changed since the last call: for the store and the sinks.
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = self.engine.judge.take_changes();
        changes.findings = self.engine.findings.take_changed();
        changes
    }

    /// Baselines that changed and were not taken within a minute, for the store: at most so many of them. When nothing is
    /// given, there are none left.
    pub fn take_baselines(&mut self, most: usize) -> Vec<BaselineRecord> {
        self.engine.baselines.take_dirty(most, self.now)
    }

    /// The baselines that were taken are kept.
    pub fn kept_baselines(&mut self) {
        self.engine.baselines.kept();
    }

    /// The baselines that were taken were not kept: they are given again.
    pub fn take_baselines_again(&mut self) {
        self.engine.baselines.take_again();
    }

    /// All baselines in a few numbers, in order of endpoint.
    pub fn baselines(&self) -> Vec<BaselineSummary> {
        self.engine.baselines.summaries()
    }

    /// Takes back what was kept; nothing of it counts as changed. A record of another version is skipped.
    pub fn restore(&mut self, kept: Kept) {
        let Kept {
            alerts,
            anomalies,
            findings,
            baselines,
        } = kept;
        self.engine.judge.restore(alerts.into_iter().chain(anomalies));
        self.engine.findings.restore(findings);
        self.engine.baselines.restore(baselines);
    }

    /// What was left out, by the name `status` shows.
    pub fn counters(&self) -> [(&'static str, u64); 4] {
        let judge::Counters {
            forgotten,
            dropped,
            held_back,
            allowed,
        } = self.engine.judge.counters;
        [
            ("alerts_forgotten", forgotten),
            ("alerts_dropped", dropped),
            ("alerts_held_back", held_back),
            ("alerts_allowed", allowed),
        ]
    }

    /// How many baselines there are, and what they take.
    pub fn baseline_stats(&self) -> BaselineStats {
        let baselines = &self.engine.baselines;
        let (bytes, largest_bytes) = baselines.bytes();
        BaselineStats {
            stages: baselines.stages(),
            bytes,
            largest_bytes,
            forgotten: baselines.forgotten,
            skipped: baselines.skipped,
        }
    }
}
