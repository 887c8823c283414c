//! Servers without TLS, but for this host's own.

use super::Checked;
use crate::verdict::Severity;

pub(super) fn check(checked: &mut Checked<'_>) {
    let mut servers: Vec<&str> = checked
        .given
        .document
        .servers
        .iter()
        .chain(
            checked
                .given
                .document
                .operations
                .iter()
                .flat_map(|operation| &operation.servers),
        )
        .filter(|server| {
            let scheme = server.url.get(..7).unwrap_or_default();
            scheme.eq_ignore_ascii_case("http://") && !server.host.as_deref().is_some_and(is_local)
        })
        .map(|server| server.url.as_str())
        .collect();
    servers.sort_unstable();
    servers.dedup();
    let texts: Vec<String> = servers
        .iter()
        .map(|url| format!("the server {url} has no TLS"))
        .collect();
    for text in texts {
        checked.document(
            "insecure_server",
            Severity::Medium,
            "/servers",
            text,
            "Serve it over https alone.",
        );
    }
}

/// Whether a host is this one: the server of a developer.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_matches(['[', ']']);
    name == "localhost" || name.ends_with(".localhost") || name == "::1" || name.starts_with("127.")
}
