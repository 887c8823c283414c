//! What the type of a key cannot express.
//!
//! In: a configuration whose keys have their types and ranges. Out: each key whose value cannot be used, and why.

use super::Config;

impl Config {
    /// Paths of keys, and what is wrong with their values.
    pub(crate) fn conflicts(&self) -> Vec<(&'static [&'static str], String)> {
        let mut found: Vec<(&'static [&'static str], String)> = Vec::new();
        let ring = self.capture.ring_bytes;
        if !ring.is_power_of_two() {
            found.push((
                &["capture", "ring_bytes"],
                format!(
                    "must be a power of two: use {} or {}",
                    ring.next_power_of_two() / 2,
                    ring.next_power_of_two()
                ),
            ));
        }
        if !matches!(self.capture.shards, 0 | 1 | 2 | 4) {
            found.push((&["capture", "shards"], "must be 0, 1, 2 or 4".to_owned()));
        }
        if let Err(error) = self.workloads.proxies() {
            found.push((
                &["workloads", "trusted_proxies"],
                format!("cannot be used: {error}"),
            ));
        }
        if self.workloads.kubernetes.node.as_deref() == Some("") {
            found.push((
                &["workloads", "kubernetes", "node"],
                "must not be empty".to_owned(),
            ));
        }
        if let Err(error) = self.workloads.owners() {
            found.push((&["workloads", "owners"], format!("cannot be used: {error}")));
        }
        if let Some(problem) = self.detection.conflict() {
            found.push((&["detection", "allow"], problem));
        }
        if let Err(error) = self.inventory.pins() {
            found.push((&["inventory", "templates"], format!("cannot be used: {error}")));
        }
        if let Err(error) = self.alerts.targets() {
            found.push((&["alerts", "sinks"], format!("cannot be used: {error}")));
        }
        if self.capture.scope.ports.contains(&0) {
            found.push((&["capture", "scope", "ports"], "0 is not a port".to_owned()));
        }
        if let Some(long) = self.capture.scope.comms.iter().find(|comm| comm.len() > 15) {
            found.push((
                &["capture", "scope", "comms"],
                format!("`{long}` can never match: the kernel keeps 15 bytes of a task name"),
            ));
        }
        let hex = |id: &String| id.len() >= 12 && id.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(bad) = self.capture.scope.containers.iter().find(|id| !hex(id)) {
            found.push((
                &["capture", "scope", "containers"],
                format!("`{bad}` is not a container id: give at least its first 12 hex digits"),
            ));
        }
        if !self.control.socket.is_absolute() {
            found.push((&["control", "socket"], "must be an absolute path".to_owned()));
        }
        if let Err(error) = self.log.filter.parse::<tracing_subscriber::EnvFilter>() {
            found.push((&["log", "filter"], format!("is not a log filter: {error}")));
        }
        found
    }
}
