//! What differs between two snapshots.
//!
//! In: an older and a newer one. Out: one row per change, in order of endpoint: new and gone endpoints, and for those in
//! both what changed of authentication, schema, sensitive data and exposure. An endpoint that is new tells of itself what
//! is sensitive and unauthenticated, but not each of its fields.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Entry, Snapshot};

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// The endpoint was not there.
    New,
    /// The endpoint is no longer there.
    Gone,
    /// How requests authenticate.
    Auth,
    /// A field came, went, or has another type.
    Schema,
    /// Sensitive data came, went, or is of another type.
    Sensitive,
    /// From how far away it is called.
    Exposure,
}

impl Aspect {
    /// Every aspect.
    pub const ALL: [Self; 6] = [
        Self::New,
        Self::Gone,
        Self::Auth,
        Self::Schema,
        Self::Sensitive,
        Self::Exposure,
    ];

    /// The name used in JSON, tables and options.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gone => "gone",
            Self::Auth => "auth",
            Self::Schema => "schema",
            Self::Sensitive => "sensitive",
            Self::Exposure => "exposure",
        }
    }
}

/// One change. Members are a contract: add, don't rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What changed.
    pub change: Aspect,
    /// Name of the workload.
    pub workload: String,
    /// Method.
    pub method: String,
    /// Path template.
    pub template: String,
    /// Operation, for protocols that name their own.
    pub operation: Option<String>,
    /// Where in the messages, for fields and sensitive data.
    pub place: Option<String>,
    /// What it was; absent when it was not there.
    pub before: Option<String>,
    /// What it is; absent when it is no longer there.
    pub after: Option<String>,
}

/// The changes that lead from one snapshot to the other.
pub fn diff(before: &Snapshot, after: &Snapshot) -> Vec<Change> {
    let named = |snapshot: &'_ Snapshot| -> BTreeMap<_, _> {
        snapshot
            .endpoints
            .iter()
            .map(|entry| (owned(entry), entry.clone()))
            .collect()
    };
    let (before, after) = (named(before), named(after));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for name in names {
        match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) => compare(old, new, &mut changes),
            (None, Some(new)) => changes.push(new.change(Aspect::New, None, None, Some(new.summary()))),
            (Some(old), None) => changes.push(old.change(Aspect::Gone, None, Some(old.summary()), None)),
            (None, None) => {}
        }
    }
    changes
}

fn owned(entry: &Entry) -> (String, String, String, Option<String>) {
    let (workload, template, method, operation) = entry.name();
    (
        workload.into(),
        template.into(),
        method.into(),
        operation.map(str::to_owned),
    )
}

fn compare(old: &Entry, new: &Entry, changes: &mut Vec<Change>) {
    let mut scalar = |aspect, before: String, after: String| {
        if before != after {
            changes.push(new.change(aspect, None, Some(before), Some(after)));
        }
    };
    scalar(Aspect::Auth, old.authentication(), new.authentication());
    scalar(
        Aspect::Exposure,
        old.exposure.as_str().into(),
        new.exposure.as_str().into(),
    );
    for (aspect, before, after) in [
        (Aspect::Schema, &old.fields, &new.fields),
        (Aspect::Sensitive, &old.sensitive, &new.sensitive),
    ] {
        // One of them may have been taken without documents: that tells nothing of fields.
        if aspect == Aspect::Schema && (before.is_empty() || after.is_empty()) {
            continue;
        }
        let places: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for place in places {
            let (was, is) = (before.get(place), after.get(place));
            if was != is {
                changes.push(new.change(aspect, Some(place), was.cloned(), is.cloned()));
            }
        }
    }
}

impl Entry {
    fn authentication(&self) -> String {
        match self.schemes.is_empty() {
            true => self.auth.clone(),
            false => format!("{} ({})", self.auth, self.schemes.join(", ")),
        }
    }

    /// What matters of an endpoint that was or is not there.
    fn summary(&self) -> String {
        let types: BTreeSet<&str> = self.sensitive.values().map(String::as_str).collect();
        let mut parts = vec![
            format!("auth {}", self.authentication()),
            format!("exposure {}", self.exposure.as_str()),
        ];
        if !types.is_empty() {
            parts.push(format!(
                "sensitive {}",
                types.into_iter().collect::<Vec<_>>().join(", ")
            ));
        }
        parts.join("; ")
    }

    fn change(
        &self,
        change: Aspect,
        place: Option<&String>,
        before: Option<String>,
        after: Option<String>,
    ) -> Change {
        Change {
            change,
            workload: self.workload.clone(),
            method: self.method.clone(),
            template: self.template.clone(),
            operation: self.operation.clone(),
            place: place.cloned(),
            before,
            after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inventory::{EndpointId, EndpointKind, Exposure},
        snapshot::VERSION,
    };

    fn entry(template: &str) -> Entry {
        Entry {
            id: EndpointId(1),
            workload: "shop".into(),
            method: "GET".into(),
            template: template.into(),
            operation: None,
            kind: EndpointKind::Rest,
            exposure: Exposure::Cluster,
            auth: "consistent".into(),
            schemes: vec!["bearer_jwt".into()],
            sensitive: BTreeMap::new(),
            fields: BTreeMap::from([("response 200 $.id".into(), "integer".into())]),
        }
    }

    fn snapshot(endpoints: Vec<Entry>) -> Snapshot {
        Snapshot {
            apiarist_snapshot: VERSION,
            taken: String::new(),
            endpoints,
        }
    }

    fn lines(changes: &[Change]) -> Vec<String> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        changes
            .iter()
            .map(|one| {
                let (place, before, after) = (text(&one.place), text(&one.before), text(&one.after));
                format!(
                    "{} {} {place} {before} > {after}",
                    one.change.as_str(),
                    one.template
                )
            })
            .collect()
    }

    #[test]
    fn every_kind_of_change_is_a_row() {
        let mut changed = entry("/v1/users");
        changed.auth = "mixed".into();
        changed.exposure = Exposure::Internet;
        changed.fields = BTreeMap::from([
            ("response 200 $.email".into(), "string".into()),
            ("response 200 $.id".into(), "string".into()),
        ]);
        changed.sensitive = BTreeMap::from([("response $.email".into(), "email".into())]);
        let before = snapshot(vec![entry("/v1/old"), entry("/v1/same"), entry("/v1/users")]);
        let after = snapshot(vec![entry("/v1/new"), entry("/v1/same"), changed]);
        assert_eq!(
            lines(&diff(&before, &after)),
            [
                "new /v1/new   > auth consistent (bearer_jwt); exposure cluster",
                "gone /v1/old  auth consistent (bearer_jwt); exposure cluster > ",
                "auth /v1/users  consistent (bearer_jwt) > mixed (bearer_jwt)",
                "exposure /v1/users  cluster > internet",
                "schema /v1/users response 200 $.email  > string",
                "schema /v1/users response 200 $.id integer > string",
                "sensitive /v1/users response $.email  > email",
            ]
        );
    }

    #[test]
    fn the_same_is_no_change_whatever_its_id() {
        let other_host = Entry {
            id: EndpointId(2),
            ..entry("/v1/users")
        };
        assert_eq!(
            diff(&snapshot(vec![entry("/v1/users")]), &snapshot(vec![other_host])),
            []
        );
        let without = Entry {
            fields: BTreeMap::new(),
            ..entry("/v1/users")
        };
        assert_eq!(
            diff(&snapshot(vec![entry("/v1/users")]), &snapshot(vec![without])),
            []
        );
    }
}
