//! Who and what is let alone: named by the operator, told to the kernel programs.
//!
//! In: processes. Out: whether a process is to be let alone, and the kernel's table of those that are. Refuses to decide
//! when that is asked.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aya::maps::{MapData, MapError};

/// Where processes are listed.
pub(super) const PROC: &str = "/proc";

/// Descendants of a process that are excluded with it at once. Overflow policy: further ones are when they are looked at.
const MAX_DESCENDANTS: usize = 256;

/// The kernel's table of processes that are let alone.
pub type Excluded = aya::maps::HashMap<MapData, u32, u8>;

/// What the operator named.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// Task names.
    pub comms: Vec<String>,
    /// Beginnings of paths of files.
    pub paths: Vec<String>,
    /// Beginnings of control groups.
    pub cgroups: Vec<String>,
}

impl Named {
    fn is_empty(&self) -> bool {
        self.comms.is_empty() && self.paths.is_empty() && self.cgroups.is_empty()
    }
}

/// What is let alone, and the kernel's table of it.
pub struct Exclusions {
    named: Named,
    /// Where the kernel programs look.
    table: Option<Excluded>,
}

impl std::fmt::Debug for Exclusions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.named.fmt(f)
    }
}

impl Exclusions {
    /// Of what was named; without a table nothing is told to the kernel programs.
    pub fn new(named: Named, table: Option<Excluded>) -> Self {
        Self { named, table }
    }

    /// Whether a file is let alone.
    pub(super) fn has_path(&self, path: &str) -> bool {
        let mut paths = self.named.paths.iter();
        paths.any(|excluded| path.starts_with(excluded.as_str()))
    }

    /// Whether the process with this directory is let alone.
    pub(super) fn has(&self, directory: &Path) -> bool {
        let Named {
            comms,
            paths,
            cgroups,
        } = &self.named;
        let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
        let by_comm = !comms.is_empty() && {
            let comm = read("comm");
            comms.iter().any(|excluded| excluded == comm.trim_end())
        };
        let by_path = || {
            let executable = fs::read_link(directory.join("exe"));
            executable.is_ok_and(|path| self.has_path(&path.to_string_lossy()))
        };
        let by_cgroup = || {
            let groups = read("cgroup");
            let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
            own.is_some_and(|own| cgroups.iter().any(|group| own.starts_with(group.as_str())))
        };
        by_comm || (!paths.is_empty() && by_path()) || (!cgroups.is_empty() && by_cgroup())
    }

    /// Lets a process alone, and the children that it had before that was known.
    pub(super) fn exclude(&mut self, pid: u32) {
        let mut waiting = vec![pid];
        let mut done = 0;
        while let Some(pid) = waiting.pop().filter(|_| done < MAX_DESCENDANTS) {
            done += 1;
            self.tell(pid, true);
            let children = PathBuf::from(PROC).join(format!("{pid}/task/{pid}/children"));
            // Not every kernel tells.
            let children = fs::read_to_string(children).unwrap_or_default();
            waiting.extend(
                children
                    .split_whitespace()
                    .filter_map(|child| child.parse::<u32>().ok()),
            );
        }
    }

    /// Does not let a process alone any more.
    pub(super) fn include(&mut self, pid: u32) {
        self.tell(pid, false);
    }

    /// Whether the kernel's table has lost a process that was put into it, for want of room.
    pub(super) fn has_forgotten(&self, pid: u32) -> bool {
        let is_missing = |table: &Excluded| matches!(table.get(&pid, 0), Err(MapError::KeyNotFound));
        self.table.as_ref().is_some_and(is_missing)
    }

    /// Tells the kernel programs whether to let a process alone. Children inherit it there.
    fn tell(&mut self, pid: u32, wanted: bool) {
        let Some(table) = self.table.as_mut().filter(|_| !self.named.is_empty()) else {
            return;
        };
        let done = match wanted {
            true => table.insert(pid, 1, 0),
            // Most were never in it.
            false => table.remove(&pid).or(Ok(())),
        };
        match done {
            Err(error) => tracing::warn!(pid, %error, "cannot exclude a process from the reading of its TLS"),
            Ok(()) if wanted => tracing::debug!(pid, "excluded"),
            Ok(()) => {}
        }
    }
}
