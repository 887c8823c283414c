//! One endpoint: a method and a path template, or an operation, of one workload.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};

use super::{kind::EndpointKind, schema::Schemas, template::Parameter, traffic::Traffic};
use crate::{clock::Timestamp, risk::Posture};

/// Names an endpoint for good: 16 hex digits, derived from its workload, method, template and operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u64);

impl EndpointId {
    /// The id of the endpoint with these names. The first 8 bytes of SHA-256 over all of them.
    pub(super) fn new(workload: &str, method: &str, template: &str, operation: Option<&str>) -> Self {
        let mut hash = Sha256::new();
        for part in [workload, method, template, operation.unwrap_or_default()] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let digest: [u8; 32] = hash.finalize().into();
        Self(
            digest
                .iter()
                .take(8)
                .fold(0, |id, byte| id << 8 | u64::from(*byte)),
        )
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for EndpointId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for EndpointId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EndpointId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// How well an endpoint is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// Fewer than [`PROMOTION_HITS`].
    New,
    /// Enough hits, but from one caller and within [`PROMOTION_SPAN`].
    Learning,
    /// Several hits from two callers, or over some time: worth announcing.
    Active,
    /// Not seen for [`STALE_AFTER`].
    Stale,
}

/// Hits below which an endpoint is new.
pub const PROMOTION_HITS: u64 = 3;

/// Time from first to last hit after which one caller is enough.
pub const PROMOTION_SPAN: Duration = Duration::from_secs(600);

/// Time without hits after which an endpoint is stale.
pub const STALE_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// Former ids kept of one endpoint. Overflow policy: the smallest stay.
pub const MAX_LINEAGE: usize = 64;

/// One endpoint with everything known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Id.
    pub id: EndpointId,
    /// Id of the workload that serves it.
    pub workload: String,
    /// Kind.
    pub kind: EndpointKind,
    /// Method.
    pub method: Box<str>,
    /// Path template.
    pub template: Arc<str>,
    /// Operation, for protocols that name their own.
    pub operation: Option<Box<str>>,
    /// Path parameters, in order.
    pub parameters: Vec<Parameter>,
    /// Ids it had, and those of endpoints that became one with it; at most [`MAX_LINEAGE`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub merged_from: BTreeSet<EndpointId>,
    /// What its messages look like.
    #[serde(default)]
    pub schemas: Schemas,
    /// How it is served.
    #[serde(default, skip_serializing_if = "Posture::is_empty")]
    pub posture: Posture,
    /// What is known of its exchanges.
    pub traffic: Traffic,
}

impl Endpoint {
    /// Remembers ids that lead here from now on.
    pub(super) fn descend_from(&mut self, ids: impl IntoIterator<Item = EndpointId>) {
        self.merged_from.extend(ids);
        self.merged_from.remove(&self.id);
        while self.merged_from.len() > MAX_LINEAGE {
            self.merged_from.pop_last();
        }
    }

    /// How well the endpoint is known at a time.
    pub fn state(&self, now: Timestamp) -> EndpointState {
        let traffic = &self.traffic;
        if now.since(traffic.last_seen) > STALE_AFTER {
            EndpointState::Stale
        } else if traffic.hits < PROMOTION_HITS {
            EndpointState::New
        } else if traffic.callers.len() < 2 && traffic.last_seen.since(traffic.first_seen) < PROMOTION_SPAN {
            EndpointState::Learning
        } else {
            EndpointState::Active
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_stable_and_distinct() {
        let id = EndpointId::new("w", "GET", "/users/{userId}", None);
        assert_eq!(id, EndpointId::new("w", "GET", "/users/{userId}", None));
        assert_ne!(id, EndpointId::new("w", "PUT", "/users/{userId}", None));
        assert_ne!(id, EndpointId::new("w", "GET", "/users/{userId}", Some("op")));
        assert_eq!(id.to_string().len(), 16);
        assert_eq!(id.to_string().parse(), Ok(id));
        let json = serde_json::to_string(&id).expect("json");
        assert_eq!(serde_json::from_str::<EndpointId>(&json).expect("id"), id);
        assert!("x".parse::<EndpointId>().is_err());
    }
}
