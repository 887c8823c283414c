//! Reads what /proc says about one process, in small bounded reads.
//!
//! In: the root of a proc file system and a pid. Out: [`ProcessFacts`] with the start time they belong to.
//! Refuses to follow anything out of /proc and to read memory, environment or open files of a process.

use std::{fs::File, io::Read as _, os::fd::OwnedFd, path::Path};

use rustix::fs::{self, Mode, OFlags};

use super::ProcessFacts;

/// Bytes read of the argument vector. Overflow policy: the rest is not looked at.
const CMDLINE_BYTES: u64 = 4 * 1024;

/// Bytes read of the control-group list. Overflow policy: the rest is not looked at.
const CGROUP_BYTES: u64 = 16 * 1024;

/// Bytes read of the stat line, which is far shorter.
const STAT_BYTES: u64 = 1024;

/// How often a process is read that becomes another program meanwhile. Overflow policy: then what was read last is told.
const READS: usize = 3;

/// The unit of times in stat lines: `USER_HZ`, 100 on every architecture the agent runs on (proc_pid_stat(5)).
const TICK_NS: u64 = 1_000_000_000 / 100;

/// Start of a process in clock ticks since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StartTicks(u64);

impl StartTicks {
    /// From nanoseconds since boot.
    pub(super) const fn from_ns(ns: u64) -> Self {
        Self(ns / TICK_NS)
    }
}

/// The facts about a process and when it started; `None` when it is gone.
///
/// One process is read, whoever comes after it under its pid: files below an open directory of /proc end with their
/// process. It is read again if it became another program meanwhile.
pub(super) fn read(proc_root: &Path, pid: u32) -> Option<(ProcessFacts, StartTicks)> {
    let directory = Directory::open(proc_root, pid)?;
    let mut before = directory.stat()?;
    for _ in 1..READS {
        let facts = directory.facts();
        let (comm, start) = directory.stat()?;
        if (&comm, start) == (&before.0, before.1) {
            return Some((ProcessFacts { comm, ..facts }, start));
        }
        before = (comm, start);
    }
    let (comm, start) = before;
    Some((
        ProcessFacts {
            comm,
            ..directory.facts()
        },
        start,
    ))
}

/// The control groups of a process, as [`ProcessFacts::cgroup`].
pub(super) fn cgroup(proc_root: &Path, pid: u32) -> Option<String> {
    Directory::open(proc_root, pid)?.text("cgroup", CGROUP_BYTES)
}

/// The directory of one process.
struct Directory(OwnedFd);

impl Directory {
    fn open(proc_root: &Path, pid: u32) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::open(proc_root.join(pid.to_string()), flags, Mode::empty())
            .ok()
            .map(Self)
    }

    /// All but the task's name.
    fn facts(&self) -> ProcessFacts {
        let cmdline = self.text("cmdline", CMDLINE_BYTES).unwrap_or_default();
        ProcessFacts {
            executable: self.link("exe"),
            arguments: cmdline
                .trim_end_matches('\0')
                .split('\0')
                .map(str::to_owned)
                .collect(),
            directory: self.link("cwd"),
            comm: String::new(),
            cgroup: self.text("cgroup", CGROUP_BYTES).unwrap_or_default(),
        }
    }

    fn stat(&self) -> Option<(String, StartTicks)> {
        parse_stat(&self.text("stat", STAT_BYTES)?)
    }

    fn link(&self, name: &str) -> Option<String> {
        let target = fs::readlinkat(&self.0, name, Vec::new()).ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    fn text(&self, name: &str, limit: u64) -> Option<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = File::from(fs::openat(&self.0, name, flags, Mode::empty()).ok()?);
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Task name (field 2) and start time (field 22). The name may hold spaces and parentheses, so the fields are
/// counted from its last closing one.
fn parse_stat(line: &str) -> Option<(String, StartTicks)> {
    let (head, tail) = line.rsplit_once(')')?;
    let (_, comm) = head.split_once('(')?;
    let start = tail.split_ascii_whitespace().nth(22 - 3)?.parse().ok()?;
    Some((comm.to_owned(), StartTicks(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_with_odd_names() {
        let line = "42 (a) (b c)) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 0 0\n";
        let (comm, start) = parse_stat(line).expect("parses");
        assert_eq!(comm, "a) (b c)");
        assert_eq!(start, StartTicks(123_456));
        assert_eq!(start, StartTicks::from_ns(1_234_567_890_000));
        for bad in [
            "",
            "1",
            "1 (x",
            "1 (x) S 1",
            "1 (x) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 x",
        ] {
            assert_eq!(parse_stat(bad), None, "{bad}");
        }
    }

    #[test]
    fn this_process_is_readable() {
        let (facts, _) = read(Path::new("/proc"), std::process::id()).expect("own process");
        assert!(facts.executable.is_some());
        assert!(!facts.arguments.is_empty());
    }
}
