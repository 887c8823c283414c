//! What could be seen of each workload, from its closed connections.
//!
//! In: closed connections with the workload they belong to. Out: rows of `status --coverage`, most bytes first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    capture::tls::discovery::Libraries, exchange::TlsVersion, flow::Closed, status::Coverage,
    status::Unreadable, workload::Workload,
};

/// Workloads with a row. Overflow policy: further ones share the row `(others)`.
const MAX_ROWS: usize = 4096;

/// Names of servers, and of protocols, that are kept of one workload. Overflow policy: further ones are left out.
const MAX_NAMES: usize = 8;

/// Name of the shared row.
const OTHERS: &str = "(others)";

/// Why the ciphertext of a library that is probed was not read: its plaintext went past the functions that are, as that of
/// OpenSSL's filters (`BIO_f_ssl`) does, or moved before they were probed.
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
    /// A process whose connection was closed before its library was found.
    unnamed: Option<u32>,
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

    /// Adds a closed connection.
    pub(super) fn add(&mut self, workload: &Arc<Workload>, closed: &Closed) {
        let known = self.rows.contains_key(&workload.name) || self.rows.len() < MAX_ROWS;
        let name = if known { workload.name.as_str() } else { OTHERS };
        let sums = match self.rows.get_mut(name) {
            Some(sums) => sums,
            None => self.rows.entry(name.to_owned()).or_default(),
        };
        sums.bytes += closed.bytes;
        if let Some(tls) = &closed.tls {
            let stack = self.libraries.of(closed.process.pid);
            sums.library = stack.and_then(|stack| stack.library).or(sums.library);
            sums.unnamed = stack.is_none().then_some(closed.process.pid).or(sums.unnamed);
            if !tls.is_read {
                let reason = stack.map(|stack| stack.unreadable.unwrap_or(PAST_PROBES));
                let reason = reason.unwrap_or_default();
                *sums.tls_bytes.entry(reason).or_default() += closed.bytes;
            }
            note(&mut sums.server_names, tls.server_name.iter());
            note(&mut sums.protocols, tls.protocols.iter());
            sums.versions.extend(tls.version);
        }
        sums.lost_bytes += closed.lost_bytes.min(closed.bytes);
        sums.joined_late += u64::from(closed.joined_late);
        sums.compared += u64::from(closed.reconciled.is_some());
        sums.reconciled += u64::from(closed.reconciled == Some(true));
    }

    /// Names the libraries that were found after the connections had been closed. To be called every second: what is known
    /// of a process ends with it.
    pub(super) fn name_libraries(&mut self) {
        for sums in self.rows.values_mut().filter(|sums| sums.library.is_none()) {
            let stack = sums.unnamed.and_then(|pid| self.libraries.of(pid));
            sums.library = stack.and_then(|stack| stack.library);
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
    fn row(&self, name: &str) -> Coverage {
        let lost = ("lost".to_owned(), self.lost_bytes);
        let tls = self.tls_bytes.iter().map(|(reason, bytes)| match *reason {
            "" => ("tls".to_owned(), *bytes),
            reason => (format!("tls: {reason}"), *bytes),
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
    use crate::{capture::tls::stack::Stack, event::ProcessRef, flow::Tls, workload::WorkloadKind};

    fn closed(bytes: u64, lost_bytes: u64, reconciled: Option<bool>) -> Closed {
        Closed {
            process: ProcessRef {
                pid: 1,
                start_ns: 0,
                cgroup: 0,
                comm: "x".to_owned(),
            },
            bytes,
            lost_bytes,
            joined_late: false,
            reconciled,
            tls: None,
        }
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
                &Closed {
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
        let unread = || Closed {
            tls: Some(Tls::default()),
            ..closed(700, 0, None)
        };
        coverages.add(&shop, &unread());
        libraries.set(1, Some(Stack::EXCLUDED));
        coverages.add(&shop, &unread());
        let rows = coverages.rows();
        let reasons: Vec<_> = rows[0]
            .unreadable
            .iter()
            .map(|part| (part.reason.as_str(), part.bytes))
            .collect();
        assert_eq!(
            reasons,
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
        let tls = Some(Tls {
            is_read: true,
            ..Tls::default()
        });
        coverages.add(
            &shop,
            &Closed {
                tls,
                ..closed(700, 0, None)
            },
        );
        coverages.name_libraries();
        assert_eq!(coverages.rows()[0].tls_library, None);
        libraries.set(1, Some(Stack::read("nss")));
        coverages.name_libraries();
        libraries.set(1, None);
        coverages.name_libraries();
        assert_eq!(coverages.rows()[0].tls_library.as_deref(), Some("nss"));
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
