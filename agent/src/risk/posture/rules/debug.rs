//! Debugging and management endpoints answer clients.

use super::{Evidence, Rule, Subject};
use crate::{inventory::Exposure, verdict::Severity};

pub(super) const RULE: Rule = Rule {
    name: "debug_endpoint",
    title: "A debugging endpoint answers",
    advice: "Remove it from what is deployed, or bind it to loopback and ask for an administrator's credential.",
    owasp: Some("API8:2023"),
    notice: None,
    check,
};

/// Segments that nobody gives to a part of the product.
const SEGMENTS: [&str; 22] = [
    "debug",
    "_debug",
    "__debug__",
    "debugger",
    "phpinfo",
    "server-status",
    "server-info",
    "_profiler",
    "telescope",
    "h2-console",
    "elmah",
    "heapdump",
    "threaddump",
    "jolokia",
    "_ignition",
    "adminer",
    "phpmyadmin",
    "env",
    "git",
    "pprof",
    "actuator",
    "rails",
];

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let succeeded = *subject.view.status.get("2xx")?;
    let words: Vec<String> = subject.words().collect();
    let found = words.iter().find(|word| SEGMENTS.contains(&word.as_str()))?;
    // Words that products use too need the form that only frameworks give them.
    let template = subject.view.template.as_str();
    let is_meant = match found.as_str() {
        "env" => template.contains("/.env") || template.contains("actuator/env"),
        "git" => template.contains("/.git"),
        "rails" => template.starts_with("/rails/info"),
        "actuator" => !words
            .iter()
            .any(|word| ["health", "info", "prometheus"].contains(&word.as_str())),
        _ => true,
    };
    if !is_meant {
        return None;
    }
    let severity = match subject.exposure() {
        Exposure::Internet => Severity::High,
        Exposure::Cluster => Severity::Medium,
        Exposure::Host | Exposure::Unknown => Severity::Low,
    };
    let text = format!(
        "`{found}` in the path, answered with 2xx {succeeded} times, asked from: {}",
        subject.exposure().as_str()
    );
    Some(Evidence::new(severity, subject.always(), text))
}
