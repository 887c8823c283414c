//! The files of the program that a process runs.
//!
//! In: a process. Out: what its files say, each read once per version. Looks below the directory of the script, or the
//! working directory, as the process sees them: through `/proc/PID/root`. Follows no symbolic link, which could lead
//! out of there, opens regular files only, and reads a bounded part of them.

use std::{
    fs::File,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use lru::LruCache;
use rustix::fs::{Mode, OFlags};

use super::{Findings, Language, go, java};
use crate::bounded::remember;

/// Files of one program. Overflow policy: the first by name, directory by directory.
const MAX_FILES: usize = 600;

/// Directory entries looked at. Overflow policy: as if there were no more.
const MAX_ENTRIES: usize = 20_000;

/// Entries of a class path. Overflow policy: the first so many.
const MAX_CLASS_PATH: usize = 64;

/// Bytes of all files of a program. Overflow policy: further files are not read.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Longest file. Overflow policy: passed over; routes are written by hand.
const MAX_FILE_BYTES: u64 = 512 * 1024;

/// Nested directories. Overflow policy: what is deeper is passed over.
const MAX_DEPTH: usize = 7;

/// Files remembered. Overflow policy: the one not asked for the longest is read again.
const REMEMBERED: usize = 4096;

/// Directories that hold the code of others, or none.
const FOREIGN: &[&str] = &[
    "node_modules",
    "site-packages",
    "dist-packages",
    "vendor",
    "venv",
    "env",
    "__pycache__",
    "test",
    "tests",
    "spec",
    "static",
    "public",
    "assets",
    "coverage",
    "migrations",
    "log",
    "storage",
];

/// Working directories of which it is not known whose code is in them.
const SHARED: &[&str] = &[
    "", "bin", "etc", "home", "lib", "opt", "root", "sbin", "srv", "tmp", "usr", "usr/bin", "var",
];

/// Reads a file of so many bytes that is too large to be held.
type InPieces = fn(&File, u64) -> Findings;

/// One version of one file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Version {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// What files said when they were read.
#[derive(Debug)]
pub struct Cache {
    files: LruCache<Version, Arc<Findings>>,
    /// Files read so far.
    pub read: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            files: remember(REMEMBERED),
            read: 0,
        }
    }
}

/// The program that an interpreter runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    language: Language,
    /// The root of what the process sees.
    root: PathBuf,
    /// Where its code is, below the root.
    directory: PathBuf,
    /// Of Java: archives and directories of its class path instead, below the root. Of Go: the executable.
    classes: Vec<PathBuf>,
}

impl Program {
    /// The program of a process; `None` if it is not written in a language that routes are found in, or gone. What is no
    /// interpreter may be Go's: its executable tells.
    pub fn of(proc_root: &Path, pid: u32) -> Option<Self> {
        let process = proc_root.join(pid.to_string());
        let executable = std::fs::read_link(process.join("exe")).ok()?;
        let name = executable.file_name()?.to_string_lossy().into_owned();
        let working = std::fs::read_link(process.join("cwd")).ok()?;
        let mut line = Vec::new();
        File::open(process.join("cmdline"))
            .ok()?
            .take(8192)
            .read_to_end(&mut line)
            .ok()?;
        let arguments: Vec<String> = line
            .split(|byte| *byte == 0)
            .map(|argument| String::from_utf8_lossy(argument).into_owned())
            .collect();
        let Some(language) = Language::of_interpreter(&name) else {
            return Some(Self {
                language: Language::Go,
                root: process.join("root"),
                directory: PathBuf::new(),
                classes: vec![plain(&executable)?],
            });
        };
        if language == Language::Java {
            let classes: Vec<PathBuf> = class_path(&arguments)
                .filter_map(|path| plain(&working.join(path)))
                .take(MAX_CLASS_PATH)
                .collect();
            return (!classes.is_empty()).then(|| Self {
                language,
                root: process.join("root"),
                directory: PathBuf::new(),
                classes,
            });
        }
        let script = arguments.iter().skip(1).find(|argument| {
            let ending = argument.rsplit_once('.').map_or("", |(_, ending)| ending);
            !argument.starts_with('-') && language.endings().contains(&ending)
        });
        let beside = script.and_then(|script| working.join(script).parent().map(Path::to_path_buf));
        // Without a script a server runs what is in its working directory: `gunicorn shop:app`, `rails server`.
        let is_known = beside.is_some();
        let directory = plain(&beside.unwrap_or(working))?;
        let is_shared = SHARED.iter().any(|shared| directory == Path::new(shared));
        (is_known || !is_shared).then(|| Self {
            language,
            root: process.join("root"),
            directory,
            classes: Vec::new(),
        })
    }

    /// A program whose code is in a directory.
    pub fn at(language: Language, root: &Path, directory: &Path) -> Self {
        Self {
            language,
            root: root.to_owned(),
            directory: directory.to_owned(),
            classes: Vec::new(),
        }
    }

    /// What its files say, by path below its directory.
    pub fn files(&self, cache: &mut Cache) -> Vec<(PathBuf, Arc<Findings>)> {
        let mut walk = Walk {
            language: self.language,
            found: Vec::new(),
            entries: 0,
            bytes: 0,
            cache,
        };
        if self.classes.is_empty() {
            walk.directory(&self.root.join(&self.directory), Path::new(""), 0);
        }
        for classes in &self.classes {
            walk.classes(&self.root.join(classes), classes);
        }
        walk.found
    }
}

/// What a virtual machine was told to run: an archive, or the entries of its class path.
fn class_path(arguments: &[String]) -> impl Iterator<Item = &str> {
    let behind = |names: &[&str]| {
        let mut pairs = arguments.iter().zip(arguments.iter().skip(1));
        pairs.find_map(|(name, value)| names.contains(&name.as_str()).then_some(value.as_str()))
    };
    let given = behind(&["-jar"]).or_else(|| behind(&["-cp", "-classpath", "--class-path"]));
    given
        .into_iter()
        .flat_map(|given| given.split(':'))
        .filter(|entry| !entry.is_empty())
}

/// A path below the root without `.` and `..`.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => drop(plain.pop()),
            Component::RootDir | Component::CurDir => {}
            Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

struct Walk<'c> {
    language: Language,
    found: Vec<(PathBuf, Arc<Findings>)>,
    entries: usize,
    bytes: u64,
    cache: &'c mut Cache,
}

impl Walk<'_> {
    fn directory(&mut self, directory: &Path, below: &Path, depth: usize) {
        let Ok(entries) = std::fs::read_dir(directory) else {
            return;
        };
        let left = MAX_ENTRIES.saturating_sub(self.entries);
        let mut names: Vec<_> = entries
            .take(left)
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        self.entries += names.len();
        names.sort();
        for name in names {
            let (path, below) = (directory.join(&name), below.join(&name));
            // Not followed: a link can lead out of what the process sees.
            let Ok(metadata) = path.symlink_metadata() else {
                continue;
            };
            let text = name.to_string_lossy();
            if metadata.is_dir() {
                let is_own = !text.starts_with('.') && !FOREIGN.contains(&&*text);
                if is_own && depth < MAX_DEPTH {
                    self.directory(&path, &below, depth + 1);
                }
            } else if metadata.is_file() && self.is_code(&text) {
                self.file(&path, below, metadata.len());
            }
            if self.found.len() >= MAX_FILES || self.bytes >= MAX_BYTES {
                return;
            }
        }
    }

    /// An entry of a class path.
    fn classes(&mut self, path: &Path, below: &Path) {
        let Ok(metadata) = path.symlink_metadata() else {
            return;
        };
        let ending = path.extension().unwrap_or_default();
        let is_program = self.language == Language::Go || ending == "jar" || ending == "war";
        if metadata.is_dir() {
            self.directory(path, below, 0);
        } else if metadata.is_file() && is_program {
            self.file(path, below.to_owned(), metadata.len());
        }
    }

    fn is_code(&self, name: &str) -> bool {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        self.language.endings().contains(&ending) && !name.ends_with(".min.js") && !name.ends_with(".d.ts")
    }

    fn file(&mut self, path: &Path, below: PathBuf, length: u64) {
        let is_class = below.to_string_lossy().ends_with(".class");
        let in_pieces: Option<(u64, InPieces)> = match self.language {
            Language::Java if !is_class => Some((java::MAX_ARCHIVE_BYTES, java::archive)),
            Language::Go => Some((go::MAX_EXECUTABLE_BYTES, go::executable)),
            _ => None,
        };
        let limit = in_pieces.map_or(MAX_FILE_BYTES, |(limit, _)| limit);
        if length > limit {
            return;
        }
        // What it is may have changed since: a pipe must not block, a link not lead elsewhere.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(File::from) else {
            return;
        };
        let Some(metadata) = file.metadata().ok().filter(|metadata| metadata.is_file()) else {
            return;
        };
        let version = Version {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        };
        if let Some(known) = self.cache.files.get(&version) {
            self.found.push((below, Arc::clone(known)));
            return;
        }
        if let Some((_, read)) = in_pieces {
            self.cache.read += 1;
            let findings = Arc::new(read(&file, metadata.len()));
            self.cache.files.push(version, Arc::clone(&findings));
            self.found.push((below, findings));
            return;
        }
        let mut bytes = Vec::new();
        if file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).is_err() {
            return;
        }
        self.bytes += bytes.len() as u64;
        self.cache.read += 1;
        let findings = Arc::new(self.language.read(&bytes));
        self.cache.files.push(version, Arc::clone(&findings));
        self.found.push((below, findings));
    }
}
