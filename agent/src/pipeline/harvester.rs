//! Reads the routes and the build ids of applications, beside the core.
//!
//! In: processes as they are seen for the first time. Out: the routes of the programs they run, and the build id that a linker
//! has written into them, when they are known. A
//! thread of its own reads files, so that a slow disk holds up nothing. A workload is read again when a process of
//! it is new and [`AGAIN_AFTER`] has passed: what did not change is not read twice.

use std::{
    fs::File,
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Duration,
};

use anyhow::Result;
use lru::LruCache;

use crate::{
    bounded::remember,
    capture::tls::elf,
    clock::Timestamp,
    harvest::{self, Cache},
    inventory::{Inventory, template::Routes},
};

/// Workloads that wait to be read. Overflow policy: read when their next process is new.
const MAX_WAITING: usize = 64;

/// Results that wait for the core, or for their workload to be known. Overflow policy: the thread waits; of unknown
/// workloads the oldest is forgotten.
const MAX_RESULTS: usize = 256;

/// Workloads of which is known when they were read. Overflow policy: read again.
const REMEMBERED: usize = 4096;

/// Time after which the code of a workload is looked at again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// A process whose program is to be read.
struct Job {
    workload: String,
    pid: u32,
}

/// What a workload's program told.
struct Harvested {
    workload: String,
    routes: Routes,
    /// In hex digits.
    build: Option<String>,
}

/// What the core has of it.
pub(super) struct Harvester {
    jobs: SyncSender<Job>,
    results: Receiver<Harvested>,
    /// Results of workloads that the inventory does not know yet.
    early: Vec<Harvested>,
    asked: LruCache<String, Timestamp>,
}

impl Harvester {
    /// Starts the thread; it ends when the harvester is dropped.
    pub(super) fn start() -> Result<Self> {
        let (jobs, wanted) = sync_channel::<Job>(MAX_WAITING);
        let (give, results) = sync_channel(MAX_RESULTS);
        // Not joined: a file system that hangs must not hold up the end of the agent.
        drop(super::spawn("apiarist-harvest", move || {
            let mut cache = Cache::default();
            while let Ok(Job { workload, pid }) = wanted.recv() {
                let routes = harvest::routes(Path::new("/proc"), pid, &mut cache);
                let build = build_id(Path::new("/proc"), pid);
                let harvested = Harvested {
                    workload,
                    routes,
                    build,
                };
                let tells = !harvested.routes.is_empty() || harvested.build.is_some();
                if tells && give.send(harvested).is_err() {
                    break;
                }
            }
        })?);
        Ok(Self {
            jobs,
            results,
            early: Vec::new(),
            asked: remember(REMEMBERED),
        })
    }

    /// Asks for the routes of the program that a process of a workload runs.
    pub(super) fn ask(&mut self, workload: &str, pid: u32, now: Timestamp) {
        let lately = self
            .asked
            .get(workload)
            .is_some_and(|at| now.since(*at) < AGAIN_AFTER);
        if pid == 0 || lately {
            return;
        }
        let job = Job {
            workload: workload.to_owned(),
            pid,
        };
        if self.jobs.try_send(job).is_ok() {
            self.asked.put(workload.to_owned(), now);
        }
    }

    /// Gives what was found to the inventory.
    pub(super) fn pass_on(&mut self, inventory: &mut Inventory) {
        self.early.extend(self.results.try_iter());
        self.early.retain(|found| {
            let build = found.build.as_deref();
            let is_known = build.is_none_or(|build| inventory.set_build(&found.workload, build));
            let is_known = is_known
                && (found.routes.is_empty() || inventory.set_harvested(&found.workload, &found.routes));
            if is_known && !found.routes.is_empty() {
                let (workload, count) = (&found.workload, found.routes.len());
                tracing::debug!(workload, count, "routes were found in the code");
            }
            !is_known
        });
        let excess = self.early.len().saturating_sub(MAX_RESULTS);
        self.early.drain(..excess);
    }
}

/// The build id of a process's executable (`NT_GNU_BUILD_ID`), in hex digits.
fn build_id(proc_root: &Path, pid: u32) -> Option<String> {
    use std::fmt::Write as _;
    let file = File::open(proc_root.join(pid.to_string()).join("exe")).ok()?;
    let id = elf::build_id(&file).ok().filter(|id| !id.is_empty())?;
    Some(id.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_tells_its_build() {
        let id = build_id(Path::new("/proc"), std::process::id());
        // Not every linker writes one; what is there is of one of the usual lengths.
        assert!(id.is_none_or(|id| matches!(id.len(), 32 | 40 | 64)));
        assert_eq!(build_id(Path::new("/nowhere"), 1), None);
    }
}
