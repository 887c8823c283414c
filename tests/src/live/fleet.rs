//! One host of a fleet: what ClickHouse answers is what the agent itself answers, whoever is killed in between.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::{Map, Value};

use super::{
    agent::{Agent, bare, stored},
    binary, lacks, note,
    place::{Place, fixture},
    program::{Program, command, output},
    rows::{self, row},
    same,
    servers::free_port,
    wait::until,
};
use crate::{
    collectors::{
        clickhouse::{PASSWORD, Server, debian, debian_again},
        fed,
    },
    python::interpreter,
};

/// Longest wait for rows to be where they belong: an agent without optimisation, and ten seconds between two tries.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

const SERVER: &str = "orders_server.py";

/// Topics, and what tells the rows of this test from those of other programs on this host.
const TOPICS: [(&str, &str, &[&str]); 6] = [
    ("endpoints", "workload", &[SERVER]),
    ("workloads", "name", &[SERVER]),
    ("risks", "workload", &[SERVER]),
    ("findings", "workload", &[SERVER]),
    ("alerts", "workload", &[SERVER, "apiarist"]),
    ("anomalies", "workload", &[SERVER, "apiarist"]),
];

/// A database, and an agent that reports to it.
struct Fleet<'a> {
    place: &'a Place,
    port: u16,
    metrics: u16,
    /// Where the server listens: what else happens on this host is not looked at.
    scope: String,
}

pub(super) fn a_database_knows_what_the_agent_knows(place: &Place) -> Result<()> {
    let data = place.path().join("clickhouse");
    fs::create_dir(&data)?;
    let mut database: Server = debian(&data)?.ok_or_else(|| lacks("clickhouse-server"))?;
    let mut orders = command("python3")?;
    orders.args([&fixture(SERVER), &place.file("orders.sock")]);
    let mut orders = Program::start(&mut orders, place)?;
    let at = orders.first_line()?;
    let port = at.split(' ').next().unwrap_or_default();
    let fleet = Fleet {
        place,
        port: database.port,
        metrics: free_port()?,
        scope: port.to_owned(),
    };
    let address = format!("clickhouse://127.0.0.1:{}/fleet", fleet.port);
    fleet.say(&["fleet", "migrate", &address])?;
    let url = format!("http://127.0.0.1:{port}/users/[1-5]/orders/7");
    let seen = |count| {
        [row(
            "GET",
            "/users/{userId}/orders/{orderId}",
            "2xx",
            count,
            "curl",
        )]
    };

    let agent = fleet.agent("4096")?;
    output("curl", &["-sS", &url], place)?;
    agent.shows(SERVER, &seen(5))?;
    until(PATIENCE, || fleet.is_as(&agent))?;

    // The database dies; the agent sees more, tells of something, and dies, too.
    database.process.kill()?;
    let one = format!("http://127.0.0.1:{port}/users/6/orders/7");
    let (leak, attack) = ("access_token=abcdef123456", "name=nobody%27%20OR%20%271%27=%271");
    let urls = [url.clone(), format!("{one}?{leak}"), format!("{one}?{attack}")];
    output("curl", &[&["-sS".to_owned()], &urls[..]].concat(), place)?;
    agent.shows(SERVER, &seen(12))?;
    fleet.configure("2048")?;
    agent.signal(Signal::HUP)?;
    until(PATIENCE, || {
        let anomalies: Vec<Value> = agent.ask("anomalies")?;
        ensure!(
            classes(&anomalies).contains("configuration_changed"),
            "{anomalies:?}"
        );
        same("stored endpoints", &rows::of(&stored(place)?, SERVER), &seen(12))
    })?;
    agent.kill()?;

    let agent = fleet.agent("2048")?;
    output("curl", &["-sS", &url], place)?;
    agent.shows(SERVER, &seen(17))?;
    let _database = debian_again(&data, fleet.port)?;
    until(PATIENCE, || fleet.is_as(&agent))?;
    let told: BTreeSet<String> = classes(&[fleet.rows("alerts")?, fleet.rows("anomalies")?].concat());
    for class in ["configuration_changed", "agent_killed", "sqli"] {
        ensure!(told.contains(class), "{class} was lost: there are {told:?}");
    }
    for (topic, ..) in TOPICS {
        let rows = fleet.rows(topic)?;
        ensure!(!rows.is_empty(), "there are no {topic}");
        note(&format!("{topic}: {} rows", rows.len()));
    }
    fleet.alerts_are_of_the_schema()?;
    fleet.metrics_are_served()?;
    agent.stop(Signal::TERM).map(drop)
}

impl Fleet<'_> {
    fn configure(&self, budget: &str) -> Result<String> {
        let password = self.place.write("password", PASSWORD)?;
        self.place.write(
            "apiarist.toml",
            format!(
                "[alerts]\nsinks = [\"clickhouse://default@127.0.0.1:{}/fleet?node=here&every=1&password_file={password}\"]\n\
                 [control]\nmetrics = \"127.0.0.1:{}\"\n[capture]\nbudget_bytes = {budget}\n",
                self.port, self.metrics
            ),
        )
    }

    fn agent(&self, budget: &str) -> Result<Agent<'_>> {
        let configuration = self.configure(budget)?;
        Agent::of(self.place, &["--config", &configuration, "--port", &self.scope])
    }

    /// What the command says when it asks the database.
    fn say(&self, words: &[&str]) -> Result<String> {
        let mut command: Command = bare(&binary::apiarist()?);
        command
            .args(words)
            .env(
                "APIARIST_FLEET",
                format!("clickhouse://127.0.0.1:{}/fleet", self.port),
            )
            .env("APIARIST_CLICKHOUSE_USER", "default")
            .env("APIARIST_CLICKHOUSE_PASSWORD", PASSWORD);
        fed(&mut command, "")
    }

    fn rows(&self, topic: &str) -> Result<Vec<Value>> {
        let said = self.say(&[topic, "-o", "json"])?;
        serde_json::from_str(&said).with_context(|| format!("{topic} gave no JSON: {said}"))
    }

    /// Fails unless the database answers every question as the agent does, of this host alone.
    fn is_as(&self, agent: &Agent<'_>) -> Result<()> {
        for (topic, member, names) in TOPICS {
            let ours = |rows: Vec<Value>| -> Vec<String> {
                let is_ours = |row: &Value| {
                    names
                        .iter()
                        .any(|name| row.get(member).is_some_and(|of| of == name))
                };
                rows::sorted(rows.iter().filter(|row| is_ours(row)).map(plain).collect())
            };
            same(topic, &ours(self.rows(topic)?), &ours(agent.ask(topic)?))?;
        }
        let graph = |said: &str| -> Result<Vec<String>> {
            let graph: Value = serde_json::from_str(said)?;
            let edges = graph
                .get("edges")
                .and_then(Value::as_array)
                .context("a graph without edges")?;
            let edges = edges.iter().map(Value::to_string);
            Ok(rows::sorted(edges.filter(|edge| edge.contains(SERVER)).collect()))
        };
        let local = bare(&binary::apiarist()?)
            .args(["graph", "-o", "json", "--socket", &self.place.file("agent.sock")])
            .output()?;
        let local = graph(&String::from_utf8_lossy(&local.stdout))?;
        ensure!(!local.is_empty(), "nobody called {SERVER}");
        same("the graph", &graph(&self.say(&["graph", "-o", "json"])?)?, &local)
    }

    /// Native records hold what the schema that the agent serves says, and nothing else.
    fn alerts_are_of_the_schema(&self) -> Result<()> {
        let python = match interpreter(
            "formats-2",
            &["py-ocsf-models", "pycef", "jsonschema[format-nongpl]"],
        ) {
            Ok(python) => python,
            Err(_) => return Err(lacks("jsonschema of PyPI")),
        };
        let mut lines = String::new();
        for topic in ["alerts", "anomalies", "findings"] {
            for row in self.rows(topic)? {
                let mut members: Map<String, Value> = serde_json::from_value(row)?;
                members.retain(|name, _| !matches!(name.as_str(), "node" | "nodes"));
                lines.push_str(&format!("native\t{}\n", Value::Object(members)));
            }
        }
        let openapi = concat!(env!("CARGO_MANIFEST_DIR"), "/../agent/src/control/openapi.json");
        let judged = fed(
            Command::new(python).args([&fixture("formats.py"), openapi]),
            &lines,
        )?;
        ensure!(
            judged.trim() == lines.lines().count().to_string(),
            "judged {judged}"
        );
        Ok(())
    }

    /// Over TCP, as Prometheus would ask.
    fn metrics_are_served(&self) -> Result<()> {
        let page = output(
            "curl",
            &["-sS", &format!("http://127.0.0.1:{}/metrics", self.metrics)],
            self.place,
        )?;
        for line in [
            "apiarist_exchanges_total ",
            "apiarist_sink_queued{",
            "apiarist_coverage_ratio{",
        ] {
            ensure!(
                page.lines().any(|has| has.starts_with(line)),
                "no {line} in {page}"
            );
        }
        Ok(())
    }
}

fn classes(alerts: &[Value]) -> BTreeSet<String> {
    let of = |alert: &Value| Some(alert.get("class")?.as_str()?.to_owned());
    alerts.iter().filter_map(of).collect()
}

/// A row without what only a fleet says, which must be that there is one host; its times in whole seconds, as a database has them.
fn plain(row: &Value) -> String {
    let mut members: Map<String, Value> = row.as_object().cloned().unwrap_or_default();
    for (name, expected) in [("nodes", Value::from(1)), ("node", Value::from("here"))] {
        if members.get(name) == Some(&expected) {
            members.remove(name);
        }
    }
    for name in ["first_seen", "last_seen"] {
        if let Some(Value::String(time)) = members.get_mut(name) {
            time.truncate("2026-01-02T03:04:05".len());
        }
    }
    Value::Object(members).to_string()
}
