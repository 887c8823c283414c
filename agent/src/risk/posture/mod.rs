//! Posture: facts about how an endpoint is served, and the findings that follow from them.
//!
//! In: exchanges, as the inventory files them. Out: a [`Posture`] per endpoint: how often each [`Fact`] was seen, and
//! when; on demand the [`findings`] of all endpoints. One file per rule in [`rules`], which both notices its facts and
//! judges them. Everything adds up, so that the order of exchanges and the merging of endpoints do not change the
//! result. Keeps no value.

mod bursts;
mod facts;
mod kit;
mod message;
mod objects;
mod rules;
mod subject;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use bursts::Bursts;
pub use facts::{Fact, Seen};
pub(crate) use kit::id as finding_id;
use message::Message;
use objects::Objects;
pub use rules::names;
use subject::Subject;
pub(super) use subject::gravity;

use crate::{
    exchange::Exchange,
    inventory::{Endpoint, EndpointView, sensitive::SensitiveType},
    verdict::Finding,
};

/// Different sites kept whose requests were admitted with credentials. Overflow policy: the smallest stay; the rule
/// needs fewer.
const MAX_SITES: usize = 4;

/// What is known of how an endpoint is served.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Posture {
    /// Facts seen.
    facts: BTreeMap<Fact, Seen>,
    /// Sensitive data in answers to requests without credentials, by type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    anonymous: BTreeMap<SensitiveType, Seen>,
    /// Hashes of foreign sites that the answer admitted with credentials.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    sites: BTreeSet<u64>,
    /// Who got which object.
    #[serde(skip)]
    objects: Objects,
    /// Who asked how often, of late.
    #[serde(skip)]
    bursts: Bursts,
}

impl Posture {
    /// Whether nothing was noticed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Looks at one exchange of the endpoint with this template. `answered` are the types of sensitive data in its answer,
    /// one for each value that has one; nothing where the answer was not read, as those of a busy endpoint mostly are not.
    pub(crate) fn add(&mut self, exchange: &Exchange, template: &str, answered: &[SensitiveType]) {
        let Some(message) = Message::of(exchange, template, answered) else {
            return;
        };
        for rule in rules::ALL {
            if let Some(notice) = rule.notice {
                notice(&message, self);
            }
        }
    }

    /// Adds what another one knows.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (fact, seen) in &other.facts {
            self.facts.entry(*fact).or_default().merge(*seen);
        }
        for (kind, seen) in &other.anonymous {
            self.anonymous.entry(*kind).or_default().merge(*seen);
        }
        for site in &other.sites {
            self.note_site(*site);
        }
        self.objects.merge(&other.objects);
        self.bursts.merge(&other.bursts);
    }

    /// How often a fact was seen.
    pub fn count(&self, fact: Fact) -> u64 {
        self.facts.get(&fact).map_or(0, |seen| seen.count)
    }

    fn note(&mut self, fact: Fact, message: &Message<'_>) {
        self.facts.entry(fact).or_default().add(message.at());
    }

    fn note_site(&mut self, site: u64) {
        self.sites.insert(site);
        if self.sites.len() > MAX_SITES {
            self.sites.pop_last();
        }
    }
}

/// The posture findings of endpoints, in the order of the endpoints and, for each, of the rules. A view may have been
/// given what a specification says about it.
pub fn findings<'a>(endpoints: impl IntoIterator<Item = (&'a Endpoint, &'a EndpointView)>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (endpoint, view) in endpoints {
        let subject = Subject::new(endpoint, view);
        found.extend(
            rules::ALL
                .iter()
                .filter_map(|rule| rule.finding(&subject, (rule.check)(&subject)?)),
        );
    }
    found
}
