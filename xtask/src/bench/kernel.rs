//! `cargo xtask bench kernel`: what the programs cost an operation of a socket, by the kernel's own measurement.
//!
//! One thread at both ends of a connection on loopback, so that nothing waits for another: requests and answers of HTTP, which
//! are copied, and bytes of no known protocol, whose socket is soon not looked at any more. In between, requests and answers
//! as the agent takes them by default: the client's end is left alone, which is half of the operations. The measurement
//! itself (bpf_stats) is part of the figures.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{agent::Agent, process::Place};
use crate::shell::say;

/// Messages each way. There is a send and a receive of each.
const MESSAGES: u32 = 100_000;

const REQUEST: &[u8] = b"GET /items/1 HTTP/1.1\r\nHost: bench.test\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

/// Copies both ends to the last.
const BOTH_ENDS: &str = "[capture]\nboth_ends = true\n";

/// Name, configuration, what one end says, what the other answers.
const KINDS: [(&str, &str, &[u8], &[u8]); 3] = [
    ("captured", BOTH_ENDS, REQUEST, ANSWER),
    ("captured at the server's end", "", REQUEST, ANSWER),
    (
        "muted",
        "",
        b"\x01\x02 of no known protocol \x03\x04",
        b"\x05\x06 nor is this \x07",
    ),
];

/// Measures, and prints a line for each kind. The figures.
pub(super) fn measure(binary: &Path) -> Result<Value> {
    let mut rows = Vec::new();
    for (name, configuration, request, answer) in KINDS {
        let place = Place::new()?;
        let config = place.file("config.toml");
        fs::write(&config, configuration)?;
        let arguments = ["--config", &config.to_string_lossy()];
        let Some(time) = Agent::kernel_time(binary, &place, &arguments, || talk(request, answer))? else {
            bail!("this kernel does not measure its programs (bpf_stats, 5.8)");
        };
        say(format!(
            "{name}: {:.0} ns in each of {} runs, for {} operations",
            time.ns_each,
            time.runs,
            4 * MESSAGES
        ));
        rows.push(json!({"case": name, "ns": time.ns_each, "runs": time.runs}));
    }
    Ok(Value::Array(rows))
}

fn talk(request: &[u8], answer: &[u8]) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    let mut room = [0; 256];
    for _ in 0..MESSAGES {
        client.write_all(request)?;
        take(&mut server, &mut room, request.len())?;
        server.write_all(answer)?;
        take(&mut client, &mut room, answer.len())?;
    }
    Ok(())
}

/// On loopback a message that was sent is there.
fn take(from: &mut TcpStream, room: &mut [u8], len: usize) -> Result<()> {
    let Some(room) = room.get_mut(..len) else {
        bail!("a message of {len} bytes");
    };
    Ok(from.read_exact(room)?)
}
