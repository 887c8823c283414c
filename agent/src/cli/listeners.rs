//! `apiarist listeners`: sockets that listen, called or not.

use super::{
    list::{List, Shown},
    source::Topic,
    table::Column,
};

/// Shown by `--help`.
pub(super) const EXAMPLES: &str = "EXAMPLES:
  apiarist listeners
  apiarist listeners --filter 'exchanges == 0 and exposure == \"internet\"'
  apiarist listeners --workload shop -o json";

const COLUMNS: [Shown; 6] = [
    Shown::member(Column::text("WORKLOAD"), "workload"),
    Shown::member(Column::text("KIND"), "kind"),
    Shown::member(Column::flexible("ADDRESS"), "address"),
    Shown::member(Column::number("PORT"), "port"),
    Shown::member(Column::text("EXPOSURE"), "exposure"),
    Shown::member(Column::number("EXCHANGES"), "exchanges"),
];

/// The list.
pub(super) const LIST: List<'static> = List {
    topic: Topic::Listeners,
    columns: &COLUMNS,
    empty: "No listening socket matches.",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::list::cells, clock::Timestamp, status::Listener};

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
            cells(&COLUMNS, &row, Timestamp(0)),
            ["shop", "pod", "0.0.0.0", "8080", "cluster", "0"]
        );
    }
}
