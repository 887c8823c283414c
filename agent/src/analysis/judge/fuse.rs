//! From the signals of one exchange to a verdict.
//!
//! In: signals, and what the server answered. Out: none, an anomaly or an incident. Odd things alone are an anomaly,
//! however many. An incident needs two independent pieces of evidence, of which one is the syntax of an attack or an
//! answer with the shape of a normal success, and at least one that a deploy or a sale cannot explain.

use crate::{
    analysis::classes::is_adversarial,
    verdict::{Group, Signal, Verdict},
};

/// Confidence from which a group counts.
pub(crate) const COUNTS: f32 = 0.5;

/// Confidence from which one group and a successful answer are an incident.
const CERTAIN: f32 = 0.8;

/// The same for signatures: services that take text are asked harmless things that look bad.
const CERTAIN_SIGNATURE: f32 = 0.9;

/// What the server answered, as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// As it answers what it likes: 2xx with the shape of a normal success.
    Normal,
    /// Anything else, or it is not known.
    Other,
}

/// What the signals of one exchange amount to, and how sure that is.
pub(crate) fn verdict(signals: &[Signal], answer: Answer) -> (Verdict, f32) {
    let Some(strongest) = signals.iter().map(|signal| signal.confidence).reduce(f32::max) else {
        return (Verdict::None, 0.0);
    };
    let groups = groups(signals);
    let succeeded = answer == Answer::Normal;
    let has_signature = groups.iter().any(|(group, _)| *group == Group::Signature);
    let attack = groups.iter().any(|(group, _)| is_adversarial(*group));
    let corroborated = groups.len() >= 2 && (has_signature || succeeded);
    let certain = groups.iter().any(|(group, confidence)| {
        is_adversarial(*group)
            && *confidence
                >= if *group == Group::Signature {
                    CERTAIN_SIGNATURE
                } else {
                    CERTAIN
                }
    });
    let answered = if succeeded { 0.3 } else { 0.0 };
    let doubt = groups.iter().fold(1.0 - answered, |doubt, (_, confidence)| {
        doubt * (1.0 - confidence)
    });
    if attack && (corroborated || certain && succeeded) {
        (Verdict::Incident, 1.0 - doubt)
    } else {
        (Verdict::Anomaly, strongest)
    }
}

/// The groups that count, each with its strongest signal.
fn groups(signals: &[Signal]) -> smallvec::SmallVec<[(Group, f32); 4]> {
    let mut groups = smallvec::SmallVec::<[(Group, f32); 4]>::new();
    for signal in signals.iter().filter(|signal| signal.confidence >= COUNTS) {
        match groups.iter_mut().find(|(group, _)| *group == signal.group) {
            Some((_, confidence)) => *confidence = confidence.max(signal.confidence),
            None => groups.push((signal.group, signal.confidence)),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(group: Group, confidence: f32) -> Signal {
        Signal {
            detector: "test".into(),
            class: "test".into(),
            group,
            confidence,
            place: String::new(),
            reason: None,
        }
    }

    #[test]
    fn what_makes_an_incident() {
        use Answer::{Normal, Other};
        use Group::{Exposure, Identity, Novelty, Recon, Sequence, Signature, Statistical};
        for (groups, answer, expected) in [
            (&[][..], Normal, Verdict::None),
            (&[(Signature, 0.98)], Other, Verdict::Anomaly),
            (&[(Signature, 0.98)], Normal, Verdict::Incident),
            (&[(Signature, 0.6)], Normal, Verdict::Anomaly),
            (&[(Identity, 0.85)], Other, Verdict::Anomaly),
            (&[(Identity, 0.85)], Normal, Verdict::Incident),
            (&[(Identity, 0.6)], Normal, Verdict::Anomaly),
            (&[(Identity, 0.6), (Novelty, 0.5)], Normal, Verdict::Incident),
            (&[(Identity, 0.6), (Novelty, 0.5)], Other, Verdict::Anomaly),
            (&[(Signature, 0.6), (Recon, 0.6)], Other, Verdict::Incident),
            (&[(Novelty, 0.9), (Statistical, 0.9)], Normal, Verdict::Anomaly),
            (
                &[(Novelty, 0.9), (Statistical, 0.9), (Sequence, 0.9)],
                Normal,
                Verdict::Anomaly,
            ),
            (&[(Novelty, 0.5), (Exposure, 0.4)], Normal, Verdict::Anomaly),
        ] {
            let signals: Vec<Signal> = groups
                .iter()
                .map(|(group, confidence)| signal(*group, *confidence))
                .collect();
            assert_eq!(verdict(&signals, answer).0, expected, "{groups:?} {answer:?}");
        }
    }

    #[test]
    fn two_groups_are_surer_than_each() {
        let one = verdict(&[signal(Group::Identity, 0.8)], Answer::Normal).1;
        let two = verdict(
            &[signal(Group::Identity, 0.8), signal(Group::Novelty, 0.5)],
            Answer::Normal,
        )
        .1;
        assert!(two > one && one > 0.8 && two < 1.0);
    }
}
