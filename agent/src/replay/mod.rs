//! Replay: what a live agent would have concluded from recorded traffic.
//!
//! In: socket events and exchanges of files, through [`Sink`]; their time is the time. Out: an inventory, and a
//! [`Trace`] of what was concluded about each exchange. Sans-IO: the same input gives the same output, byte for
//! byte. Files are independent of each other: what is open at the end of one is closed there.

mod trace;
mod workloads;

use std::{collections::BTreeMap, io, time::Duration};

pub use trace::{Row, Sensitive, Start, Trace};
use workloads::Workloads;

use crate::{
    analysis::{Analysis, Conclusion, Seen, settings::Settings},
    capture::file::{FileExchange, Sink},
    clock::Timestamp,
    event::{Address, SocketEvent},
    exchange::{Completeness, CredentialLocation, Exchange, Request},
    flow::{self, Flows},
    inventory::{self, Inventory, NO_SCHEME, Observation},
    policy::Policies,
    protocol::{operation::Detail, recognise, redact::Redactor},
    verdict::Alert,
};

/// How often the flow layer is told that time has passed.
const TICK: Duration = Duration::from_millis(100);

/// Key of the fingerprints of a replay: fixed, so that equal input gives equal output. The input holds the
/// secrets themselves; whoever has the result of a replay could have had them.
const KEY: [u8; 16] = *b"apiarist replay\0";

/// Until when a replay only learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LearnUntil {
    /// So many exchanges.
    Exchanges(u64),
    /// This time of the input.
    Time(Timestamp),
}

/// What a replay does besides the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Keep rows for a trace.
    pub trace: bool,
    /// When learning ends. Detectors that learn judge from then on.
    pub learn_until: Option<LearnUntil>,
    /// Bounds of the inventory.
    pub inventory: inventory::Limits,
}

/// A replay under way.
#[derive(Debug)]
pub struct Replay {
    flows: Flows,
    inventory: Inventory,
    analysis: Analysis,
    /// What people would have been told; storm control bounds it.
    alerts: Vec<Alert>,
    learn_until: Option<LearnUntil>,
    workloads: Workloads,
    trace: Option<Trace>,
    trace_error: Option<io::Error>,
    /// Exchanges of the event at hand.
    fresh: Vec<Exchange>,
    now: Timestamp,
    next_tick: Timestamp,
    events: u64,
    bytes: u64,
    exchanges: u64,
}

/// What a replay left.
#[derive(Debug)]
pub struct Outcome {
    /// The inventory.
    pub inventory: Inventory,
    /// Alerts, anomalies and findings.
    pub analysis: Analysis,
    /// What people would have been told, in order.
    pub alerts: Vec<Alert>,
    /// The trace, if one was asked for.
    pub trace: Option<Trace>,
    /// Counters of the flow layer.
    pub flow: flow::Stats,
    /// Socket events read.
    pub events: u64,
    /// Payload bytes in them.
    pub bytes: u64,
    /// Exchanges seen.
    pub exchanges: u64,
    /// The last time of the input.
    pub now: Timestamp,
}

impl Replay {
    /// Nothing replayed yet.
    pub fn new(options: &Options) -> Self {
        let limits = flow::Limits {
            // Files have no budget: what they lack was lost.
            budget_bytes: u64::MAX,
            ..flow::Limits::default()
        };
        Self {
            flows: Flows::new(limits, Redactor::new(KEY).keeping_targets()),
            inventory: Inventory::new(options.inventory),
            analysis: Analysis::default(),
            alerts: Vec::new(),
            learn_until: options.learn_until,
            workloads: Workloads::default(),
            trace: options.trace.then(Trace::default),
            trace_error: None,
            fresh: Vec::new(),
            now: Timestamp::default(),
            next_tick: Timestamp::default(),
            events: 0,
            bytes: 0,
            exchanges: 0,
        }
    }

    /// What masks the credentials of exchanges that a file gives as such.
    pub fn redactor() -> Redactor {
        Redactor::new(KEY).keeping_targets()
    }

    /// Puts templates that the operator has given before all that is learned.
    pub fn set_pins(&mut self, pins: inventory::template::Pins) {
        self.inventory.set_pins(pins);
    }

    /// Puts the routes of documents before all that is learned, behind pins.
    pub fn set_documents(&mut self, documents: inventory::template::Routes) {
        self.inventory.set_documents(documents);
    }

    /// Puts rules of the operator before the detectors.
    pub fn set_policies(&mut self, policies: Policies) {
        self.analysis.set_policies(policies);
    }

    /// How often each rule of the operator held so far.
    pub fn policy_hits(&self) -> &BTreeMap<String, u64> {
        self.analysis.policy_hits()
    }

    /// Takes over what the operator has decided about detection.
    pub fn configure(&mut self, settings: Settings) {
        self.analysis.configure(settings);
    }

    /// Whether anything was read so far: events or exchanges.
    pub fn is_empty(&self) -> bool {
        self.events == 0 && self.exchanges == 0
    }

    /// The end of one file.
    pub fn end_of_file(&mut self) {
        self.flows.finish(self.now, &mut self.fresh);
        self.observe_fresh();
        if let Some(Err(error)) = self.trace.as_mut().map(Trace::settle_order) {
            self.trace_error.get_or_insert(error);
        }
        self.next_tick = Timestamp::default();
    }

    /// The end of all files.
    ///
    /// # Errors
    /// When rows of the trace could not be kept.
    pub fn finish(mut self) -> io::Result<Outcome> {
        self.inventory.settle();
        match self.trace_error {
            Some(error) => Err(error),
            None => Ok(Outcome {
                inventory: self.inventory,
                analysis: self.analysis,
                alerts: self.alerts,
                trace: self.trace,
                flow: self.flows.stats().clone(),
                events: self.events,
                bytes: self.bytes,
                exchanges: self.exchanges,
                now: self.now,
            }),
        }
    }

    fn observe_fresh(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        for exchange in fresh.drain(..) {
            self.observe(&exchange, None);
        }
        self.fresh = fresh;
    }

    fn observe(&mut self, exchange: &Exchange, given: Option<&Given<'_>>) {
        self.exchanges += 1;
        let named = given.and_then(|given| given.workload.or(given.server));
        let workload = self.workloads.observed(&exchange.connection, named);
        let caller = self.workloads.peer(&exchange.connection);
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
        self.analysis.set_learning_only(match self.learn_until {
            Some(LearnUntil::Exchanges(count)) => self.exchanges <= count,
            Some(LearnUntil::Time(until)) => exchange.started < until,
            None => false,
        });
        let conclusion = self.analysis.exchange(&Seen {
            id: given.map(|given| given.id),
            exchange,
            workload: &workload,
            caller: caller.as_ref(),
            client: given.and_then(|given| given.client),
            endpoint: observation.endpoint,
            template: observation.template.as_deref(),
            is_new: observation.is_new,
        });
        self.alerts.extend(self.analysis.take_changes().alerts);
        let id = || given.map_or_else(|| exchange.id(), |given| given.id.to_owned());
        let start = given.is_none().then_some(Start(
            exchange.started,
            exchange.connection.socket,
            exchange.number,
        ));
        if let Some(trace) = &mut self.trace
            && let Err(error) = trace.push(
                &workload.id,
                row(id(), exchange, given, observation, conclusion),
                start,
            )
        {
            self.trace_error.get_or_insert(error);
        }
    }
}

/// What a file says about an exchange beside it.
struct Given<'a> {
    id: &'a str,
    workload: Option<&'a str>,
    client: Option<&'a str>,
    server: Option<&'a str>,
}

impl Sink for Replay {
    fn event(&mut self, event: &SocketEvent<'_>) {
        let at = event.at();
        if let SocketEvent::Data(data) = event {
            self.bytes += data.bytes.len() as u64;
        }
        self.events += 1;
        self.now = self.now.max(at);
        if at >= self.next_tick {
            self.flows.tick(at, &mut self.fresh);
            self.next_tick = at.after(TICK);
        }
        self.flows.event(event, &mut self.fresh);
        if !self.fresh.is_empty() {
            self.observe_fresh();
        }
    }

    fn exchange(&mut self, exchange: FileExchange) {
        let FileExchange {
            id,
            workload,
            client,
            server,
            mut exchange,
        } = exchange;
        recognise::name(&mut exchange);
        self.now = self.now.max(exchange.started);
        let given = Given {
            id: &id,
            workload: workload.as_deref(),
            client: client.as_deref(),
            server: server.as_deref(),
        };
        self.observe(&exchange, Some(&given));
    }
}

/// What is sensitive in an exchange, as the trace shows it.
fn sensitive(exchange: &Exchange) -> Vec<Sensitive> {
    let fields = inventory::schema::sensitive_fields(exchange).into_iter();
    fields
        .map(|field| Sensitive {
            direction: field.direction.as_str().to_owned(),
            path: field.path,
            kind: field.kind.as_str().to_owned(),
            suspected: field.suspected,
        })
        .collect()
}

fn row(
    id: String,
    exchange: &Exchange,
    given: Option<&Given<'_>>,
    observation: Observation,
    conclusion: Conclusion,
) -> Row {
    let connection = &exchange.connection;
    let request = exchange.request.as_ref();
    let target = |request: &Request| {
        request
            .sent_target
            .as_ref()
            .unwrap_or(&request.target)
            .to_string()
    };
    Row {
        id,
        endpoint: observation.endpoint,
        template: observation.template.as_deref().map(str::to_owned),
        verdict: conclusion.verdict,
        signals: conclusion.signals,
        sensitive: sensitive(exchange),
        auth: request.map(|request| scheme(request).to_owned()),
        method: request.map(|request| request.method.to_string()),
        target: request.map(target),
        status: exchange.response.as_ref().map(|response| response.status),
        client: end(given.map(|given| given.client), &connection.client),
        server: end(given.map(|given| given.server), &connection.server),
        ts: exchange.started.as_secs_f64(),
        complete: exchange.completeness == Completeness::Complete,
        grpc_status: exchange
            .operation
            .as_ref()
            .and_then(|operation| match &operation.detail {
                Detail::Grpc(call) => call.status,
                _ => None,
            }),
        operation: exchange
            .operation
            .as_ref()
            .and_then(|operation| operation.name.as_deref().map(str::to_owned)),
    }
}

/// The scheme that a request authenticates with: what fields say goes before what the target says.
fn scheme(request: &Request) -> &'static str {
    let credentials = &request.credentials;
    let in_fields = credentials
        .iter()
        .find(|credential| !matches!(credential.location, CredentialLocation::Query(_)));
    in_fields
        .or(credentials.first())
        .map_or(NO_SCHEME, |credential| credential.scheme)
}

/// One end of a connection: as the file names it, else its address.
fn end(given: Option<Option<&str>>, address: &Address) -> Option<String> {
    match given {
        Some(name) => name.map(str::to_owned),
        None => Some(address.to_string()),
    }
}

#[cfg(test)]
mod tests;
