//! A finding: a fact about an endpoint or workload that somebody should change. No attack is needed for it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Reason, Severity};
use crate::inventory::EndpointId;

/// A finding. Members are a contract: add, don't rename.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable: rule, workload, endpoint and place.
    pub id: String,
    /// Rule: `unauthenticated_sensitive_response`, `plain_http_credentials`, …
    pub rule: Cow<'static, str>,
    /// One sentence for people.
    pub title: String,
    /// What to do about it.
    pub advice: Cow<'static, str>,
    /// Risk of the OWASP API Security Top 10 2023: `API1:2023`; absent where none fits.
    pub owasp: Option<Cow<'static, str>>,
    /// Severity.
    pub severity: Severity,
    /// From 0 to 1.
    pub confidence: f32,
    /// Name of the workload.
    pub workload: String,
    /// Endpoint; absent when it concerns the workload.
    pub endpoint: Option<EndpointId>,
    /// Method and template of the endpoint, for people.
    #[serde(default)]
    pub endpoint_name: Option<String>,
    /// RFC 3339, UTC.
    pub first_seen: String,
    /// RFC 3339, UTC.
    pub last_seen: String,
    /// How often it was seen.
    pub count: u64,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Who answers for the workload.
    pub owner: Option<String>,
}
