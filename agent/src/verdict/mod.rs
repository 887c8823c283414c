//! What is concluded about traffic, as plain types.
//!
//! Three things are kept apart: a [`Finding`] is a fact about an endpoint (posture, no attack); an anomaly is odd and
//! recorded; an incident is malicious and alerted. The last two share one shape, [`Alert`], and differ in
//! [`AlertKind`]. Made by [`crate::analysis`] and [`crate::inventory`]'s neighbours, consumed by store, control API,
//! command line and sinks. Refuses to hold values: reasons carry numbers, names and places only.

mod alert;
mod finding;
#[cfg(test)]
pub(crate) mod fixture;
mod signal;

pub use alert::{Alert, AlertKind, AlertState, EvidenceQuality};
pub use finding::Finding;
pub use signal::{Group, Reason, Signal};

use serde::{Deserialize, Serialize};

/// What one exchange amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing was seen in it.
    #[default]
    None,
    /// Odd: recorded, not alerted.
    Anomaly,
    /// Malicious: alerted.
    Incident,
}

impl Verdict {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Anomaly => "anomaly",
            Self::Incident => "incident",
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Info,
    /// To be looked at some time.
    Low,
    /// To be looked at this week.
    Medium,
    /// To be looked at today.
    High,
    /// To be looked at now.
    Critical,
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The severity with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == name)
    }

    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}
