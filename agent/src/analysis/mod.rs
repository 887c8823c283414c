//! From exchanges to verdicts: detectors, baselines, and what their signals amount to.
//!
//! In: an exchange with what the inventory made of it ([`Seen`]). Out: a [`Conclusion`] for that exchange, and alerts,
//! anomalies and findings as they change. Sans-IO: the exchange's own time is the time, so a replay concludes what a
//! live agent would have.

mod classes;
mod declared;
mod hash;
mod judge;
mod look;
mod protocol;
mod recon;
pub mod settings;
#[expect(dead_code, reason = "the agent's health will show what was looked at")]
mod signature;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    clock::Timestamp,
    exchange::Exchange,
    inventory::EndpointId,
    policy::Policies,
    verdict::{Alert, AlertKind, Finding, Signal, Verdict},
    workload::Workload,
};
use judge::{Answer, Judge};
use look::Look;
use settings::Settings;

/// An exchange with what is known about it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Name of the exchange: `connection-number`, or as a file names it.
    pub id: &'a str,
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

/// One baseline as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineRecord {
    /// Unique among baselines.
    pub id: String,
    /// Id of the workload it belongs to.
    pub workload: String,
    /// When it last changed: decides when it is too old to keep.
    pub updated: Timestamp,
    /// JSON.
    pub record: Vec<u8>,
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

/// All detectors and baselines.
#[derive(Debug, Default)]
pub struct Analysis {
    /// Detectors that learn do not judge yet.
    learning_only: bool,
    judge: Judge,
    policies: Policies,
    signatures: signature::Inspector,
}

impl Analysis {
    /// Takes over what the operator has decided; alerts and baselines stay.
    pub fn configure(&mut self, settings: Settings) {
        self.judge.configure(settings);
    }

    /// Puts rules of the operator before the detectors.
    pub fn set_policies(&mut self, policies: Policies) {
        self.policies = policies;
    }

    /// How often each rule of the operator held.
    pub fn policy_hits(&self) -> &BTreeMap<String, u64> {
        self.policies.hits()
    }

    /// While this holds, detectors learn but do not judge what they learn from.
    pub fn set_learning_only(&mut self, learning_only: bool) {
        self.learning_only = learning_only;
    }

    /// Looks at one exchange.
    pub fn exchange(&mut self, seen: &Seen<'_>) -> Conclusion {
        let decision = self.policies.exchange(seen);
        if decision.is_ignored {
            return Conclusion::default();
        }
        let mut conclusion = self.detect(seen);
        declared::raise(&mut self.judge, seen, decision, &mut conclusion);
        conclusion
    }

    fn detect(&mut self, seen: &Seen<'_>) -> Conclusion {
        let mut signals = Vec::new();
        self.signatures.inspect(seen.exchange, &mut signals);
        protocol::inspect(seen.exchange, &mut signals);
        recon::inspect(seen.exchange, &mut signals);
        let Some(look) = Look::new(seen) else {
            return Conclusion {
                signals,
                ..Conclusion::default()
            };
        };
        let answer = match look.is_success() {
            true => Answer::Normal,
            false => Answer::Other,
        };
        Conclusion {
            verdict: self.judge.exchange(&look, &signals, answer),
            signals,
        }
    }

    /// Time passes: windows end, alerts resolve. To be called about once a second.
    pub fn tick(&mut self, now: Timestamp) {
        self.judge.tick(now);
    }

    /// All incidents, the latest first.
    pub fn alerts(&self) -> Vec<Alert> {
        self.judge.list(AlertKind::Incident)
    }

    /// All anomalies, the latest first.
    pub fn anomalies(&self) -> Vec<Alert> {
        self.judge.list(AlertKind::Anomaly)
    }

    /// All findings that rest on behaviour, in order of id.
    pub fn findings(&self) -> Vec<Finding> {
        self.policies.findings()
    }

    /// What changed since the last call: for the store and the sinks.
    pub fn take_changes(&mut self) -> Changes {
        self.judge.take_changes()
    }

    /// Baselines that changed since the last call: for the store.
    pub fn take_baselines(&mut self) -> Vec<BaselineRecord> {
        Vec::new()
    }

    /// Takes back what was kept; nothing of it counts as changed. A record of another version is skipped.
    pub fn restore(&mut self, _kept: Kept) {}
}
