//! Answers carry what no client needs: passwords, private keys, secrets.

use super::{Evidence, Rule, Subject};
use crate::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "excessive_data",
    title: "Answers carry secrets that no client needs",
    advice: "Name the fields that an answer may have, instead of sending the whole object.",
    owasp: Some("API3:2023"),
    notice: None,
    check,
};

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    // A key that was just made, or a token that was just asked for, is the answer.
    let hands_out = subject.is_login() || subject.view.method == "POST";
    let excessive = |kind: &str| match kind {
        "password" | "private_key" => true,
        "secret" => !hands_out,
        _ => false,
    };
    let mut found: Vec<_> = subject
        .answers()
        .filter(|field| excessive(&field.kind) && field.count > 0)
        .collect();
    found.sort_by_key(|field| (field.kind != "password", &field.path));
    let first = *found.first()?;
    let sure = found.iter().any(|field| !field.suspected || field.count >= 2);
    let severity = match first.kind.as_str() {
        "secret" => Severity::Medium,
        _ => Severity::High,
    };
    let text = format!(
        "answers carry {} at {}, {} times{}",
        first.kind,
        first.path,
        first.count,
        match found.len() {
            1 => String::new(),
            more => format!(", and {} more such fields", more - 1),
        }
    );
    let mut seen = subject.always();
    seen.count = first.count;
    Some(Evidence::new(severity, seen, text).confidence(if sure { 0.9 } else { 0.5 }))
}
