//! The capture plane under test: attached to the running kernel, its events kept per socket.
//!
//! No thread: whoever wants events calls [`Observer::collect_until`], so a test decides when the ring is emptied.
//! Keeps what every process on the machine does while a test runs; tests look their own sockets up by cookie.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use apiarist::{
    capture::{
        btf::KernelTypes,
        counters::KernelCounters,
        decode::decode,
        features::{Features, running_release},
        load::{self, Attached, LoadOptions, Throttle, Told},
        plan, process,
        reader::{RingReader, drain},
        reading::Reading,
        ring::Ring,
    },
    clock::{Clock, monotonic_ns},
    event::{Direction, SocketClose, SocketCount, SocketEvent, SocketId, SocketOpen},
    exchange::Exchange,
    flow::{Flows, Limits},
    protocol::redact::Redactor,
    workload::ProcessEvent,
};
use apiarist_common::{counter::Counter, limits::DEFAULT_BUDGET_BYTES};

use super::stream::Stream;

/// Longest wait for events.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Longest sleep between two looks at the ring.
const LOOK: Duration = Duration::from_millis(10);

/// Records taken from a ring at once.
const BATCH: u64 = 100_000;

/// Payload kept during one test, over all sockets of the machine. Overflow policy: the test fails.
const MOST_BYTES: usize = 512 << 20;

/// Exchanges kept during one test. Overflow policy: later ones are not.
const MOST_EXCHANGES: usize = 30_000;

/// As the agent attaches by default, but for watching the process that makes the traffic, and a ring that holds some
/// seconds of events of saturated processors.
pub(crate) const OPTIONS: LoadOptions = LoadOptions {
    budget_bytes: DEFAULT_BUDGET_BYTES,
    rings: 1,
    ring_bytes: 64 << 20,
    observe_self: true,
    tls: false,
    tls_sessions: apiarist::capture::load::DEFAULT_TLS_SESSIONS,
    scope_cgroup: 0,
};

/// One data event, owned.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) direction: Direction,
    pub(crate) position: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: u64,
    pub(crate) turn: bool,
    pub(crate) eof: bool,
    pub(crate) pid: u32,
}

/// What was seen of one socket.
#[derive(Debug, Default)]
pub(crate) struct SocketLog {
    pub(crate) opens: Vec<SocketOpen>,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) counts: Vec<SocketCount>,
    pub(crate) closes: Vec<SocketClose>,
}

impl SocketLog {
    /// Where a direction has got to. Operations beyond a budget tell nothing: the next event, or the end of the socket,
    /// gives the position after them.
    pub(crate) fn end(&self, direction: Direction) -> u64 {
        let chunks = self
            .chunks
            .iter()
            .filter(|chunk| chunk.direction == direction)
            .map(|chunk| chunk.end);
        let opens = self.opens.iter().map(|open| open.positions[direction.index()]);
        let closes = self.closes.iter().map(|close| close.positions[direction.index()]);
        chunks.chain(opens).chain(closes).max().unwrap_or(0)
    }

    /// The announcement.
    pub(crate) fn open(&self) -> Result<&SocketOpen> {
        match self.opens.as_slice() {
            [open] => Ok(open),
            [] => bail!("the socket was not announced"),
            several => bail!("the socket was announced {} times", several.len()),
        }
    }

    /// The end.
    pub(crate) fn close(&self) -> Result<&SocketClose> {
        match self.closes.as_slice() {
            [close] => Ok(close),
            [] => bail!("the end of the socket was not told"),
            several => bail!("the end of the socket was told {} times", several.len()),
        }
    }

    /// One direction as a reader of events puts it together.
    pub(crate) fn stream(&self, direction: Direction) -> Result<Stream> {
        Stream::of(self, direction)
    }
}

/// Events by socket.
pub(crate) type Log = BTreeMap<SocketId, SocketLog>;

/// The capture plane at work.
pub struct Observer {
    attached: Attached,
    rings: Vec<RingReader>,
    processes: Ring,
    clock: Clock,
    features: Features,
    tier: u8,
    log: Log,
    throttle: Throttle,
    told: Told,
    /// What the agent makes of the events.
    flows: Option<Flows>,
    exchanges: Vec<Exchange>,
    kept_bytes: usize,
    undecodable: Vec<String>,
}

impl Observer {
    /// Plans for the running kernel and attaches, with the defaults of the tests.
    ///
    /// # Errors
    /// When this kernel cannot be used, or without the privileges.
    pub fn attach() -> Result<Self> {
        Self::attach_with(OPTIONS)
    }

    pub(crate) fn attach_with(options: LoadOptions) -> Result<Self> {
        let reading = Reading::start();
        let types = KernelTypes::of_running_kernel()?;
        let features = Features::of(&running_release(), Some(&types));
        let offsets = types.offsets();
        let plan = plan::plan(&features, &offsets).map_err(|lacking| anyhow!(lacking))?;
        let tier = plan.tier;
        let mut attached = load::attach(reading, plan, &features, offsets, options)?;
        let throttle = attached.take_throttle().context("the budget cannot be changed")?;
        let told = attached.take_told()?;
        let rings = attached
            .take_rings(options.rings)?
            .into_iter()
            .map(RingReader::new)
            .collect::<Result<_>>()?;
        let processes = attached.take_processes()?;
        Ok(Self {
            attached,
            rings,
            processes,
            clock: Clock::start(),
            features,
            tier,
            throttle,
            told,
            log: Log::new(),
            flows: Some(flows(options.budget_bytes)),
            exchanges: Vec::new(),
            kept_bytes: 0,
            undecodable: Vec::new(),
        })
    }

    /// Keeps events only while `work` makes more of them than can be understood meanwhile.
    pub(crate) fn without_exchanges<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.flows = None;
        let outcome = work(self);
        self.flows = Some(flows(OPTIONS.budget_bytes));
        outcome
    }

    /// Copies so much of each message while `work` goes on.
    pub(crate) fn with_budget<T>(
        &mut self,
        budget_bytes: u32,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let control = |budget_bytes| {
            LoadOptions {
                budget_bytes,
                ..OPTIONS
            }
            .control()
        };
        self.throttle.set(control(budget_bytes))?;
        self.flows = Some(flows(budget_bytes));
        let outcome = work(self);
        self.throttle.set(control(OPTIONS.budget_bytes))?;
        self.flows = Some(flows(OPTIONS.budget_bytes));
        outcome
    }

    /// Copies so much of each message while `work` goes on, without telling who makes exchanges of it.
    pub(crate) fn with_changed_budget<T>(
        &mut self,
        budget_bytes: u32,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.throttle.set(
            LoadOptions {
                budget_bytes,
                ..OPTIONS
            }
            .control(),
        )?;
        let outcome = work(self);
        self.throttle.set(OPTIONS.control())?;
        outcome
    }

    /// Leaves alone what the agent would leave alone by now: which sockets these are.
    pub(crate) fn leave_out_told(&mut self) -> Result<Vec<SocketId>> {
        let sockets = self.flows.as_mut().map(Flows::take_told).unwrap_or_default();
        for socket in &sockets {
            self.told.leave_out(socket.0)?;
        }
        Ok(sockets)
    }

    /// The tier of the plan.
    pub fn tier(&self) -> u8 {
        self.tier
    }

    /// Optional programs that the kernel refused, and why.
    pub fn refused(&self) -> &[String] {
        &self.attached.refused
    }

    /// Verifier instruction counts by program, where the kernel tells.
    pub fn verified_instructions(&self) -> Vec<(String, u32)> {
        self.attached.verified_instructions()
    }

    pub(crate) fn features(&self) -> &Features {
        &self.features
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn counter(&self, counter: Counter) -> u64 {
        self.attached.counters().get(counter)
    }

    /// What happened to processes since the last call.
    pub(crate) fn process_events(&mut self) -> Vec<ProcessEvent> {
        let mut events = Vec::new();
        drain(&mut self.processes, BATCH, &mut |record| {
            events.extend(process::decode(record));
        });
        events
    }

    /// All counters.
    pub(crate) fn counters(&self) -> KernelCounters {
        self.attached.counters()
    }

    /// Throws away what has been seen so far.
    pub(crate) fn forget(&mut self) -> Result<()> {
        self.drain()?;
        self.log.clear();
        self.exchanges.clear();
        self.kept_bytes = 0;
        Ok(())
    }

    pub(crate) fn log_mut(&mut self) -> &mut Log {
        self.kept_bytes = 0;
        &mut self.log
    }

    /// The exchanges of a connection, whose events have all been taken.
    pub(crate) fn exchanges(&mut self, ids: [SocketId; 2]) -> Vec<&Exchange> {
        if let Some(flows) = &mut self.flows {
            flows.finish(apiarist::clock::now(), &mut self.exchanges);
        }
        self.exchanges
            .iter()
            .filter(|exchange| ids.contains(&exchange.connection.socket))
            .collect()
    }

    /// Waits a moment and takes what has come.
    pub(crate) fn look(&mut self) -> Result<()> {
        if let Some(ring) = self.rings.first_mut() {
            ring.wait(LOOK);
        }
        self.drain()
    }

    /// What was seen of a socket.
    pub(crate) fn socket(&self, id: SocketId) -> Result<&SocketLog> {
        self.log
            .get(&id)
            .with_context(|| format!("nothing was seen of socket {}", id.0))
    }

    /// Takes what lies in the rings. The programs run within the system call, so events of calls that have
    /// returned are there.
    pub(crate) fn drain(&mut self) -> Result<()> {
        let Self {
            rings,
            clock,
            log,
            flows,
            exchanges,
            kept_bytes,
            undecodable,
            ..
        } = self;
        for ring in rings {
            while ring.drain(BATCH, |record| match decode(record, clock) {
                Ok(event) => {
                    if let Some(flows) = flows {
                        flows.event(&event, exchanges);
                        exchanges.truncate(MOST_EXCHANGES);
                    }
                    *kept_bytes += keep(log, event);
                }
                Err(error) => undecodable.push(error.to_string()),
            }) == BATCH
            {}
        }
        if let Some(error) = undecodable.first() {
            bail!("an event cannot be decoded: {error}");
        }
        if *kept_bytes > MOST_BYTES {
            bail!("the machine is too busy for this test: more than {MOST_BYTES} bytes were captured");
        }
        Ok(())
    }

    /// Takes events until `done`, or fails, saying that `what` did not happen.
    pub(crate) fn collect_until(&mut self, what: &str, mut done: impl FnMut(&Log) -> bool) -> Result<()> {
        let deadline = deadline(PATIENCE);
        loop {
            self.drain()?;
            if done(&self.log) {
                return Ok(());
            }
            if monotonic_ns() > deadline {
                bail!("within {} s, {what} did not happen", PATIENCE.as_secs());
            }
            self.look()?;
        }
    }
}

fn flows(budget_bytes: u32) -> Flows {
    let limits = Limits {
        budget_bytes: budget_bytes.into(),
        ..Limits::default()
    };
    let mut flows = Flows::new(limits, Redactor::new([0; 16]));
    flows.leave_out_told();
    flows
}

/// A time from now, to be compared with [`monotonic_ns`].
pub(crate) fn deadline(span: Duration) -> u64 {
    monotonic_ns() + span.as_nanos() as u64
}

/// Keeps an event; returns its payload bytes.
fn keep(log: &mut Log, event: SocketEvent<'_>) -> usize {
    match event {
        SocketEvent::Open(open) => log.entry(open.socket).or_default().opens.push(open),
        SocketEvent::Count(count) => log.entry(count.socket).or_default().counts.push(count),
        SocketEvent::Close(close) => log.entry(close.socket).or_default().closes.push(close),
        SocketEvent::Data(data) => {
            log.entry(data.socket).or_default().chunks.push(Chunk {
                direction: data.direction,
                position: data.position,
                bytes: data.bytes.to_vec(),
                end: data.end,
                turn: data.turn,
                eof: data.eof,
                pid: data.pid,
            });
            return data.bytes.len();
        }
    }
    0
}
