//! What queries cost when there are fifty thousand endpoints.
//!
//! `cargo bench --bench queries`: makes a store with 50,000 endpoints of 25 workloads, and asks it, and as root also an
//! agent that runs with it, as a user does: by starting `apiarist` and reading all of its output. Each command is run
//! five times; shown are the median, the best, and the processor time of one run, which a busy machine does not change.
//! The aim is 200 ms for a page of the list, filtered and sorted too. `top` is watched in a terminal ([`screen`]). Prints
//! the memory of the agent, its highest value, and what of it each endpoint takes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench is blunt and prints"
)]

use std::{
    env, fs,
    io::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use apiarist::clock::{monotonic_ns, now};

mod screen;

const WORKLOADS: usize = 25;
const RUNS: usize = 5;

/// The longest wait for an agent that starts, or writes.
const PATIENCE: Duration = Duration::from_secs(300);

const BINARY: &str = env!("CARGO_BIN_EXE_apiarist");

/// As many words as three levels of a path need for 2,000 templates of a workload.
const WORDS: [&str; 13] = [
    "users", "orders", "invoices", "carts", "reports", "devices", "teams", "tickets", "payments", "reviews",
    "labels", "stores", "events",
];
const PATHS: usize = 2_000;

/// When the exchanges began.
const AGO_SECONDS: f64 = 3_600.0;

fn path(number: usize) -> String {
    let word = |digit: usize| WORDS.get(digit % WORDS.len()).unwrap();
    format!("/{}/{}/{}", word(number / 169), word(number / 13), word(number))
}

/// Exchanges with every endpoint: two each, some with sensitive data, some with credentials.
fn exchanges(file: &Path) {
    let mut out = std::io::BufWriter::new(fs::File::create(file).unwrap());
    // Not long ago: an agent drops what is older than its store may keep.
    let mut time = now().as_secs_f64() - AGO_SECONDS;
    for round in 0..2 {
        for workload in 0..WORKLOADS {
            for number in 0..PATHS {
                time += 0.001;
                let authorization = match number % 3 {
                    0 => r#",["authorization","Bearer 0123456789abcdef0123456789abcdef"]"#,
                    _ => "",
                };
                let body = match number % 10 {
                    0 => r#"{\"id\":1,\"email\":\"ada@example.test\",\"total\":12.5}"#,
                    _ => r#"{\"id\":1,\"name\":\"lamp\",\"total\":12.5}"#,
                };
                writeln!(
                    out,
                    r#"{{"ts":{time:.3},"workload":"service-{workload:02}","client":"10.0.{round}.7","method":"GET","target":"{}","host":"api{workload}.example.test","request":{{"headers":[["accept","application/json"]{authorization}]}},"status":200,"response":{{"headers":[["content-type","application/json"]],"body":"{body}"}},"duration_ms":3.5}}"#,
                    path(number)
                )
                .unwrap();
            }
        }
    }
    out.flush().unwrap();
}

/// Runs a command to its end, reading all of its output: milliseconds and bytes.
fn run(arguments: &[&str]) -> (f64, usize) {
    let start = monotonic_ns();
    let output = Command::new(BINARY).args(arguments).output().unwrap();
    let took = (monotonic_ns() - start) as f64 / 1e6;
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    (took, output.stdout.len())
}

/// Processor time of all commands that have ended, in milliseconds (proc_pid_stat(5), fields 16 and 17).
fn processor_ms() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = text.rsplit_once(") ").unwrap();
    let ticks = |place: usize| fields.split(' ').nth(place - 3).unwrap().parse::<f64>().unwrap();
    (ticks(16) + ticks(17)) * 1e3 / rustix::param::clock_ticks_per_second() as f64
}

fn measure(source: [&str; 2]) {
    let queries: [&[&str]; 11] = [
        &["endpoints", "-o", "json"],
        &["endpoints", "--limit", "50"],
        &["endpoints", "--offset", "20000", "--limit", "50"],
        &["endpoints", "--sort", "-risk", "--limit", "50"],
        &["endpoints", "--workload", "service-07", "--path", "/users"],
        &[
            "endpoints",
            "--filter",
            "hits > 1 and auth.verdict == \"missing\"",
            "--limit",
            "50",
        ],
        &["endpoints", "--filter", "hits > 99999", "--limit", "50"],
        &["endpoints"],
        &["workloads"],
        &["risks", "--limit", "50"],
        &["risks", "--sort", "endpoint_name", "--limit", "50"],
    ];
    println!("{:<70} median      best  processor", "");
    for query in queries {
        let arguments: Vec<&str> = query.iter().chain(&source).copied().collect();
        let before = processor_ms();
        let mut runs: Vec<(f64, usize)> = (0..RUNS).map(|_| run(&arguments)).collect();
        let processor = (processor_ms() - before) / RUNS as f64;
        runs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let best = runs.first().unwrap().0;
        let (median, bytes) = runs.get(RUNS / 2).unwrap();
        println!(
            "{:<70} {median:>6.0} {best:>6.0} ms {processor:>7.0} ms {:>9} KiB",
            query.join(" "),
            bytes / 1024
        );
    }
    screen::measure(source);
}

/// A line of `/proc/PID/status`, in KiB.
fn memory(child: &Child, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
}

/// The agent with this store, ended when dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn agent(store: &Path, socket: &Path) -> Agent {
    let start = monotonic_ns();
    let mut child = Command::new(BINARY)
        .args(["run", "--alerts", "/dev/null", "--store"])
        .arg(store)
        .arg("--socket")
        .arg(socket)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !Command::new(BINARY)
        .args(["status", "-o", "json", "--socket"])
        .arg(socket)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
    {
        assert_eq!(child.try_wait().unwrap(), None, "the agent ended");
        assert!(monotonic_ns() - start < PATIENCE.as_nanos() as u64);
    }
    println!(
        "agent: answers {:.1} s after its start",
        (monotonic_ns() - start) as f64 / 1e9
    );
    Agent(child)
}

/// Waits until the agent has written its store for the first time, when it judges every endpoint and compares every row:
/// until then a question may find it busy.
fn written(store: &Path, socket: &Path) {
    let start = monotonic_ns();
    let log = || {
        let log = fs::metadata(store.join("apiarist.db-wal")).ok()?;
        Some((log.len(), log.modified().unwrap()))
    };
    let before = log();
    loop {
        let is_written = log() != before;
        let answered = Command::new(BINARY)
            .args(["status", "-o", "json", "--socket"])
            .arg(socket)
            .output()
            .unwrap();
        if is_written && answered.status.success() {
            return;
        }
        assert!(
            monotonic_ns() - start < PATIENCE.as_nanos() as u64,
            "nothing is written"
        );
    }
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("many.jsonl");
    let store = directory.path().join("store");
    exchanges(&input);
    let (took, _) = run(&[
        "replay",
        input.to_str().unwrap(),
        "--store",
        store.to_str().unwrap(),
    ]);
    let count = run(&[
        "endpoints",
        "-o",
        "jsonl",
        "--filter",
        "hits > 0",
        "--store",
        store.to_str().unwrap(),
    ]);
    println!("replay {took:.0} ms, listing {} KiB", count.1 / 1024);
    println!("store:");
    measure(["--store", store.to_str().unwrap()]);
    if env::var_os("USER").is_some_and(|user| user != "root") {
        println!("agent: not measured, for it needs root");
        return;
    }
    let socket = directory.path().join("api.sock");
    let agent = agent(&store, &socket);
    let held = |when: &str| {
        let own = memory(&agent.0, "RssAnon:");
        println!(
            "agent {when}: {} MiB of its own, {:.1} KiB for each endpoint; {} MiB resident, {} MiB at most",
            own / 1024,
            own as f64 / (WORKLOADS * PATHS) as f64,
            memory(&agent.0, "VmRSS:") / 1024,
            memory(&agent.0, "VmHWM:") / 1024
        );
    };
    held("at its start");
    written(&store, &socket);
    held("after its first write");
    measure(["--socket", socket.to_str().unwrap()]);
    held("after these questions");
}
