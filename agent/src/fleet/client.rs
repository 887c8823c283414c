//! ClickHouse's HTTP interface (clickhouse.com/docs/interfaces/http): statements, rows in, rows out.
//!
//! In: statements whose literals are already quoted. Out: rows as JSON, or a [`FleetError`] that says what to do. Every wait has
//! an end and every answer a bound.

use std::{
    io::{Read as _, Write as _},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use super::{
    address::Address,
    row::{Row, Table},
};

/// Longest answer, in bytes. Overflow policy: the query fails.
const MAX_ANSWER_BYTES: u64 = 256 * 1024 * 1024;

/// Bytes of an error that are kept.
const MAX_ERROR_BYTES: u64 = 4096;

/// Codes of ClickHouse: a table, a database, a column or a field that the schema does not have.
const NO_SCHEMA: [u32; 5] = [16, 47, 60, 81, 117];

/// Codes of ClickHouse: wrong user or password, or not allowed.
const NOT_ALLOWED: [u32; 6] = [192, 193, 194, 195, 497, 516];

/// Why a database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// Nobody answers.
    #[error("no ClickHouse answers on {url}: {reason}")]
    Unreachable {
        /// Address of the server.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The credentials are wrong or missing.
    #[error(
        "ClickHouse does not let this user in: set APIARIST_CLICKHOUSE_USER and APIARIST_CLICKHOUSE_PASSWORD, or ?user= and ?password_file="
    )]
    NotAllowed,
    /// The tables are missing or of an older version.
    #[error(
        "the database has not the tables of this version: run `apiarist fleet migrate` with its address ({0})"
    )]
    NoSchema(String),
    /// Something else.
    #[error("ClickHouse refused: {0}")]
    Refused(String),
    /// The credentials could not be read.
    #[error("{0}")]
    Credentials(String),
}

/// A way to a database.
#[derive(Debug)]
pub struct Client {
    address: Address,
    agent: ureq::Agent,
}

impl Client {
    /// A way that gives up after `patience`. Nothing is opened yet.
    pub fn new(address: Address, patience: Duration) -> Self {
        let tls = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::PlatformVerifier)
            .build();
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(patience))
            .max_redirects(0)
            // The text of an error says what to do.
            .http_status_as_error(false)
            .user_agent(concat!("apiarist/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build()
            .into();
        Self { address, agent }
    }

    /// The database that it leads to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Carries out a statement without rows, in no database.
    ///
    /// # Errors
    /// See [`FleetError`].
    pub fn command(&self, statement: &str) -> Result<(), FleetError> {
        self.post(&[], statement.as_bytes(), None).map(drop)
    }

    /// The same, in the database of the address.
    ///
    /// # Errors
    /// See [`FleetError`].
    pub fn command_inside(&self, statement: &str) -> Result<(), FleetError> {
        let database = [("database", self.address.database.as_str())];
        self.post(&database, statement.as_bytes(), None).map(drop)
    }

    /// The rows that a `SELECT` gives, each an object. Numbers of 64 bits may come as text: no settings are changed, which a
    /// user who may only read could not.
    ///
    /// # Errors
    /// See [`FleetError`].
    pub fn select(&self, statement: &str) -> Result<Vec<Value>, FleetError> {
        let parameters = [
            ("database", self.address.database.as_str()),
            ("default_format", "JSONEachRow"),
        ];
        let answer = self.post(&parameters, statement.as_bytes(), None)?;
        serde_json::Deserializer::from_slice(&answer)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| FleetError::Refused(format!("its answer is not JSON ({error})")))
    }

    /// Adds rows: one compressed request for each table among them, in order within a table.
    ///
    /// # Errors
    /// See [`FleetError`]. Some of the rows may have been added: they replace themselves when they come again.
    pub fn insert<'r>(&self, rows: impl Iterator<Item = &'r Row> + Clone) -> Result<(), FleetError> {
        for table in Table::ALL {
            let mut body = GzEncoder::new(Vec::new(), Compression::fast());
            let mut is_empty = true;
            for row in rows.clone().filter(|row| row.table == table) {
                is_empty = false;
                // Writing to memory does not fail.
                body.write_all(row.json.as_bytes())
                    .and_then(|()| body.write_all(b"\n"))
                    .ok();
            }
            if is_empty {
                continue;
            }
            let body = body
                .finish()
                .map_err(|error| FleetError::Refused(error.to_string()))?;
            let statement = format!("INSERT INTO {} FORMAT JSONEachRow", table.name());
            let parameters = [
                ("database", self.address.database.as_str()),
                ("query", statement.as_str()),
            ];
            self.post(&parameters, &body, Some("gzip"))?;
        }
        Ok(())
    }

    fn post(
        &self,
        parameters: &[(&str, &str)],
        body: &[u8],
        coding: Option<&str>,
    ) -> Result<Vec<u8>, FleetError> {
        let credentials = self.address.credentials().map_err(FleetError::Credentials)?;
        let mut request = self.agent.post(&self.address.url);
        for (name, value) in parameters {
            request = request.query(*name, *value);
        }
        // Headers, not the address: those are not logged.
        for (name, value) in [
            ("X-ClickHouse-User", credentials.user),
            ("X-ClickHouse-Key", credentials.password),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        if let Some(coding) = coding {
            request = request.header("Content-Encoding", coding);
        }
        let unreachable = |reason: String| FleetError::Unreachable {
            url: self.address.url.clone(),
            reason,
        };
        let mut response = request
            .send(body)
            .map_err(|error| unreachable(error.to_string()))?;
        let is_success = response.status().is_success();
        let status = response.status();
        let limit = if is_success {
            MAX_ANSWER_BYTES
        } else {
            MAX_ERROR_BYTES
        };
        let mut answer = Vec::new();
        response
            .body_mut()
            .as_reader()
            .take(limit + 1)
            .read_to_end(&mut answer)
            .map_err(|error| unreachable(error.to_string()))?;
        match is_success {
            true if answer.len() as u64 > MAX_ANSWER_BYTES => Err(FleetError::Refused(
                "the answer is too long: ask for fewer rows with --limit".to_owned(),
            )),
            true => Ok(answer),
            false => Err(refusal(status.as_u16(), &String::from_utf8_lossy(&answer))),
        }
    }
}

/// What an answer that is none means: `Code: 60, e.displayText() = …` or `Code: 60. DB::Exception: …`.
fn refusal(status: u16, text: &str) -> FleetError {
    let code = text
        .split_once("Code: ")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    let first = text.lines().next().unwrap_or_default();
    let sentence: String = first.chars().take(300).collect();
    match code {
        Some(code) if NO_SCHEMA.contains(&code) => FleetError::NoSchema(sentence),
        Some(code) if NOT_ALLOWED.contains(&code) => FleetError::NotAllowed,
        _ if matches!(status, 401 | 403) => FleetError::NotAllowed,
        _ => FleetError::Refused(format!("{sentence} (HTTP {status})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_clickhouse_say_what_to_do() {
        let of = |text| refusal(500, text);
        assert!(matches!(
            of("Code: 60, e.displayText() = DB::Exception: Table a.b doesn't exist."),
            FleetError::NoSchema(_)
        ));
        assert!(matches!(
            of("Code: 516. DB::Exception: default: Authentication failed"),
            FleetError::NotAllowed
        ));
        assert!(matches!(
            of("Code: 241. DB::Exception: Memory limit"),
            FleetError::Refused(_)
        ));
        assert!(matches!(refusal(403, ""), FleetError::NotAllowed));
    }

    #[test]
    fn nobody_there_is_said_with_the_address() {
        let address = Address::parse("clickhouse://127.0.0.1:1/db").unwrap();
        let error = Client::new(address, Duration::from_secs(1))
            .select("SELECT 1")
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("no ClickHouse answers on http://127.0.0.1:1/")
        );
    }
}
