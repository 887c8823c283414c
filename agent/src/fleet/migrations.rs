//! The schema, and how an older database becomes a current one.
//!
//! A table counts the migrations that were applied. Append to [`MIGRATIONS`]; never change an entry that was released. A
//! migration that was interrupted is applied again: its statements must bear that.

use serde_json::Value;

use super::{Client, FleetError};

/// Number and statements of each migration, in order.
const MIGRATIONS: &[(u32, &str)] = &[(1, include_str!("../../../deploy/clickhouse/0001-tables.sql"))];

/// Version of the schema that this version of the agent writes.
pub const NEWEST: u32 = 1;

/// Makes the database and its tables what this version needs; the numbers of the migrations that were applied.
///
/// # Errors
/// The server refuses, or the database is of a newer version.
pub fn migrate(client: &Client) -> Result<Vec<u32>, FleetError> {
    client.command(&format!(
        "CREATE DATABASE IF NOT EXISTS {}",
        client.address().database
    ))?;
    client.command_inside(
        "CREATE TABLE IF NOT EXISTS schema_migrations (version UInt32, applied DateTime) \
         ENGINE = ReplacingMergeTree() ORDER BY version",
    )?;
    let rows = client.select("SELECT max(version) AS version FROM schema_migrations")?;
    let present = rows
        .first()
        .and_then(|row| row.get("version"))
        .and_then(Value::as_u64);
    let present = present.unwrap_or(0);
    if present > u64::from(NEWEST) {
        return Err(FleetError::Refused(format!(
            "the database has version {present}, this apiarist knows {NEWEST}: use a newer one"
        )));
    }
    let mut applied = Vec::new();
    for (number, text) in MIGRATIONS {
        if u64::from(*number) <= present {
            continue;
        }
        for statement in statements(text) {
            client.command_inside(&statement)?;
        }
        client.command_inside(&format!(
            "INSERT INTO schema_migrations SELECT toUInt32({number}), now()"
        ))?;
        applied.push(*number);
    }
    Ok(applied)
}

/// The statements of a file, without its comments.
fn statements(text: &str) -> Vec<String> {
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect();
    let code = code.join("\n");
    let statements = code.split(';').map(str::trim);
    statements
        .filter(|statement| !statement.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::Table, *};

    #[test]
    fn migrations_are_numbered_in_order_and_make_every_table() {
        let numbers: Vec<u32> = MIGRATIONS.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=NEWEST).collect::<Vec<_>>());
        let all: Vec<String> = MIGRATIONS.iter().flat_map(|(_, text)| statements(text)).collect();
        for table in Table::ALL {
            let begins = format!("CREATE TABLE IF NOT EXISTS {} (", table.name());
            assert!(
                all.iter().any(|statement| statement.starts_with(&begins)),
                "{begins}"
            );
        }
        // What was interrupted is applied again.
        for statement in &all {
            assert!(
                statement.contains("IF NOT EXISTS") || statement.contains("IF EXISTS"),
                "{statement}"
            );
        }
    }
}
