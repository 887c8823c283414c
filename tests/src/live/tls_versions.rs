//! Versions of TLS that are broken, between real programs: what was spoken is told, whoever of both chose it.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{
    agent::{Agent, PATIENCE},
    certificate::Certificate,
    place::Place,
    program::output,
    same,
    servers::{free_port, nginx},
    tls_servers::ANSWERS,
    wait::until,
};

/// Requests of each kind.
const TIMES: &str = "[1-5]";

/// Name of the server among the workloads.
const SERVER: &str = "nginx-old-tls";

pub(super) fn old_tls_is_told(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let (any, old) = (free_port()?, free_port()?);
    // Libraries of today speak these versions only when told that security does not matter.
    let server = |port: u16, versions: &str| {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; \
             ssl_protocols {versions}; ssl_ciphers ALL:@SECLEVEL=0; {ANSWERS} }}",
            own.certificate, own.key
        )
    };
    let servers = [server(any, "TLSv1.1 TLSv1.2 TLSv1.3"), server(old, "TLSv1.1")].concat();
    let agent = Agent::start(place)?;
    let _server = nginx(place, SERVER, any, &servers)?;
    let curl = |port: u16, path: &str, versions: &[&str]| {
        let url = format!("https://127.0.0.1:{port}/{path}?n={TIMES}");
        let always = ["-sSk", "--max-time", "20", "--ciphers", "ALL:@SECLEVEL=0", &url];
        output("curl", &[versions, &always].concat(), place)
    };
    // A client of today; one that cannot do better; one that could, at a server that cannot.
    curl(any, "today", &[])?;
    curl(any, "1.2", &["--tls-max", "1.2"])?;
    curl(any, "client", &["--tlsv1.0", "--tls-max", "1.1"])?;
    curl(old, "server", &["--tlsv1.0"])?;
    let expected = ["GET /client".to_owned(), "GET /server".to_owned()];
    until(PATIENCE, || same("old TLS", &told(&agent)?, &expected))?;
    until(PATIENCE, || {
        let status: Value = agent.ask("status")?;
        let rows = status.get("coverage").and_then(Value::as_array);
        let of_server = rows
            .into_iter()
            .flatten()
            .find(|row| row.get("workload").is_some_and(|name| name == SERVER));
        let versions = of_server.and_then(|row| row.get("tls_versions")?.as_array());
        ensure!(
            versions.is_some_and(|versions| *versions == ["TLS 1.1", "TLS 1.2", "TLS 1.3"]),
            "{versions:?}"
        );
        Ok(())
    })
}

/// Endpoints of the server with the finding.
fn told(agent: &Agent<'_>) -> Result<Vec<String>> {
    let rows: Vec<Value> = agent.ask("findings")?;
    let is = |row: &Value, name: &str, value: &str| row.get(name).is_some_and(|is| is == value);
    let told: BTreeSet<String> = rows
        .iter()
        .filter(|row| is(row, "rule", "old_tls") && is(row, "workload", SERVER))
        .filter_map(|row| Some(row.get("endpoint_name")?.as_str()?.to_owned()))
        .collect();
    Ok(told.into_iter().collect())
}
