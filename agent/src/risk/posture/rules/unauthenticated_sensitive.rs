//! Sensitive data is answered to requests without a credential.
//!
//! What a client has just sent itself, and the token that a login answers with, do not count.

use super::{Caller, Evidence, Message, Posture, Rule, Seen, Subject, gravity};
use crate::{inventory::Exposure, verdict::Severity};

pub(super) const RULE: Rule = Rule {
    name: "unauthenticated_sensitive_response",
    title: "Sensitive data is given without a credential",
    advice: "Ask for a credential, and check that the data belongs to who calls.",
    owasp: Some("API2:2023"),
    notice: Some(notice),
    check,
};

fn notice(message: &Message<'_>, posture: &mut Posture) {
    if message.answered.is_empty() || message.caller != Caller::Anonymous || !message.has_data() {
        return;
    }
    for kind in message.answered {
        posture.anonymous.entry(*kind).or_default().add(message.at());
    }
}

/// What was given away.
pub(super) struct Given {
    /// Types, the gravest first.
    kinds: Vec<&'static str>,
    /// Of the gravest, from 0 to 1.
    pub(super) gravity: f64,
    seen: Seen,
    confidence: f32,
}

/// Sensitive data in answers to requests without a credential.
pub(super) fn sensitive(subject: &Subject<'_>) -> Option<Given> {
    if subject.is_preflight() || subject.is_documentation() {
        return None;
    }
    let is_login = subject.is_login();
    let is_sent = |kind: &str| {
        let mut sent = subject.view.sensitive.iter();
        subject.view.method != "GET" && sent.any(|field| field.direction == "request" && field.kind == kind)
    };
    let mut given: Vec<(&'static str, Seen)> = subject
        .posture
        .anonymous
        .iter()
        .map(|(kind, seen)| (kind.as_str(), *seen))
        .filter(|(kind, _)| !is_login || !["jwt", "secret", "email"].contains(kind))
        .filter(|(kind, _)| !is_sent(kind))
        .collect();
    given.sort_by(|a, b| gravity(b.0).total_cmp(&gravity(a.0)).then(a.0.cmp(b.0)));
    let (worst, seen) = *given.first()?;
    let is_sure = subject
        .answers()
        .any(|field| field.kind == worst && !field.suspected);
    Some(Given {
        gravity: gravity(worst),
        kinds: given.iter().map(|(kind, _)| *kind).collect(),
        seen,
        confidence: match (is_sure, seen.count) {
            (true, _) => 0.95,
            // What harms by itself need not come often.
            (false, 2..) if gravity(worst) >= 1.0 => 0.8,
            (false, 2..) => 0.6,
            (false, _) => 0.5,
        },
    })
}

/// The evidence of what was given away.
pub(super) fn evidence(given: &Given, severity: Severity) -> Evidence {
    let text = format!(
        "answers to requests without a credential carried {} ({} values of the gravest)",
        given.kinds.join(", "),
        given.seen.count
    );
    Evidence::new(severity, given.seen, text)
        .confidence(given.confidence)
        .observed(given.kinds.join(", "), "none of these")
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    // From the internet it is a rule of its own.
    if subject.exposure() == Exposure::Internet {
        return None;
    }
    let given = sensitive(subject)?;
    let is_near = subject.exposure() != Exposure::Cluster;
    let severity = match (given.gravity, is_near) {
        (gravity, _) if gravity < 0.5 => Severity::Low,
        (1.0.., false) => Severity::Critical,
        (1.0.., true) | (_, false) => Severity::High,
        (_, true) => Severity::Medium,
    };
    Some(evidence(&given, severity))
}
