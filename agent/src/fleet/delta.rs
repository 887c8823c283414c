//! What changed since the last report.
//!
//! In: snapshots. Out: the rows that are new, different or gone. Remembers a hash of what was reported of each row, nothing
//! else. Every row is reported again within [`REFRESH_MS`], whatever happened to it on its way, and all of them after a
//! restart: they replace themselves. A row that vanishes while the agent is down stays until it is removed by age.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    hash::{BuildHasher as _, Hasher as _},
    time::Duration,
};

use foldhash::quality::FixedState;
use serde_json::{Map, Value};

use super::{
    row::{Draft, Row, Table},
    rows::Snapshot,
};
use crate::clock::Timestamp;

/// Time within which each row is reported again.
const REFRESH_MS: u64 = 3_600_000;

/// What was reported of one row.
#[derive(Debug)]
struct Reported {
    content: u64,
    at_ms: u64,
    /// Number of the last snapshot that had it.
    seen: u64,
}

/// The memory of reports.
#[derive(Debug)]
pub struct Delta {
    node: String,
    every: Duration,
    next: Timestamp,
    snapshots: u64,
    last_ms: u64,
    reported: BTreeMap<(Table, Box<str>), Reported>,
}

impl Delta {
    /// Nothing is reported yet; rows will carry this name of the host.
    pub fn new(node: String, every: Duration) -> Self {
        Self {
            node,
            every,
            next: Timestamp(0),
            snapshots: 0,
            last_ms: 0,
            reported: BTreeMap::new(),
        }
    }

    /// Whether it is time for the next report.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.next
    }

    /// Some reports were lost on their way: all rows are reported again.
    pub fn forget(&mut self) {
        for reported in self.reported.values_mut() {
            reported.at_ms = 0;
        }
    }

    /// The rows to report now.
    pub fn rows(&mut self, snapshot: &Snapshot<'_>) -> Vec<Row> {
        self.next = snapshot.now.after(self.every);
        // Versions grow, whatever the clock does.
        let now_ms = (snapshot.now.0 / 1_000_000).max(self.last_ms + 1);
        self.last_ms = now_ms;
        self.snapshots += 1;
        let mut rows = Vec::new();
        for draft in snapshot.drafts() {
            if self.is_news(&draft, now_ms) {
                rows.push(draft.finish(&self.node, now_ms));
            }
        }
        let (node, snapshots) = (&self.node, self.snapshots);
        self.reported.retain(|(table, key), reported| {
            let is_there = reported.seen == snapshots;
            if !is_there {
                rows.push(tombstone(*table, key, node, now_ms));
            }
            is_there
        });
        rows
    }

    fn is_news(&mut self, draft: &Draft, now_ms: u64) -> bool {
        let Draft { table, key, columns } = draft;
        let key = Value::Object(key.clone()).to_string();
        let mut hasher = FixedState::default().build_hasher();
        hasher.write(Value::Object(columns.clone()).to_string().as_bytes());
        let content = hasher.finish();
        // Spread over the time: not all rows of a host at once.
        let mut spread = FixedState::default().build_hasher();
        spread.write(key.as_bytes());
        let patience = REFRESH_MS / 2 + spread.finish() % (REFRESH_MS / 2);
        let fresh = Reported {
            content,
            at_ms: now_ms,
            seen: self.snapshots,
        };
        match self.reported.entry((*table, key.into_boxed_str())) {
            Entry::Vacant(place) => {
                place.insert(fresh);
                true
            }
            Entry::Occupied(mut place) => {
                let known = place.get();
                let is_same = known.content == content && now_ms < known.at_ms + patience;
                let at_ms = if is_same { known.at_ms } else { now_ms };
                place.insert(Reported { at_ms, ..fresh });
                !is_same
            }
        }
    }
}

/// The row that says that one is no more.
fn tombstone(table: Table, key: &str, node: &str, now_ms: u64) -> Row {
    let mut columns = Map::new();
    columns.insert("gone".to_owned(), 1.into());
    let draft = Draft {
        table,
        // Written by `is_news`.
        key: serde_json::from_str(key).unwrap_or_default(),
        columns,
    };
    draft.finish(node, now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{risk::Assessment, status::Status, verdict::fixture::finding};

    fn report(delta: &mut Delta, findings: &[&str], seconds: u64) -> Vec<Value> {
        let assessment = Assessment {
            findings: findings.iter().map(|id| finding(id)).collect(),
            ..Assessment::default()
        };
        let snapshot = Snapshot {
            assessment: &assessment,
            workloads: &[],
            baselines: &[],
            status: &Status::default(),
            now: Timestamp((1_800_000_000 + seconds) * 1_000_000_000),
        };
        let rows = delta.rows(&snapshot);
        let findings = rows.iter().filter(|row| row.table == Table::Findings);
        findings
            .map(|row| serde_json::from_str(&row.json).unwrap())
            .collect()
    }

    fn delta() -> Delta {
        Delta::new("n1".to_owned(), Duration::from_secs(60))
    }

    #[test]
    fn only_what_is_new_or_gone_is_reported() {
        let mut delta = delta();
        assert_eq!(report(&mut delta, &["a", "b"], 0).len(), 2);
        assert_eq!(report(&mut delta, &["a", "b"], 60), Vec::<Value>::new());
        assert_eq!(report(&mut delta, &["a", "b", "c"], 120)[0]["id"], "c");
        let gone = report(&mut delta, &["a", "c"], 180);
        assert_eq!(gone.len(), 1);
        assert_eq!(
            (&gone[0]["id"], &gone[0]["gone"], &gone[0]["node"]),
            (&"b".into(), &1.into(), &"n1".into())
        );
        assert_eq!(report(&mut delta, &["a", "c"], 240), Vec::<Value>::new());
    }

    #[test]
    fn everything_comes_again_within_the_hour_and_after_a_loss() {
        let mut delta = delta();
        report(&mut delta, &["a", "b"], 0);
        delta.forget();
        assert_eq!(report(&mut delta, &["a", "b"], 60).len(), 2);
        let mut again = 0;
        for minute in 2..=61 {
            again += report(&mut delta, &["a", "b"], minute * 60).len();
        }
        assert!((2..=4).contains(&again), "{again}");
    }

    #[test]
    fn versions_grow_though_the_clock_goes_back() {
        let mut delta = delta();
        let first = report(&mut delta, &["a"], 100)[0]["v"].as_u64().unwrap();
        let second = report(&mut delta, &["b"], 0)[0]["v"].as_u64().unwrap();
        assert!(second > first);
    }
}
