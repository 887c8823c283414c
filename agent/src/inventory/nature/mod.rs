//! What an endpoint is for: login, payment, personal data, administration and so on.
//!
//! In: an endpoint with everything observed of it. Out: its [`Nature`]s, each with its evidence in words: names in the
//! path, parameters, members of messages, sensitive data, files, answers. Every piece of evidence has a weight, and a
//! nature is claimed from [`THRESHOLD`] on. Refuses to judge: [`crate::risk`] does. Most endpoints have none.

mod rules;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{endpoint::Endpoint, schema::Schema, template::words, view::SensitiveView};
use rules::{RULES, Rule};

/// Weight of all evidence from which a nature is claimed.
const THRESHOLD: u32 = 4;

/// Names of members that are compared. Overflow policy: the first by path.
const MAX_NAMES: usize = 256;

/// What an endpoint can be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NatureKind {
    /// Proves who the caller is, or gives out tokens.
    Login,
    /// Makes an account.
    Registration,
    /// Sets a forgotten or other password.
    PasswordReset,
    /// Moves money, or deals with cards and accounts.
    Payment,
    /// Carries data of persons.
    PersonalData,
    /// Is for administrators.
    Administration,
    /// Looks things up by words.
    Search,
    /// Takes in files.
    Upload,
    /// Gives out files, or all there is at once.
    Export,
    /// Is called by other systems when something happens.
    Webhook,
    /// Tells whether the service works.
    Health,
    /// Gives out figures of its operation.
    Metrics,
    /// Shows the inside of the service.
    Debug,
    /// Describes the API.
    Documentation,
}

/// What an endpoint is for, and what says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nature {
    /// What it is for.
    pub kind: NatureKind,
    /// What says so, the strongest first.
    pub evidence: Vec<String>,
}

/// What is known of an endpoint, as far as it tells what it is for.
#[derive(Debug, Default)]
pub(super) struct Traits {
    method: String,
    /// Words of the path's literal segments and of the operation.
    words: BTreeSet<String>,
    /// Names of parameters and members of requests, without case and separators.
    asked: BTreeSet<String>,
    /// Names of members of answers.
    answered: BTreeSet<String>,
    sensitive: BTreeSet<String>,
    has_file: bool,
    has_parameter: bool,
}

/// What an endpoint is for; the strongest evidence first.
pub(super) fn natures(endpoint: &Endpoint, sensitive: &[SensitiveView]) -> Vec<Nature> {
    let traits = Traits::of(endpoint, sensitive);
    let mut found: Vec<(u32, Nature)> = RULES
        .iter()
        .filter_map(|rule| traits.judge(rule))
        .filter(|(weight, _)| *weight >= THRESHOLD)
        .collect();
    found.sort_by_key(|(weight, nature)| (std::cmp::Reverse(*weight), nature.kind));
    found.into_iter().map(|(_, nature)| nature).collect()
}

impl Traits {
    fn of(endpoint: &Endpoint, sensitive: &[SensitiveView]) -> Self {
        let mut traits = Self {
            method: endpoint.method.to_string(),
            has_parameter: !endpoint.parameters.is_empty(),
            sensitive: sensitive
                .iter()
                .filter(|found| !found.suspected)
                .map(|found| found.kind.clone())
                .collect(),
            ..Self::default()
        };
        let literals = endpoint.template.split('/').filter(|part| !part.starts_with('{'));
        for literal in literals.chain(endpoint.operation.as_deref()) {
            let parts = words::words(literal);
            // `sign-in` is one word for this, `api_keys` two.
            traits.words.insert(parts.concat());
            traits.words.extend(parts);
        }
        let schemas = &endpoint.schemas;
        for schema in [
            &schemas.query,
            &schemas.form,
            &schemas.multipart,
            &schemas.request,
        ] {
            add_names(schema, &mut traits.asked);
            traits.has_file |= schema.fields.values().any(|field| field.file > 0);
        }
        let answers = schemas.responses.iter().filter(|(class, _)| **class == 2);
        answers.for_each(|(_, schema)| add_names(schema, &mut traits.answered));
        traits
    }

    /// The weight of what speaks for a nature, and in words what it is.
    fn judge(&self, rule: &Rule) -> Option<(u32, Nature)> {
        if !rule.methods.is_empty() && !rule.methods.contains(&self.method.as_str()) {
            return None;
        }
        if rule.whole_path && self.has_parameter {
            return None;
        }
        let mut weight = 0;
        let mut evidence = Vec::new();
        for (each, found, text) in [
            (4, common(rule.strong, &self.words), "path has"),
            (2, common(rule.weak, &self.words), "path has"),
            (3, common(rule.sensitive, &self.sensitive), "carries"),
            (2, common(rule.asked, &self.asked), "requests have"),
            (2, common(rule.answered, &self.answered), "answers have"),
        ] {
            if !found.is_empty() {
                // More of one kind adds little: names come in groups.
                weight += each + u32::from(found.len() > 1);
                evidence.push(format!("{text} {}", found.join(", ")));
            }
        }
        if rule.files && self.has_file {
            weight += 4;
            evidence.push("requests have files".to_owned());
        }
        let kind = rule.kind;
        Some((weight, Nature { kind, evidence }))
    }
}

fn common<'r>(terms: &[&'r str], names: &BTreeSet<String>) -> Vec<&'r str> {
    terms
        .iter()
        .copied()
        .filter(|term| names.contains(*term))
        .collect()
}

/// The last name of each path, in small letters and digits only.
fn add_names(schema: &Schema, names: &mut BTreeSet<String>) {
    for path in schema.fields.keys().take(MAX_NAMES) {
        let last = path.rsplit('.').next().unwrap_or_default();
        let plain = last.chars().filter(char::is_ascii_alphanumeric);
        names.insert(plain.map(|c| c.to_ascii_lowercase()).collect());
    }
}

#[cfg(test)]
mod tests;
