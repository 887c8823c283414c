//! Who may call: security on every operation, of a kind that protects.

use super::Checked;
use crate::{
    openapi::read::{Operation, Place, SecurityKind},
    verdict::Severity,
};

/// Words in the paths of operations that are open by their nature.
const OPEN: [&str; 12] = [
    "login", "signin", "register", "signup", "token", "oauth", "health", "healthz", "ready", "livez",
    "status", "openapi",
];

pub(super) fn check(checked: &mut Checked<'_>, operation: &Operation) {
    let is_safe = matches!(operation.method.as_str(), "GET" | "HEAD" | "OPTIONS");
    let path = operation.path.to_ascii_lowercase();
    let is_open = path.split(['/', '.', '-', '_']).any(|word| OPEN.contains(&word));
    let severity = match (is_open, is_safe) {
        (true, _) => Severity::Info,
        (false, true) => Severity::Low,
        (false, false) => Severity::Medium,
    };
    match &operation.security {
        None => checked.operation(
            "no_security",
            severity,
            operation,
            "neither the operation nor the document says who may call it".to_owned(),
            "Give `security` to the operation or the document; `security: []` where nobody needs to say who they are.",
        ),
        Some(alternatives) => {
            let mut unknown: Vec<String> = alternatives
                .iter()
                .flat_map(|alternative| alternative.keys())
                .filter(|name| !checked.given.document.security_schemes.contains_key(*name))
                .cloned()
                .collect();
            unknown.sort();
            unknown.dedup();
            for name in unknown {
                checked.operation(
                    "unknown_security_scheme",
                    Severity::High,
                    operation,
                    format!("asks for the security scheme {name}, which is not there"),
                    "Describe the scheme: without it, tools take the operation for open.",
                );
            }
        }
    }
}

pub(super) fn check_schemes(checked: &mut Checked<'_>) {
    let found: Vec<(String, &'static str, String)> = checked
        .given
        .document
        .security_schemes
        .iter()
        .filter_map(|(name, scheme)| match &scheme.kind {
            SecurityKind::ApiKey {
                place: Place::Query,
                name: parameter,
            } => Some((
                name.clone(),
                "credentials_in_query",
                format!("the scheme {name} takes its key from the query ({parameter}): it ends up in logs"),
            )),
            SecurityKind::Http { scheme, .. } if scheme == "basic" => Some((
                name.clone(),
                "basic_authentication",
                format!("the scheme {name} sends the password with every request"),
            )),
            _ => None,
        })
        .collect();
    for (name, rule, text) in found {
        let severity = match rule {
            "credentials_in_query" => Severity::Medium,
            _ => Severity::Low,
        };
        let pointer = format!("/components/securitySchemes/{name}");
        checked.document(
            rule,
            severity,
            &pointer,
            text,
            "Take tokens that expire, from the header `Authorization`.",
        );
    }
}
