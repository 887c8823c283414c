//! Answers that are missing: errors, refusals, limits. What is not described is handled by chance.

use super::Checked;
use crate::{openapi::read::Operation, verdict::Severity};

pub(super) fn check(checked: &mut Checked<'_>, operation: &Operation) {
    let has = |code: &str| operation.responses.contains_key(code);
    let has_any = has("default") || has("4XX");
    let is_error = |code: &String| code.starts_with('4') || code.starts_with('5');
    if !has_any && !operation.responses.keys().any(is_error) {
        checked.operation(
            "no_error_response",
            Severity::Low,
            operation,
            "no error answer is described".to_owned(),
            "Describe what is answered when the request is wrong or refused.",
        );
        return;
    }
    let is_secured = operation
        .security
        .as_ref()
        .is_some_and(|all| !all.is_empty() && all.iter().all(|schemes| !schemes.is_empty()));
    if is_secured && !has_any && !has("401") && !has("403") {
        checked.operation(
            "no_unauthorized_response",
            Severity::Low,
            operation,
            "asks for a credential, and neither 401 nor 403 is described".to_owned(),
            "Describe 401, and 403 where some callers may not.",
        );
    }
    if !has_any && !has("429") {
        checked.operation(
            "no_limit_response",
            Severity::Info,
            operation,
            "429 is not described".to_owned(),
            "Limit how often it may be called, and describe 429.",
        );
    }
}
