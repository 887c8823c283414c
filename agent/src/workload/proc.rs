//! Reads what /proc says about one process, in small bounded reads.
//!
//! In: the root of a proc file system and a pid. Out: [`ProcessFacts`] with the start time they belong to.
//! Refuses to follow anything out of /proc and to read memory, environment or open files of a process.

use std::{fs::File, io::Read as _, path::Path};

use super::ProcessFacts;

/// Bytes read of the argument vector. Overflow policy: the rest is not looked at.
const CMDLINE_BYTES: u64 = 4 * 1024;

/// Bytes read of the control-group list. Overflow policy: the rest is not looked at.
const CGROUP_BYTES: u64 = 16 * 1024;

/// Bytes read of the stat line, which is far shorter.
const STAT_BYTES: u64 = 1024;

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
pub(super) fn read(proc_root: &Path, pid: u32) -> Option<(ProcessFacts, StartTicks)> {
    let directory = proc_root.join(pid.to_string());
    let link = |name: &str| {
        let target = std::fs::read_link(directory.join(name)).ok()?;
        Some(target.to_string_lossy().into_owned())
    };
    let cmdline = read_text(&directory.join("cmdline"), CMDLINE_BYTES).unwrap_or_default();
    let facts = ProcessFacts {
        executable: link("exe"),
        arguments: cmdline
            .trim_end_matches('\0')
            .split('\0')
            .map(str::to_owned)
            .collect(),
        directory: link("cwd"),
        comm: String::new(),
        cgroup: read_text(&directory.join("cgroup"), CGROUP_BYTES).unwrap_or_default(),
    };
    // Read last: a process that is alive now was alive during all reads before, so they were all its own.
    let (comm, start) = parse_stat(&read_text(&directory.join("stat"), STAT_BYTES)?)?;
    Some((ProcessFacts { comm, ..facts }, start))
}

/// The control groups of a process, as [`ProcessFacts::cgroup`].
pub(super) fn cgroup(proc_root: &Path, pid: u32) -> Option<String> {
    read_text(&proc_root.join(pid.to_string()).join("cgroup"), CGROUP_BYTES)
}

fn read_text(path: &Path, limit: u64) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
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
