//! The one place where everything comes together: workloads, inventory, store, answers.
//!
//! In: batches of exchanges and questions. Out: answers, announcements of new endpoints, rows in the store. Owns its
//! state alone; nothing here waits for a client, a terminal or, beyond a write, a disk.

mod keeping;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::sync::{broadcast, mpsc};

use super::{
    Notice, Summary,
    batch::{Batch, MAX_WAITING_BATCHES, ToCore},
    governor::Governor,
    harvester::Harvester,
    health::Health,
    keeper::Keeper,
    kubernetes::Node,
    listeners::Listeners,
    marker::{End, Marker},
    origin::Origins,
    past::SharedPast,
    reload::Change,
    watch::Watch,
};
use crate::{
    analysis::{AgentEvent, Analysis, Changes, Seen, settings::Settings},
    capture::load::Throttle,
    clock::{self, Timestamp},
    config,
    control::{Followed, MAX_UNREAD_ALERTS, Request},
    event::Address,
    exchange::{Exchange, Side},
    fleet::Snapshot,
    inventory::Inventory,
    openapi::routes,
    policy::Policies,
    risk::{self, Assessor, Criteria, Risk},
    sink::{Event, Sinks},
    status::Status,
    store::Store,
    verdict::Alert,
    workload::{Directory, Owners, Proxies},
};

/// How often the governor looks.
const SECOND: Duration = Duration::from_secs(1);

/// What the last run left.
pub(super) struct Restart {
    store: Store,
    inventory: Inventory,
    analysis: Analysis,
    directory: Directory,
    assessor: Assessor,
    /// Reads the routes of applications, if that is wanted.
    harvester: Option<Harvester>,
    /// What the API server says of this node.
    node: Option<Node>,
    origins: Origins,
    marker: Marker,
    /// Time without an agent before this run.
    gap: Option<Duration>,
}

impl Restart {
    /// Reads the store.
    pub(super) fn of(
        store: Store,
        directory_of_store: &Path,
        limits: &config::InventoryLimits,
        settings: Settings,
        risk: Risk,
        owners: Owners,
    ) -> Result<Self> {
        let mut contents = store.load()?;
        let restored = contents.restore(limits.limits());
        let (kept, undecoded) = contents.kept();
        let skipped = restored.skipped + undecoded;
        if skipped > 0 {
            tracing::warn!(rows = skipped, "rows of the store could not be used");
        }
        let mut inventory = restored.inventory;
        inventory.set_pins(limits.pins()?);
        inventory.set_documents(routes::of_files(limits.specs.iter().map(PathBuf::as_path))?);
        let mut analysis = Analysis::default();
        analysis.configure(settings);
        analysis.restore(kept);
        let mut directory = Directory::new(Path::new("/proc"));
        directory.set_owners(owners);
        let (marker, gap) = Self::judge_last(&mut analysis, directory_of_store)?;
        let harvester = limits.harvest.then(Harvester::start).transpose()?;
        let documents = limits.documents().map_err(anyhow::Error::msg)?;
        let mut assessor = Assessor::new(Criteria { risk, documents });
        // Before there is traffic, there is time.
        assessor.refresh(&inventory, &analysis.findings(), &analysis.alerts(), clock::now());
        Ok(Self {
            store,
            inventory,
            analysis,
            directory,
            assessor,
            harvester,
            node: None,
            origins: Origins::new(Proxies::default()),
            marker,
            gap,
        })
    }

    /// Lets the detectors remember harmless values, under a key of this run.
    pub(super) fn remember_harmless(&mut self, key: [u8; 16]) {
        self.analysis.remember_harmless(key);
    }

    /// Believes the headers of these proxies.
    pub(super) fn set_proxies(&mut self, proxies: Proxies) {
        self.origins = Origins::new(proxies);
    }

    /// Names pods as the API server does.
    pub(super) fn set_node(&mut self, node: Option<Node>) {
        self.node = node;
    }

    /// Tells how the last run ended, and for how long nobody watched.
    fn judge_last(analysis: &mut Analysis, directory: &Path) -> Result<(Marker, Option<Duration>)> {
        let now = clock::now();
        let (marker, last) = Marker::begin(directory, now)
            .with_context(|| format!("cannot write to {}", directory.display()))?;
        let gap = last.map(|last| last.gap);
        match last.map(|last| (last.end, last.gap)) {
            Some((End::Killed, gap)) => {
                tracing::warn!(gap_s = gap.as_secs(), "the last run was ended from outside");
                analysis.agent(AgentEvent::Killed { gap }, now);
            }
            Some((End::Host, gap)) => {
                tracing::info!(gap_s = gap.as_secs(), "the last run ended with the host");
            }
            Some((End::Asked, _)) | None => {}
        }
        Ok((marker, gap))
    }

    /// Puts rules of the operator before the detectors.
    pub(super) fn set_policies(&mut self, policies: Policies) {
        self.analysis.set_policies(policies);
    }
}

/// State of the core thread.
pub(super) struct Core {
    inventory: Inventory,
    analysis: Analysis,
    harvester: Option<Harvester>,
    node: Option<Node>,
    origins: Origins,
    listeners: Listeners,
    directory: Directory,
    assessor: Assessor,
    keeper: Keeper,
    health: Health,
    marker: Marker,
    watch: Watch,
    throttled: Throttled,
    next_second: Timestamp,
    announce: mpsc::Sender<Notice>,
    /// To those who follow the alerts.
    alerts: broadcast::Sender<Arc<Alert>>,
    sinks: Sinks,
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
        mut health: Health,
        throttled: Throttled,
        announce: mpsc::Sender<Notice>,
        sinks: Sinks,
    ) -> Self {
        let Restart {
            store,
            inventory,
            analysis,
            directory,
            assessor,
            harvester,
            node,
            origins,
            marker,
            gap,
        } = restart;
        health.restart_gap = gap;
        let now = clock::now();
        Self {
            inventory,
            analysis,
            directory,
            harvester,
            node,
            origins,
            listeners: Listeners::default(),
            assessor,
            keeper: Keeper::new(store, settings, now),
            health,
            marker,
            watch: Watch::new(now),
            throttled,
            next_second: Timestamp(0),
            announce,
            alerts: broadcast::Sender::new(MAX_UNREAD_ALERTS),
            sinks,
        }
    }

    /// The same, asking `past` for processes that are gone.
    #[must_use]
    pub(super) fn remembering(mut self, past: SharedPast) -> Self {
        self.directory = self.directory.remembering(past);
        self
    }

    /// The same, with workloads named by their programs alone.
    #[must_use]
    pub(super) fn by_program(mut self) -> Self {
        self.directory = self.directory.by_program();
        self
    }

    /// The same, with the sockets of this host that listen.
    pub(super) fn with_listeners(mut self) -> Result<Self> {
        self.listeners = Listeners::start()?;
        Ok(self)
    }

    /// Works until all shards and the control API are gone; writes the store a last time.
    pub(super) fn run(mut self, inbox: &Receiver<ToCore>, questions: &Receiver<Request>) -> Summary {
        loop {
            let now = clock::now();
            if self.next_second > now.after(SECOND) {
                // The clock was set back: what waits for a time waits from now on.
                self.next_second = now;
                self.keeper.start_over(now);
            }
            if self.keeper.is_writing() {
                self.keep_part(now, questions);
            } else if now >= self.keeper.next(now) {
                self.begin_keeping(now, questions);
            }
            if now >= self.next_second {
                self.next_second = now.after(SECOND);
                self.analysis.tick(now);
                self.pass_on();
                self.hear();
                self.listeners.hear(&mut self.directory);
                if let Some(harvester) = &mut self.harvester
                    && !self.keeper.is_writing()
                {
                    harvester.pass_on(&mut self.inventory);
                }
                self.health.coverages.name_libraries();
                self.govern(now);
                if self.sinks.wants_report(now) {
                    self.report(now);
                }
                if self.sinks.wants_metrics(now) {
                    let status = self.status();
                    self.sinks.measure(&status, now);
                }
            }
            let next = match self.keeper.is_writing() {
                true => now,
                false => self.keeper.next(now).min(self.next_second),
            };
            if !self.listen(inbox, questions, next.since(now)) {
                break;
            }
        }
        let now = clock::now();
        self.finish_keeping(now, questions);
        self.pass_on();
        self.begin_keeping(now, questions);
        self.finish_keeping(now, questions);
        self.keeper.end();
        self.report(now);
        if let Err(error) = self.marker.end(now) {
            tracing::warn!(%error, "the end of this run cannot be noted: the next will take it for killed");
        }
        Summary {
            status: self.status(),
            endpoints: self.inventory.endpoint_views(now).len(),
        }
    }

    /// Waits for a message, and handles it: during a write all that wait. False when nobody is left to send any.
    fn listen(&mut self, inbox: &Receiver<ToCore>, questions: &Receiver<Request>, wait: Duration) -> bool {
        let mut next = inbox.recv_timeout(wait);
        for _ in 0..MAX_WAITING_BATCHES {
            match next {
                Ok(message) => self.message(message, questions),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
            if !self.keeper.is_writing() {
                break;
            }
            next = inbox.recv_timeout(Duration::ZERO);
        }
        true
    }

    fn message(&mut self, message: ToCore, questions: &Receiver<Request>) {
        match message {
            ToCore::Batch(batch) => self.batch(*batch),
            // It may have been answered before.
            ToCore::Ask => {
                if let Ok(request) = questions.try_recv() {
                    self.answer(request);
                }
            }
            ToCore::Change(change) => {
                // What is written was judged by what counts so far.
                self.finish_keeping(clock::now(), questions);
                self.change(*change);
            }
        }
    }

    fn batch(&mut self, mut batch: Batch) {
        let now = clock::now();
        self.hear();
        for process in &batch.processes {
            let workload = self.directory.resolve(process);
            if let Some(harvester) = &mut self.harvester {
                harvester.ask(&workload.id, process.pid, now);
            }
        }
        for exchange in &batch.exchanges {
            self.exchange(exchange);
        }
        for account in &batch.accounts {
            let workload = self.directory.resolve(&account.process);
            self.health.coverages.add(&workload, account);
        }
        self.health
            .shard(batch.shard, batch.totals, batch.exchanges.len() as u64);
        if let Some(back) = &batch.back {
            batch.exchanges.clear();
            // A shard that has enough of them, or has gone, needs none.
            back.try_send(batch.exchanges).unwrap_or(());
        }
        self.pass_on();
    }

    /// Takes what the API server has said meanwhile.
    fn hear(&mut self) {
        if let Some(node) = &self.node {
            node.updates().for_each(|update| self.directory.apply(update));
        }
    }

    /// Gives verdicts that changed to the store, to those who follow, and to the sinks.
    fn pass_on(&mut self) {
        let changes = self.analysis.take_changes();
        if changes == Changes::default() {
            return;
        }
        self.keeper.note(&changes);
        for alert in changes.alerts {
            // A console that is behind misses the line, not the alert.
            self.announce
                .try_send(Notice::Alert(Box::new(alert.clone())))
                .unwrap_or(());
            self.sinks.send(&Event::Alert(Box::new(alert.clone())));
            // Nobody may be listening.
            self.alerts.send(Arc::new(alert)).unwrap_or_default();
        }
        for anomaly in changes.anomalies {
            self.sinks.send(&Event::Alert(Box::new(anomaly)));
        }
        for finding in changes.findings {
            self.sinks.send(&Event::Finding(Box::new(finding)));
        }
    }

    fn exchange(&mut self, exchange: &Exchange) {
        let connection = &exchange.connection;
        let workload = self.directory.resolve(&connection.process);
        let caller = connection
            .peer_process
            .as_ref()
            .map(|peer| self.directory.resolve(peer));
        // Pods of this node come with addresses of their own, also by way of a service's.
        let caller = caller.or_else(|| match (connection.side, &connection.client) {
            (Side::Server, Address::Ip(ip, _)) => self.directory.known_at(*ip),
            _ => None,
        });
        self.listeners.served(connection);
        // Who called is the proxy still; who asked, and from how far away, is its client.
        let undone = self.origins.undo(exchange);
        let exchange = undone.as_ref().unwrap_or(exchange);
        let observation = match self.analysis.looks_bad(exchange) {
            true => self
                .inventory
                .observe_suspect(exchange, &workload, caller.as_ref()),
            false => self.inventory.observe(exchange, &workload, caller.as_ref()),
        };
        // This exchange may have moved its own endpoint, which then has a baseline.
        for (from, to) in self.inventory.take_moved() {
            self.analysis.moved(from, to);
        }
        let caller = caller.filter(|_| undone.is_none());
        self.analysis.exchange(&Seen {
            id: None,
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
            self.announce
                .try_send(Notice::NewEndpoint(Box::new(view)))
                .unwrap_or(());
        }
    }

    fn answer(&mut self, request: Request) {
        let now = clock::now();
        // A client that has gone away needs no answer.
        match request {
            Request::Endpoints(reply) => drop(reply.send(self.assessed(now).endpoints())),
            Request::Endpoint(id, reply) => drop(reply.send(self.assessed(now).endpoint(id))),
            Request::Workloads(reply) => drop(reply.send(self.inventory.workload_views())),
            Request::Specifications(reply) => drop(reply.send(self.inventory.specifications(now))),
            Request::Status(reply) => drop(reply.send(self.status())),
            Request::Alerts(reply) => drop(reply.send(self.analysis.alerts())),
            Request::Anomalies(reply) => drop(reply.send(self.analysis.anomalies())),
            Request::Findings(reply) => {
                let behaviour = self.analysis.findings();
                drop(reply.send(self.assessed(now).findings(behaviour)));
            }
            Request::Risks(reply) => drop(reply.send(self.assessed(now).risks())),
            Request::Follow(reply) => drop(reply.send(Followed {
                present: self.analysis.alerts(),
                further: self.alerts.subscribe(),
            })),
        }
    }

    /// What is known of all endpoints, judged where something changed.
    fn assessed(&mut self, now: Timestamp) -> &Assessor {
        let (findings, alerts) = (self.analysis.findings(), self.analysis.alerts());
        self.assessor.refresh(&self.inventory, &findings, &alerts, now);
        &self.assessor
    }

    /// Tells databases what changed.
    fn report(&mut self, now: Timestamp) {
        if !self.sinks.reports() {
            return;
        }
        let (findings, alerts) = (self.analysis.findings(), self.analysis.alerts());
        let criteria = self.assessor.criteria();
        let assessment = risk::assess(&self.inventory, findings, &alerts, criteria, now);
        let status = self.status();
        self.sinks.report(&Snapshot {
            assessment: &assessment,
            workloads: &self.inventory.workload_views(),
            baselines: &self.analysis.baselines(),
            status: &status,
            now,
        });
    }

    fn status(&self) -> Status {
        let mut status = self.health.status(self.inventory.stats(), self.directory.stats());
        let counters = self.keeper.counters().into_iter().chain(self.analysis.counters());
        status
            .counters
            .extend(counters.map(|(name, value)| (name.to_owned(), value)));
        if self.node.is_some() {
            let told = self
                .directory
                .cluster()
                .list()
                .map(|(name, value)| (name.to_owned(), value));
            status.counters.extend(told);
        }
        status.listeners = self.listeners.views();
        status
            .counters
            .insert("own_messages_unseen".to_owned(), self.watch.unseen());
        status.sinks = self.sinks.status();
        status
    }

    /// Takes over another configuration. That it changed is told under the old one: no new entry hides it.
    fn change(&mut self, change: Change) {
        let Change {
            keys,
            settings,
            policies,
            risk,
            targets,
            spool_bytes,
            full,
            cpu_limit,
        } = change;
        tracing::info!("the configuration was changed: {}", keys.join(", "));
        let event = AgentEvent::ConfigurationChanged { keys };
        self.analysis.agent(event, clock::now());
        self.pass_on();
        self.analysis.configure(settings);
        if let Some(policies) = policies {
            self.analysis.set_policies(policies);
        }
        self.assessor.set_risk(risk);
        if let Err(error) = self.sinks.retarget(&targets, spool_bytes) {
            tracing::warn!("not all sinks were changed: {error:#}");
        }
        let control = self.throttled.governor.configure(full, cpu_limit);
        self.health.governed(self.throttled.governor.step(), control);
        let set = self
            .throttled
            .throttle
            .as_mut()
            .map(|throttle| throttle.set(control));
        if let Some(Err(error)) = set {
            tracing::warn!(%error, "the amount copied of bodies could not be changed");
        }
    }

    /// Copies less when the agent costs too much or loses events, more when all is well again.
    fn govern(&mut self, now: Timestamp) {
        let second = self.health.second();
        let events = self.health.events();
        let noticed = self
            .watch
            .second(now, second, events, || self.health.operations());
        for event in noticed {
            self.analysis.agent(event, now);
        }
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
}
