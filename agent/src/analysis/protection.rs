//! Somebody works against the agent, or it cannot see: alerts about the agent itself.
//!
//! In: what the agent notices of itself. Out: what is to be raised. Loss alone is an anomaly: load explains it.

use std::time::Duration;

use super::hash::hash_all;
use crate::verdict::{AlertKind, Group, Reason, Severity};

/// What happened to the agent.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentEvent {
    /// A new configuration is in force.
    ConfigurationChanged {
        /// Keys that changed.
        keys: Vec<String>,
    },
    /// Programs that were attached are not any more.
    ProbesDetached {
        /// How many.
        programs: u32,
    },
    /// The agent was ended from outside, and has started again.
    Killed {
        /// Time without an agent.
        gap: Duration,
    },
    /// More events were lost than can be explained by a burst.
    Blind {
        /// Events lost in the last minute.
        lost: u64,
        /// Events seen in the last minute.
        seen: u64,
    },
}

/// Share of lost events from which the agent counts as blind.
pub const BLIND_SHARE: f64 = 0.05;

impl AgentEvent {
    /// What tells two events of one class apart: a change of other keys is another event.
    pub(super) fn difference(&self) -> u64 {
        match self {
            Self::ConfigurationChanged { keys } => hash_all(keys.iter().map(String::as_str)),
            Self::ProbesDetached { .. } | Self::Killed { .. } | Self::Blind { .. } => 0,
        }
    }

    /// Kind, class, severity and reason.
    pub(super) fn weigh(self) -> (AlertKind, &'static str, Severity, Reason) {
        let reason = |text: &str, observed: String, expected: &str| Reason {
            group: Group::SelfProtection,
            detector: "agent".into(),
            text: text.to_owned(),
            observed: Some(observed),
            expected: Some(expected.to_owned()),
            n: None,
            window: None,
        };
        match self {
            Self::ConfigurationChanged { keys } => (
                AlertKind::Anomaly,
                "configuration_changed",
                Severity::Low,
                reason("the configuration was changed", keys.join(", "), "no change"),
            ),
            Self::ProbesDetached { programs } => (
                AlertKind::Incident,
                "probes_detached",
                Severity::High,
                reason(
                    "programs of the agent were detached",
                    format!("{programs} programs"),
                    "0",
                ),
            ),
            Self::Killed { gap } => (
                AlertKind::Anomaly,
                "agent_killed",
                Severity::Medium,
                reason(
                    "the agent was ended from outside and started again",
                    format!("{} s without it", gap.as_secs()),
                    "an end by request",
                ),
            ),
            Self::Blind { lost, seen } => (
                AlertKind::Anomaly,
                "agent_blind",
                Severity::Medium,
                reason(
                    "the agent lost more events than it should",
                    format!("{lost} of {}", lost.saturating_add(seen)),
                    "less than 5 %",
                ),
            ),
        }
    }
}
