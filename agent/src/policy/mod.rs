//! Policies: what an operator wants to be told of, or not, in rules of their own.
//!
//! In: exchanges with what the inventory made of them. Out: a [`Decision`]: the rules that hold, with their actions
//! `ignore`, `finding` and `incident`, and why. Rules are read from TOML ([`read`]) and tried in order; the first that
//! says `ignore` ends it. Sans-IO: time is the exchange's own. Nothing is ever blocked.

mod caller;
mod finding;
mod glob;
mod matching;
mod rate;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use rule::{Action, Case, PolicyFile, Rule, read};

use crate::{
    analysis::Seen,
    verdict::{Finding, Group, Reason},
};
use finding::Findings;
use matching::Facts;
use rate::Rates;

/// What rules say of one exchange.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// Nothing is to be made of the exchange.
    pub is_ignored: bool,
    /// Rules with the action `incident` that hold.
    pub incidents: Vec<Held>,
}

/// A rule that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The rule.
    pub rule: Rule,
    /// Why.
    pub reason: Reason,
}

/// Rules at work.
#[derive(Debug, Default)]
pub struct Policies {
    rules: Vec<Rule>,
    rates: Rates,
    findings: Findings,
    hits: BTreeMap<String, u64>,
}

impl Policies {
    /// With these rules, nothing seen yet.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Tries the rules on an exchange.
    pub fn exchange(&mut self, seen: &Seen<'_>) -> Decision {
        let mut decision = Decision::default();
        if self.rules.is_empty() {
            return decision;
        }
        let Some(facts) = Facts::of(seen) else {
            return decision;
        };
        let rules = self.rules.iter().zip(0_u64..);
        for (rule, number) in rules {
            let Some(mut because) = matching::holds(&rule.when, &facts) else {
                continue;
            };
            if let Some(rate) = &rule.when.rate {
                let Some(count) = self.rates.exceeds(number, rate, &facts) else {
                    continue;
                };
                because.push(format!("{count} in {} s", rate.seconds));
            }
            *self.hits.entry(rule.name.clone()).or_default() += 1;
            match rule.action {
                Action::Ignore => {
                    decision.is_ignored = true;
                    decision.incidents.clear();
                    return decision;
                }
                Action::Finding => self.findings.add(rule, &because, seen),
                Action::Incident => decision.incidents.push(Held {
                    rule: rule.clone(),
                    reason: reason(rule, &because),
                }),
            }
        }
        decision
    }

    /// What rules with the action `finding` found, in order of id.
    pub fn findings(&self) -> Vec<Finding> {
        self.findings.list()
    }

    /// How often each rule held, by name.
    pub fn hits(&self) -> &BTreeMap<String, u64> {
        &self.hits
    }
}

/// Why a rule holds, for people: its own words, and what it asked for.
fn reason(rule: &Rule, because: &[String]) -> Reason {
    let description = match rule.description.as_str() {
        "" => String::new(),
        text => format!(" ({text})"),
    };
    Reason {
        group: Group::Exposure,
        detector: "policy".into(),
        text: format!(
            "policy {}{description}: {}",
            rule.name,
            match because {
                [] => "every exchange".to_owned(),
                all => all.join(", "),
            }
        ),
        observed: None,
        expected: None,
        n: None,
        window: rule.when.rate.as_ref().map(|rate| f64::from(rate.seconds)),
    }
}
