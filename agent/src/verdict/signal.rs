//! What one detector says about one exchange, and why.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Groups of evidence: signals of one group are not independent of each other. An incident needs two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The syntax of an attack in a value.
    Signature,
    /// Something that was never there before.
    Novelty,
    /// A number far from what it was.
    Statistical,
    /// Somebody acts as, or on what belongs to, somebody else.
    Identity,
    /// A step of a usual order was left out.
    Sequence,
    /// Data goes where it did not go.
    Exposure,
    /// Work out of proportion is asked for.
    Resource,
    /// A request made its server call somewhere else.
    Ssrf,
    /// The framing or the protocol itself is abused.
    Protocol,
    /// Somebody looks around.
    Recon,
    /// Somebody works against the agent.
    SelfProtection,
}

impl Group {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Novelty => "novelty",
            Self::Statistical => "statistical",
            Self::Identity => "identity",
            Self::Sequence => "sequence",
            Self::Exposure => "exposure",
            Self::Resource => "resource",
            Self::Ssrf => "ssrf",
            Self::Protocol => "protocol",
            Self::Recon => "recon",
            Self::SelfProtection => "self_protection",
        }
    }
}

/// What one detector saw in one exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Detector: `signature`, `bola`, …
    pub detector: Cow<'static, str>,
    /// Class of attack or anomaly: `sqli`, `xss`, `id_enumeration`, …
    pub class: Cow<'static, str>,
    /// Group of evidence.
    pub group: Group,
    /// From 0 to 1.
    pub confidence: f32,
    /// Where in the exchange: `query.full`, `body.$.name`, `header.user-agent`, `path`; empty for the whole.
    #[serde(rename = "where")]
    pub place: String,
    /// Why; absent where the class says it all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Reason>,
}

/// A reason with its numbers. Never holds a value of a request or response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Group of evidence.
    pub group: Group,
    /// Detector.
    pub detector: Cow<'static, str>,
    /// One sentence for people.
    pub text: String,
    /// What was seen: a number with its unit, a name, a place.
    pub observed: Option<String>,
    /// What was expected.
    pub expected: Option<String>,
    /// Observations that the expectation rests on, or that were counted.
    pub n: Option<u64>,
    /// Seconds that were looked at.
    pub window: Option<f64>,
}
