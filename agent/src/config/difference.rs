//! What differs between two configurations, and which of it a running agent takes over.
//!
//! In: two [`Config`]s. Out: the keys that differ, by name. What is decided when the programs are loaded, the threads are
//! started or the store is opened needs a restart; so does what the inventory is made of.

use serde_json::Value;

use super::Config;

/// Sections and keys that a running agent takes over: detection, alerts, policies, risk and budgets.
pub const RELOADABLE: &[&str] = &[
    "alerts",
    "capture.budget_bytes",
    "capture.max_cpu_percent",
    "detection",
    "policies",
    "risk",
];

/// Keys that differ, in order of the sections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Those that a running agent takes over.
    pub live: Vec<String>,
    /// Those that count from the next start.
    pub restart: Vec<String>,
}

impl Difference {
    /// Compares two configurations, key by key.
    ///
    /// # Errors
    /// Never for what was read from a file: a configuration has a form as JSON.
    pub fn between(old: &Config, new: &Config) -> Result<Self, serde_json::Error> {
        let (old, new) = (serde_json::to_value(old)?, serde_json::to_value(new)?);
        let mut difference = Self::default();
        difference.walk("", &old, &new);
        Ok(difference)
    }

    fn walk(&mut self, path: &str, old: &Value, new: &Value) {
        if old == new {
            return;
        }
        if let (Value::Object(old), Value::Object(new)) = (old, new) {
            for (name, value) in new {
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                self.walk(&path, old.get(name).unwrap_or(&Value::Null), value);
            }
            return;
        }
        match is_reloadable(path) {
            true => self.live.push(path.to_owned()),
            false => self.restart.push(path.to_owned()),
        }
    }
}

fn is_reloadable(key: &str) -> bool {
    RELOADABLE.iter().any(|known| {
        key.strip_prefix(known)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check;

    fn between(old: &str, new: &str) -> Difference {
        Difference::between(&check(old).unwrap(), &check(new).unwrap()).unwrap()
    }

    #[test]
    fn keys_are_told_by_name_and_by_what_becomes_of_them() {
        let difference = between(
            "[detection]\nmax_alerts = 7\n",
            "[capture]\nbudget_bytes = 4096\nring_bytes = 65536\n[capture.scope]\nports = [80]\n[risk.weights]\n\
             [alerts]\nsinks = [\"stdout:\"]\n",
        );
        let live = ["capture.budget_bytes", "detection.max_alerts", "alerts.sinks"];
        assert_eq!(difference.live, live);
        assert_eq!(difference.restart, ["capture.ring_bytes", "capture.scope.ports"]);
    }

    #[test]
    fn the_same_in_other_words_is_no_difference() {
        assert_eq!(
            between("", "[detection]\nmax_alerts = 120\n"),
            Difference::default()
        );
    }

    #[test]
    fn every_name_is_one_of_the_schema() {
        let schema = crate::config::schema();
        for name in RELOADABLE {
            let pointer = format!("/properties/{}", name.replace('.', "/properties/"));
            assert!(schema.pointer(&pointer).is_some(), "{name}");
        }
    }
}
