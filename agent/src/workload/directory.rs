//! Remembers who each process is, so that /proc is read once per process.
//!
//! In: [`ProcessRef`]s as events carry them, and addresses of callers off the host. Out: one shared `Arc` per
//! distinct workload. A process that is gone, or whose pid belongs to another one by now, is named by its task
//! name; that answer is remembered too.

use std::{
    collections::HashSet,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use compact_str::CompactString;
use lru::LruCache;

use super::{
    Owners, ProcessFacts, Workload, WorkloadKind, cgroup, identify_in,
    kubernetes::{Cluster, ClusterStats, Update},
    proc::{self, StartTicks},
    runtime::Runtimes,
    unit_file,
};
use crate::{bounded::remember, event::ProcessRef};

/// Processes, and as many addresses, that are remembered. Overflow policy: the one not asked for the longest is
/// forgotten and read again when needed; [`DirectoryStats::evicted`] counts.
pub const DIRECTORY_ENTRIES: usize = 8192;

/// What a [`Directory`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DirectoryStats {
    /// Processes read from /proc.
    pub read: u64,
    /// Of these, gone or replaced by another process: named by the task name.
    pub gone: u64,
    /// Of these, gone, but what they were had been told by the kernel.
    pub remembered: u64,
    /// Entries forgotten because the directory was full.
    pub evicted: u64,
}

impl DirectoryStats {
    /// All counters by the name `status` shows.
    pub fn list(self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self {
            read,
            gone,
            remembered,
            evicted,
        } = self;
        [
            ("processes_read", read),
            ("processes_gone", gone),
            ("processes_remembered", remembered),
            ("processes_evicted", evicted),
        ]
        .into_iter()
    }
}

/// Workloads by process and by address.
#[derive(Debug)]
pub struct Directory {
    proc_root: PathBuf,
    /// The host's files, seen from its first process.
    host_root: PathBuf,
    runtimes: Runtimes,
    owners: Owners,
    cluster: Cluster,
    processes: LruCache<(u32, u64), Entry>,
    addresses: LruCache<IpAddr, Arc<Workload>>,
    interned: HashSet<Arc<Workload>>,
    /// Control groups name nothing.
    by_program: bool,
    past: Option<Box<dyn Remember>>,
    stats: DirectoryStats,
}

/// Knows what processes were that are gone.
pub trait Remember: std::fmt::Debug + Send {
    /// What was known of a process.
    fn facts(&mut self, process: &ProcessRef) -> Option<ProcessFacts>;
}

#[derive(Debug)]
struct Entry {
    comm: CompactString,
    /// It belongs to a pod: what is known of that may change.
    is_pod: bool,
    workload: Arc<Workload>,
}

impl Directory {
    /// A directory over the proc file system at `proc_root` (`/proc`, or where the host's is mounted).
    pub fn new(proc_root: &Path) -> Self {
        Self::with_capacity(proc_root, DIRECTORY_ENTRIES)
    }

    /// As [`Directory::new`], remembering `entries` (at least one) processes and addresses.
    pub fn with_capacity(proc_root: &Path, entries: usize) -> Self {
        let host_root = host_root(proc_root);
        Self {
            proc_root: proc_root.to_owned(),
            runtimes: Runtimes::new(&host_root),
            host_root,
            owners: Owners::default(),
            cluster: Cluster::default(),
            processes: remember(entries),
            addresses: remember(entries),
            interned: HashSet::new(),
            by_program: false,
            past: None,
            stats: DirectoryStats::default(),
        }
    }

    /// Names processes by script or executable alone: the same program is the same workload in every container, as
    /// in the jobs of a pipeline.
    #[must_use]
    pub fn by_program(mut self) -> Self {
        self.by_program = true;
        self
    }

    /// Asks `past` for processes that /proc does not have any more.
    #[must_use]
    pub fn remembering(mut self, past: impl Remember + 'static) -> Self {
        self.past = Some(Box::new(past));
        self
    }

    /// Tells who answers for workloads that are seen from now on.
    pub fn set_owners(&mut self, owners: Owners) {
        self.owners = owners;
    }

    /// Takes what the API server tells. Processes of pods are named anew when it changes who they are.
    pub fn apply(&mut self, update: Update) {
        if !self.cluster.apply(update) {
            return;
        }
        let stale: Vec<_> = self
            .processes
            .iter()
            .filter(|(_, entry)| entry.is_pod)
            .map(|(key, _)| *key)
            .collect();
        for key in stale {
            self.processes.pop(&key);
        }
        self.addresses.clear();
    }

    /// What is known of the cluster.
    pub fn cluster(&self) -> ClusterStats {
        self.cluster.stats()
    }

    /// The workload of a process. Reads /proc on first sight, and again when the task was renamed (`exec`).
    pub fn resolve(&mut self, process: &ProcessRef) -> Arc<Workload> {
        let key = (process.pid, process.start_ns);
        if let Some(entry) = self.processes.get(&key)
            && entry.comm == process.comm
        {
            return Arc::clone(&entry.workload);
        }
        let workload = self.look_up(process);
        let workload = self.intern(workload);
        let entry = Entry {
            comm: process.comm.clone(),
            is_pod: workload.kind == WorkloadKind::Pod,
            workload: Arc::clone(&workload),
        };
        if self
            .processes
            .push(key, entry)
            .is_some_and(|(forgotten, _)| forgotten != key)
        {
            self.stats.evicted += 1;
        }
        workload
    }

    /// The workload that stands for a caller or server which is no process of this host: its address.
    pub fn resolve_address(&mut self, address: IpAddr) -> Arc<Workload> {
        if let Some(workload) = self.addresses.get(&address) {
            return Arc::clone(workload);
        }
        let workload = match self.cluster.at(address) {
            Some(name) => Workload::named(WorkloadKind::Pod, name),
            None => Workload::named(WorkloadKind::Unknown, &address.to_string()),
        };
        let workload = Arc::new(workload);
        if self.addresses.push(address, Arc::clone(&workload)).is_some() {
            self.stats.evicted += 1;
        }
        workload
    }

    /// The pod or service that has this address, where the cluster knows it.
    pub fn known_at(&mut self, address: IpAddr) -> Option<Arc<Workload>> {
        self.cluster.at(address)?;
        Some(self.resolve_address(address))
    }

    /// What was done so far.
    pub fn stats(&self) -> DirectoryStats {
        self.stats
    }

    fn look_up(&mut self, process: &ProcessRef) -> Workload {
        if process.pid == 0 {
            let name = if process.comm.is_empty() {
                "unknown"
            } else {
                &process.comm
            };
            return Workload::named(WorkloadKind::Unknown, name);
        }
        self.stats.read += 1;
        let found = proc::read(&self.proc_root, process.pid)
            .filter(|(_, start)| process.start_ns == 0 || *start == StartTicks::from_ns(process.start_ns));
        let facts = match found.map(|(facts, _)| facts) {
            // /proc tells starts to 10 ms: a successor that took over the pid within that time has another name, as a thread
            // with a name of its own has.
            Some(facts) if facts.executable.is_some() && facts.comm != process.comm => {
                self.remembered(process, true).or(Some(facts))
            }
            Some(facts) if facts.executable.is_some() => Some(facts),
            // A process that is ending has a line in /proc, but no executable any more.
            ending => self.remembered(process, false).or(ending),
        };
        let Some(mut facts) = facts else {
            self.stats.gone += 1;
            let name = if process.comm.is_empty() {
                "unknown"
            } else {
                &process.comm
            };
            return Workload::named(WorkloadKind::Process, name);
        };
        if self.by_program {
            facts.cgroup.clear();
        }
        self.identify(&facts)
    }

    /// What the kernel told of a process; by the name it has now, if that is wanted.
    fn remembered(&mut self, process: &ProcessRef, by_name: bool) -> Option<ProcessFacts> {
        let facts = self.past.as_mut()?.facts(process)?;
        if by_name && facts.comm != process.comm {
            return None;
        }
        self.stats.remembered += 1;
        Some(facts)
    }

    fn identify(&mut self, facts: &ProcessFacts) -> Workload {
        let placement = cgroup::parse(&facts.cgroup);
        let mut container = self.runtimes.describe(&placement);
        if let Some(pod) = placement.pod.as_deref().and_then(|uid| self.cluster.pod(uid)) {
            let written = container.as_deref().cloned().unwrap_or_default();
            let id = placement.container.as_ref().map_or("", |container| &container.id);
            container = Some(Arc::new(written.told_by(&self.cluster, pod, id)));
        }
        let mut workload = identify_in(facts, container.as_deref());
        let labels = container.as_deref().map(|container| container.labels.clone());
        let by_unit = || unit_file::owner(&self.host_root, workload.unit.as_deref()?);
        workload.owner = self
            .owners
            .of(&workload, &labels.unwrap_or_default())
            .or_else(by_unit);
        workload
    }

    fn intern(&mut self, workload: Workload) -> Arc<Workload> {
        if let Some(known) = self.interned.get(&workload) {
            return Arc::clone(known);
        }
        // Workloads that nobody holds any more go when the set has outgrown what the cache can hold.
        if self.interned.len() >= self.processes.cap().get().saturating_mul(2) {
            self.interned.retain(|known| Arc::strong_count(known) > 1);
        }
        let workload = Arc::new(workload);
        self.interned.insert(Arc::clone(&workload));
        workload
    }
}

/// Where the host's files are: what its first process sees. Where that is nobody's to look at, as under some hypervisors'
/// own first process, what the agent itself sees.
fn host_root(proc_root: &Path) -> PathBuf {
    let first = proc_root.join("1/root");
    match std::fs::metadata(&first) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => PathBuf::from("/"),
        _ => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A proc file system in a directory of its own, removed at the end.
    struct FakeProc(PathBuf);

    impl FakeProc {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("apiarist-proc-{}-{name}", std::process::id()));
            fs::create_dir_all(&root).expect("create");
            Self(root)
        }

        fn process(&self, pid: u32, executable: &str, line: &str, cgroup: &str, ticks: u64) {
            let directory = self.0.join(pid.to_string());
            fs::create_dir_all(&directory).expect("create");
            fs::remove_file(directory.join("exe")).ok();
            std::os::unix::fs::symlink(executable, directory.join("exe")).expect("link");
            fs::write(directory.join("cmdline"), line.replace(' ', "\0") + "\0").expect("write");
            fs::write(directory.join("cgroup"), format!("0::{cgroup}\n")).expect("write");
            let stat = format!("{pid} (task) S 1 1 1 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 {ticks} 0 0\n");
            fs::write(directory.join("stat"), stat).expect("write");
        }
    }

    impl Drop for FakeProc {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    fn process(pid: u32, ticks: u64, comm: &str) -> ProcessRef {
        ProcessRef {
            pid,
            start_ns: ticks * 10_000_000 + 1234,
            cgroup: 0,
            comm: comm.into(),
        }
    }

    #[test]
    fn workers_share_one_workload() {
        let proc = FakeProc::new("share");
        proc.process(
            10,
            "/usr/sbin/nginx",
            "nginx: master",
            "/system.slice/nginx.service",
            100,
        );
        proc.process(
            11,
            "/usr/sbin/nginx",
            "nginx: worker",
            "/system.slice/nginx.service",
            200,
        );
        let mut directory = Directory::new(&proc.0);
        let master = directory.resolve(&process(10, 100, "nginx"));
        let worker = directory.resolve(&process(11, 200, "nginx"));
        assert_eq!(master.name, "nginx");
        assert_eq!(master.kind, WorkloadKind::Systemd);
        assert!(Arc::ptr_eq(&master, &worker));
    }

    #[test]
    fn each_process_is_read_once() {
        let proc = FakeProc::new("once");
        proc.process(10, "/usr/bin/python3", "python3 app.py", "/", 100);
        let mut directory = Directory::new(&proc.0);
        for _ in 0..3 {
            assert_eq!(directory.resolve(&process(10, 100, "python3")).name, "app.py");
            assert_eq!(directory.resolve(&process(99, 1, "curl")).name, "curl");
        }
        assert_eq!(
            directory.stats(),
            DirectoryStats {
                read: 2,
                gone: 1,
                remembered: 0,
                evicted: 0
            }
        );
    }

    #[test]
    fn a_reused_pid_is_not_mistaken() {
        let proc = FakeProc::new("reuse");
        proc.process(10, "/usr/bin/other", "other", "/", 500);
        let mut directory = Directory::new(&proc.0);
        let old = directory.resolve(&process(10, 100, "shop"));
        assert_eq!((old.name.as_str(), old.kind), ("shop", WorkloadKind::Process));
        assert_eq!(directory.resolve(&process(10, 500, "other")).name, "other");
        let unknown_start = ProcessRef {
            start_ns: 0,
            ..process(10, 0, "other")
        };
        assert_eq!(directory.resolve(&unknown_start).name, "other");
    }

    #[derive(Debug)]
    struct Memory;

    impl Remember for Memory {
        fn facts(&mut self, process: &ProcessRef) -> Option<ProcessFacts> {
            (process.pid == 10 && process.start_ns == 1_000_001_234).then(|| ProcessFacts {
                executable: Some("/opt/short-lived-worker".to_owned()),
                comm: "short-lived-wor".into(),
                ..ProcessFacts::default()
            })
        }
    }

    #[test]
    fn who_is_gone_is_known_from_before() {
        let proc = FakeProc::new("gone");
        let mut directory = Directory::new(&proc.0).remembering(Memory);
        let gone = directory.resolve(&process(10, 100, "short-lived-wor"));
        assert_eq!(gone.name, "short-lived-worker");
        // Replaced by another process: still what it was.
        proc.process(11, "/usr/bin/other", "other", "/", 500);
        assert_eq!(directory.resolve(&process(11, 100, "old")).name, "old");
        // Ending: the line is there, the executable is not.
        proc.process(10, "/usr/bin/x", "", "/", 100);
        fs::remove_file(proc.0.join("10/exe")).expect("remove");
        let ending = directory.resolve(&process(10, 100, "renamed"));
        assert_eq!(ending.name, "short-lived-worker");
        let stats = directory.stats();
        assert_eq!((stats.read, stats.gone, stats.remembered), (3, 1, 2));
    }

    #[test]
    fn a_successor_within_a_tick_is_not_mistaken() {
        let proc = FakeProc::new("successor");
        proc.process(10, "/usr/bin/successor", "successor", "/", 100);
        let mut directory = Directory::new(&proc.0).remembering(Memory);
        let gone = directory.resolve(&process(10, 100, "short-lived-wor"));
        assert_eq!(gone.name, "short-lived-worker");
        // A thread may be called anything.
        assert_eq!(directory.resolve(&process(10, 100, "pool-1")).name, "successor");
    }

    #[test]
    fn a_renamed_task_is_read_again() {
        let proc = FakeProc::new("exec");
        proc.process(10, "/bin/bash", "bash start.sh", "/", 100);
        let mut directory = Directory::new(&proc.0);
        assert_eq!(directory.resolve(&process(10, 100, "start.sh")).name, "start.sh");
        proc.process(10, "/opt/server", "/opt/server", "/", 100);
        assert_eq!(directory.resolve(&process(10, 100, "server")).name, "server");
        assert_eq!(directory.stats().evicted, 0);
    }

    #[test]
    fn bounded_and_counted() {
        let mut directory = Directory::with_capacity(Path::new("/nonexistent"), 2);
        for pid in 1..=5 {
            directory.resolve(&process(pid, 1, &format!("p{pid}")));
            directory.resolve_address(IpAddr::from([10, 0, 0, u8::try_from(pid).expect("small")]));
        }
        assert_eq!(directory.stats().evicted, 6);
        assert!(directory.interned.len() <= 5);
    }

    #[test]
    fn captures_and_addresses_have_no_process() {
        let mut directory = Directory::new(Path::new("/nonexistent"));
        let shop = directory.resolve(&ProcessRef {
            start_ns: 0,
            ..process(0, 0, "shop")
        });
        assert_eq!((shop.name.as_str(), shop.kind), ("shop", WorkloadKind::Unknown));
        let caller = directory.resolve_address(IpAddr::from([192, 0, 2, 7]));
        assert_eq!(caller.name, "192.0.2.7");
        assert!(Arc::ptr_eq(
            &caller,
            &directory.resolve_address(IpAddr::from([192, 0, 2, 7]))
        ));
        assert_eq!(directory.stats().read, 0);
    }
}
