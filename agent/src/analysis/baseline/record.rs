//! A baseline as it is stored, exported and imported.
//!
//! In: baselines. Out: rows of an id, a workload, a time and bytes. The bytes are JSON with a version; a row of another
//! version is skipped and counted. Hashes in it are the same on every host, so that a fresh node starts warm.

use serde::{Deserialize, Serialize};

use super::{Baseline, Stage};
use crate::{clock::Timestamp, inventory::EndpointId};

/// Version of the bytes. Rows of other versions are not read.
const VERSION: u32 = 1;

/// One baseline as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineRecord {
    /// Unique among baselines: the id of the endpoint.
    pub id: String,
    /// Id of the workload it belongs to.
    pub workload: String,
    /// When it last changed: decides when it is too old to keep.
    pub updated: Timestamp,
    /// JSON.
    pub record: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Versioned<B> {
    version: u32,
    baseline: B,
}

impl BaselineRecord {
    /// Writes a baseline down.
    pub(super) fn of(id: EndpointId, workload: &str, baseline: &Baseline) -> Option<Self> {
        let versioned = Versioned {
            version: VERSION,
            baseline,
        };
        Some(Self {
            id: id.to_string(),
            workload: workload.to_owned(),
            updated: baseline.last,
            record: serde_json::to_vec(&versioned).ok()?,
        })
    }

    /// Reads it again; `None` if it is of another version, or damaged.
    pub(super) fn read(&self) -> Option<Baseline> {
        let versioned: Versioned<Baseline> = serde_json::from_slice(&self.record).ok()?;
        (versioned.version == VERSION).then_some(versioned.baseline)
    }

    /// How far the baseline is believed; `None` if it cannot be read.
    pub fn stage(&self) -> Option<Stage> {
        Some(self.read()?.stage)
    }

    /// Exchanges it rests on; `None` if it cannot be read.
    pub fn exchanges(&self) -> Option<u64> {
        Some(self.read()?.n)
    }
}
