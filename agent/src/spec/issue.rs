//! Something that a check found, and whether it fails the check.

use std::{borrow::Cow, str::FromStr};

use serde::Serialize;

use super::{RULES, lint};
use crate::{
    analysis::findings::RULE as BEHAVIOUR,
    risk::posture,
    verdict::{Finding, Severity},
};

/// Where in a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Name of the file.
    pub document: String,
    /// JSON pointer (RFC 6901); empty for the whole document.
    pub pointer: String,
    /// Line, from 1.
    pub line: u32,
}

/// Something that a check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Issue {
    /// Rule.
    pub rule: Cow<'static, str>,
    /// Severity.
    pub severity: Severity,
    /// Method and path; empty for a whole document.
    pub endpoint: String,
    /// Workload, if it was observed.
    pub workload: Option<String>,
    /// One sentence.
    pub text: String,
    /// What to do about it.
    pub advice: Cow<'static, str>,
    /// Where in a document, if a document has it.
    pub place: Option<Place>,
}

impl From<&Finding> for Issue {
    fn from(finding: &Finding) -> Self {
        let reason = finding.reasons.first().map(|reason| reason.text.as_str());
        Self {
            rule: finding.rule.clone(),
            severity: finding.severity,
            endpoint: finding.endpoint_name.clone().unwrap_or_default(),
            workload: Some(finding.workload.clone()),
            text: reason.unwrap_or(&finding.title).to_owned(),
            advice: finding.advice.clone(),
            place: None,
        }
    }
}

/// Which issues fail a check: `low`, `medium`, `high`, `critical`, `info` and names of rules, one of which is enough;
/// or `none`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gate {
    least: Option<Severity>,
    rules: Vec<String>,
}

impl Gate {
    /// Fails on issues at least this severe.
    pub const fn at(severity: Severity) -> Self {
        Self {
            least: Some(severity),
            rules: Vec::new(),
        }
    }

    /// Whether an issue fails the check.
    pub fn fails(&self, issue: &Issue) -> bool {
        self.least.is_some_and(|least| issue.severity >= least)
            || self.rules.iter().any(|rule| *rule == issue.rule)
    }

    /// Checks that the rules named exist: one that is misspelt would let everything pass. `own` are rules of the
    /// operator's.
    ///
    /// # Errors
    /// One sentence: the first name that no rule has.
    pub fn check(&self, own: &[&str]) -> Result<(), String> {
        let exists = |name: &str| {
            RULES
                .iter()
                .chain(&lint::RULES)
                .chain(&[BEHAVIOUR])
                .chain(own)
                .any(|rule| *rule == name)
                || posture::names().any(|rule| rule == name)
        };
        match self.rules.iter().find(|name| !exists(name)) {
            None => Ok(()),
            Some(name) => Err(format!(
                "`{name}` is neither a severity (info, low, medium, high, critical), nor the name of a rule, nor none"
            )),
        }
    }
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut gate = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let severity = match word {
                "none" => continue,
                "info" => Severity::Info,
                "low" => Severity::Low,
                "medium" => Severity::Medium,
                "high" => Severity::High,
                "critical" => Severity::Critical,
                rule if rule.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') => {
                    gate.rules.push(rule.to_owned());
                    continue;
                }
                other => {
                    return Err(format!(
                        "`{other}` is neither a severity (info, low, medium, high, critical), nor the name of a rule, nor none"
                    ));
                }
            };
            gate.least = Some(gate.least.map_or(severity, |least| least.min(severity)));
        }
        Ok(gate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(rule: &'static str, severity: Severity) -> Issue {
        Issue {
            rule: rule.into(),
            severity,
            endpoint: String::new(),
            workload: None,
            text: String::new(),
            advice: "".into(),
            place: None,
        }
    }

    #[test]
    fn severities_and_rules_fail() {
        let gate: Gate = "high, shadow_endpoint".parse().expect("a gate");
        assert!(gate.fails(&issue("x", Severity::Critical)));
        assert!(gate.fails(&issue("shadow_endpoint", Severity::Info)));
        assert!(!gate.fails(&issue("x", Severity::Medium)));
        let none: Gate = "none".parse().expect("a gate");
        assert!(!none.fails(&issue("x", Severity::Critical)));
        assert!("High!".parse::<Gate>().is_err());
    }

    #[test]
    fn rules_that_do_not_exist_are_named() {
        let check = |text: &str, own: &[&str]| text.parse::<Gate>().expect("a gate").check(own);
        for known in [
            "high,shadow_endpoint",
            "no_security",
            "old_tls",
            "api_changed",
            "none",
        ] {
            assert_eq!(check(known, &[]), Ok(()), "{known}");
        }
        assert!(check("high,shaddow_endpoint", &[]).is_err_and(|error| error.contains("`shaddow_endpoint`")));
        assert!(check("hihg", &["office"]).is_err());
        assert_eq!(check("office", &["office"]), Ok(()));
    }
}
