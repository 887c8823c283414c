//! Nothing is lost: collectors that are away, and both sides killed at any moment.
//!
//! The agent's side is this program again, as a child that sends numbered incidents and says each number once it was handed over.
//! The collector is `fixtures/collector.py`, which answers only when a record is written. What it wrote is compared with what was
//! said. With APIARIST_LONG_TESTS the collector is away for ten minutes.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests themselves"
)]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use apiarist::{
    clock::monotonic_ns,
    sink::{Sinks, target::Target},
};
use apiarist_tests::{
    collectors::{
        Collector, free_port, listens, offered,
        sample::{incident, number},
        until_within,
    },
    python::environment,
};

/// Tells a child what to do: `SPOOL ADDRESS FIRST COUNT PER_SECOND`.
const ORDER: &str = "APIARIST_TEST_AGENT";

fn pause(time: Duration) {
    std::thread::park_timeout(time);
}

/// The agent. In an ordinary run of the tests there is nothing to send.
#[test]
fn agent() {
    let Ok(order) = env::var(ORDER) else {
        return;
    };
    let words: Vec<&str> = order.split(' ').collect();
    let [spool, address, first, count, per_second] = words.as_slice() else {
        unreachable!("{order}");
    };
    let first: usize = first.parse().unwrap();
    let count: usize = count.parse().unwrap();
    let each = 1_000_000_000 / per_second.parse::<u64>().unwrap();
    let target = Target::parse(address).unwrap();
    let mut sinks = Sinks::start(&[target], Path::new(spool), 256 << 20).unwrap();
    let start = monotonic_ns();
    let mut out = std::io::stdout();
    for step in 0..count {
        let due = start + step as u64 * each;
        while monotonic_ns() < due {
            pause(Duration::from_nanos(due.saturating_sub(monotonic_ns())));
        }
        sinks.send(&incident(first + step).unwrap());
        writeln!(out, "sent {}", first + step).unwrap();
    }
    // Ten minutes of alerts take a collector in Python a while.
    until_within(Duration::from_secs(600), "events are still queued", || {
        sinks.status().iter().all(|sink| sink.queued == 0).then_some(())
    })
    .unwrap();
    let status = &sinks.status()[0];
    writeln!(out, "dropped {}", status.dropped).unwrap();
}

/// An agent, and what it says.
struct Agent {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Agent {
    fn start(spool: &Path, address: &str, first: usize, count: usize, per_second: usize) -> Self {
        let order = format!("{} {address} {first} {count} {per_second}", spool.display());
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "agent", "--nocapture"])
            .env(ORDER, order)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        Self { child, says }
    }

    /// Numbers that it said up to its end, or up to this one.
    fn said(&mut self, until: Option<usize>) -> Vec<usize> {
        let mut said = Vec::new();
        let mut line = String::new();
        while self.says.read_line(&mut line).unwrap() > 0 {
            if let Some(number) = line.trim().strip_prefix("sent ") {
                said.push(number.parse().unwrap());
            }
            if said.last() == until.as_ref() && until.is_some() {
                break;
            }
            line.clear();
        }
        said
    }

    fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn kill(mut self) -> Vec<usize> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.said(None)
    }
}

/// A collector that can be killed and started again; it writes to one file.
struct Webhook {
    python: std::path::PathBuf,
    ports: [u16; 2],
    file: std::path::PathBuf,
}

impl Webhook {
    /// `None` without its packages; in CI that is a failure.
    fn new(directory: &Path) -> Option<Self> {
        let packages = ["grpcio", "opentelemetry-proto"];
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let programs = offered(environment(target, "collectors-2", &packages)).unwrap()?;
        Some(Self {
            python: programs.join("python3"),
            ports: [free_port().unwrap(), free_port().unwrap()],
            file: directory.join("received"),
        })
    }

    fn address(&self, directory: &Path) -> String {
        let key = directory.join("key");
        fs::write(&key, "secret\n").unwrap();
        format!(
            "webhook+http://127.0.0.1:{}/?secret_file={}",
            self.ports[1],
            key.display()
        )
    }

    fn start(&self) -> Collector {
        let file = fs::File::options()
            .append(true)
            .create(true)
            .open(&self.file)
            .unwrap();
        let [grpc, http] = self.ports.map(|port| port.to_string());
        let collector = Collector::start(
            Command::new(&self.python)
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/collector.py"))
                .args([grpc, http, "secret".to_owned()])
                .stdout(file)
                .stderr(Stdio::null()),
        )
        .unwrap();
        listens("the collector", self.ports[1]).unwrap();
        collector
    }

    /// Numbers of what it wrote, in order.
    fn received(&self) -> Vec<usize> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        // A collector that is killed may leave half a line, which the next one goes on with.
        let ids = text.lines().filter_map(|line| line.split(' ').nth(1));
        ids.filter_map(number).collect()
    }
}

/// All of these came, and those of one fingerprint in order: by when each came for the first time.
fn complete(received: &[usize], sent: &[usize]) {
    let mut first = BTreeMap::new();
    for (place, number) in received.iter().enumerate() {
        first.entry(*number).or_insert(place);
    }
    let missing: Vec<&usize> = sent.iter().filter(|number| !first.contains_key(number)).collect();
    assert!(missing.is_empty(), "{} lost: {missing:?}", missing.len());
    let mut latest: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, place) in first {
        let before = latest.insert(number % 7, place);
        assert!(
            before.is_none_or(|before| before < place),
            "{number} came too early"
        );
    }
}

#[test]
fn nothing_is_lost_while_the_collector_is_away() {
    let directory = tempfile::tempdir().unwrap();
    let Some(webhook) = Webhook::new(directory.path()) else {
        return;
    };
    let (seconds, per_second) = match env::var_os("APIARIST_LONG_TESTS") {
        Some(_) => (600, 100),
        None => (5, 400),
    };
    let count = seconds * per_second;
    let address = webhook.address(directory.path());
    let mut agent = Agent::start(&directory.path().join("spool"), &address, 0, count, per_second);
    let mut sent = agent.said(Some(count / 10));
    let early = agent.resident_kib();
    sent.extend(agent.said(Some(count - 1)));
    let late = agent.resident_kib();
    assert_eq!(webhook.received(), Vec::<usize>::new());
    let collector = webhook.start();
    let start = monotonic_ns();
    let mut rest = String::new();
    agent.says.read_line(&mut rest).unwrap();
    assert_eq!(rest.trim(), "dropped 0");
    let caught_up = Duration::from_nanos(monotonic_ns() - start);
    let after = agent.resident_kib();
    drop(collector);
    assert_eq!(sent.len(), count);
    let received = webhook.received();
    complete(&received, &sent);
    assert_eq!(
        received.len(),
        count,
        "nothing was interrupted: nothing comes twice"
    );
    writeln!(
        std::io::stderr(),
        "  {count} alerts while the collector was away for {seconds} s: none lost, caught up in {:.1} s; resident memory {early} KiB \
         after a tenth, {late} KiB at the end, {after} KiB when all were delivered",
        caught_up.as_secs_f64()
    )
    .unwrap();
    assert!(late < early + 16 * 1024, "memory grew from {early} to {late} KiB");
    assert!(
        after < early + 32 * 1024,
        "memory grew from {early} to {after} KiB"
    );
    agent.child.wait().unwrap();
}

/// A sequence without regularity (Knuth, MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn nothing_is_lost_when_either_side_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let Some(webhook) = Webhook::new(directory.path()) else {
        return;
    };
    let rounds = match env::var_os("APIARIST_LONG_TESTS") {
        Some(_) => 200,
        None => 14,
    };
    let spool = directory.path().join("spool");
    let address = webhook.address(directory.path());
    let mut random = Random(17);
    let mut sent: Vec<usize> = Vec::new();
    let mut collector = Some(webhook.start());
    let mut next = 0;
    for _ in 0..rounds {
        let agent = Agent::start(&spool, &address, next, usize::MAX, 500);
        pause(Duration::from_millis(100 + random.below(300)));
        if random.below(2) == 0 {
            match collector.take() {
                Some(mut running) => running.kill().unwrap(),
                None => collector = Some(webhook.start()),
            }
        }
        pause(Duration::from_millis(random.below(300)));
        let said = agent.kill();
        next = said.last().map_or(next, |last| last + 1);
        sent.extend(said);
    }
    drop(collector);
    let collector = webhook.start();
    // The last agent delivers what all before it left.
    let mut agent = Agent::start(&spool, &address, next, 7, 500);
    sent.extend(agent.said(None));
    assert!(agent.child.wait().unwrap().success());
    drop(collector);
    let received = webhook.received();
    complete(&received, &sent);
    writeln!(
        std::io::stderr(),
        "  {rounds} kills: {} alerts sent, none lost, {} came again with the same id",
        sent.len(),
        received.len() - sent.len().min(received.len())
    )
    .unwrap();
    assert!(sent.len() > rounds * 20, "only {} were sent", sent.len());
}
