//! Lists as an agent left them in its store: read no further than somebody asks.
//!
//! In: a store whose lists were judged by the present configuration. Out: the rows that the agent would answer, in its
//! order; those of the risk of workloads are made of the worst of their endpoints.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::ControlFlow,
    path::Path,
};

use super::{
    Failure,
    batches::{Batches, Take},
    rows::Line,
    source::Topic,
};
use crate::{
    config::Config,
    risk::RiskView,
    store::{Listed, Reader, Table},
};

/// Passes the rows of a list on, at most so many. Whether the store holds that list.
pub(super) fn list(
    directory: &Path,
    config: &Config,
    (topic, most): (Topic, Option<usize>),
    take: Take<'_>,
) -> Result<bool, Failure> {
    let table = match topic {
        Topic::Endpoints => Table::Summaries,
        Topic::Risks => Table::Risks,
        _ => return Ok(false),
    };
    let criteria = config.criteria().map_err(Failure::usage)?;
    let reader = Reader::open(directory).map_err(Failure::usage)?;
    let mut batches = Batches::to(take, most);
    let mut workloads = Workloads::default();
    let is_there = reader
        .list(table, &criteria.fingerprint(), |listed| {
            if table == Table::Risks {
                workloads.before(&listed, &mut batches)?;
            }
            match String::from_utf8(listed.row.record) {
                Ok(line) => batches.push(line),
                Err(_) => ControlFlow::Continue(()),
            }
        })
        .map_err(Failure::usage)?;
    batches.extend(workloads.waiting.into_values());
    batches.end()?;
    Ok(is_there)
}

/// The rows of workloads among the risks of endpoints, which come worst first.
#[derive(Default)]
struct Workloads {
    /// Ids of workloads whose worst endpoint went by.
    known: HashSet<String>,
    /// Their names: workloads of one name share a row.
    names: BTreeSet<String>,
    /// Rows whose place is still to come.
    waiting: BTreeMap<Vec<u8>, Line>,
}

impl Workloads {
    /// Passes on what stands before the row of an endpoint, and makes the row of its workload.
    fn before(&mut self, listed: &Listed, batches: &mut Batches<'_>) -> ControlFlow<()> {
        while let Some(first) = self.waiting.first_entry()
            && *first.key() < listed.place
        {
            batches.push(first.remove())?;
        }
        if self.known.contains(&listed.row.workload) {
            return ControlFlow::Continue(());
        }
        self.known.insert(listed.row.workload.clone());
        if let Ok(worst) = serde_json::from_slice::<RiskView>(&listed.row.record)
            && self.names.insert(worst.workload.clone())
        {
            let row = worst.of_workload();
            if let Ok(line) = serde_json::to_string(&row) {
                self.waiting.insert(row.place(), line);
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::Timestamp,
        inventory::{Inventory, Limits, fixture::call},
        risk::{Assessor, Criteria},
        store::{Batch, Store},
        workload::{Workload, WorkloadKind},
    };

    /// A store with what was found among endpoints of three workloads, two of them of one name; and who found it.
    fn filled(directory: &Path) -> Assessor {
        let now = Timestamp(1_700_000_100_000_000_000);
        let mut inventory = Inventory::new(Limits::default());
        for (id, name) in [("w1", "shop"), ("w2", "billing"), ("w3", "shop")] {
            let workload = Arc::new(Workload {
                id: id.into(),
                ..Workload::named(WorkloadKind::Process, name)
            });
            for (target, answer) in [
                (
                    "/v1/users",
                    r#"{"email":"a@example.test","password":"secret-word"}"#,
                ),
                ("/v1/mail", r#"{"email":"a@example.test"}"#),
                ("/v1/lamps", r#"{"name":"lamp"}"#),
            ] {
                let exchange = call("GET", target).answer(answer).exchange();
                inventory.observe(&exchange, &workload, None);
            }
        }
        let mut assessor = Assessor::new(Criteria::default());
        assessor.refresh(&inventory, &[], &[], now);
        let mut batch = Batch::default();
        batch.add_lists(&mut assessor);
        let mut store = Store::open(directory, 1 << 24, now).unwrap().store;
        store.save(&batch).unwrap();
        assessor
    }

    fn listed(directory: &Path, topic: Topic, most: Option<usize>) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut take = |mut batch: Vec<Line>| {
            lines.append(&mut batch);
            Ok(ControlFlow::Continue(()))
        };
        assert!(list(directory, &Config::default(), (topic, most), &mut take).unwrap());
        lines
    }

    #[test]
    fn a_store_lists_what_its_agent_would() {
        let directory = tempfile::tempdir().unwrap();
        let assessor = filled(directory.path());
        let endpoints: Vec<Line> = assessor.endpoints().iter().map(ToString::to_string).collect();
        assert_eq!(endpoints.len(), 9);
        assert_eq!(listed(directory.path(), Topic::Endpoints, None), endpoints);
        let risks: Vec<Line> = assessor
            .risks()
            .iter()
            .map(|risk| serde_json::to_string(risk.as_ref()).unwrap())
            .collect();
        assert!(risks.len() > 5, "{risks:?}");
        for most in [None, Some(1), Some(3)] {
            let first = risks.iter().take(most.unwrap_or(usize::MAX));
            assert!(
                listed(directory.path(), Topic::Risks, most).iter().eq(first),
                "{most:?}"
            );
        }
    }

    #[test]
    fn what_was_judged_otherwise_is_no_list() {
        let directory = tempfile::tempdir().unwrap();
        filled(directory.path());
        let mut config = Config::default();
        config.risk.ceiling = 7;
        let mut take = |_: Vec<Line>| Ok(ControlFlow::Continue(()));
        assert!(!list(directory.path(), &config, (Topic::Risks, None), &mut take).unwrap());
    }
}
