//! Whether the last run was ended on request, and how long nobody watched.
//!
//! In: a small file beside the store, written as often as the store is. Out: [`LastRun`], for the alert stream and `status`.
//! A run that ends as it should says so in the file; one that was killed cannot. Refuses to accuse anybody when the host
//! itself went down: another boot id tells.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Name of the file in the store's directory.
const FILE: &str = "last-run.json";

/// The kernel's name for the time since it was started.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    /// Boot of the host.
    boot: String,
    /// When the run was last there, nanoseconds since the epoch.
    seen: Timestamp,
    /// It was asked to end, and did.
    ended: bool,
}

/// How the last run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// On request.
    Asked,
    /// From outside, or by a failure of its own.
    Killed,
    /// With the host.
    Host,
}

/// The last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastRun {
    /// How it ended.
    pub(super) end: End,
    /// From when it was last there until now.
    pub(super) gap: Duration,
}

/// Keeps the file.
#[derive(Debug)]
pub(super) struct Marker {
    path: PathBuf,
    boot: String,
}

impl Marker {
    /// Reads what the last run left in `directory`, and marks that one is under way. A file that cannot be read tells
    /// nothing.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn begin(directory: &Path, now: Timestamp) -> io::Result<(Self, Option<LastRun>)> {
        // Unknown where /proc does not tell: then a kill is told as the end of the host.
        let boot = fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned();
        let marker = Self {
            path: directory.join(FILE),
            boot,
        };
        let last = fs::read(&marker.path)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .map(|record| judge(&record, &marker.boot, now));
        marker.beat(now)?;
        Ok((marker, last))
    }

    /// The run is still there.
    ///
    /// # Errors
    /// The file cannot be written: the gap after a kill will be told too long.
    pub(super) fn beat(&self, now: Timestamp) -> io::Result<()> {
        self.write(now, false)
    }

    /// The run ends on request.
    ///
    /// # Errors
    /// The file cannot be written: the next run will take this one for killed.
    pub(super) fn end(&self, now: Timestamp) -> io::Result<()> {
        self.write(now, true)
    }

    fn write(&self, seen: Timestamp, ended: bool) -> io::Result<()> {
        let record = Record {
            boot: self.boot.clone(),
            seen,
            ended,
        };
        let fresh = self.path.with_extension("fresh");
        fs::write(&fresh, serde_json::to_vec(&record)?)?;
        fs::rename(fresh, &self.path)
    }
}

fn judge(record: &Record, boot: &str, now: Timestamp) -> LastRun {
    let end = match (record.ended, !boot.is_empty() && record.boot == boot) {
        (true, _) => End::Asked,
        (false, true) => End::Killed,
        (false, false) => End::Host,
    };
    LastRun {
        end,
        gap: now.since(record.seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_run_is_told_from_a_killed_one_and_from_a_host_that_went_down() {
        let directory = tempfile::tempdir().unwrap();
        let begin = |seconds: u64| Marker::begin(directory.path(), Timestamp(seconds * SECOND)).unwrap();
        let (marker, last) = begin(10);
        assert_eq!(last, None);
        marker.beat(Timestamp(20 * SECOND)).unwrap();
        let (marker, last) = begin(27);
        let gap = Duration::from_secs(7);
        assert_eq!(
            last,
            Some(LastRun {
                end: End::Killed,
                gap
            })
        );
        marker.end(Timestamp(30 * SECOND)).unwrap();
        let (_, last) = begin(31);
        let gap = Duration::from_secs(1);
        assert_eq!(last, Some(LastRun { end: End::Asked, gap }));
        let before = Record {
            boot: "another".to_owned(),
            seen: Timestamp(0),
            ended: false,
        };
        assert_eq!(judge(&before, "this", Timestamp(0)).end, End::Host);
    }

    #[test]
    fn what_a_crash_left_of_the_file_tells_nothing() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "{\"boot\":").unwrap();
        let (_, last) = Marker::begin(directory.path(), Timestamp(1)).unwrap();
        assert_eq!(last, None);
    }
}
