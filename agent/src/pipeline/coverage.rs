//! What could be seen of each workload, from the accounts of its connections.
//!
//! In: accounts with the workload they belong to. Out: rows of `status --coverage`, most bytes first.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use crate::{
    capture::tls::{libraries::Libraries, stack::Stack},
    exchange::TlsVersion,
    flow::{Account, Occasion},
    status::Coverage,
    status::Unreadable,
    workload::Workload,
};

/// Workloads with a row. Overflow policy: further ones share the row `(others)`.
const MAX_ROWS: usize = 4096;

/// Names of servers, and of protocols, that are kept of one workload. Overflow policy: further ones are left out.
const MAX_NAMES: usize = 8;

/// Processes of one workload whose library may still be found after their connections were closed. Overflow policy: the
/// oldest goes, and its bytes stay without a reason of their own.
const MAX_UNNAMED: usize = 16;

/// Name of the shared row.
const OTHERS: &str = "(others)";

/// Why the ciphertext of a library that is probed was not read: its plaintext went past the functions that are, as that of
/// OpenSSL's filters (`BIO_f_ssl`) does where these use other functions, or moved before they were probed.
const PAST_PROBES: &str = "past the probed functions";

#[derive(Debug, Default)]
struct Sums {
    bytes: u64,
    lost_bytes: u64,
    /// Ciphertext whose plaintext was not read, by reason.
    tls_bytes: BTreeMap<&'static str, u64>,
    server_names: BTreeSet<String>,
    protocols: BTreeSet<String>,
    versions: BTreeSet<TlsVersion>,
    library: Option<&'static str>,
    /// Processes whose connections were closed before their library was found, and how much of these was not read.
    unnamed: VecDeque<(u32, u64)>,
    joined_late: u64,
    compared: u64,
    reconciled: u64,
}

/// Sums by workload name.
#[derive(Debug, Default)]
pub(super) struct Coverages {
    libraries: Libraries,
    rows: BTreeMap<String, Sums>,
}

impl Coverages {
    /// From now on, names the libraries of processes as these are found.
    pub(super) fn know(&mut self, libraries: Libraries) {
        self.libraries = libraries;
    }

    /// Adds what went through a connection.
    pub(super) fn add(&mut self, workload: &Arc<Workload>, account: &Account) {
        let known = self.rows.contains_key(&workload.name) || self.rows.len() < MAX_ROWS;
        let name = if known { workload.name.as_str() } else { OTHERS };
        let sums = match self.rows.get_mut(name) {
            Some(sums) => sums,
            None => self.rows.entry(name.to_owned()).or_default(),
        };
        sums.bytes += account.bytes;
        if let Some(tls) = &account.tls {
            let unread = if tls.is_read { 0 } else { account.bytes };
            match self.libraries.of(account.process.pid) {
                Some(stack) => sums.name(&stack, unread),
                None => sums.wait_for_name(account.process.pid, unread),
            }
            note(&mut sums.server_names, tls.server_name.iter());
            note(&mut sums.protocols, tls.protocols.iter());
            sums.versions.extend(tls.version);
        }
        sums.lost_bytes += account.lost_bytes.min(account.bytes);
        if let Occasion::Closed {
            joined_late,
            reconciled,
        } = account.occasion
        {
            sums.joined_late += u64::from(joined_late);
            sums.compared += u64::from(reconciled.is_some());
            sums.reconciled += u64::from(reconciled == Some(true));
        }
    }

    /// Names the libraries that were found after the connections had been closed. To be called every second: what is known
    /// of a process ends with it.
    pub(super) fn name_libraries(&mut self) {
        for sums in self.rows.values_mut() {
            for (pid, unread) in std::mem::take(&mut sums.unnamed) {
                match self.libraries.of(pid) {
                    Some(stack) => sums.name(&stack, unread),
                    None => sums.unnamed.push_back((pid, unread)),
                }
            }
        }
    }

    /// Rows, most bytes first.
    pub(super) fn rows(&self) -> Vec<Coverage> {
        let mut rows: Vec<Coverage> = self.rows.iter().map(|(name, sums)| sums.row(name)).collect();
        rows.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.workload.cmp(&b.workload)));
        rows
    }
}

impl Sums {
    /// Tells what a process brings as the reason of its unread bytes.
    fn name(&mut self, stack: &Stack, unread: u64) {
        self.library = stack.library.or(self.library);
        if unread > 0 {
            let reason = stack.unreadable.unwrap_or(PAST_PROBES);
            *self.tls_bytes.entry(reason).or_default() += unread;
        }
    }

    fn wait_for_name(&mut self, pid: u32, unread: u64) {
        if let Some((_, sum)) = self.unnamed.iter_mut().find(|(known, _)| *known == pid) {
            *sum += unread;
            return;
        }
        self.unnamed.push_back((pid, unread));
        if self.unnamed.len() > MAX_UNNAMED
            && let Some((_, unread)) = self.unnamed.pop_front()
        {
            *self.tls_bytes.entry("").or_default() += unread;
        }
    }

    fn row(&self, name: &str) -> Coverage {
        let lost = ("lost".to_owned(), self.lost_bytes);
        let unnamed: u64 = self.unnamed.iter().map(|(_, unread)| unread).sum();
        let mut tls_bytes = self.tls_bytes.clone();
        *tls_bytes.entry("").or_default() += unnamed;
        let tls = tls_bytes.into_iter().map(|(reason, bytes)| match reason {
            "" => ("tls".to_owned(), bytes),
            reason => (format!("tls: {reason}"), bytes),
        });
        let unreadable: Vec<Unreadable> = std::iter::once(lost)
            .chain(tls)
            .filter(|(_, bytes)| *bytes > 0)
            .map(|(reason, bytes)| Unreadable { reason, bytes })
            .collect();
        let missed = unreadable
            .iter()
            .map(|part| part.bytes)
            .sum::<u64>()
            .min(self.bytes);
        Coverage {
            workload: name.to_owned(),
            bytes: self.bytes,
            read_pct: percent(self.bytes - missed, self.bytes).unwrap_or(100.0),
            tls_library: self.library.map(str::to_owned),
            server_names: self.server_names.iter().cloned().collect(),
            protocols: self.protocols.iter().cloned().collect(),
            tls_versions: self
                .versions
                .iter()
                .map(|version| version.as_str().to_owned())
                .collect(),
            unreadable,
            joined_late: self.joined_late,
            reconciled_pct: percent(self.reconciled, self.compared),
        }
    }
}

/// Keeps what fits.
fn note<'n>(kept: &mut BTreeSet<String>, names: impl Iterator<Item = &'n String>) {
    for name in names {
        if kept.len() < MAX_NAMES && !kept.contains(name) {
            kept.insert(name.clone());
        }
    }
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::ProcessRef, flow::Tls, workload::WorkloadKind};

    fn closed(bytes: u64, lost_bytes: u64, reconciled: Option<bool>) -> Account {
        Account {
            process: ProcessRef {
                pid: 1,
                start_ns: 0,
                cgroup: 0,
                comm: "x".into(),
            },
            bytes,
            lost_bytes,
            occasion: Occasion::Closed {
                joined_late: false,
                reconciled,
            },
            tls: None,
        }
    }

    fn reasons(row: &Coverage) -> Vec<(&str, u64)> {
        let parts = row.unreadable.iter();
        parts.map(|part| (part.reason.as_str(), part.bytes)).collect()
    }

    #[test]
    fn ciphertext_that_was_not_read_is_a_reason() {
        let shop = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
        let mut coverages = Coverages::default();
        for is_read in [true, false] {
            let tls = Some(Tls {
                is_read,
                server_name: Some("api.example".to_owned()),
                protocols: vec!["h2".to_owned()],
                version: Some(TlsVersion(if is_read { 0x0303 } else { 0x0301 })),
            });
            coverages.add(
                &shop,
                &Account {
                    tls,
                    ..closed(500, 0, None)
                },
            );
        }
        let rows = coverages.rows();
        assert_eq!(rows[0].read_pct, 50.0);
        assert_eq!(
            (rows[0].unreadable[0].reason.as_str(), rows[0].unreadable[0].bytes),
            ("tls", 500)
        );
        assert_eq!(rows[0].server_names, ["api.example"]);
        assert_eq!(rows[0].protocols, ["h2"]);
        assert_eq!(rows[0].tls_versions, ["TLS 1.0", "TLS 1.2"]);
    }

    #[test]
    fn what_a_process_brings_is_the_reason() {
        let libraries = Libraries::default();
        libraries.set(1, Some(Stack::read("openssl")));
        let mut coverages = Coverages::default();
        coverages.know(libraries.clone());
        let shop = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
        let unread = || Account {
            tls: Some(Tls::default()),
            ..closed(700, 0, None)
        };
        coverages.add(&shop, &unread());
        libraries.set(1, Some(Stack::EXCLUDED));
        coverages.add(&shop, &unread());
        let rows = coverages.rows();
        assert_eq!(
            reasons(&rows[0]),
            [("tls: excluded", 700), ("tls: past the probed functions", 700)]
        );
        assert_eq!(rows[0].tls_library.as_deref(), Some("openssl"));
    }

    #[test]
    fn a_library_that_is_found_after_the_connection_is_named() {
        let libraries = Libraries::default();
        let mut coverages = Coverages::default();
        coverages.know(libraries.clone());
        let shop = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
        for is_read in [true, false] {
            let tls = Some(Tls {
                is_read,
                ..Tls::default()
            });
            coverages.add(
                &shop,
                &Account {
                    tls,
                    ..closed(700, 0, None)
                },
            );
        }
        coverages.name_libraries();
        let before = &coverages.rows()[0];
        assert_eq!(before.tls_library, None);
        assert_eq!(reasons(before), [("tls", 700)]);
        libraries.set(1, Some(Stack::read("nss")));
        coverages.name_libraries();
        libraries.set(1, None);
        coverages.name_libraries();
        let after = &coverages.rows()[0];
        assert_eq!(after.tls_library.as_deref(), Some("nss"));
        assert_eq!(reasons(after), [("tls: past the probed functions", 700)]);
    }

    #[test]
    fn too_many_processes_without_a_library_lose_no_byte() {
        let mut coverages = Coverages::default();
        let shop = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
        for pid in 0..100 {
            let mut closed = Account {
                tls: Some(Tls::default()),
                ..closed(10, 0, None)
            };
            closed.process.pid = pid;
            coverages.add(&shop, &closed);
        }
        assert_eq!(reasons(&coverages.rows()[0]), [("tls", 1000)]);
        assert_eq!(coverages.rows["shop"].unnamed.len(), MAX_UNNAMED);
    }

    #[test]
    fn rows_tell_what_was_read_and_what_agrees() {
        let shop = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
        let tiny = Arc::new(Workload::named(WorkloadKind::Process, "tiny"));
        let mut coverages = Coverages::default();
        coverages.add(&shop, &closed(900, 0, Some(true)));
        coverages.add(&shop, &closed(100, 100, Some(false)));
        coverages.add(&tiny, &closed(1, 0, None));
        let rows = coverages.rows();
        assert_eq!(rows[0].workload, "shop");
        assert_eq!((rows[0].read_pct, rows[0].reconciled_pct), (90.0, Some(50.0)));
        assert_eq!((rows[1].read_pct, rows[1].reconciled_pct), (100.0, None));
    }
}
