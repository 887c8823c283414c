//! The pods of this node and the services of the cluster, as the API server last told.
//!
//! In: [`Update`]s. Out: who a pod is, by the uid in its control group; what stands behind an address. Bounded by what a list
//! may bring; a pod that is gone is forgotten with the event that says so.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use super::{
    Update,
    object::{Pod, Service},
    session::Change,
};

/// Pods that are kept, and as many services. Overflow policy: further ones are not known, and counted.
const MAX_OBJECTS: usize = 4096;

/// What a [`Cluster`] holds and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClusterStats {
    /// Pods known.
    pub pods: u64,
    /// Services known.
    pub services: u64,
    /// Updates taken.
    pub updates: u64,
    /// Of these, whole lists: the first, and one more each time the server no longer knew where it was.
    pub lists: u64,
    /// Objects for which there was no room.
    pub overflow: u64,
}

impl ClusterStats {
    /// All counters by the name `status` shows.
    pub fn list(self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self {
            pods,
            services,
            updates,
            lists,
            overflow,
        } = self;
        [
            ("kubernetes_pods", pods),
            ("kubernetes_services", services),
            ("kubernetes_updates", updates),
            ("kubernetes_lists", lists),
            ("kubernetes_overflow", overflow),
        ]
        .into_iter()
    }
}

/// What is known of the cluster.
#[derive(Debug, Default)]
pub struct Cluster {
    pods: BTreeMap<String, Pod>,
    services: BTreeMap<String, Service>,
    /// Names of what has an address: `namespace/name` of services, uids of pods.
    names: HashMap<IpAddr, String>,
    /// The names are no longer right.
    is_stale: bool,
    updates: u64,
    lists: u64,
    overflow: u64,
}

impl Cluster {
    /// Takes an update. Whether anything changed that says who somebody is.
    pub fn apply(&mut self, update: Update) -> bool {
        self.updates += 1;
        if matches!(
            update,
            Update::Pods(Change::All(_)) | Update::Services(Change::All(_))
        ) {
            self.lists += 1;
        }
        let (changed, overflow) = match update {
            Update::Pods(change) => change_in(&mut self.pods, change, |pod| &pod.uid),
            Update::Services(change) => change_in(&mut self.services, change, |service| &service.uid),
        };
        self.overflow += overflow;
        self.is_stale |= changed;
        changed
    }

    /// The pod that control groups name so.
    pub fn pod(&self, uid: &str) -> Option<&Pod> {
        self.pods.get(uid)
    }

    /// Names of the services that a pod stands behind, in order.
    pub fn services_of(&self, pod: &Pod) -> Vec<String> {
        let selects = |service: &&Service| {
            service.namespace == pod.namespace
                && !service.selector.is_empty()
                && service
                    .selector
                    .iter()
                    .all(|(name, value)| pod.labels.get(name) == Some(value))
        };
        let mut names: Vec<_> = self
            .services
            .values()
            .filter(selects)
            .map(|service| service.name.clone())
            .collect();
        names.sort();
        names
    }

    /// What has this address: `namespace/name` of a service, or of a pod's controller.
    pub fn at(&mut self, address: IpAddr) -> Option<&str> {
        if std::mem::take(&mut self.is_stale) {
            self.name_addresses();
        }
        self.names.get(&address).map(String::as_str)
    }

    /// What is known, and what was done.
    pub fn stats(&self) -> ClusterStats {
        ClusterStats {
            pods: self.pods.len() as u64,
            services: self.services.len() as u64,
            updates: self.updates,
            lists: self.lists,
            overflow: self.overflow,
        }
    }

    fn name_addresses(&mut self) {
        self.names.clear();
        for pod in self.pods.values() {
            let name = pod
                .controller
                .as_deref()
                .and_then(|name| name.split_once('/'))
                .map_or(pod.name.as_str(), |(_, name)| name);
            let name = format!("{}/{name}", pod.namespace);
            self.names
                .extend(pod.addresses.iter().map(|address| (*address, name.clone())));
        }
        for service in self.services.values() {
            let name = format!("{}/{}", service.namespace, service.name);
            self.names
                .extend(service.addresses.iter().map(|address| (*address, name.clone())));
        }
    }
}

/// Whether anything is different now, and for how many objects there was no room.
fn change_in<T: PartialEq>(
    known: &mut BTreeMap<String, T>,
    change: Change<T>,
    uid: fn(&T) -> &String,
) -> (bool, u64) {
    match change {
        Change::All(all) => {
            let overflow = all.len().saturating_sub(MAX_OBJECTS) as u64;
            let all = all
                .into_iter()
                .take(MAX_OBJECTS)
                .map(|object| (uid(&object).clone(), object))
                .collect();
            (std::mem::replace(known, all) != *known, overflow)
        }
        Change::Put(object) => {
            let uid = uid(&object).clone();
            let is_known = known.contains_key(&uid);
            if known.get(&uid) == Some(&object) {
                (false, 0)
            } else if !is_known && known.len() >= MAX_OBJECTS {
                (false, 1)
            } else {
                known.insert(uid, object);
                (true, 0)
            }
        }
        Change::Gone(object) => (known.remove(uid(&object)).is_some(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str, address: &str) -> Pod {
        Pod {
            uid: uid.into(),
            namespace: "prod".into(),
            name: format!("shop-{uid}"),
            controller: Some("Deployment/shop".into()),
            labels: [("app".to_owned(), "shop".to_owned())].into(),
            addresses: vec![address.parse().unwrap()],
            ..Pod::default()
        }
    }

    fn service(name: &str, app: &str) -> Service {
        Service {
            uid: name.into(),
            namespace: "prod".into(),
            name: name.into(),
            selector: [("app".to_owned(), app.to_owned())].into(),
            addresses: vec!["10.96.0.9".parse().unwrap()],
            is_exposed: false,
        }
    }

    #[test]
    fn pods_come_change_and_go() {
        let mut cluster = Cluster::default();
        assert!(cluster.apply(Update::Pods(Change::All(vec![pod("a", "10.1.0.1")]))));
        assert!(cluster.apply(Update::Pods(Change::Put(pod("b", "10.1.0.2")))));
        assert!(!cluster.apply(Update::Pods(Change::Put(pod("b", "10.1.0.2")))));
        assert_eq!(cluster.at("10.1.0.2".parse().unwrap()), Some("prod/shop"));
        assert!(cluster.apply(Update::Pods(Change::Gone(pod("b", "10.1.0.2")))));
        assert_eq!(cluster.at("10.1.0.2".parse().unwrap()), None);
        assert!(cluster.pod("a").is_some() && cluster.pod("b").is_none());
        // A new list after 410 Gone: what is not in it is gone.
        assert!(cluster.apply(Update::Pods(Change::All(Vec::new()))));
        assert_eq!(cluster.stats().pods, 0);
    }

    #[test]
    fn services_select_pods_of_their_namespace() {
        let mut cluster = Cluster::default();
        let mut elsewhere = service("elsewhere", "shop");
        elsewhere.namespace = "test".into();
        let mut headless = service("headless", "shop");
        headless.selector.clear();
        let services = vec![
            service("shop", "shop"),
            service("front", "shop"),
            service("db", "db"),
            elsewhere,
            headless,
        ];
        cluster.apply(Update::Services(Change::All(services)));
        assert_eq!(cluster.services_of(&pod("a", "10.1.0.1")), ["front", "shop"]);
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut cluster = Cluster::default();
        for number in 0..MAX_OBJECTS + 3 {
            cluster.apply(Update::Pods(Change::Put(pod(&number.to_string(), "10.1.0.1"))));
        }
        assert_eq!(
            (cluster.stats().pods, cluster.stats().overflow),
            (MAX_OBJECTS as u64, 3)
        );
    }
}
