//! What an operator may decide about detection.
//!
//! In: the section `[detection]` of the configuration. Out: [`Settings`], with times as times.

use std::time::Duration;

use crate::clock::Timestamp;

/// When a baseline is believed, how many alerts are sent, and what is allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// When a baseline is believed.
    pub gate: Gate,
    /// Alerts of one rule that are sent in an hour. Overflow policy: held back and counted.
    pub alerts_per_rule: u32,
    /// Alerts of all rules that are sent in an hour. Overflow policy: held back and counted.
    pub alerts_in_all: u32,
    /// Time after which an alert that does not go on is resolved.
    pub resolve_after: Duration,
    /// What is not alerted.
    pub allow: Vec<Allow>,
}

/// What an endpoint must have shown before its baseline is believed: all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// From the first to the last exchange.
    pub time: Duration,
    /// Exchanges.
    pub requests: u64,
    /// Different sources.
    pub sources: u64,
    /// Different hours of the clock.
    pub hours: u32,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(24 * 3600),
            requests: 200,
            sources: 3,
            hours: 2,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gate: Gate::default(),
            alerts_per_rule: 30,
            alerts_in_all: 120,
            resolve_after: Duration::from_secs(15 * 60),
            allow: Vec::new(),
        }
    }
}

/// Something that is known and accepted for a while. Members that are absent fit everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allow {
    /// Class.
    pub class: Option<String>,
    /// Name of the workload.
    pub workload: Option<String>,
    /// Method and template, or an id, of the endpoint.
    pub endpoint: Option<String>,
    /// Actor.
    pub actor: Option<String>,
    /// Why it is accepted.
    pub reason: String,
    /// Who answers for that.
    pub owner: String,
    /// From when on it counts no more.
    pub until: Timestamp,
}
