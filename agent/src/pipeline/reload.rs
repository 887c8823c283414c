//! A configuration that is read again while the agent runs.
//!
//! In: the file, once more. Out: a [`Change`] for the core, or a sentence that says why the old configuration stays. Everything
//! that can be wrong is found here, on the main thread: what reaches the core can be used. Keys that need a restart are
//! named, and stay as they were.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Result, anyhow};
use apiarist_common::control::Control;

use super::targets;
use crate::{
    analysis::settings::Settings,
    capture::load::LoadOptions,
    config::{self, Config, Difference, RunOptions, Source},
    policy::{Policies, Rule},
    risk::Risk,
    sink::target::Target,
};

/// What the core takes over.
#[derive(Debug)]
pub(super) struct Change {
    /// Keys that changed: never empty.
    pub(super) keys: Vec<String>,
    /// How detection works.
    pub(super) settings: Settings,
    /// Rules of the operator, if they changed.
    pub(super) policies: Option<Policies>,
    /// How risk is scored.
    pub(super) risk: Risk,
    /// Where incidents go.
    pub(super) targets: Vec<Target>,
    /// Bytes of the spool.
    pub(super) spool_bytes: u64,
    /// What the programs copy while all is well.
    pub(super) full: Control,
    /// CPU seconds per second from which on less is copied.
    pub(super) cpu_limit: f64,
}

/// Knows what holds, and compares.
#[derive(Debug)]
pub(super) struct Reloader {
    source: Source,
    /// As far as a running agent takes it over.
    current: Config,
    rules: Vec<Rule>,
    options: RunOptions,
    load: LoadOptions,
    /// The body budget that shards reckon with.
    budget_bytes: Arc<AtomicU64>,
}

impl Reloader {
    /// For a run whose configuration can be read again; `rules` are those in force.
    pub(super) fn new(
        options: &RunOptions,
        rules: Vec<Rule>,
        load: LoadOptions,
        budget_bytes: Arc<AtomicU64>,
    ) -> Option<Self> {
        let source = options.source.clone()?;
        Some(Self {
            current: source.read.clone(),
            source,
            rules,
            options: options.clone(),
            load,
            budget_bytes,
        })
    }

    /// Reads the file again. `None` when nothing changed that a running agent takes over; says what needs a restart.
    ///
    /// # Errors
    /// One sentence: the file cannot be read or used. Nothing has changed then.
    pub(super) fn read(&mut self) -> Result<Option<Change>> {
        let new = config::load(self.source.path.as_deref())?;
        let restart = Difference::between(&self.source.read, &new)?.restart;
        if !restart.is_empty() {
            tracing::warn!(
                "keys that count from the next start: {}; restart the agent for them",
                restart.join(", ")
            );
        }
        let mut keys = Difference::between(&self.current, &new)?.live;
        let rules = new.policies.rules().map_err(|problem| anyhow!(problem))?;
        let are_rules_new = rules != self.rules;
        if are_rules_new && !keys.iter().any(|key| key == "policies.file") {
            keys.push("policies.file (its content)".to_owned());
        }
        let mut options = self.options.clone();
        options.config.alerts = new.alerts.clone();
        let load = LoadOptions {
            budget_bytes: new.capture.budget_bytes,
            ..self.load
        };
        let change = Change {
            settings: new.detection.settings(),
            policies: are_rules_new.then(|| Policies::new(rules.clone())),
            risk: new.risk.clone(),
            targets: targets(&options)?,
            spool_bytes: new.alerts.spool_bytes,
            full: load.control(),
            cpu_limit: super::cpu_limit(&new.capture),
            keys,
        };
        self.rules = rules;
        self.budget_bytes
            .store(u64::from(new.capture.budget_bytes), Ordering::Relaxed);
        self.current = new;
        Ok((!change.keys.is_empty()).then_some(change))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn reloader(path: &Path) -> Reloader {
        let read = config::load(Some(path)).unwrap();
        let options = RunOptions {
            config: read.clone(),
            store: "store".into(),
            socket: "socket".into(),
            alerts: None,
            duration: None,
            observed: None,
            source: Some(Source {
                path: Some(path.to_owned()),
                read,
            }),
        };
        let load = LoadOptions {
            budget_bytes: 8192,
            rings: 1,
            ring_bytes: 1 << 20,
            observe_self: false,
            tls: false,
            tls_sessions: 64,
            scope_cgroup: 0,
        };
        Reloader::new(&options, Vec::new(), load, Arc::default()).unwrap()
    }

    #[test]
    fn what_changed_is_taken_over_and_a_file_that_is_wrong_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("apiarist.toml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("");
        let mut reloader = reloader(&path);
        assert!(reloader.read().unwrap().is_none());

        write("[detection]\nmax_alerts = 5\n[capture]\nbudget_bytes = 4096\nshards = 2\n");
        let change = reloader.read().unwrap().unwrap();
        assert_eq!(change.keys, ["capture.budget_bytes", "detection.max_alerts"]);
        assert_eq!(change.settings.alerts_in_all, 5);
        assert_eq!(change.full.budget_bytes, 4096);
        assert_eq!(reloader.budget_bytes.load(Ordering::Relaxed), 4096);
        assert!(reloader.read().unwrap().is_none());

        for wrong in [
            "[detection]\nmax_alert = 6\n",
            "[policies]\nfile = \"/nonexistent\"\n",
        ] {
            write(wrong);
            reloader.read().unwrap_err();
            assert_eq!(reloader.current.detection.max_alerts, 5);
        }
    }

    #[test]
    fn rules_are_read_again_though_their_file_is_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("apiarist.toml");
        let policies = directory.path().join("policies.toml");
        let rule = |name: &str| {
            let text = format!(
                "[[rule]]\nname = \"{name}\"\naction = \"incident\"\n[rule.when]\nmethod = [\"GET\"]\n"
            );
            std::fs::write(&policies, text).unwrap();
        };
        rule("one");
        std::fs::write(&path, format!("[policies]\nfile = {policies:?}\n")).unwrap();
        let mut reloader = reloader(&path);
        assert!(reloader.read().unwrap().unwrap().policies.is_some());
        assert!(reloader.read().unwrap().is_none());
        rule("two");
        let change = reloader.read().unwrap().unwrap();
        assert_eq!(change.keys, ["policies.file (its content)"]);
        assert!(change.policies.is_some());
    }
}
