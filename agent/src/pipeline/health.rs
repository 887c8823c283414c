//! How the agent is doing, gathered from every layer.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use apiarist_common::{
    control::Control,
    counter::{Counter, Kind},
};

use super::{batch::Totals, coverage::Coverages, governor::Second, tls::Progress};
use crate::{
    capture::counters::{CounterMap, Operations},
    clock, inventory,
    status::Status,
    workload::DirectoryStats,
};

/// Totals of all shards, and where the rest is found.
pub(super) struct Health {
    kernel: String,
    tier: u8,
    counters: Arc<CounterMap>,
    started_ns: u64,
    shards: BTreeMap<usize, Totals>,
    exchanges: u64,
    /// Steps of the governor, and what it set.
    governed: Option<(usize, Control)>,
    /// What the programs started with.
    full: Control,
    /// CPU seconds and lost events at the governor's last look.
    last: (f64, u64, u64),
    /// What could be seen of each workload.
    pub(super) coverages: Coverages,
    /// How far reading TLS is.
    pub(super) tls: Progress,
    /// Time without an agent before this run, if there was one before.
    pub(super) restart_gap: Option<Duration>,
}

impl Health {
    pub(super) fn new(
        kernel: String,
        tier: u8,
        counters: Arc<CounterMap>,
        full: Control,
        started_ns: u64,
    ) -> Self {
        Self {
            kernel,
            tier,
            counters,
            started_ns,
            shards: BTreeMap::new(),
            exchanges: 0,
            governed: None,
            coverages: Coverages::default(),
            tls: Progress::default(),
            restart_gap: None,
            full,
            last: (clock::process_cpu_seconds(), 0, started_ns),
        }
    }

    /// Notes a shard's totals and the exchanges that came with them.
    pub(super) fn shard(&mut self, shard: usize, totals: Totals, exchanges: u64) {
        self.exchanges += exchanges;
        self.shards.insert(shard, totals);
    }

    /// What happened since the last call, per second.
    pub(super) fn second(&mut self) -> Second {
        let counters = self.counters.read();
        let cpu = clock::process_cpu_seconds();
        let lost = counters.get(Counter::RingFullEvents) + counters.get(Counter::QuotaEvents);
        let now = clock::monotonic_ns();
        let (cpu_before, lost_before, before) = std::mem::replace(&mut self.last, (cpu, lost, now));
        let seconds = (now.saturating_sub(before) as f64 / 1e9).max(0.1);
        Second {
            cpu: (cpu - cpu_before) / seconds,
            lost: lost.saturating_sub(lost_before),
        }
    }

    /// Operations that the programs looked at.
    pub(super) fn operations(&self) -> Operations {
        self.counters.operations()
    }

    /// Events read from the rings.
    pub(super) fn events(&self) -> u64 {
        self.shards.values().map(|totals| totals.events).sum()
    }

    /// Notes what the governor set.
    pub(super) fn governed(&mut self, step: usize, control: Control) {
        self.governed = Some((step, control));
    }

    /// The whole picture.
    pub(super) fn status(&self, inventory: inventory::Stats, directory: DirectoryStats) -> Status {
        let (tls, found) = self.tls.get();
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: clock::monotonic_ns().saturating_sub(self.started_ns) as f64 / 1e9,
            kernel: self.kernel.clone(),
            tier: self.tier,
            tls,
            exchanges: self.exchanges,
            memory_bytes: resident_bytes(),
            cpu_seconds: clock::process_cpu_seconds(),
            coverage: self.coverages.rows(),
            ..Status::default()
        };
        for (name, kind, value) in self.counters.read().iter() {
            let target = match kind {
                Kind::Loss => &mut status.lost,
                Kind::Activity => &mut status.counters,
            };
            target.insert(name.to_owned(), value);
        }
        add(&mut status.lost, "left_out_operations", self.counters.left_out());
        for totals in self.shards.values() {
            let Totals {
                events,
                bytes,
                undecodable,
                out_of_scope,
                flow,
                translations,
            } = totals;
            status.events += events;
            status.bytes += bytes;
            add(&mut status.lost, "undecodable_records", *undecodable);
            add(&mut status.counters, "sockets_out_of_scope", *out_of_scope);
            for (name, value) in flow.list().chain(translations.list()) {
                add(&mut status.counters, name, value);
            }
        }
        for (name, value) in inventory.list().chain(directory.list()) {
            add(&mut status.counters, name, value);
        }
        for (name, value) in [
            ("tls_probed_files", found.probed_files),
            ("tls_files_full", found.files_full),
            ("tls_refused_files", found.refused_files),
            ("tls_looks", found.looks),
            ("tls_looks_left_out", found.looks_left_out),
            ("tls_exclusions_forgotten", found.exclusions_forgotten),
        ] {
            add(&mut status.counters, name, value);
        }
        if let Some(gap) = self.restart_gap {
            let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
            add(&mut status.counters, "restart_gap_ms", gap_ms);
        }
        let (step, control) = self.governed.unwrap_or((0, self.full));
        add(&mut status.counters, "governor_step", step as u64);
        add(
            &mut status.counters,
            "governor_budget_bytes",
            control.budget_bytes.into(),
        );
        add(
            &mut status.counters,
            "governor_sample_mask",
            control.sample_mask.into(),
        );
        status
    }
}

fn add(values: &mut BTreeMap<String, u64>, name: &str, value: u64) {
    *values.entry(name.to_owned()).or_default() += value;
}

/// Resident memory of this process; 0 when /proc does not tell.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
