//! Writes rows for programs: JSON, JSON Lines, CSV, YAML.
//!
//! In: JSON rows. Out: text without colour codes, the same on a terminal and in a pipe. CSV has one column for
//! each member that any row has, in the order of first appearance; nested values are JSON inside their cell.

use std::io::Write;

use serde_json::Value;

use super::{Failure, batches::Line};
use crate::select::whole;

/// Form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people: aligned columns, fitted to a terminal, complete in a pipe
    #[default]
    Table,
    /// One JSON document
    Json,
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values (RFC 4180); nested values as JSON
    Csv,
    /// One YAML document
    Yaml,
}

/// Writes rows in a form for programs; [`Format::Table`] writes nothing and is the caller's.
pub(super) fn rows(out: &mut dyn Write, format: Format, rows: &[Value]) -> Result<(), Failure> {
    match format {
        Format::Table => Ok(()),
        Format::Json => json(out, &rows),
        Format::Jsonl => json_lines(out, rows),
        Format::Csv => comma_separated(out, rows),
        Format::Yaml => yaml(out, &rows),
    }
}

/// Writes rows that are JSON already; [`Format::Table`] writes nothing and is the caller's. JSON has one row a line, so
/// that lists can be compared and searched line by line.
pub(super) fn lines(out: &mut dyn Write, format: Format, lines: &[Line]) -> Result<(), Failure> {
    match format {
        Format::Json if lines.is_empty() => writeln!(out, "[]")?,
        Format::Json => {
            for (line, before) in lines
                .iter()
                .zip(std::iter::once("[\n").chain(std::iter::repeat(",\n")))
            {
                write!(out, "{before}{line}")?;
            }
            writeln!(out, "\n]")?;
        }
        Format::Jsonl => {
            for line in lines {
                writeln!(out, "{line}")?;
            }
        }
        other => {
            let whole = lines
                .iter()
                .map(|line| whole(line))
                .collect::<Result<Vec<_>, _>>()?;
            rows(out, other, &whole)?;
        }
    }
    Ok(())
}

/// Writes one object: a document of its own in JSON and YAML, one row elsewhere.
pub(super) fn object(out: &mut dyn Write, format: Format, row: &Value) -> Result<(), Failure> {
    match format {
        Format::Json => json(out, row),
        Format::Yaml => yaml(out, row),
        other => rows(out, other, std::slice::from_ref(row)),
    }
}

fn json(out: &mut dyn Write, value: &impl serde::Serialize) -> Result<(), Failure> {
    serde_json::to_writer_pretty(&mut *out, value).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}

fn json_lines(out: &mut dyn Write, rows: &[Value]) -> Result<(), Failure> {
    for row in rows {
        serde_json::to_writer(&mut *out, row).map_err(std::io::Error::from)?;
        writeln!(out)?;
    }
    Ok(())
}

fn yaml(out: &mut dyn Write, value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_norway::to_string(value).map_err(std::io::Error::other)?;
    Ok(out.write_all(text.as_bytes())?)
}

fn comma_separated(out: &mut dyn Write, rows: &[Value]) -> Result<(), Failure> {
    let mut columns: Vec<&str> = Vec::new();
    for name in rows
        .iter()
        .filter_map(Value::as_object)
        .flat_map(serde_json::Map::keys)
    {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    if columns.is_empty() {
        return Ok(());
    }
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(&columns).map_err(std::io::Error::from)?;
    for row in rows {
        let cells = columns.iter().map(|name| cell(row.get(name)));
        writer.write_record(cells).map_err(std::io::Error::from)?;
    }
    Ok(writer.flush()?)
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn write(format: Format, given: &[Value]) -> String {
        let mut out = Vec::new();
        rows(&mut out, format, given).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn sample() -> Vec<Value> {
        vec![
            json!({"id": "a", "hits": 3, "status": {"2xx": 3}, "text": "x,\"y\"\nz"}),
            json!({"id": "no", "owner": null, "extra": ["p"]}),
        ]
    }

    #[test]
    fn json_and_lines_and_yaml_read_back_as_they_were() {
        let rows = sample();
        assert_eq!(
            serde_json::from_str::<Vec<Value>>(&write(Format::Json, &rows)).unwrap(),
            rows
        );
        let lines = write(Format::Jsonl, &rows);
        let read: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read, rows);
        assert_eq!(
            serde_norway::from_str::<Vec<Value>>(&write(Format::Yaml, &rows)).unwrap(),
            rows
        );
    }

    #[test]
    fn rows_that_are_json_already_are_passed_on() {
        let lines = sample().iter().map(Value::to_string).collect::<Vec<_>>();
        for format in [Format::Json, Format::Jsonl, Format::Csv, Format::Yaml] {
            let mut out = Vec::new();
            super::lines(&mut out, format, &lines).unwrap();
            let written = String::from_utf8(out).unwrap();
            match format {
                Format::Json => assert_eq!(serde_json::from_str::<Vec<Value>>(&written).unwrap(), sample()),
                other => assert_eq!(written, write(other, &sample())),
            }
        }
    }

    #[test]
    fn csv_has_every_member_and_nests_json() {
        assert_eq!(
            write(Format::Csv, &sample()),
            "id,hits,status,text,owner,extra\na,3,\"{\"\"2xx\"\":3}\",\"x,\"\"y\"\"\nz\",,\nno,,,,,\"[\"\"p\"\"]\"\n"
        );
    }

    #[test]
    fn no_rows_are_an_empty_list() {
        assert_eq!(write(Format::Json, &[]), "[]\n");
        assert_eq!(write(Format::Jsonl, &[]), "");
        assert_eq!(write(Format::Csv, &[]), "");
    }
}
