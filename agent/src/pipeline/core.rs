//! The one place where everything comes together: workloads, inventory, store, answers.
//!
//! In: batches of exchanges and questions. Out: answers, announcements of new endpoints, rows in the store. Owns its
//! state alone; nothing here waits for a client, a terminal or, beyond a write, a disk.

use std::{
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use anyhow::Result;
use tokio::sync::mpsc;

use super::{
    Summary,
    batch::{Batch, ToCore},
    governor::Governor,
    health::Health,
};
use crate::{
    analysis::{Analysis, Seen},
    capture::load::Throttle,
    clock::{self, Timestamp},
    config,
    control::Request,
    exchange::Exchange,
    inventory::{EndpointView, Inventory},
    risk::{self, Assessment, Risk},
    status::Status,
    store::{self, Store},
    workload::Directory,
};

/// How often the governor looks.
const SECOND: Duration = Duration::from_secs(1);

const NS_PER_DAY: u64 = 86_400_000_000_000;

/// What the last run left.
pub(super) struct Restart {
    store: Store,
    inventory: Inventory,
    risk: Risk,
}

impl Restart {
    /// Reads the store.
    pub(super) fn of(store: Store, limits: &config::InventoryLimits, risk: Risk) -> Result<Self> {
        let restored = store.load()?.restore(limits.limits());
        if restored.skipped > 0 {
            tracing::warn!(rows = restored.skipped, "rows of the store could not be used");
        }
        let mut inventory = restored.inventory;
        inventory.set_pins(limits.pins()?);
        Ok(Self {
            store,
            inventory,
            risk,
        })
    }
}

/// State of the core thread.
pub(super) struct Core {
    inventory: Inventory,
    analysis: Analysis,
    directory: Directory,
    risk: Risk,
    store: Store,
    flush_every: Duration,
    max_age_ns: u64,
    next_flush: Timestamp,
    next_expiry: Timestamp,
    /// The last flush failed: said once, not at each try.
    store_failed: bool,
    health: Health,
    throttled: Throttled,
    next_second: Timestamp,
    announce: mpsc::Sender<Box<EndpointView>>,
}

/// The programs' budgets, and what decides about them.
pub(super) struct Throttled {
    /// Decides.
    pub(super) governor: Governor,
    /// Does it.
    pub(super) throttle: Option<Throttle>,
}

impl Core {
    pub(super) fn new(
        restart: Restart,
        settings: &config::Store,
        health: Health,
        throttled: Throttled,
        announce: mpsc::Sender<Box<EndpointView>>,
    ) -> Self {
        Self {
            inventory: restart.inventory,
            analysis: Analysis::default(),
            directory: Directory::new(Path::new("/proc")),
            risk: restart.risk,
            store: restart.store,
            flush_every: Duration::from_secs(u64::from(settings.flush_seconds)),
            max_age_ns: u64::from(settings.max_age_days).saturating_mul(NS_PER_DAY),
            next_flush: Timestamp(0),
            next_expiry: Timestamp(0),
            store_failed: false,
            health,
            throttled,
            next_second: Timestamp(0),
            announce,
        }
    }

    /// Works until all shards and the control API are gone; writes the store a last time.
    pub(super) fn run(mut self, inbox: &Receiver<ToCore>) -> Summary {
        self.next_flush = clock::now().after(self.flush_every);
        loop {
            let now = clock::now();
            if now >= self.next_flush {
                self.flush(now);
            }
            if now >= self.next_second {
                self.next_second = now.after(SECOND);
                self.analysis.tick(now);
                self.govern();
            }
            match inbox.recv_timeout(self.next_flush.min(self.next_second).since(now)) {
                Ok(ToCore::Batch(batch)) => self.batch(*batch),
                Ok(ToCore::Ask(request)) => self.answer(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let now = clock::now();
        self.flush(now);
        Summary {
            status: self.status(),
            endpoints: self.inventory.endpoint_views(now).len(),
        }
    }

    fn batch(&mut self, batch: Batch) {
        for process in &batch.processes {
            self.directory.resolve(process);
        }
        for exchange in &batch.exchanges {
            self.exchange(exchange);
        }
        for closed in &batch.closed {
            let workload = self.directory.resolve(&closed.process);
            self.health.coverages.add(&workload, closed);
        }
        self.health
            .shard(batch.shard, batch.totals, batch.exchanges.len() as u64);
    }

    fn exchange(&mut self, exchange: &Exchange) {
        let connection = &exchange.connection;
        let workload = self.directory.resolve(&connection.process);
        let caller = connection
            .peer_process
            .as_ref()
            .map(|peer| self.directory.resolve(peer));
        let observation = self.inventory.observe(exchange, &workload, caller.as_ref());
        self.analysis.exchange(&Seen {
            id: &exchange.id(),
            exchange,
            workload: &workload,
            caller: caller.as_ref(),
            client: None,
            endpoint: observation.endpoint,
            template: observation.template.as_deref(),
            is_new: observation.is_new,
        });
        if observation.is_new
            && let Some(id) = observation.endpoint
            && let Some(view) = self.inventory.endpoint_view(id, exchange.started)
        {
            // A console that is behind misses the line, not the endpoint.
            self.announce.try_send(Box::new(view)).unwrap_or(());
        }
    }

    fn answer(&mut self, request: Request) {
        let now = clock::now();
        // A client that has gone away needs no answer.
        match request {
            Request::Endpoints(reply) => drop(reply.send(self.assess(now).endpoints)),
            Request::Workloads(reply) => drop(reply.send(self.inventory.workload_views())),
            Request::Specifications(reply) => drop(reply.send(self.inventory.specifications(now))),
            Request::Status(reply) => drop(reply.send(self.status())),
        }
    }

    fn assess(&self, now: Timestamp) -> Assessment {
        let (findings, alerts) = (self.analysis.findings(), self.analysis.alerts());
        risk::assess(&self.inventory, findings, &alerts, &self.risk, now)
    }

    fn status(&self) -> Status {
        self.health.status(self.inventory.stats(), self.directory.stats())
    }

    /// Copies less when the agent costs too much or loses events, more when all is well again.
    fn govern(&mut self) {
        let second = self.health.second();
        let Throttled { governor, throttle } = &mut self.throttled;
        let Some(control) = governor.second(second) else {
            return;
        };
        self.health.governed(governor.step(), control);
        let set = throttle.as_mut().map_or(Ok(()), |throttle| throttle.set(control));
        match set {
            Ok(()) => tracing::info!(
                step = governor.step(),
                budget_bytes = control.budget_bytes,
                sample_mask = control.sample_mask,
                "the amount copied of bodies was changed"
            ),
            Err(error) => tracing::warn!(%error, "the amount copied of bodies could not be changed"),
        }
    }

    fn flush(&mut self, now: Timestamp) {
        self.next_flush = now.after(self.flush_every);
        let endpoints = self.inventory.take_dirty();
        let workloads = self.inventory.take_dirty_workloads();
        let status = self.status();
        let mut batch = store::Batch::of(&endpoints, &workloads, Some(&status));
        batch.removed_endpoints = self
            .inventory
            .take_gone()
            .iter()
            .map(ToString::to_string)
            .collect();
        match self.store.save(&batch) {
            Ok(()) => self.store_failed = false,
            Err(error) => self.failed(&error),
        }
        if now >= self.next_expiry {
            self.next_expiry = now.after(Duration::from_nanos(NS_PER_DAY));
            let limit = Timestamp(now.0.saturating_sub(self.max_age_ns));
            if let Err(error) = self.store.remove_older(limit) {
                self.failed(&error);
            }
        }
    }

    fn failed(&mut self, error: &store::StoreError) {
        self.health.store_failures += 1;
        if !self.store_failed {
            self.store_failed = true;
            tracing::warn!(%error, "the store was not written; capture goes on");
        }
    }
}
