//! ClickHouse: incidents and anomalies, and reports of what changed, as rows of a fleet's tables.

use anyhow::Result;

use super::{
    Event,
    deliver::{Deliver, PATIENCE},
};
use crate::fleet::{self, Address, Client, Row};

/// A way to a database.
pub(super) struct ClickHouse {
    client: Client,
    node: String,
}

impl ClickHouse {
    pub(super) fn new(address: Address) -> Self {
        Self {
            node: address.node.clone().unwrap_or_else(host_name),
            client: Client::new(address, PATIENCE),
        }
    }

    /// Adds the rows that lines of the spool hold; how many.
    pub(super) fn report(&self, lines: &[Vec<u8>]) -> Result<u64> {
        // A line of another version is nobody's loss to repeat for ever: the row comes again within the hour.
        let rows: Vec<Row> = lines.iter().filter_map(|line| Row::of_line(line)).collect();
        self.client.insert(rows.iter())?;
        Ok(rows.len() as u64)
    }
}

impl Deliver for ClickHouse {
    fn deliver(&mut self, events: &[Event]) -> Result<()> {
        let rows: Vec<Row> = events
            .iter()
            .filter_map(|event| match event {
                Event::Alert(alert) => Some(fleet::alert(&self.node, alert)),
                // Part of the reports, with their state.
                Event::Finding(_) => None,
            })
            .collect();
        Ok(self.client.insert(rows.iter())?)
    }
}

/// The name of this host.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
