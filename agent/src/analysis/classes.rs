//! What each class of attack or anomaly is worth: severity, and the risk of the OWASP API Security Top 10 (2023).
//!
//! In: a class and its group. Out: [`Weight`]. A class that is not listed has the weight of its group.

use super::signature::Class;
use crate::verdict::{Group, Severity};

/// How bad a class is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Severity when it succeeded.
    pub(crate) severity: Severity,
    pub(crate) owasp: Option<&'static str>,
}

/// The weight of a class of a group.
pub(crate) fn weight(class: &str, group: Group) -> Weight {
    use Severity::{Critical, High, Info, Low, Medium};
    if group == Group::Signature
        && let Some(facts) = Class::of_name(class).map(Class::facts)
    {
        return Weight {
            severity: facts.severity,
            owasp: Some(facts.owasp),
        };
    }
    let (severity, owasp) = match class {
        "bola" => (Critical, Some("API1:2023")),
        "id_enumeration" | "object_scraping" => (High, Some("API1:2023")),
        "credential_stuffing" | "password_spraying" | "brute_force" => (High, Some("API2:2023")),
        "account_takeover" => (Critical, Some("API2:2023")),
        "token_theft" | "unauthenticated_access" => (High, Some("API2:2023")),
        "token_reuse" => (Medium, Some("API2:2023")),
        "mass_assignment" | "sensitive_data_new" => (High, Some("API3:2023")),
        "sensitive_data_new_audience" => (High, Some("API3:2023")),
        "redos" => (High, Some("API4:2023")),
        "slow_answer" | "page_size" | "graphql_depth" | "graphql_aliases" | "batch" | "body_size" => {
            (Medium, Some("API4:2023"))
        }
        "bfla" => (Critical, Some("API5:2023")),
        "step_skipped" => (Medium, Some("API6:2023")),
        "ssrf" | "ssrf_internal" => (Critical, Some("API7:2023")),
        "probing" => (Low, Some("API8:2023")),
        "scan_hit" => (High, Some("API8:2023")),
        "new_endpoint_method" | "new_field" | "new_caller" => (Low, Some("API9:2023")),
        "new_egress_host" => (Medium, Some("API10:2023")),
        _ => match group {
            Group::Signature => (High, Some("API8:2023")),
            Group::Protocol => (High, Some("API8:2023")),
            Group::Ssrf => (Critical, Some("API7:2023")),
            Group::Identity => (High, Some("API2:2023")),
            Group::Exposure => (High, Some("API3:2023")),
            Group::Resource => (Medium, Some("API4:2023")),
            Group::Sequence => (Medium, Some("API6:2023")),
            Group::Recon => (Low, Some("API8:2023")),
            Group::SelfProtection => (High, None),
            Group::Novelty => (Low, Some("API9:2023")),
            Group::Statistical => (Info, None),
        },
    };
    Weight { severity, owasp }
}

/// Whether a group can only be explained by somebody who means harm. Anything else may be a deploy, a sale or a
/// new colleague, however much of it comes together.
pub(crate) const fn is_adversarial(group: Group) -> bool {
    matches!(
        group,
        Group::Signature
            | Group::Identity
            | Group::Exposure
            | Group::Resource
            | Group::Ssrf
            | Group::Protocol
            | Group::Recon
            | Group::SelfProtection
    )
}
