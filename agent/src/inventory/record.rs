//! The inventory as the store keeps it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{counts::Counts, endpoint::Endpoint, limits::Limits, template::trie::Trie, view::WorkloadView};
use crate::{clock::Timestamp, workload::Workload};

/// Version of both records. A record of another version is skipped and counted, never guessed at.
pub const RECORD_VERSION: u16 = 1;

/// Everything known of one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// [`RECORD_VERSION`] of the writer.
    pub version: u16,
    /// The endpoint.
    pub endpoint: Endpoint,
}

/// Everything known of one workload, except its endpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadRecord {
    /// [`RECORD_VERSION`] of the writer.
    pub version: u16,
    /// The workload.
    pub workload: Arc<Workload>,
    /// Start of the first exchange.
    pub first_seen: Timestamp,
    /// Start of the last exchange.
    pub last_seen: Timestamp,
    /// Exchanges it served.
    pub hits: u64,
    /// Of these, ones that led to no endpoint.
    pub unrouted: u64,
    /// Names of workloads, and addresses, that called it.
    pub callers: Counts,
    /// Hosts off this host that it called.
    pub egress: Counts,
    /// Build id of its executable, in hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The paths it has accepted: what its templates are learned from.
    #[serde(default, skip_serializing_if = "Trie::is_empty")]
    pub paths: Trie,
}

impl WorkloadRecord {
    /// Its row, with the number of its endpoints.
    pub fn view(&self, endpoints: u64) -> WorkloadView {
        WorkloadView::new(self, endpoints)
    }

    /// A workload that was first seen at a time.
    pub(super) fn new(workload: Arc<Workload>, at: Timestamp) -> Self {
        Self {
            version: RECORD_VERSION,
            workload,
            first_seen: at,
            last_seen: at,
            hits: 0,
            unrouted: 0,
            callers: Counts::default(),
            egress: Counts::default(),
            build: None,
            paths: Trie::default(),
        }
    }

    /// Adds everything another record of the same workload has.
    pub(super) fn merge(&mut self, other: Self, limits: &Limits) {
        self.see(&other.workload, other.last_seen);
        self.first_seen = self.first_seen.min(other.first_seen);
        self.hits += other.hits;
        self.unrouted += other.unrouted;
        self.callers.merge(&other.callers, limits.callers);
        self.egress.merge(&other.egress, limits.egress);
        self.paths.merge(other.paths);
    }

    /// Widens first and last seen. What changes at a restart (container, control group) is the newest seen.
    pub(super) fn see(&mut self, workload: &Arc<Workload>, at: Timestamp) {
        self.first_seen = self.first_seen.min(at);
        if at >= self.last_seen {
            self.last_seen = at;
            if !Arc::ptr_eq(&self.workload, workload) {
                self.workload = Arc::clone(workload);
            }
        }
    }
}
