//! From signals to alerts: fusion, fingerprints, deduplication, storm control, allow-entries.
//!
//! In: the signals of an exchange. Out: its verdict, and alerts that open, go on and resolve. An alert has a stable
//! fingerprint: class, workload, endpoint and actor group. Refuses to judge a signal: that its detector did.

mod allow;
mod case;
mod fuse;
mod storm;

use std::{borrow::Cow, collections::BTreeMap};

pub(super) use fuse::{Answer, COUNTS};

use super::{
    Changes,
    classes::{is_adversarial, weight},
    hash::{hash_all, mix},
    look::{ActorKind, Look},
    settings::Settings,
};
use crate::{
    clock::Timestamp,
    inventory::EndpointId,
    verdict::{Alert, AlertKind, AlertState, Group, Reason, Severity, Signal, Verdict},
};
use case::{Case, UNSEEN, Worth};
use storm::Storm;

/// Alerts, and as many anomalies, that are kept. Overflow policy: the one that did not go on for the longest is
/// forgotten and counted. Looked at with every 64th.
const MAX_CASES: usize = 2048;

/// Changes that wait to be taken. Overflow policy: later ones are dropped and counted.
const MAX_CHANGES: usize = 4096;

/// What an alert is about, beside its class.
#[derive(Debug, Clone)]
pub(super) struct Subject<'a> {
    pub(super) workload: u64,
    pub(super) workload_name: &'a str,
    pub(super) owner: Option<&'a str>,
    pub(super) endpoint: Option<EndpointId>,
    pub(super) endpoint_name: Option<String>,
    /// What tells actors apart in the fingerprint.
    pub(super) actor_group: u64,
    pub(super) actor: String,
    pub(super) at: Timestamp,
}

impl<'a> Subject<'a> {
    /// The endpoint and the actor of an exchange.
    pub(super) fn of(look: &Look<'a>) -> Self {
        Self {
            workload: look.workload,
            workload_name: &look.served_by().name,
            owner: look.served_by().owner.as_deref(),
            endpoint: look.endpoint,
            endpoint_name: look.endpoint_name(),
            actor_group: match look.actor_kind {
                ActorKind::Address => look.network,
                ActorKind::Credential | ActorKind::Workload => look.actor,
            },
            actor: look.actor_name(),
            at: look.at,
        }
    }

    /// The source of an exchange, whatever it asks for and as whom.
    pub(super) fn source(look: &Look<'a>) -> Self {
        Self {
            endpoint: None,
            endpoint_name: None,
            actor_group: look.source,
            actor: look.source_name().into_owned(),
            ..Self::of(look)
        }
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counters {
    /// Cases forgotten for lack of room.
    pub(super) forgotten: u64,
    /// Changes dropped for lack of room.
    pub(super) dropped: u64,
    /// Times an alert was not sent for having too many before it.
    pub(super) held_back: u64,
    /// Exchanges that an allow-entry covered.
    pub(super) allowed: u64,
}

/// All alerts and anomalies.
#[derive(Debug, Default)]
pub(super) struct Judge {
    settings: Settings,
    cases: BTreeMap<(AlertKind, u64), Case>,
    storm: Storm,
    changes: Changes,
    pub(super) counters: Counters,
    next_sweep: Timestamp,
    opened: u64,
}

impl Judge {
    pub(super) fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// What the signals of an exchange amount to; alerts follow.
    pub(super) fn exchange(&mut self, look: &Look<'_>, signals: &[Signal], answer: Answer) -> Verdict {
        let (verdict, confidence) = fuse::verdict(signals, answer);
        let kind = match verdict {
            Verdict::None => return verdict,
            Verdict::Anomaly => AlertKind::Anomaly,
            Verdict::Incident => AlertKind::Incident,
        };
        let Some(main) = main_signal(signals) else {
            return Verdict::None;
        };
        let weight = weight(&main.class, main.group);
        // What did not succeed is a try.
        let severity = match (kind, answer) {
            (AlertKind::Incident, Answer::Normal) => weight.severity,
            (AlertKind::Incident, Answer::Other) => weight.severity.min(Severity::Medium),
            (AlertKind::Anomaly, _) => weight.severity.min(Severity::Low),
        };
        let subject = Subject::of(look);
        let answered =
            (kind == AlertKind::Incident && answer == Answer::Normal).then(|| answered(look, main));
        let raised = Raised {
            kind,
            class: main.class.clone(),
            group: main.group,
            severity,
            confidence,
        };
        match self.raise(&subject, raised, signals, answered, Some(look)) {
            true => verdict,
            false => Verdict::None,
        }
    }

    /// Opens an alert or adds to it. `false` if an allow-entry covers it.
    pub(super) fn raise(
        &mut self,
        subject: &Subject<'_>,
        raised: Raised,
        signals: &[Signal],
        extra: Option<Reason>,
        look: Option<&Look<'_>>,
    ) -> bool {
        let key = fingerprint(subject, &raised.class);
        let slot = (raised.kind, key);
        if !self.cases.contains_key(&slot) {
            let alert = open(subject, &raised, key);
            if allow::allowed(&self.settings.allow, &alert, subject.at).is_some() {
                self.counters.allowed += 1;
                return false;
            }
            self.opened += 1;
            if self.opened.is_multiple_of(64) {
                self.make_room(raised.kind);
            }
            self.cases.insert(slot, Case::new(alert, subject.at));
        }
        let Some(case) = self.cases.get_mut(&slot) else {
            return true;
        };
        if case.alert.state == AlertState::Resolved {
            *case = Case::new(open(subject, &raised, key), subject.at);
        }
        let worth = case.add(signals, raised.severity, raised.confidence, subject.at);
        if let Some(look) = look {
            case.name(look);
        }
        if let Some(extra) = extra {
            case.explain(extra);
        }
        if worth == Worth::Telling {
            self.tell(slot, subject.at);
        }
        true
    }

    /// Resolves what has not gone on, and tells what was held back.
    pub(super) fn tick(&mut self, now: Timestamp) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now.after(std::time::Duration::from_secs(10));
        let limit = self.settings.resolve_after;
        let (mut over, mut held) = (Vec::new(), Vec::new());
        for (slot, case) in &mut self.cases {
            if case.alert.state == AlertState::Resolved {
                continue;
            }
            if now.since(case.last) > limit {
                case.alert.state = AlertState::Resolved;
                over.push(*slot);
            } else if !case.was_told {
                held.push(*slot);
            }
        }
        for slot in held.into_iter().take(16) {
            self.tell(slot, now);
        }
        for slot in over {
            // The end of what nobody was told of is no news.
            if let Some(case) = self.cases.get(&slot).filter(|case| case.was_told) {
                let alert = case.alert.clone();
                self.change(slot.0, alert);
            }
        }
    }

    /// All of a kind, the latest first.
    pub(super) fn list(&self, kind: AlertKind) -> Vec<Alert> {
        let mut cases: Vec<&Case> = self
            .cases
            .iter()
            .filter(|((of, _), _)| *of == kind)
            .map(|(_, case)| case)
            .collect();
        cases.sort_by_key(|case| (std::cmp::Reverse(case.last), &case.alert.id));
        cases.into_iter().map(|case| case.alert.clone()).collect()
    }

    /// What changed since the last call.
    pub(super) fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Takes alerts back that were kept; nobody is told of them again.
    pub(super) fn restore(&mut self, alerts: impl Iterator<Item = Alert>) {
        for alert in alerts {
            let last = Timestamp::from_rfc3339(&alert.updated);
            let key = u64::from_str_radix(&alert.fingerprint, 16).ok();
            let Some((last, key)) = last.zip(key) else {
                continue;
            };
            let room = self.cases.len() < 2 * MAX_CASES;
            if room {
                let case = Case::restored(alert, last);
                self.cases.entry((case.alert.kind, key)).or_insert(case);
            }
        }
    }

    fn tell(&mut self, slot: (AlertKind, u64), now: Timestamp) {
        let Some(case) = self.cases.get_mut(&slot) else {
            return;
        };
        let suppressed = match slot.0 {
            // Anomalies are recorded, not sent: there is no storm.
            AlertKind::Anomaly => Some(0),
            AlertKind::Incident => self.storm.pass(&case.alert.class, &self.settings, now),
        };
        let Some(suppressed) = suppressed else {
            self.counters.held_back += 1;
            return;
        };
        case.was_told = true;
        let alert = Alert {
            suppressed,
            ..case.alert.clone()
        };
        self.change(slot.0, alert);
    }

    fn change(&mut self, kind: AlertKind, alert: Alert) {
        let changes = match kind {
            AlertKind::Anomaly => &mut self.changes.anomalies,
            AlertKind::Incident => &mut self.changes.alerts,
        };
        if changes.len() < MAX_CHANGES {
            changes.push(alert);
        } else {
            self.counters.dropped += 1;
        }
    }

    /// Makes room for one more, an eighth at a time: a storm of alerts costs little for each.
    fn make_room(&mut self, kind: AlertKind) {
        let mut ages: Vec<(Timestamp, u64)> = self
            .cases
            .range((kind, 0)..=(kind, u64::MAX))
            .map(|((_, key), case)| (case.last, *key))
            .collect();
        if ages.len() < MAX_CASES {
            return;
        }
        ages.sort_unstable();
        for (_, key) in ages.into_iter().take(MAX_CASES / 8) {
            self.cases.remove(&(kind, key));
            self.counters.forgotten += 1;
        }
    }
}

/// What is to be raised.
#[derive(Debug, Clone)]
pub(super) struct Raised {
    pub(super) kind: AlertKind,
    pub(super) class: Cow<'static, str>,
    pub(super) group: Group,
    pub(super) severity: Severity,
    pub(super) confidence: f32,
}

/// The signal that names the alert: what only an attack explains, then the worst, then the surest.
fn main_signal(signals: &[Signal]) -> Option<&Signal> {
    signals.iter().max_by(|left, right| {
        let key = |signal: &Signal| {
            (
                is_adversarial(signal.group) && signal.confidence >= fuse::COUNTS,
                weight(&signal.class, signal.group).severity,
            )
        };
        key(left)
            .cmp(&key(right))
            .then(left.confidence.total_cmp(&right.confidence))
            .then(right.class.cmp(&left.class))
    })
}

fn answered(look: &Look<'_>, main: &Signal) -> Reason {
    let status = look.exchange.response.as_ref().map(|response| response.status);
    Reason {
        group: main.group,
        detector: "response".into(),
        text: "the server answered as it answers a normal request".to_owned(),
        observed: status.map(|status| status.to_string()),
        expected: Some("a refusal".to_owned()),
        n: None,
        window: None,
    }
}

fn fingerprint(subject: &Subject<'_>, class: &str) -> u64 {
    let endpoint = subject.endpoint.map_or(0, |id| id.0);
    let place = mix(subject.workload, endpoint);
    mix(hash_all([class]), mix(place, subject.actor_group))
}

fn open(subject: &Subject<'_>, raised: &Raised, key: u64) -> Alert {
    let opened = subject.at.rfc3339();
    Alert {
        id: format!("{key:016x}-{:x}", subject.at.0 / 1_000_000),
        fingerprint: format!("{key:016x}"),
        kind: raised.kind,
        class: raised.class.clone(),
        owasp: weight(&raised.class, raised.group).owasp.map(Cow::Borrowed),
        severity: raised.severity,
        confidence: raised.confidence,
        workload: subject.workload_name.to_owned(),
        endpoint: subject.endpoint,
        endpoint_name: subject.endpoint_name.clone(),
        actor: subject.actor.clone(),
        updated: opened.clone(),
        opened,
        count: 0,
        state: AlertState::Open,
        reasons: Vec::new(),
        evidence_quality: UNSEEN,
        exchanges: Vec::new(),
        owner: subject.owner.map(str::to_owned),
        suppressed: 0,
    }
}

#[cfg(test)]
mod tests;
