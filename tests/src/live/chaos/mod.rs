//! What goes wrong on real hosts, done on purpose, with the agent at work.
//!
//! Each test breaks one thing around the agent while a known number of requests is served. What must hold in all of them: the
//! agent goes on, the server is not disturbed, and each exchange is either there or counted as lost.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{
    agent::{Agent, PATIENCE, stored},
    place::{Place, fixture},
    program::{Program, command},
    servers,
    wait::until,
};

pub(super) mod disk;
pub(super) mod kills;
pub(super) mod limits;
pub(super) mod neighbours;
pub(super) mod pids;
pub(super) mod soak;
pub(super) mod stops;
pub(super) mod tables;
pub(super) mod tamper;
pub(super) mod time;

/// What nginx is called in these tests.
const SERVER: &str = "nginx-chaos";

/// One line of its access log: a status and its end.
const LINE_BYTES: u64 = 4;

/// A server that counts what it has answered.
struct Server {
    port: u16,
    log: String,
    program: Program,
}

impl Server {
    fn start(place: &Place) -> Result<Self> {
        Self::named(SERVER, place)
    }

    /// One that other tests at the same time do not take for theirs.
    fn named(name: &str, place: &Place) -> Result<Self> {
        let port = servers::free_port()?;
        let log = place.file("access");
        let servers = format!(
            "log_format status '$status';
             server {{
               listen 127.0.0.1:{port};
               keepalive_requests 1000000000;
               access_log {log} status;
               location / {{ return 200 '{{\"total\": 12.5}}'; }}
             }}"
        );
        fs::create_dir_all(place.path().join("temp"))?;
        let program = servers::nginx(place, name, port, &servers)?;
        Ok(Self { port, log, program })
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/users/42/orders/7", self.port)
    }

    /// Requests answered so far, by its own log.
    fn served(&self) -> Result<u64> {
        Ok(fs::metadata(&self.log)?.len() / LINE_BYTES)
    }

    /// Its process and its workers.
    fn processes(&self) -> Result<Vec<u32>> {
        let main = self.program.pid();
        let workers = fs::read_to_string(format!("/proc/{main}/task/{main}/children"))?;
        let workers = workers.split_whitespace().filter_map(|pid| pid.parse().ok());
        Ok(std::iter::once(main).chain(workers).collect())
    }

    /// Asks so many times over four connections; all must be answered.
    fn ask(&self, place: &Place, requests: u64) -> Result<()> {
        let goal = self.served()? + requests;
        let mut wrk = command("wrk")?;
        wrk.args(["-t1", "-c4", "-d120s", "-s", &fixture("count.lua"), &self.url()]);
        wrk.args(["--", &requests.to_string()]);
        let wrk = Program::start(&mut wrk, place)?;
        until(Duration::from_secs(90), || {
            let served = self.served()?;
            ensure!(served >= goal, "{served} of {goal} requests were served");
            Ok(())
        })?;
        wrk.signal(Signal::INT)?;
        wrk.end(PATIENCE).map(drop)
    }
}

/// Exchanges filed for a server, and events that the kernel could not hand over.
fn seen(agent: &Agent<'_>, server: &str) -> Result<(u64, u64)> {
    let endpoints = agent.endpoints()?;
    let rows = endpoints.iter().filter(|row| row.workload == server);
    Ok((rows.map(|row| row.hits).sum(), agent.lost_events()?))
}

/// Waits until `served` exchanges are there, or as many lost events as are missing are counted; gives both numbers.
fn accounted(agent: &Agent<'_>, served: u64) -> Result<(u64, u64)> {
    accounted_for(agent, SERVER, served)
}

/// The same for a server of another name.
fn accounted_for(agent: &Agent<'_>, server: &str, served: u64) -> Result<(u64, u64)> {
    until(PATIENCE, || {
        let (hits, lost) = seen(agent, server)?;
        ensure!(
            hits == served || (hits < served && served - hits <= lost),
            "of {served} exchanges {hits} were seen, and {lost} events lost"
        );
        Ok((hits, lost))
    })
}

/// Exchanges of the server that are in the store.
fn kept(place: &Place) -> Result<u64> {
    let rows = stored(place)?;
    Ok(rows
        .iter()
        .filter(|row| row.workload == SERVER)
        .map(|row| row.hits)
        .sum())
}

/// One of the agent's own counters.
fn counter(agent: &Agent<'_>, name: &str) -> Result<u64> {
    let counters = agent.status()?.counters;
    counters
        .get(name)
        .copied()
        .with_context(|| format!("no counter {name}"))
}

/// Waits until the agent tells an event about itself, among its alerts (`alerts`) or `anomalies`.
fn tells(agent: &Agent<'_>, topic: &str, class: &str) -> Result<()> {
    until(Duration::from_secs(40), || {
        let rows: Vec<serde_json::Value> = agent.ask(topic)?;
        let told = rows
            .iter()
            .any(|row| row.get("class").is_some_and(|told| told == class));
        ensure!(told, "no {class} among the {topic}: {rows:?}");
        Ok(())
    })
}
