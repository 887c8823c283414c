//! `apiarist egress`: the APIs of others that workloads of this host call.

use serde_json::{Value, json};

use super::{
    Context, Failure,
    list::text,
    output::{self, Format},
    source::{self, Topic},
    table::{self, Column},
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist egress
  apiarist egress --workload shop
  apiarist egress -o csv --store /var/lib/apiarist";

/// List the hosts that workloads call off this host
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: source::Args,
    /// Only calls of the workload of this name
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

const COLUMNS: [Column; 4] = [
    Column::flexible("HOST"),
    Column::text("WORKLOAD"),
    Column::number("EXCHANGES"),
    Column::text("OWNER"),
];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut rows = calls(&args.source.rows(Topic::Workloads, context)?);
    if let Some(workload) = &args.workload {
        rows.retain(|row| text(row, "workload") == *workload);
    }
    match args.output {
        Format::Table => {
            let cells = |row: &Value| {
                ["host", "workload", "exchanges", "owner"]
                    .map(|name| text(row, name))
                    .into()
            };
            let lines: Vec<Vec<String>> = rows.iter().map(cells).collect();
            table::write(
                context.out,
                context.terminal,
                &COLUMNS,
                &lines,
                "No call off this host was seen.",
            )
        }
        format => output::rows(context.out, format, &rows),
    }
}

/// A row for each workload and host; the hosts in order, and of each the workload that calls most first.
fn calls(workloads: &[Value]) -> Vec<Value> {
    let mut rows: Vec<Value> = Vec::new();
    for workload in workloads {
        let hosts = workload
            .get("calls_to")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        rows.extend(hosts.map(|(host, count)| {
            json!({
                "host": host,
                "workload": workload.get("name"),
                "workload_id": workload.get("id"),
                "namespace": workload.get("namespace"),
                "owner": workload.get("owner"),
                "exchanges": count,
            })
        }));
    }
    let count = |row: &Value| row.get("exchanges").and_then(Value::as_u64).unwrap_or_default();
    rows.sort_by(|a, b| {
        text(a, "host")
            .cmp(&text(b, "host"))
            .then(count(b).cmp(&count(a)))
    });
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_in_order_and_the_busiest_workload_is_first() {
        let rows = calls(&[
            json!({"name": "shop", "id": "1", "calls_to": {"pay.test": 2, "mail.test": 1}}),
            json!({"name": "cart", "id": "2", "calls_to": {"pay.test": 5}, "owner": "web"}),
            json!({"name": "idle", "id": "3"}),
        ]);
        let shown: Vec<_> = rows
            .iter()
            .map(|row| (text(row, "host"), text(row, "workload")))
            .collect();
        let expected = [("mail.test", "shop"), ("pay.test", "cart"), ("pay.test", "shop")];
        assert_eq!(
            shown,
            expected.map(|(host, workload)| (host.to_owned(), workload.to_owned()))
        );
        assert_eq!(rows[1]["owner"], "web");
    }
}
