//! The keys of `[detection]`: when baselines are believed, how many alerts are sent, and what is accepted.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    analysis::settings::{Allow, Gate, Settings},
    clock::Timestamp,
};

/// When baselines are believed, and how many alerts are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Detection {
    /// Seconds for which an endpoint is observed before its baseline is believed.
    #[schemars(range(min = 1, max = 31536000))]
    pub learning_seconds: u32,
    /// Requests that it must have answered by then.
    #[schemars(range(min = 20, max = 1000000))]
    pub learning_requests: u32,
    /// Different sources that they must have come from.
    #[schemars(range(min = 1, max = 1000))]
    pub learning_sources: u32,
    /// Different hours of the clock that they must have come in.
    #[schemars(range(min = 1, max = 168))]
    pub learning_hours: u32,
    /// Incidents of one class that are sent in an hour. What is held back is counted, and told with the next.
    #[schemars(range(min = 1, max = 100000))]
    pub max_alerts_per_class: u32,
    /// Incidents of all classes that are sent in an hour.
    #[schemars(range(min = 1, max = 100000))]
    pub max_alerts: u32,
    /// Seconds after which an incident that does not go on is resolved.
    #[schemars(range(min = 60, max = 604800))]
    pub resolve_seconds: u32,
    /// What is known and accepted for a while, as tables [[detection.allow]]. Each needs a reason, an owner and the
    /// time from which it counts no more (expires = "2026-12-31T00:00:00Z"); class, workload, endpoint ("GET
    /// /v1/users/{userId}" or an id) and actor restrict it.
    pub allow: Vec<AllowEntry>,
}

/// Something that is known and accepted for a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AllowEntry {
    /// Class of the alerts.
    pub class: Option<String>,
    /// Name of the workload.
    pub workload: Option<String>,
    /// Method and template of the endpoint, or its id.
    pub endpoint: Option<String>,
    /// Who may: an address, a workload, or `credential:` with its hash.
    pub actor: Option<String>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// From when on it counts no more (RFC 3339).
    pub expires: String,
}

impl Default for Detection {
    fn default() -> Self {
        Self {
            learning_seconds: 86_400,
            learning_requests: 200,
            learning_sources: 3,
            learning_hours: 2,
            max_alerts_per_class: 30,
            max_alerts: 120,
            resolve_seconds: 900,
            allow: Vec::new(),
        }
    }
}

impl Detection {
    /// The settings of the analysis.
    pub fn settings(&self) -> Settings {
        Settings {
            gate: Gate {
                time: Duration::from_secs(u64::from(self.learning_seconds)),
                requests: u64::from(self.learning_requests),
                sources: u64::from(self.learning_sources),
                hours: self.learning_hours,
            },
            alerts_per_rule: self.max_alerts_per_class,
            alerts_in_all: self.max_alerts,
            resolve_after: Duration::from_secs(u64::from(self.resolve_seconds)),
            allow: self.allow.iter().map(AllowEntry::entry).collect(),
        }
    }

    /// What is wrong with the entries, in words.
    pub(super) fn conflict(&self) -> Option<String> {
        self.allow.iter().find_map(|entry| {
            if entry.reason.trim().is_empty() || entry.owner.trim().is_empty() {
                Some("has an entry without a reason or an owner: give both".to_owned())
            } else if Timestamp::from_rfc3339(&entry.expires).is_none() {
                Some(format!(
                    "has an entry that expires at `{}`: give a time such as 2026-12-31T00:00:00Z",
                    entry.expires
                ))
            } else {
                None
            }
        })
    }
}

impl AllowEntry {
    fn entry(&self) -> Allow {
        Allow {
            class: self.class.clone(),
            workload: self.workload.clone(),
            endpoint: self.endpoint.clone(),
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            owner: self.owner.clone(),
            until: Timestamp::from_rfc3339(&self.expires).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check;

    #[test]
    fn the_defaults_are_those_of_the_analysis() {
        assert_eq!(Detection::default().settings(), Settings::default());
    }

    #[test]
    fn entries_need_a_reason_an_owner_and_an_end() {
        let text = |expires: &str, owner: &str| {
            format!(
                "[[detection.allow]]\nclass = \"sqli\"\nreason = \"test\"\nowner = \"{owner}\"\nexpires = \"{expires}\"\n"
            )
        };
        let config = check(&text("2026-12-31T00:00:00Z", "ann")).expect("a configuration");
        assert_eq!(
            config.detection.settings().allow[0].class.as_deref(),
            Some("sqli")
        );
        for wrong in [text("soon", "ann"), text("2026-12-31T00:00:00Z", "")] {
            let problems = check(&wrong).expect_err("a problem");
            assert!(problems[0].message.contains("detection.allow"), "{problems:?}");
        }
    }
}
