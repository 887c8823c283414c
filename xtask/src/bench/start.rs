//! `cargo xtask bench start`: how long after its start the agent sees the first exchange.
//!
//! A client asks without a pause, each time on a connection of its own, and notes when. What is sent once the agent looks is all
//! seen: so many exchanges as are missing at the end came before, and the next one is the first that was seen.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};

use super::{
    agent::Agent,
    process::Place,
    summary::{median, spread},
};
use crate::shell::say;

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(1);

/// How long the client goes on once the agent answers.
const AFTER: Duration = Duration::from_millis(500);

const REQUEST: &[u8] = b"GET /items/1 HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// Measures so often, and prints a line for each time. The figures, in milliseconds.
pub(super) fn measure(binary: &Path, rounds: u32) -> Result<Value> {
    let mut times = Vec::new();
    for round in 1..=rounds {
        let ms = first_seen(binary)?;
        say(format!(
            "start {round}/{rounds}: the first exchange was seen after {ms:.0} ms"
        ));
        times.push(ms);
    }
    say(format!("start: {:.0} ms", median(&times).unwrap_or_default()));
    Ok(json!({"work": "start", "first_exchange_ms": spread(&times)}))
}

/// Milliseconds from the start of the agent to the first exchange that it saw.
fn first_seen(binary: &Path) -> Result<f64> {
    let place = Place::new()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let done = Arc::new(AtomicBool::new(false));
    let server = thread::spawn(move || serve(&listener));
    let client = {
        let done = Arc::clone(&done);
        thread::spawn(move || -> Result<Vec<Instant>> {
            let mut sent = Vec::new();
            while !done.load(Ordering::Acquire) {
                sent.push(now());
                ask(address)?;
                thread::park_timeout(PAUSE);
            }
            Ok(sent)
        })
    };
    let started = now();
    let agent = Agent::start_with(binary, &place, &["--port", &address.port().to_string()])?;
    thread::park_timeout(AFTER);
    done.store(true, Ordering::Release);
    let sent = client.join().map_err(|_| anyhow!("the client panicked"))??;
    drop(TcpStream::connect(address)?);
    server.join().map_err(|_| anyhow!("the server panicked"))??;
    let figures = agent.settled()?;
    agent.stop()?;
    let seen = figures.exchanges as usize;
    let first = sent
        .len()
        .checked_sub(seen)
        .and_then(|unseen| sent.get(unseen))
        .with_context(|| format!("{seen} of {} exchanges were seen", sent.len()))?;
    Ok(first.saturating_duration_since(started).as_secs_f64() * 1e3)
}

fn ask(address: std::net::SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(REQUEST)?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Answers until somebody connects and asks nothing.
fn serve(listener: &TcpListener) -> Result<()> {
    let mut room = [0; 256];
    loop {
        let (mut stream, _) = listener.accept()?;
        if stream.read(&mut room)? == 0 {
            return Ok(());
        }
        stream.write_all(ANSWER)?;
        stream.shutdown(Shutdown::Write)?;
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge: when it was sent")]
fn now() -> Instant {
    Instant::now()
}
