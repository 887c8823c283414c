//! Who answers for a workload: what the configuration says, else what its labels say.
//!
//! In: rules `PATTERN=OWNER` and names of labels. Out: an owner, or none. Refuses to guess from names.

use std::collections::BTreeMap;

use super::Workload;

/// Labels that say it, where the configuration names none.
pub const OWNER_LABELS: &[&str] = &["owner", "team"];

/// How owners are found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owners {
    rules: Vec<(String, String)>,
    labels: Vec<String>,
}

impl Owners {
    /// Rules in order, the first that fits counts; labels in order.
    ///
    /// # Errors
    /// The first rule without `=`, or with nothing on one side.
    pub fn parse(rules: &[String], labels: &[String]) -> Result<Self, String> {
        let rules = rules
            .iter()
            .map(|rule| match rule.split_once('=') {
                Some((pattern, owner)) if !pattern.is_empty() && !owner.is_empty() => {
                    Ok((pattern.to_owned(), owner.to_owned()))
                }
                _ => Err(format!("`{rule}` is not of the form PATTERN=OWNER")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            rules,
            labels: labels.to_vec(),
        })
    }

    /// The owner of a workload with these labels.
    pub(super) fn of(&self, workload: &Workload, labels: &BTreeMap<String, String>) -> Option<String> {
        let qualified = workload
            .namespace
            .as_ref()
            .map(|namespace| format!("{namespace}/{}", workload.name));
        let fits = |pattern: &str| {
            matches(pattern, &workload.name)
                || qualified.as_deref().is_some_and(|name| matches(pattern, name))
        };
        let by_rule = self.rules.iter().find(|(pattern, _)| fits(pattern));
        by_rule
            .map(|(_, owner)| owner)
            .or_else(|| self.labels.iter().find_map(|label| labels.get(label)))
            .filter(|owner| !owner.is_empty())
            .cloned()
    }
}

/// Whether a name fits a pattern in which `*` stands for any characters. Linear in the name for each `*`.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(previous) = last.replace(part) {
            let Some(at) = rest.find(previous) else {
                return false;
            };
            rest = rest.get(at + previous.len()..).unwrap_or_default();
        }
    }
    match last {
        Some(end) => rest.ends_with(end),
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::WorkloadKind, *};

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn rules_go_before_labels_and_the_first_counts() {
        let owners = Owners::parse(
            &strings(&["shop-*=payments", "prod/*=platform"]),
            &strings(OWNER_LABELS),
        )
        .unwrap();
        let labels = BTreeMap::from([("team".to_owned(), "search".to_owned())]);
        let mut workload = Workload::named(WorkloadKind::Pod, "shop-api");
        workload.namespace = Some("prod".into());
        assert_eq!(owners.of(&workload, &labels).as_deref(), Some("payments"));
        workload.name = "index".into();
        assert_eq!(owners.of(&workload, &labels).as_deref(), Some("platform"));
        workload.namespace = None;
        assert_eq!(owners.of(&workload, &labels).as_deref(), Some("search"));
        assert_eq!(owners.of(&workload, &BTreeMap::new()), None);
    }

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("*", "", true),
            ("ab*b", "ab", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_rule_without_owner_is_refused() {
        for rule in ["shop", "=x", "shop="] {
            assert!(Owners::parse(&strings(&[rule]), &[]).is_err(), "{rule}");
        }
    }
}
