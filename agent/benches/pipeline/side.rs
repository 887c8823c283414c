//! The user side of the agent: records of the ring to exchanges, endpoints and verdicts, one stage at a time.

use std::sync::Arc;

use apiarist::{
    analysis::{Analysis, Seen},
    capture::decode::decode,
    clock::Clock,
    event::SocketEvent,
    exchange::Exchange,
    flow::{Flows, Limits},
    inventory::{self, Inventory, Observation},
    protocol::redact::Redactor,
    workload::{Workload, WorkloadKind},
};

use crate::traffic::{Ring, Spread};

/// Flows, inventory and analysis.
pub(crate) struct Side {
    flows: Flows,
    inventory: Inventory,
    analysis: Analysis,
    /// By process.
    workloads: Vec<Arc<Workload>>,
    clock: Clock,
}

impl Side {
    /// A side with room for this traffic.
    pub(crate) fn new(spread: &Spread) -> Self {
        let mut limits = Limits::default();
        limits.connections = limits.connections.max(spread.connections as usize);
        let mut analysis = Analysis::default();
        analysis.set_learning_only(true);
        analysis.remember_harmless(*b"apiarist bench!\0");
        Self {
            flows: Flows::new(limits, Redactor::new(*b"apiarist bench!\0")),
            inventory: Inventory::new(inventory::Limits::default()),
            analysis,
            workloads: (0..spread.workloads)
                .map(|number| Arc::new(Workload::named(WorkloadKind::Process, &format!("shop{number}"))))
                .collect(),
            clock: Clock::fixed(0),
        }
    }

    pub(crate) fn open(&mut self, event: &SocketEvent<'_>) {
        self.flows.event(event, &mut Vec::new());
    }

    /// Takes exchanges in as usual; what was learned from them is believed once the last are in.
    pub(crate) fn learn(&mut self, ring: &Ring) {
        let exchanges = self.exchanges(ring);
        let observations = self.observe(&exchanges);
        self.conclude(&exchanges, &observations);
        self.inventory.settle();
    }

    /// Learning is over.
    pub(crate) fn trust(&mut self) {
        self.analysis.set_learning_only(false);
    }

    /// Stage one: records to exchanges.
    pub(crate) fn exchanges(&mut self, ring: &Ring) -> Vec<Exchange> {
        let mut exchanges = Vec::new();
        for record in ring.records() {
            if let Ok(event) = decode(record, &self.clock) {
                self.flows.event(&event, &mut exchanges);
            }
        }
        exchanges
    }

    /// Stage two: exchanges to endpoints.
    pub(crate) fn observe(&mut self, exchanges: &[Exchange]) -> Vec<Observation> {
        let mut observations = Vec::with_capacity(exchanges.len());
        for exchange in exchanges {
            if let Some(workload) = self.workloads.get(exchange.connection.process.pid as usize) {
                observations.push(self.inventory.observe(exchange, workload, None));
            }
        }
        observations
    }

    /// Stage three: exchanges to verdicts. How many signals there were.
    pub(crate) fn conclude(&mut self, exchanges: &[Exchange], observations: &[Observation]) -> usize {
        let mut signals = 0;
        for (exchange, observation) in exchanges.iter().zip(observations) {
            let Some(workload) = self.workloads.get(exchange.connection.process.pid as usize) else {
                continue;
            };
            let conclusion = self.analysis.exchange(&Seen {
                id: None,
                exchange,
                workload,
                caller: None,
                client: None,
                endpoint: observation.endpoint,
                template: observation.template.as_deref(),
                is_new: observation.is_new,
            });
            signals += conclusion.signals.len();
        }
        for (from, to) in self.inventory.take_moved() {
            self.analysis.moved(from, to);
        }
        signals
    }
}
