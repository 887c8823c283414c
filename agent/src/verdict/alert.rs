//! An incident, or an anomaly: what `apiarist alerts` and `apiarist anomalies` list and sinks carry.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Reason, Severity};
use crate::inventory::EndpointId;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Odd: recorded and queryable, not sent to sinks.
    Anomaly,
    /// Malicious: sent to sinks.
    Incident,
}

/// Where an alert is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It was not there before.
    Open,
    /// It went on.
    Updated,
    /// It has not gone on for long enough.
    Resolved,
}

/// How much of the exchanges behind an alert was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceQuality {
    /// Every byte.
    Complete,
    /// Bodies were cut by the budget.
    Cut,
    /// From the middle of a connection on.
    JoinedLate,
    /// The socket was inferred.
    InferredSocket,
}

/// An incident or an anomaly. Members are a contract: add, don't rename.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Unique to this occurrence of the fingerprint: the same however often it is delivered.
    pub id: String,
    /// Stable over occurrences: rule, workload, endpoint, actor group and class.
    pub fingerprint: String,
    /// Incident or anomaly.
    pub kind: AlertKind,
    /// Class of attack or anomaly.
    pub class: Cow<'static, str>,
    /// Risk of the OWASP API Security Top 10 2023: `API1:2023`; absent where none fits.
    pub owasp: Option<Cow<'static, str>>,
    /// Severity.
    pub severity: Severity,
    /// From 0 to 1.
    pub confidence: f32,
    /// Name of the workload.
    pub workload: String,
    /// Endpoint; absent when it concerns several, or none.
    pub endpoint: Option<EndpointId>,
    /// Method and template of the endpoint, for people.
    #[serde(default)]
    pub endpoint_name: Option<String>,
    /// Who did it: workload, address, or `credential:` with its keyed hash.
    pub actor: String,
    /// RFC 3339, UTC.
    pub opened: String,
    /// RFC 3339, UTC.
    pub updated: String,
    /// Exchanges that contributed.
    pub count: u64,
    /// State.
    pub state: AlertState,
    /// Why.
    pub reasons: Vec<Reason>,
    /// How much was seen of the exchanges behind it.
    pub evidence_quality: EvidenceQuality,
    /// The first exchanges that contributed, by id (`connection-number`, or as a file names them).
    pub exchanges: Vec<String>,
    /// Who answers for the workload.
    pub owner: Option<String>,
    /// Alerts with this rule that were held back since the last one that was sent.
    #[serde(default)]
    pub suppressed: u64,
}
