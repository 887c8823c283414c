//! Which processes one command and everything it starts are.
//!
//! In: a socket's announcement. Out: whether its process belongs to the command. Known by the control group that was
//! made for it, which nothing leaves by accident and which holds after a process has ended; else by ancestry, which needs
//! the process to be alive when its first event is read.

use std::{collections::HashMap, path::Path};

use crate::{config::Observed, event::ProcessRef};

/// Control groups or processes whose answer is remembered. Overflow policy: all are forgotten and looked up again.
const MAX_KNOWN: usize = 65_536;

/// Ancestors that are followed. Overflow policy: a process farther down does not belong.
const MAX_GENERATIONS: usize = 256;

/// Bytes of a file of /proc that are read.
const MAX_BYTES: usize = 16 * 1024;

/// The processes of one command.
#[derive(Debug)]
pub(super) struct Processes {
    observed: Observed,
    known: HashMap<u64, bool>,
}

impl Processes {
    pub(super) fn new(observed: Observed) -> Self {
        Self {
            observed,
            known: HashMap::new(),
        }
    }

    /// Whether a process belongs to the command.
    pub(super) fn has(&mut self, process: &ProcessRef) -> bool {
        let key = match &self.observed {
            Observed::Group { id, .. } if process.cgroup == *id => return true,
            Observed::Group { .. } => process.cgroup,
            Observed::Tree { .. } => u64::from(process.pid),
        };
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let found = match &self.observed {
            Observed::Group { path, .. } => is_below(process.pid, path),
            Observed::Tree { root } => Some(descends(process.pid, *root)),
        };
        // What could not be told now may be told by another process of the same group.
        if let Some(found) = found {
            if self.known.len() >= MAX_KNOWN {
                self.known.clear();
            }
            self.known.insert(key, found);
        }
        found.unwrap_or(false)
    }
}

fn read(path: &Path) -> Option<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(MAX_BYTES as u64).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether the unified control group of a process lies below `path`; `None` when the process is gone.
fn is_below(pid: u32, path: &str) -> Option<bool> {
    let text = read(Path::new(&format!("/proc/{pid}/cgroup")))?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(
        own.strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    )
}

/// Whether `root` is an ancestor of a process.
fn descends(pid: u32, root: u32) -> bool {
    let parent = |pid: u32| {
        let stat = read(Path::new(&format!("/proc/{pid}/stat")))?;
        // The name may hold anything, also blanks and brackets (proc_pid_stat(5)).
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(1)?.parse().ok()
    };
    let ancestors = std::iter::successors(parent(pid), |pid: &u32| parent(*pid));
    ancestors
        .take(MAX_GENERATIONS)
        .take_while(|pid| *pid > 1)
        .any(|pid| pid == root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, cgroup: u64) -> ProcessRef {
        ProcessRef {
            pid,
            start_ns: 0,
            cgroup,
            comm: "x".into(),
        }
    }

    #[test]
    fn by_control_group() {
        let group = Observed::Group {
            id: 7,
            path: "/no/such/group".to_owned(),
        };
        let mut processes = Processes::new(group);
        assert!(processes.has(&process(u32::MAX, 7)));
        assert!(!processes.has(&process(u32::MAX, 8)));
        assert!(!processes.has(&process(std::process::id(), 9)));
    }

    #[test]
    fn by_ancestry() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        let mut of_us = Processes::new(Observed::Tree {
            root: std::process::id(),
        });
        let mut of_others = Processes::new(Observed::Tree { root: u32::MAX });
        let found = (
            of_us.has(&process(child.id(), 0)),
            of_others.has(&process(child.id(), 0)),
        );
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, (true, false));
        assert!(
            !of_us.has(&process(std::process::id(), 0)),
            "not the observer itself"
        );
    }
}
