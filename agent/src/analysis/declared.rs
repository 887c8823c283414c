//! Incidents that an operator has declared in a policy: no second group of evidence is asked for.

use super::{
    Conclusion, Seen,
    judge::{Judge, Raised, Subject},
    look::Look,
};
use crate::{
    policy::Decision,
    verdict::{AlertKind, Group, Signal, Verdict},
};

/// Raises what rules declare to be incidents, and notes them in the conclusion.
pub(super) fn raise(judge: &mut Judge, seen: &Seen<'_>, decision: Decision, conclusion: &mut Conclusion) {
    if decision.incidents.is_empty() {
        return;
    }
    let Some(look) = Look::new(seen) else {
        return;
    };
    for held in decision.incidents {
        let signal = Signal {
            detector: "policy".into(),
            class: held.rule.name.clone().into(),
            group: Group::Exposure,
            confidence: 1.0,
            place: String::new(),
            reason: Some(held.reason),
        };
        let raised = Raised {
            kind: AlertKind::Incident,
            class: signal.class.clone(),
            group: signal.group,
            severity: held.rule.severity,
            confidence: 1.0,
        };
        let subject = Subject::of(&look);
        let signals = [signal];
        if judge.raise(&subject, raised, &signals, None, Some(&look)) {
            conclusion.verdict = Verdict::Incident;
        }
        conclusion.signals.extend(signals);
    }
}
