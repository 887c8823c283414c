//! From the name of a pod to that of its controller.
//!
//! In: the name of a pod and its labels. Out: the controller's name, which stays when pods come and go. Controllers
//! make names by appending: a Deployment's ReplicaSet a hash, which is also a label; each pod five characters; a StatefulSet a
//! number; a Job of a CronJob a number of minutes (kubernetes, `apimachinery/pkg/util/rand`). Refuses to cut what does not look
//! so: a pod that somebody named by hand keeps its name.

use std::collections::BTreeMap;

/// What Kubernetes' random suffixes are made of: no vowels, and nothing that is read as another.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The name of the controller of a pod.
pub(super) fn of<'p>(pod: &'p str, labels: &BTreeMap<String, String>) -> &'p str {
    if let Some(hash) = labels.get("pod-template-hash")
        && let Some((head, _)) = pod.rsplit_once('-')
        && let Some(name) = head
            .strip_suffix(hash.as_str())
            .and_then(|head| head.strip_suffix('-'))
    {
        return name;
    }
    let Some((head, last)) = pod.rsplit_once('-') else {
        return pod;
    };
    if !last.is_empty() && last.len() <= 4 && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return head;
    }
    if !is_random(last, 5..=5) {
        return pod;
    }
    match head.rsplit_once('-') {
        // A ReplicaSet's hash has up to ten characters.
        Some((name, hash)) if is_random(hash, 6..=10) => name,
        // A CronJob's number of minutes since 1970.
        Some((name, minutes)) if minutes.len() == 8 && minutes.bytes().all(|byte| byte.is_ascii_digit()) => {
            name
        }
        _ => head,
    }
}

/// `Kind/name` of what stands above the controller of a pod: a Deployment makes ReplicaSets, a CronJob makes Jobs, and neither is
/// named in the pod. `labels` are the pod's.
pub(super) fn above(kind: &str, name: &str, labels: &BTreeMap<String, String>) -> String {
    let by_hash = || {
        name.strip_suffix(labels.get("pod-template-hash")?.as_str())?
            .strip_suffix('-')
    };
    let by_minutes = || {
        let (head, minutes) = name.rsplit_once('-')?;
        (minutes.len() == 8 && minutes.bytes().all(|byte| byte.is_ascii_digit())).then_some(head)
    };
    match kind {
        "ReplicaSet" => by_hash().map(|name| format!("Deployment/{name}")),
        "Job" => by_minutes().map(|name| format!("CronJob/{name}")),
        _ => None,
    }
    .unwrap_or_else(|| format!("{kind}/{name}"))
}

fn is_random(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_of_controllers_are_cut() {
        let none = BTreeMap::new();
        for (pod, controller) in [
            ("shop-7d4b9c6f58-x2x4z", "shop"),
            ("shop-api-5f6b7-x2x4z", "shop-api-5f6b7"),
            ("shop-api-5f6b7c-x2x4z", "shop-api"),
            ("node-agent-x2x4z", "node-agent"),
            ("db-0", "db"),
            ("db-12", "db"),
            ("report-28472940-x2x4z", "report"),
            ("shop", "shop"),
            ("my-pod", "my-pod"),
            ("debug-alice", "debug-alice"),
            ("", ""),
            ("-", "-"),
        ] {
            assert_eq!(of(pod, &none), controller, "{pod}");
        }
    }

    #[test]
    fn what_makes_the_controller_is_named_where_it_shows() {
        let labels = BTreeMap::from([("pod-template-hash".to_owned(), "5f6b7".to_owned())]);
        for (kind, name, found) in [
            ("ReplicaSet", "shop-5f6b7", "Deployment/shop"),
            ("ReplicaSet", "shop", "ReplicaSet/shop"),
            ("Job", "report-28472940", "CronJob/report"),
            ("Job", "migrate", "Job/migrate"),
            ("StatefulSet", "db", "StatefulSet/db"),
            ("DaemonSet", "node-agent", "DaemonSet/node-agent"),
        ] {
            assert_eq!(above(kind, name, &labels), found);
        }
    }

    #[test]
    fn the_label_knows_the_hash_better() {
        let labels = BTreeMap::from([("pod-template-hash".to_owned(), "5f6b7".to_owned())]);
        assert_eq!(of("shop-api-5f6b7-x2x4z", &labels), "shop-api");
    }
}
