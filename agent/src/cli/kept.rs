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
    batches::{Batches, Line, Take, Wanted},
    source::Topic,
};
use crate::{
    config::Config,
    risk::{EndpointKey, RiskView},
    store::{Found, Reader, Table},
};

/// Passes the rows of a list on that are wanted, perhaps with some of the others. Whether the store holds that list.
pub(super) fn list(
    directory: &Path,
    config: &Config,
    (topic, wanted): (Topic, Wanted<'_>),
    take: Take<'_>,
) -> Result<bool, Failure> {
    let table = match topic {
        Topic::Endpoints => Table::Summaries,
        Topic::Risks => Table::Risks,
        _ => return Ok(false),
    };
    let criteria = config.criteria().map_err(Failure::usage)?;
    let reader = Reader::open(directory).map_err(Failure::usage)?;
    let mut batches = Batches::to(take, wanted.most);
    let mut workloads = Workloads::default();
    let is_there = reader
        .list(table, &criteria.fingerprint(), |found| {
            let is_wanted = match table {
                Table::Risks => {
                    workloads.before(&found, &mut batches)?;
                    true
                }
                _ => is_among(&found, wanted),
            };
            match found.record() {
                Some(line) if is_wanted => batches.push(line.to_owned()),
                _ => ControlFlow::Continue(()),
            }
        })
        .map_err(Failure::usage)?;
    batches.extend(workloads.waiting.into_values());
    batches.end()?;
    Ok(is_there)
}

/// Whether it may be wanted, as far as its place tells.
fn is_among(found: &Found<'_>, wanted: Wanted<'_>) -> bool {
    let key = EndpointKey::of(found.workload(), found.place());
    match (wanted.endpoints, key) {
        (Some(is_among), Some(key)) => is_among(&key),
        _ => true,
    }
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
    fn before(&mut self, found: &Found<'_>, batches: &mut Batches<'_>) -> ControlFlow<()> {
        while let Some(first) = self.waiting.first_entry()
            && first.key().as_slice() < found.place()
        {
            batches.push(first.remove())?;
        }
        if self.known.contains(found.workload()) {
            return ControlFlow::Continue(());
        }
        self.known.insert(found.workload().to_owned());
        let worst = found.record().map(serde_json::from_str::<RiskView>);
        if let Some(Ok(worst)) = worst
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
        assessor.end_changed();
        batch.add_lists(&mut assessor, usize::MAX);
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
        let wanted = Wanted {
            most,
            ..Wanted::default()
        };
        assert!(list(directory, &Config::default(), (topic, wanted), &mut take).unwrap());
        lines
    }

    #[test]
    fn a_store_lists_what_its_agent_would() {
        let directory = tempfile::tempdir().unwrap();
        let assessor = filled(directory.path());
        let endpoints: Vec<Line> = assessor
            .endpoints()
            .iter()
            .map(|row| row.as_str().to_owned())
            .collect();
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
    fn endpoints_are_told_apart_by_their_place() {
        let directory = tempfile::tempdir().unwrap();
        filled(directory.path());
        let mut lines = Vec::new();
        let mut take = |mut batch: Vec<Line>| {
            lines.append(&mut batch);
            Ok(ControlFlow::Continue(()))
        };
        let is_among = |key: &EndpointKey<'_>| {
            (key.workload, key.workload_id, key.method, key.template) == ("shop", "w3", "GET", "/v1/mail")
        };
        let wanted = Wanted {
            endpoints: Some(&is_among),
            ..Wanted::default()
        };
        let config = Config::default();
        assert!(list(directory.path(), &config, (Topic::Endpoints, wanted), &mut take).unwrap());
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains(r#""template":"/v1/mail""#) && lines[0].contains(r#""workload_id":"w3""#));
    }

    #[test]
    fn what_was_judged_otherwise_is_no_list() {
        let directory = tempfile::tempdir().unwrap();
        filled(directory.path());
        let mut config = Config::default();
        config.risk.ceiling = 7;
        let mut take = |_: Vec<Line>| Ok(ControlFlow::Continue(()));
        assert!(
            !list(
                directory.path(),
                &config,
                (Topic::Risks, Wanted::default()),
                &mut take
            )
            .unwrap()
        );
    }
}
