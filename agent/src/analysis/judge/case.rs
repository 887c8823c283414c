//! One alert while it lives: what it rests on so far, and when people are told.
//!
//! In: exchanges that contribute. Out: the [`Alert`] as it stands, and whether this is worth telling: at the start,
//! when it gets worse, and each time it is ten times as much.

use super::super::look::Look;
use crate::{
    clock::Timestamp,
    verdict::{Alert, AlertState, EvidenceQuality, Reason, Severity, Signal},
};

/// Reasons of one alert. Overflow policy: later ones of other detectors are left out.
const MAX_REASONS: usize = 12;

/// Exchanges of one alert that are named. Overflow policy: the first so many.
const MAX_EXCHANGES: usize = 16;

/// Why people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    /// There is nothing new.
    Nothing,
    /// It is new, worse, or ten times as much.
    Telling,
}

/// An alert in the making.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) alert: Alert,
    pub(super) last: Timestamp,
    /// Count from which people are told again.
    next: u64,
    /// People were told of it at least once.
    pub(super) was_told: bool,
}

impl Case {
    pub(super) fn new(alert: Alert, at: Timestamp) -> Self {
        Self {
            alert,
            last: at,
            next: 10,
            was_told: false,
        }
    }

    /// An alert as it was kept.
    pub(super) fn restored(alert: Alert, last: Timestamp) -> Self {
        let mut next = 10_u64;
        while next <= alert.count {
            next = next.saturating_mul(10);
        }
        Self {
            alert,
            last,
            next,
            was_told: true,
        }
    }

    /// Adds what one exchange contributes.
    pub(super) fn add(
        &mut self,
        signals: &[Signal],
        severity: Severity,
        confidence: f32,
        at: Timestamp,
    ) -> Worth {
        let is_first = self.alert.count == 0;
        self.alert.count += 1;
        self.alert.confidence = self.alert.confidence.max(confidence);
        self.last = self.last.max(at);
        self.alert.updated = self.last.rfc3339();
        for reason in signals.iter().map(reason) {
            self.explain(reason);
        }
        let is_worse = severity > self.alert.severity;
        self.alert.severity = self.alert.severity.max(severity);
        let is_much = self.alert.count >= self.next;
        if is_much {
            self.next = self.next.saturating_mul(10);
        }
        self.alert.state = if is_first {
            AlertState::Open
        } else {
            AlertState::Updated
        };
        if is_first || is_worse || is_much {
            Worth::Telling
        } else {
            Worth::Nothing
        }
    }

    /// Names the exchange, and how much of it was seen.
    pub(super) fn name(&mut self, look: &Look<'_>) {
        if self.alert.exchanges.len() < MAX_EXCHANGES {
            self.alert
                .exchanges
                .push(look.seen.id.map_or_else(|| look.exchange.id(), str::to_owned));
        }
        self.alert.evidence_quality = self.alert.evidence_quality.max(look.quality());
    }

    /// Takes up a reason; the newest of one detector and place counts.
    pub(super) fn explain(&mut self, reason: Reason) {
        let reasons = &mut self.alert.reasons;
        let is_same = |known: &Reason| known.group == reason.group && known.detector == reason.detector;
        match reasons.iter().position(is_same) {
            Some(at) => reasons.splice(at..=at, [reason]).for_each(drop),
            None if reasons.len() < MAX_REASONS => reasons.push(reason),
            None => {}
        }
    }
}

/// The reason of a signal, or what its class says.
fn reason(signal: &Signal) -> Reason {
    signal.reason.clone().unwrap_or_else(|| Reason {
        group: signal.group,
        detector: signal.detector.clone(),
        text: match signal.place.as_str() {
            "" => signal.class.replace('_', " "),
            place => format!("{} in {place}", signal.class.replace('_', " ")),
        },
        observed: None,
        expected: None,
        n: None,
        window: None,
    })
}

/// The best that can be said of evidence before any was seen.
pub(super) const UNSEEN: EvidenceQuality = EvidenceQuality::Complete;
