//! The file of policies, as TOML.
//!
//! ```toml
//! [[rule]]
//! name = "admin-from-outside"
//! description = "Administration belongs to the office network"
//! action = "incident"
//! severity = "high"
//! [rule.when]
//! method = ["POST", "DELETE"]
//! template = ["/admin/**"]
//! caller = ["!10.0.0.0/8"]
//! status = ["2xx"]
//!
//! [[test]]
//! name = "a stranger deletes"
//! exchanges = [{ method = "DELETE", target = "/admin/users/7", status = 204, client = "203.0.113.9" }]
//! expect = ["admin-from-outside"]
//! ```

use serde::{Deserialize, de::IntoDeserializer as _, de::value::Error as Unknown};

use super::{caller::Caller, glob::Glob};
use crate::{
    inventory::{Exposure, sensitive::SensitiveType},
    verdict::Severity,
};

/// Rules of a file. Overflow policy: the file is refused.
const MAX_RULES: usize = 1000;

/// Longest name of a rule, in bytes. Overflow policy: the file is refused.
const MAX_NAME_BYTES: usize = 64;

/// A file of policies.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Rules, tried in order.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
    /// Tests of the rules.
    #[serde(default, rename = "test")]
    pub tests: Vec<Case>,
}

/// A test: exchanges, and the rules that must hold for the last of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// Exchanges as an exchanges file has them.
    pub exchanges: Vec<serde_json::Value>,
    /// Names of the rules that must hold at the last exchange, in order; none for silence.
    pub expect: Vec<String>,
}

/// What is done when a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nothing is made of the exchange, by no later rule and no detector.
    Ignore,
    /// A finding.
    Finding,
    /// An incident, alerted as those of detectors.
    Incident,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name: the class of its alerts, the rule of its findings.
    pub name: String,
    /// What it is for, in the words of its author.
    #[serde(default)]
    pub description: String,
    /// What is done.
    pub action: Action,
    /// How bad it is.
    #[serde(default = "medium")]
    pub severity: Severity,
    /// When it holds: all of it. Nothing means always.
    #[serde(default)]
    pub when: When,
}

const fn medium() -> Severity {
    Severity::Medium
}

/// When a rule holds. Members that are absent fit everything; several values of one member are alternatives; with `!` in
/// front a value must not fit.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Methods.
    pub method: Vec<Glob>,
    /// Path templates, or operations of protocols that name their own: `*` stands for anything but `/`, `**` for
    /// anything.
    pub template: Vec<Glob>,
    /// Names of workloads that serve it.
    pub workload: Vec<Glob>,
    /// Workloads, addresses or networks that call.
    pub caller: Vec<Caller>,
    /// Schemes of authentication (`bearer_jwt`, `session_cookie`, …), or `none`.
    pub auth: Vec<Glob>,
    /// Types of sensitive data in the answer (`email`, `card_pan`, …).
    pub data: Vec<Glob>,
    /// Called from at least this far away.
    pub exposure: Option<Exposure>,
    /// Statuses: `403`, `2xx`, or `none` without an answer.
    pub status: Vec<Glob>,
    /// More often than this.
    pub rate: Option<Rate>,
}

/// A rate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Exchanges that are still all right.
    pub count: u64,
    /// In so many seconds.
    pub seconds: u32,
    /// Counted for each of these.
    #[serde(default)]
    pub by: By,
}

/// What a rate is counted for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Each address or workload.
    #[default]
    Caller,
    /// Each credential; requests without one are counted by caller.
    Credential,
    /// Everybody together.
    All,
}

/// Reads a file of policies.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn read(text: &str) -> Result<PolicyFile, String> {
    let file: PolicyFile = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| {
            let before = text.get(..span.start).unwrap_or(text);
            before.matches('\n').count() + 1
        });
        match line {
            Some(line) => format!("line {line}: {}", error.message()),
            None => error.message().to_owned(),
        }
    })?;
    if file.rules.len() > MAX_RULES {
        return Err(format!("more than {MAX_RULES} rules"));
    }
    for (at, rule) in file.rules.iter().enumerate() {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if rule.name.is_empty() || rule.name.len() > MAX_NAME_BYTES || !rule.name.bytes().all(is_name) {
            return Err(format!(
                "rule {}: the name `{}` is not 1 to {MAX_NAME_BYTES} letters, digits, - and _",
                at + 1,
                rule.name.escape_debug()
            ));
        }
        if file
            .rules
            .iter()
            .take(at)
            .any(|earlier| earlier.name == rule.name)
        {
            return Err(format!("two rules are called {}", rule.name));
        }
        if rule.when.rate.as_ref().is_some_and(|rate| rate.seconds == 0) {
            return Err(format!("rule {}: a rate needs seconds above 0", rule.name));
        }
        // One that does not exist would never hold, and nobody would notice.
        for word in rule.when.data.iter().filter_map(Glob::word) {
            let word = word.to_ascii_lowercase();
            let kind: Result<SensitiveType, Unknown> =
                SensitiveType::deserialize(word.as_str().into_deserializer());
            kind.map_err(|error| format!("rule {}: data: {error}", rule.name))?;
        }
    }
    let unknown = file.tests.iter().find_map(|case| {
        let missing = |name: &&String| !file.rules.iter().any(|rule| rule.name == **name);
        Some((case, case.expect.iter().find(missing)?))
    });
    match unknown {
        Some((case, name)) => Err(format!("test `{}`: no rule is called {name}", case.name)),
        None => Ok(file),
    }
}
