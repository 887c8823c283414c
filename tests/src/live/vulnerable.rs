//! An API that is vulnerable on purpose, used by its users, attacked, and used again.
//!
//! The weaknesses are those that VAmPI documents; the API is written for this test after that documentation. Each attack
//! must appear as an incident, or its weakness as a finding; what users do must give no incident, before and after.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::{
    agent::Agent,
    note,
    place::{Place, fixture},
    program::{Program, command},
    servers::{accepts, free_port},
    wait::until,
};

/// Longest wait for a client to end, and for what it did to be told.
const PATIENCE: Duration = Duration::from_secs(120);

/// Users, so many at once, and how often each does everything.
const USERS: usize = 80;
const AT_ONCE: usize = 6;
const ROUNDS: &str = "3";

/// Name of the server among the workloads.
const SERVER: &str = "vulnerable_api.py";

/// Baselines are believed after seconds instead of a day: the variety of sources stays.
const CONFIGURATION: &str = "[capture]\nring_bytes = 67108864\n\
    [detection]\nlearning_seconds = 1\nlearning_requests = 40\nlearning_sources = 3\nlearning_hours = 1\n";

/// Incidents that the attacks must be: class and endpoint.
const INCIDENTS: [(&str, &str); 5] = [
    ("sqli", "GET /users/v1/{userName}"),
    ("bola", "PUT /users/v1/{userName}/password"),
    ("bola", "GET /books/v1/{bookName}"),
    ("mass_assignment", "POST /users/v1/register"),
    ("redos", "PUT /users/v1/{userName}/email"),
];

/// Findings that tell the other weaknesses: rule and endpoint.
const FINDINGS: [(&str, &str); 6] = [
    ("weak_jwt", "GET /me"),
    ("debug_endpoint", "GET /users/v1/_debug"),
    ("excessive_data", "GET /users/v1/_debug"),
    ("unauthenticated_sensitive_response", "GET /users/v1/_debug"),
    ("account_enumeration", "POST /users/v1/login"),
    ("missing_rate_limit", "POST /users/v1/login"),
];

pub(super) fn weaknesses_are_told_and_users_are_not(place: &Place) -> Result<()> {
    let configuration = place.write("apiarist.toml", CONFIGURATION)?;
    let agent = Agent::of(place, &["--config", &configuration])?;
    let port = free_port()?;
    let mut server = command("python3")?;
    server.args([fixture(SERVER), port.to_string()]);
    let mut server = Program::start(&mut server, place)?;
    server.ready(|| accepts(port))?;

    use_it(place, port, "user", USERS)?;
    until(PATIENCE, || {
        // The names in what is attacked are known for parameters by then: it is used enough for that.
        let active = INCIDENTS.map(|(_, endpoint)| ("active", endpoint));
        told(&agent, "endpoints", "state", &expected(&active))
    })?;
    quiet(&agent, &BTreeSet::new())?;

    let attacker = copy(place, "vulnerable_attacker.py", "intruder.py")?;
    let mut attack = command("python3")?;
    attack.args([attacker, port.to_string(), "user7x0".to_owned()]);
    let said = Program::run(&mut attack, place, PATIENCE)?.success()?;
    note(&format!("the attacker saw {}", said.trim()));
    let incidents = expected(&INCIDENTS);
    until(PATIENCE, || told(&agent, "alerts", "class", &incidents))?;
    until(PATIENCE, || {
        told(&agent, "findings", "rule", &expected(&FINDINGS))
    })?;

    use_it(place, port, "later", AT_ONCE)?;
    quiet(&agent, &incidents)?;
    agent.stop(Signal::TERM)?;
    Ok(())
}

/// Users who use it as it is meant, each a program of its own.
fn use_it(place: &Place, port: u16, name: &str, users: usize) -> Result<()> {
    let all: Vec<usize> = (0..users).collect();
    for some in all.chunks(AT_ONCE) {
        let mut running = Vec::new();
        for number in some {
            let user = format!("{name}{number}x");
            let script = copy(place, "vulnerable_client.py", &format!("{user}.py"))?;
            let mut client = command("python3")?;
            client.args([&script, &port.to_string(), &user, ROUNDS]);
            running.push(Program::start(&mut client, place)?);
        }
        for client in running {
            let said = client.end(PATIENCE)?.success()?;
            let said: Value = serde_json::from_str(&said)?;
            let wrong = said.get("wrong").and_then(Value::as_array);
            ensure!(wrong.is_some_and(Vec::is_empty), "a user saw {said}");
        }
    }
    Ok(())
}

fn copy(place: &Place, of: &str, name: &str) -> Result<String> {
    let path = place.file(name);
    fs::copy(fixture(of), &path).with_context(|| format!("cannot copy {of}"))?;
    Ok(path)
}

fn expected(pairs: &[(&str, &str)]) -> BTreeSet<String> {
    pairs
        .iter()
        .map(|(class, endpoint)| format!("{endpoint} {class}"))
        .collect()
}

/// Fails unless all of these were told.
fn told(agent: &Agent<'_>, topic: &str, name: &str, expected: &BTreeSet<String>) -> Result<()> {
    let seen = rows(agent, topic, name)?;
    let missing: Vec<&String> = expected.difference(&seen).collect();
    ensure!(
        missing.is_empty(),
        "no {topic} for {missing:?}; there are {seen:?}"
    );
    Ok(())
}

/// Fails if there are incidents beside these.
fn quiet(agent: &Agent<'_>, known: &BTreeSet<String>) -> Result<()> {
    let seen = rows(agent, "alerts", "class")?;
    let more: Vec<&String> = seen.difference(known).collect();
    ensure!(more.is_empty(), "users are no incident: {more:?}");
    Ok(())
}

/// The endpoint and one member of each row about the server.
fn rows(agent: &Agent<'_>, topic: &str, name: &str) -> Result<BTreeSet<String>> {
    let rows: Vec<Value> = agent.ask(topic)?;
    let text = |row: &Value, name: &str| {
        row.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Ok(rows
        .iter()
        .filter(|row| text(row, "workload") == SERVER)
        .map(|row| {
            let endpoint = match row.get("endpoint_name") {
                Some(_) => text(row, "endpoint_name"),
                None => format!("{} {}", text(row, "method"), text(row, "template")),
            };
            format!("{endpoint} {}", text(row, name))
        })
        .collect())
}
