//! Which files are probed, and for whom.
//!
//! In: processes that may have come to use TLS, and the passing of time. Out: probes in force, kept here. A process is
//! looked at when it is named, and again after a while if it is named again: libraries can be loaded late. A file is
//! read once; its probes live while a process that maps it does. Libraries are read at once, executables by `examine`: a
//! look never waits for one.
//!
//! Costs are bounded: no list of all processes after the start, so many looks per second, so many files.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::mpsc::SyncSender,
};

use super::{
    elf::{self, Image},
    examine::{self, Examined, Found, Job, Question},
    exclusions::{Exclusions, PROC},
    libraries::Libraries,
    library::{self, Plan},
    maps::{FileId, Mapped, executable_files},
    probe::{self, Attached, Programs, Uprobes},
    stack::{self, Stack},
    turns::Turns,
};

/// Files that are remembered. Overflow policy: further ones are not probed, and counted.
const MAX_FILES: usize = 8192;

/// Processes that are remembered. Overflow policy: all are forgotten but for those that keep probes in force.
pub(super) const MAX_PROCESSES: usize = 32_768;

/// A process that is named again is looked at again after so long, and twice as long each further time.
const LOOK_AGAIN_NS: u64 = 1_000_000_000;

/// Doublings at the most: about a minute.
const MAX_DOUBLINGS: u32 = 6;

/// Connections of a process whose library is not known at which it is looked at again at once.
const EARLY_HINTS: u32 = 4;

/// Processes that wait for the same executable to be read. Overflow policy: further ones get its name when they are looked at
/// again.
const MAX_ASKING: usize = 256;

/// Where Debian, Fedora, Alpine and others keep shared libraries of the host: those there are probed from the start, so
/// that the first connection of the first process that uses one is seen, too.
const LIBRARY_DIRECTORIES: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib64",
    "/usr/local/lib",
];

/// Counts, for `status`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files whose functions are probed.
    pub probed_files: u64,
    /// Files that were read.
    pub read_files: u64,
    /// Looks at a process.
    pub looks: u64,
    /// Looks left out because there were too many.
    pub looks_left_out: u64,
    /// Files that the kernel refused to probe.
    pub refused_files: u64,
    /// Files that found no room.
    pub files_full: u64,
    /// Processes to be let alone that the kernel's table had forgotten, for want of room, and that were put back.
    pub exclusions_forgotten: u64,
}

/// A file that was read.
#[derive(Debug)]
struct Known {
    build_id: Vec<u8>,
    plan: Option<Plan>,
    /// What it brings instead of functions to probe, once that was asked.
    brings: Option<Option<Stack>>,
    /// Probes in force.
    probes: Vec<Attached>,
    /// Processes that map it.
    users: BTreeSet<u32>,
    /// Probed whether it has users or not.
    standing: bool,
}

/// The books.
pub struct Discovery {
    uprobes: Uprobes,
    programs: Programs,
    has_loop: bool,
    exclusions: Exclusions,
    files: HashMap<FileId, Known>,
    /// Who reads executables.
    examiner: Option<SyncSender<Job>>,
    /// What it was asked, and the processes that wait for it; true of those that use TLS.
    asked: HashMap<(FileId, Question), HashMap<u32, bool>>,
    /// When a process was looked at.
    processes: HashMap<u32, Process>,
    libraries: Libraries,
    /// Processes from before the start that were not looked at yet.
    older: VecDeque<u32>,
    turns: Turns,
    totals: Totals,
}

#[derive(Debug, Clone, Copy)]
struct Process {
    looked_ns: u64,
    looks: u32,
    /// Looks out of turn.
    hints: u32,
}

impl std::fmt::Debug for Discovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discovery")
            .field("files", &self.files)
            .field("totals", &self.totals)
            .finish_non_exhaustive()
    }
}

impl Discovery {
    /// With nothing probed yet.
    pub fn new(uprobes: Uprobes, has_loop: bool, exclusions: Exclusions) -> Self {
        Self {
            uprobes,
            programs: Programs::none(),
            has_loop,
            exclusions,
            files: HashMap::new(),
            examiner: None,
            asked: HashMap::new(),
            processes: HashMap::new(),
            libraries: Libraries::default(),
            older: VecDeque::new(),
            turns: Turns::default(),
            totals: Totals::default(),
        }
    }

    /// What is found of processes, as it is found.
    pub fn libraries(&self) -> Libraries {
        self.libraries.clone()
    }

    /// Counts so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Takes the loaded kernel programs and who reads executables, and probes the libraries of the host's own system, used or
    /// not; before that it sees who is to be let alone.
    pub fn start(&mut self, programs: Programs, examiner: SyncSender<Job>) {
        self.programs = programs;
        self.examiner = Some(examiner);
        for pid in pids() {
            if self.lets_alone(pid, &process_directory(pid)) {
                self.libraries.set(pid, Some(Stack::EXCLUDED));
            }
        }
        for directory in LIBRARY_DIRECTORIES {
            self.directory(Path::new(directory));
        }
    }

    /// Notes all processes there are, for [`Self::look_around`]. To be called once.
    pub fn list(&mut self) {
        self.older = pids().collect();
    }

    /// Looks at one of the processes that were there at the start; false when there are no more, or one of them waits for its
    /// executable to be read. To be called when nothing else is to do: what starts meanwhile cannot wait.
    pub fn look_around(&mut self, now_ns: u64) -> bool {
        if !self.asked.is_empty() {
            return false;
        }
        let Some(pid) = self.older.pop_front() else {
            return false;
        };
        self.turns.renew();
        self.look(pid, now_ns);
        true
    }

    /// A process has started a program.
    pub fn started(&mut self, pid: u32, now_ns: u64) {
        // Whatever it was before.
        for asking in self.asked.values_mut() {
            asking.remove(&pid);
        }
        self.processes.remove(&pid);
        self.libraries.set(pid, None);
        self.look(pid, now_ns);
        self.turns.started(pid, now_ns);
    }

    /// Looks again at processes that started a while ago. To be called often.
    pub fn tick(&mut self, now_ns: u64) {
        let lives = |pid: u32| process_directory(pid).exists();
        while let Some(pid) = self.turns.due(now_ns, lives) {
            self.look_as(pid, now_ns, (0, 0));
        }
    }

    /// Nanoseconds until the next [`Self::tick`] has something to do, `None` when it never will.
    pub fn next_tick_ns(&self, now_ns: u64) -> Option<u64> {
        self.turns.next_ns(now_ns)
    }

    /// A process uses TLS: looks what it maps, and if nothing of that can be probed, what it brings instead.
    pub fn hinted(&mut self, pid: u32, now_ns: u64) {
        // Its library may have been loaded a moment ago.
        if self.libraries.of(pid).is_none()
            && let Some(process) = self.processes.get_mut(&pid)
            && process.hints < EARLY_HINTS
        {
            process.hints += 1;
            process.looked_ns = 0;
        }
        self.look(pid, now_ns);
        if self.libraries.of(pid).is_none()
            && self.turns.take(now_ns)
            && let Some(stack) = self.brought(pid)
        {
            self.libraries.set(pid, Some(stack));
        }
    }

    /// An executable was read.
    pub fn examined(&mut self, examined: Examined) {
        let Examined { job, found } = examined;
        let asking = self.asked.remove(&(job.id, job.question)).unwrap_or_default();
        match found {
            Found::Functions(image) => {
                self.note(job.id, image, false, &job.path);
                self.attach(job.id, &job.file, &job.path);
                self.name(job.id, &asking);
            }
            Found::Traces(stack) => {
                if let Some(known) = self.files.get_mut(&job.id) {
                    known.brings = Some(stack);
                }
                for pid in asking.into_keys() {
                    if self.libraries.of(pid).is_none() {
                        self.libraries.set(pid, stack);
                    }
                }
            }
        }
    }

    /// Tells what the processes of an executable have in it; those that use TLS are told what it brings if that is nothing.
    fn name(&mut self, id: FileId, asking: &HashMap<u32, bool>) {
        let Some(known) = self.files.get_mut(&id) else {
            return;
        };
        if let Some(plan) = &known.plan {
            known.users.extend(asking.keys());
            let library = Stack::read(plan.library);
            for pid in asking.keys() {
                self.libraries.set(*pid, Some(library));
            }
            return;
        }
        for (pid, _) in asking.iter().filter(|(_, uses_tls)| **uses_tls) {
            if self.libraries.of(*pid).is_none()
                && let Some(stack) = self.brought(*pid)
            {
                self.libraries.set(*pid, Some(stack));
            }
        }
    }

    /// A process may use TLS: looks what it maps.
    pub fn look(&mut self, pid: u32, now_ns: u64) {
        let before = match self.processes.get(&pid) {
            Some(known) if now_ns.saturating_sub(known.looked_ns) < LOOK_AGAIN_NS << known.looks => return,
            Some(known) => ((known.looks + 1).min(MAX_DOUBLINGS), known.hints),
            None => (0, 0),
        };
        match self.turns.take(now_ns) {
            true => self.look_as(pid, now_ns, before),
            false => self.totals.looks_left_out += 1,
        }
    }

    /// Looks at a process that had so many looks and hints before.
    fn look_as(&mut self, pid: u32, now_ns: u64, (looks, hints): (u32, u32)) {
        self.totals.looks += 1;
        let stack = self.look_now(pid);
        if self.processes.len() >= MAX_PROCESSES {
            self.processes.clear();
        }
        let process = Process {
            looked_ns: now_ns,
            looks,
            hints,
        };
        // What its executable brings is found apart from what it maps, and is not forgotten for that.
        if stack.is_some() {
            self.libraries.set(pid, stack);
        }
        self.processes.insert(pid, process);
    }

    /// Whether a process is not to be read; the kernel programs are told.
    fn lets_alone(&mut self, pid: u32, directory: &Path) -> bool {
        let is_excluded = self.exclusions.has(directory);
        if is_excluded {
            if self.libraries.of(pid) == Some(Stack::EXCLUDED) && self.exclusions.has_forgotten(pid) {
                self.totals.exclusions_forgotten += 1;
            }
            self.exclusions.exclude(pid);
        }
        is_excluded
    }

    fn look_now(&mut self, pid: u32) -> Option<Stack> {
        let directory = process_directory(pid);
        // A process that is gone maps nothing.
        let maps = fs::read_to_string(directory.join("maps")).ok()?;
        if self.lets_alone(pid, &directory) {
            return Some(Stack::EXCLUDED);
        }
        self.exclusions.include(pid);
        let executable = fs::metadata(directory.join("exe")).map(|exe| exe.ino()).ok();
        let mut found = None;
        for mapped in executable_files(&maps) {
            found = found.or_else(|| stack::of_mapped(mapped.name()));
            let candidate = Some(mapped.file.inode) == executable || library::is_candidate(mapped.name());
            if !candidate || self.exclusions.has_path(&mapped.path) {
                continue;
            }
            if let Some(library) = self.mapped(pid, &directory, &mapped) {
                found = Some(Stack::read(library));
            }
        }
        found
    }

    /// What the executable of a process brings, if that is known; else it is told later. Read once for each file.
    fn brought(&mut self, pid: u32) -> Option<Stack> {
        let path = process_directory(pid).join("exe");
        let file = File::open(&path).ok()?;
        let id = identity(&file.metadata().ok()?);
        if let Some(asking) = self.asked.get_mut(&(id, Question::Functions)) {
            if asking.len() < MAX_ASKING {
                asking.insert(pid, true);
            }
            return None;
        }
        if let Some(stack) = self.files.get(&id)?.brings {
            return stack;
        }
        let question = Question::Traces;
        self.ask(pid, (id, question), || {
            Some(Job {
                id,
                file,
                path,
                question,
            })
        });
        None
    }

    /// Has an executable read for a process, if it is not being read already.
    fn ask(&mut self, pid: u32, what: (FileId, Question), job: impl FnOnce() -> Option<Job>) {
        if let Some(asking) = self.asked.get_mut(&what) {
            if asking.len() < MAX_ASKING {
                asking.entry(pid).or_default();
            }
            return;
        }
        let Some((job, examiner)) = job().zip(self.examiner.as_ref()) else {
            return;
        };
        // Full: see `examine::MAX_WAITING`.
        if examiner.try_send(job).is_ok() {
            self.asked.insert(what, HashMap::from([(pid, false)]));
        }
    }

    /// A process maps a file to execute: reads and probes it if that was not done. An executable is read later.
    fn mapped(&mut self, pid: u32, directory: &Path, mapped: &Mapped) -> Option<&'static str> {
        if !self.files.contains_key(&mapped.file) {
            let paths = paths(directory, mapped);
            if !library::is_candidate(mapped.name()) {
                let (id, question) = (mapped.file, Question::Functions);
                self.ask(pid, (id, question), || {
                    let file = open(&paths, id).ok()?;
                    let [_, path] = paths;
                    Some(Job {
                        id,
                        file,
                        path,
                        question,
                    })
                });
                return None;
            }
            self.read(mapped.file, &paths, false);
        }
        let known = self.files.get_mut(&mapped.file)?;
        let library = known.plan.as_ref()?.library;
        known.users.insert(pid);
        if known.probes.is_empty() {
            self.probe(mapped.file, &paths(directory, mapped));
        }
        Some(library)
    }

    fn directory(&mut self, directory: &Path) {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !library::is_candidate(&name) || !name.contains(".so") {
                continue;
            }
            let path = entry.path();
            let Ok(file) = fs::metadata(&path).map(|metadata| identity(&metadata)) else {
                continue;
            };
            if self.exclusions.has_path(&path.to_string_lossy()) || self.files.contains_key(&file) {
                continue;
            }
            let path = [path];
            self.read(file, &path, true);
            self.probe(file, &path);
        }
    }

    /// Reads a library and notes what to do with it.
    fn read(&mut self, id: FileId, paths: &[PathBuf], standing: bool) {
        // A process that is gone took the way to its file along: another one may lead there.
        if let (Ok(file), Some(path)) = (open(paths, id), paths.last()) {
            self.note(id, examine::functions(&file), standing, path);
        }
    }

    /// Notes what to do with a file that was read.
    fn note(&mut self, id: FileId, image: Image, standing: bool, path: &Path) {
        if self.files.len() >= MAX_FILES {
            self.totals.files_full += 1;
            return;
        }
        self.totals.read_files += 1;
        tracing::debug!(path = ?path, "read");
        let plan = library::plan(&image, self.has_loop);
        let known = Known {
            build_id: image.build_id,
            plan,
            brings: None,
            probes: Vec::new(),
            users: BTreeSet::new(),
            standing,
        };
        self.files.insert(id, known);
    }

    /// Opens a file, and attaches what its plan says.
    fn probe(&mut self, id: FileId, paths: &[PathBuf]) {
        if self.files.get(&id).is_none_or(|known| known.plan.is_none()) {
            return;
        }
        // Nothing is wrong with the file when its process is gone already: the next one is tried.
        if let (Ok(file), Some(path)) = (open(paths, id), paths.last()) {
            self.attach(id, &file, path);
        }
    }

    /// Attaches what the plan of a file says, if it is still the file that the plan was made for.
    fn attach(&mut self, id: FileId, file: &File, path: &Path) {
        let Some(known) = self.files.get_mut(&id) else {
            return;
        };
        let Some(plan) = &known.plan else { return };
        let now = elf::build_id(file).map_err(anyhow::Error::from);
        let attached = now.and_then(|now| {
            anyhow::ensure!(now == known.build_id, "the file has changed since it was read");
            self.uprobes.attach(&self.programs, file, plan)
        });
        match attached {
            Ok(probes) => {
                self.totals.probed_files += 1;
                tracing::debug!(path = ?path, library = plan.library, probes = probes.len(), "probed");
                known.probes = probes;
            }
            Err(error) => {
                self.totals.refused_files += 1;
                tracing::debug!(path = ?path, error = %format!("{error:#}"), "not probed");
                known.plan = None;
            }
        }
    }

    /// Forgets processes that are gone, and takes the probes off files that nobody maps any more. To be called every few
    /// seconds.
    pub fn sweep(&mut self) {
        let alive: BTreeSet<u32> = pids().collect();
        self.processes.retain(|pid, _| alive.contains(pid));
        self.libraries.keep(&alive);
        let mut unused = Vec::new();
        self.files.retain(|_, known| {
            known.users.retain(|pid| alive.contains(pid));
            let kept = known.standing || known.plan.is_none() || !known.users.is_empty();
            if !kept {
                unused.append(&mut known.probes);
            }
            kept
        });
        probe::release(unused);
        // Forgotten files without plan are read again when they are mapped again.
        if self.files.len() >= MAX_FILES {
            self.files.retain(|_, known| known.plan.is_some());
        }
        let probed = self.files.values().filter(|known| !known.probes.is_empty());
        self.totals.probed_files = probed.count() as u64;
        self.exclude_again();
    }

    /// Puts back whom the kernel's table has forgotten: until then they were read.
    fn exclude_again(&mut self) {
        let forgotten = self
            .libraries
            .excluded()
            .into_iter()
            .filter(|pid| self.exclusions.has_forgotten(*pid));
        for pid in forgotten.collect::<Vec<u32>>() {
            self.totals.exclusions_forgotten += 1;
            self.exclusions.exclude(pid);
        }
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        let known = self.files.values_mut();
        probe::release(
            known
                .flat_map(|known| std::mem::take(&mut known.probes))
                .collect(),
        );
    }
}

/// Where a mapped file can be opened: the mapping itself, which takes privileges but finds a file that has been deleted or
/// replaced, too; else by its name, as the process sees it.
fn paths(directory: &Path, mapped: &Mapped) -> [PathBuf; 2] {
    let name = mapped.path.trim_start_matches('/');
    [
        directory.join("map_files").join(&mapped.range),
        directory.join("root").join(name),
    ]
}

/// Opens a file by the first path that leads to the one that is meant.
fn open(paths: &[PathBuf], id: FileId) -> io::Result<File> {
    let meant = |path: &PathBuf| {
        let file = File::open(path).ok()?;
        let metadata = file.metadata().ok()?;
        (metadata.is_file() && metadata.ino() == id.inode).then_some(file)
    };
    let file = paths.iter().find_map(meant);
    file.ok_or_else(|| io::Error::other("it is gone, or another file has taken its place"))
}

fn identity(metadata: &fs::Metadata) -> FileId {
    let device = metadata.dev();
    FileId {
        device: u64::from(rustix::fs::major(device)) << 32 | u64::from(rustix::fs::minor(device)),
        inode: metadata.ino(),
    }
}

fn process_directory(pid: u32) -> PathBuf {
    Path::new(PROC).join(pid.to_string())
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(PROC).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
