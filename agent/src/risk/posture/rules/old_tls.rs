//! Answers over versions of TLS that are broken: SSL (RFC 7568), TLS 1.0 and 1.1 (RFC 8996). Known from the handshake.

use super::{Evidence, Fact, Message, Posture, Rule, Subject};
use crate::{exchange::TlsVersion, inventory::Exposure, verdict::Severity};

pub(super) const RULE: Rule = Rule {
    name: "old_tls",
    title: "Versions of TLS before 1.2 are spoken",
    advice: "Let server and clients speak TLS 1.2 and 1.3 alone.",
    owasp: Some("API8:2023"),
    notice: Some(notice),
    check,
};

fn notice(message: &Message<'_>, posture: &mut Posture) {
    let version = message.exchange.connection.tls_version;
    if version.is_some_and(|version| version < TlsVersion::OLDEST) {
        posture.note(Fact::OldTls, message);
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let seen = subject.seen(Fact::OldTls)?;
    let severity = match subject.exposure() {
        Exposure::Internet => Severity::High,
        _ => Severity::Medium,
    };
    let text = format!(
        "{} requests were answered over a version of TLS before 1.2",
        seen.count
    );
    Some(Evidence::new(severity, seen, text).observed("TLS before 1.2", TlsVersion::OLDEST.as_str()))
}
