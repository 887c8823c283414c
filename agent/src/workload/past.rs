//! What processes were, for as long as somebody may ask after they are gone.
//!
//! In: [`ProcessEvent`]s in order. Out: [`ProcessFacts`] of a process by pid and start. A copy of a process is what its
//! parent was until it becomes another program. Parents that are older than the agent are read from /proc, once. Refuses
//! to name a process that was not told: a reused pid has another start.

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

use apiarist_common::process::PROCESS_ARGUMENTS_BYTES;
use lru::LruCache;

use super::{
    ProcessFacts,
    proc::{self, StartTicks},
};
use crate::{bounded::remember, event::ProcessRef};

/// Processes that are remembered. Overflow policy: those that ended the longest ago go first, then the oldest.
pub const PAST_ENTRIES: usize = 8192;

/// Bytes of what these run; a build tool's thousands of calls with long arguments reach it. Overflow policy: the same.
const MAX_PROGRAM_BYTES: usize = 4 << 20;

/// Bytes kept of the arguments of a process that is older than the agent: as many as the kernel programs tell of others.
/// Overflow policy: the rest is not looked at.
const MAX_ARGUMENTS_BYTES: usize = PROCESS_ARGUMENTS_BYTES;

/// Control groups whose path is remembered. Overflow policy: the one not asked for the longest is forgotten.
const CGROUPS: usize = 1024;

/// What a process runs. Thousands are kept: no room is left in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Program {
    /// Path of its executable.
    pub executable: Option<Box<str>>,
    /// Its working directory when it started.
    pub directory: Option<Box<str>>,
    /// Its arguments, as far as they are kept, with a NUL between two.
    pub arguments: Box<str>,
}

impl Program {
    /// Bytes of memory.
    fn bytes(&self) -> usize {
        let path = |path: &Option<Box<str>>| path.as_ref().map_or(0, |path| path.len());
        size_of::<Self>() + path(&self.executable) + path(&self.directory) + self.arguments.len()
    }
}

/// Something that happened to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessEvent {
    /// It was made as a copy of another.
    Forked {
        /// The new process.
        process: ProcessRef,
        /// Pid and start of the other.
        parent: (u32, u64),
    },
    /// It became another program.
    Executed {
        /// The process.
        process: ProcessRef,
        /// What it is now.
        program: Program,
    },
    /// It ended.
    Exited {
        /// The process.
        process: ProcessRef,
    },
}

/// Pid and start in nanoseconds since boot.
type Key = (u32, u64);

#[derive(Debug, Clone)]
struct Entry {
    program: Arc<Program>,
    comm: Box<str>,
    cgroup: u64,
}

/// Processes by pid and start.
#[derive(Debug)]
pub struct Past {
    proc_root: PathBuf,
    most: usize,
    entries: HashMap<Key, Entry>,
    /// Of all programs, each counted once.
    program_bytes: usize,
    /// In the order in which they came, and of those that ended, in which they did; some are gone by now.
    known: VecDeque<Key>,
    ended: VecDeque<Key>,
    /// Text of `/proc/<pid>/cgroup` by id.
    cgroups: LruCache<u64, Arc<str>>,
}

impl Past {
    /// Nobody is known yet. Older processes are read below `proc_root`.
    pub fn new(proc_root: &Path) -> Self {
        Self::with_capacity(proc_root, PAST_ENTRIES)
    }

    /// As [`Past::new`], remembering so many processes.
    pub fn with_capacity(proc_root: &Path, most: usize) -> Self {
        Self {
            proc_root: proc_root.to_owned(),
            most: most.max(1),
            entries: HashMap::new(),
            program_bytes: 0,
            known: VecDeque::new(),
            ended: VecDeque::new(),
            cgroups: remember(CGROUPS),
        }
    }

    /// Takes note.
    pub fn event(&mut self, event: ProcessEvent) {
        match event {
            ProcessEvent::Forked { process, parent } => {
                self.learn_cgroup(&process);
                let program = match self.entries.get(&parent) {
                    Some(known) => Some(Arc::clone(&known.program)),
                    None => self.older(parent),
                };
                if let Some(program) = program {
                    self.insert(&process, program);
                }
            }
            ProcessEvent::Executed { process, program } => {
                self.learn_cgroup(&process);
                self.insert_program(&process, program);
            }
            ProcessEvent::Exited { process } => {
                let key = (process.pid, process.start_ns);
                if self.entries.contains_key(&key) {
                    self.ended.push_back(key);
                }
            }
        }
    }

    /// What is known of a process.
    pub fn facts(&mut self, process: &ProcessRef) -> Option<ProcessFacts> {
        let entry = self.entries.get(&(process.pid, process.start_ns))?;
        let Program {
            executable,
            directory,
            arguments,
        } = &*entry.program;
        let cgroup = match process.cgroup {
            0 => entry.cgroup,
            own => own,
        };
        Some(ProcessFacts {
            executable: executable.as_deref().map(str::to_owned),
            arguments: arguments.split('\0').map(str::to_owned).collect(),
            directory: directory.as_deref().map(str::to_owned),
            comm: entry.comm.to_string(),
            cgroup: self
                .cgroups
                .get(&cgroup)
                .map_or_else(String::new, |text| text.to_string()),
        })
    }

    /// A process from before the agent, or whose start was lost.
    fn older(&mut self, (pid, start_ns): Key) -> Option<Arc<Program>> {
        let (facts, start) = proc::read(&self.proc_root, pid)?;
        if start != StartTicks::from_ns(start_ns) {
            return None;
        }
        let mut arguments = facts.arguments.join("\0");
        arguments.truncate(arguments.floor_char_boundary(MAX_ARGUMENTS_BYTES));
        let program = Program {
            executable: facts.executable.map(String::into_boxed_str),
            directory: facts.directory.map(String::into_boxed_str),
            arguments: arguments.into_boxed_str(),
        };
        let process = ProcessRef {
            pid,
            start_ns,
            cgroup: 0,
            comm: facts.comm.into(),
        };
        Some(self.insert_program(&process, program))
    }

    fn insert_program(&mut self, process: &ProcessRef, program: Program) -> Arc<Program> {
        let program = Arc::new(program);
        self.program_bytes += program.bytes();
        self.insert(process, Arc::clone(&program));
        program
    }

    fn insert(&mut self, process: &ProcessRef, program: Arc<Program>) {
        let key = (process.pid, process.start_ns);
        let entry = Entry {
            program,
            comm: process.comm.as_str().into(),
            cgroup: process.cgroup,
        };
        match self.entries.insert(key, entry) {
            Some(before) => self.release(before),
            None => self.known.push_back(key),
        }
        while self.entries.len() > self.most || self.program_bytes > MAX_PROGRAM_BYTES {
            let Some(oldest) = self.ended.pop_front().or_else(|| self.known.pop_front()) else {
                break;
            };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.release(entry);
            }
        }
        // Each is at most once in either queue; those that went by the other one are left behind.
        if self.known.len() > 2 * self.most {
            let entries = &self.entries;
            self.known.retain(|key| entries.contains_key(key));
            self.ended.retain(|key| entries.contains_key(key));
        }
    }

    /// Counts a program no more with the last process that runs it.
    fn release(&mut self, entry: Entry) {
        if let Some(program) = Arc::into_inner(entry.program) {
            self.program_bytes = self.program_bytes.saturating_sub(program.bytes());
        }
    }

    /// Asks for the path of a control group as long as the process is there.
    fn learn_cgroup(&mut self, process: &ProcessRef) {
        if process.cgroup == 0 || self.cgroups.get(&process.cgroup).is_some() {
            return;
        }
        if let Some(text) = proc::cgroup(&self.proc_root, process.pid) {
            self.cgroups.push(process.cgroup, text.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, start_ns: u64) -> ProcessRef {
        ProcessRef {
            pid,
            start_ns,
            cgroup: 0,
            comm: format!("task{pid}").into(),
        }
    }

    fn executed(pid: u32, start_ns: u64, executable: &str) -> ProcessEvent {
        ProcessEvent::Executed {
            process: process(pid, start_ns),
            program: Program {
                executable: Some(executable.into()),
                ..Program::default()
            },
        }
    }

    fn past(most: usize) -> Past {
        Past::with_capacity(Path::new("/nonexistent"), most)
    }

    fn executable(past: &mut Past, pid: u32, start_ns: u64) -> Option<String> {
        past.facts(&process(pid, start_ns))?.executable
    }

    #[test]
    fn a_copy_is_what_its_parent_was_until_it_becomes_another() {
        let mut past = past(10);
        past.event(executed(1, 100, "/bin/sh"));
        past.event(ProcessEvent::Forked {
            process: process(2, 200),
            parent: (1, 100),
        });
        assert_eq!(executable(&mut past, 2, 200).as_deref(), Some("/bin/sh"));
        past.event(executed(2, 200, "/bin/date"));
        past.event(ProcessEvent::Exited {
            process: process(2, 200),
        });
        assert_eq!(executable(&mut past, 2, 200).as_deref(), Some("/bin/date"));
        assert_eq!(executable(&mut past, 1, 100).as_deref(), Some("/bin/sh"));
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let mut past = past(10);
        past.event(executed(1, 100, "/bin/sh"));
        assert_eq!(executable(&mut past, 1, 101), None);
        past.event(ProcessEvent::Forked {
            process: process(3, 300),
            parent: (1, 101),
        });
        assert_eq!(executable(&mut past, 3, 300), None);
    }

    #[test]
    fn those_that_ended_first_go_first_and_the_rest_is_bounded() {
        let mut past = past(3);
        for pid in 1..=3 {
            past.event(executed(pid, 1, "/bin/a"));
        }
        past.event(ProcessEvent::Exited {
            process: process(2, 1),
        });
        past.event(executed(4, 1, "/bin/a"));
        assert_eq!(executable(&mut past, 2, 1), None);
        assert!(executable(&mut past, 1, 1).is_some());
        for pid in 10..1_000 {
            past.event(executed(pid, 1, "/bin/a"));
            past.event(ProcessEvent::Exited {
                process: process(pid, 1),
            });
        }
        assert_eq!(past.entries.len(), 3);
        assert!(past.known.len() <= 7 && past.ended.len() <= 7);
    }

    #[test]
    fn long_arguments_are_kept_of_fewer_and_counted_once() {
        let mut past = Past::new(Path::new("/nonexistent"));
        let long = |pid| ProcessEvent::Executed {
            process: process(pid, 1),
            program: Program {
                arguments: "x".repeat(MAX_ARGUMENTS_BYTES).into(),
                ..Program::default()
            },
        };
        let last = PAST_ENTRIES as u32;
        (1..=last).for_each(|pid| past.event(long(pid)));
        assert!((PAST_ENTRIES / 2..PAST_ENTRIES).contains(&past.entries.len()));
        for pid in last - 100..=last {
            past.event(ProcessEvent::Forked {
                process: process(pid, 2),
                parent: (pid, 1),
            });
        }
        assert!(past.program_bytes <= MAX_PROGRAM_BYTES);
        assert!(past.facts(&process(last, 2)).is_some() && past.facts(&process(1, 1)).is_none());
        let programs: HashMap<_, _> = past
            .entries
            .values()
            .map(|entry| (Arc::as_ptr(&entry.program), entry.program.bytes()))
            .collect();
        assert_eq!(past.program_bytes, programs.values().sum::<usize>());
    }

    #[test]
    fn a_parent_from_before_is_read_once() {
        let own = std::process::id();
        let (facts, _) = proc::read(Path::new("/proc"), own).expect("own process");
        let stat = std::fs::read_to_string("/proc/self/stat").expect("stat");
        let ticks: u64 = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19)?.parse().ok())
            .expect("start");
        let mut past = Past::new(Path::new("/proc"));
        past.event(ProcessEvent::Forked {
            process: process(4_000_000, 9),
            parent: (own, ticks * 10_000_000),
        });
        let copy = past.facts(&process(4_000_000, 9)).expect("known");
        assert_eq!(copy.executable, facts.executable);
        assert!(past.entries.contains_key(&(own, ticks * 10_000_000)));
    }
}
