//! `apiarist listeners`: sockets that listen, called or not.

use serde_json::Value;

use super::{
    Context, Failure,
    list::{List, text},
    query,
    source::Topic,
    table::Column,
};
use crate::clock::Timestamp;

const EXAMPLES: &str = "EXAMPLES:
  apiarist listeners
  apiarist listeners --filter 'exchanges == 0 and exposure == \"internet\"'
  apiarist listeners --workload shop -o json";

/// List sockets that listen: APIs that may be there although nobody calls them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    query: query::Args,
}

const COLUMNS: [Column; 6] = [
    Column::text("WORKLOAD"),
    Column::text("KIND"),
    Column::flexible("ADDRESS"),
    Column::number("PORT"),
    Column::text("EXPOSURE"),
    Column::number("EXCHANGES"),
];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let list = List {
        topic: Topic::Listeners,
        columns: &COLUMNS,
        cells,
        empty: "No listening socket matches.",
    };
    list.show(&args.query, context)
}

fn cells(row: &Value, _: Timestamp) -> Vec<String> {
    ["workload", "kind", "address", "port", "exposure", "exchanges"]
        .map(|name| text(row, name))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Listener;

    #[test]
    fn a_socket_is_a_row() {
        let listener = Listener {
            workload: "shop".into(),
            kind: "pod".into(),
            address: "0.0.0.0".into(),
            port: 8080,
            exposure: "cluster".into(),
            ..Listener::default()
        };
        let row = serde_json::to_value(listener).unwrap();
        assert_eq!(
            cells(&row, Timestamp(0)),
            ["shop", "pod", "0.0.0.0", "8080", "cluster", "0"]
        );
    }
}
