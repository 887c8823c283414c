//! The work itself: who asks the servers, and how often.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use super::{
    Work,
    process::{Place, Process, free_port, listening},
    servers,
};
use crate::shell::{output_of, run};

/// Requests each second of the work that leaves the processors idle in between.
const STEADY_RATE: u32 = 20_000;

/// Asks for one method after the other, all of them in turn.
const CALLS: &str = r#"
local number = 0
request = function()
  number = (number + 7919) % 10000
  local body = '{"jsonrpc":"2.0","id":' .. number .. ',"method":"shop.call' .. number .. '"}'
  return wrk.format("POST", "/rpc", {["Content-Type"] = "application/json"}, body)
end
"#;

/// What one round came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    /// Requests, or passes over a file, each second.
    pub(super) rate: f64,
    /// How many in all.
    pub(super) count: f64,
    /// Latency that 99 of 100 stay below, in milliseconds; 0 where there is none.
    pub(super) p99_ms: f64,
}

/// A server at work, or none for files.
pub(super) struct Load {
    work: Work,
    url: String,
    _server: Option<Process>,
    /// What wrk does instead of asking for the same again and again.
    script: Option<PathBuf>,
    file: PathBuf,
}

impl Load {
    /// Starts the server of a work, on the first processor where there are two.
    pub(super) fn start(work: Work, place: &Place) -> Result<Self> {
        let port = free_port()?;
        let (server, scheme) = match servers::start(work, place, port)? {
            None => (None, ""),
            Some((server, scheme)) => (Some(server), scheme),
        };
        if server.is_some() {
            listening(port)?;
        }
        let script = match work {
            Work::Many => {
                let script = place.file("calls.lua");
                fs::write(&script, CALLS)?;
                Some(script)
            }
            _ => None,
        };
        let path = if work == Work::Large { "large" } else { "small" };
        Ok(Self {
            work,
            url: format!("{scheme}://127.0.0.1:{port}/{path}"),
            _server: server,
            script,
            file: place.file("data"),
        })
    }

    /// One round of about so many seconds.
    pub(super) fn round(&mut self, seconds: u32) -> Result<Round> {
        match self.work {
            Work::Files => self.files(seconds),
            Work::Steady => self.h2load(seconds, &["--h1", "-c32", &format!("--rps={}", STEADY_RATE / 32)]),
            Work::Http2 => self.h2load(seconds, &["-c4", "-m32"]),
            _ => self.wrk(seconds),
        }
    }

    fn wrk(&self, seconds: u32) -> Result<Round> {
        let mut wrk = Command::new("taskset");
        wrk.args(["-c", last_processor(), "wrk", "-t1", "-c32", "--latency", "-d"]);
        wrk.arg(format!("{seconds}s"));
        if let Some(script) = &self.script {
            wrk.arg("-s").arg(script);
        }
        let text = output_of(wrk.arg(&self.url))?;
        let count = text
            .lines()
            .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())
            .context("wrk says no number of requests")?;
        let rate = text
            .lines()
            .find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())
            .context("wrk says no rate")?;
        let p99 = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("99%").map(str::trim));
        Ok(Round {
            rate,
            count,
            p99_ms: p99.and_then(milliseconds).unwrap_or_default(),
        })
    }

    /// Streams of HTTP/2, or requests at a rate, neither of which wrk can.
    fn h2load(&self, seconds: u32, options: &[&str]) -> Result<Round> {
        let mut h2load = Command::new("taskset");
        h2load
            .args(["-c", last_processor(), "h2load", "-t1"])
            .args(options);
        let text = output_of(h2load.arg(format!("-D{seconds}")).arg(&self.url))?;
        let (rate, count) = counted_by_h2load(&text).context("h2load says no rate")?;
        Ok(Round {
            rate,
            count,
            p99_ms: 0.0,
        })
    }

    /// Writes and reads a file in small pieces; the rate is passes of 64 MiB each second.
    fn files(&self, seconds: u32) -> Result<Round> {
        let mut passes = 0.0;
        #[expect(clippy::disallowed_methods, reason = "the edge: the time that is measured")]
        let start = std::time::Instant::now();
        while start.elapsed().as_secs_f64() < f64::from(seconds) {
            let mut dd = Command::new("dd");
            dd.args(["if=/dev/zero", "bs=512", "count=131072", "status=none"]);
            run(dd.arg(format!("of={}", self.file.display())))?;
            passes += 1.0;
        }
        Ok(Round {
            rate: passes / start.elapsed().as_secs_f64(),
            count: passes,
            p99_ms: 0.0,
        })
    }
}

/// The processor that asks: not the server's, where there are two.
fn last_processor() -> &'static str {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        1 => "0",
        _ => "1",
    }
}

/// Requests each second and in all, of lines as `finished in 5.00s, 20000.10 req/s, 13.1MB/s` and `requests: 100 total, 100
/// started, 99 done, 99 succeeded, ...`.
fn counted_by_h2load(text: &str) -> Option<(f64, f64)> {
    let finished = text.lines().find(|line| line.starts_with("finished in"))?;
    let rate = finished
        .split(", ")
        .find_map(|part| part.strip_suffix(" req/s"))?;
    let requests = text.lines().find(|line| line.starts_with("requests:"))?;
    let done = requests.split(", ").find_map(|part| part.strip_suffix(" done"))?;
    Some((rate.parse().ok()?, done.parse().ok()?))
}

/// A time as wrk prints it: `1.23ms`, `456.00us`, `1.2s`.
fn milliseconds(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(split)?;
    let number: f64 = number.parse().ok()?;
    match unit {
        "us" => Some(number / 1000.0),
        "ms" => Some(number),
        "s" => Some(number * 1000.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_h2load() {
        let text = "progress: 100% done\n\nfinished in 5.00s, 19998.20 req/s, 14.1MB/s\nrequests: 100100 total, 100091 \
                    started, 99991 done, 99991 succeeded, 0 failed, 0 errored, 0 timeout\n";
        assert_eq!(counted_by_h2load(text), Some((19998.2, 99991.0)));
        assert_eq!(counted_by_h2load("nothing"), None);
    }

    #[test]
    fn times_of_wrk() {
        assert_eq!(milliseconds("456.00us"), Some(0.456));
        assert_eq!(milliseconds("1.23ms"), Some(1.23));
        assert_eq!(milliseconds("2.00s"), Some(2000.0));
        assert_eq!(milliseconds("x"), None);
    }
}
