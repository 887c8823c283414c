//! What one `apiarist run` is to do: the configuration with the command line on top, and everything resolved.

use std::{path::PathBuf, time::Duration};

use super::Config;

/// Input of [`crate::pipeline`].
#[derive(Debug, Clone, PartialEq)]
pub struct RunOptions {
    /// The configuration; flags of the command line are already applied, including the scope.
    pub config: Config,
    /// Directory of the store.
    pub store: PathBuf,
    /// Unix socket of the control API.
    pub socket: PathBuf,
    /// Where alerts go besides the configured sinks.
    pub alerts: Option<AlertTarget>,
    /// Stop after this time; without it, on SIGINT or SIGTERM.
    pub duration: Option<Duration>,
    /// One command that is observed, and nothing else.
    pub observed: Option<Observed>,
    /// Where the configuration comes from, if it is to be read again on SIGHUP.
    pub source: Option<Source>,
}

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The file that was named, if one was.
    pub path: Option<PathBuf>,
    /// What it held, before the flags of the command line.
    pub read: Config,
}

/// The processes of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Those in a control group of the unified hierarchy, and in groups below it.
    Group {
        /// Its id, as the kernel programs tell it.
        id: u64,
        /// Its path, as `/proc/<pid>/cgroup` tells it.
        path: String,
    },
    /// Descendants of a process.
    Tree {
        /// The process.
        root: u32,
    },
}

/// Where `--alerts` writes, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertTarget {
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// Directory of the store when neither flag nor key names one: `/var/lib/apiarist` for root, else
/// `$XDG_STATE_HOME/apiarist` (`~/.local/state/apiarist`).
pub fn default_store(root: bool, variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    if root {
        return PathBuf::from("/var/lib/apiarist");
    }
    // The XDG base directory specification: a relative path is to be ignored.
    variable("XDG_STATE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(|| PathBuf::from("/var/tmp"))
        .join("apiarist")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_a_system_directory_and_others_their_own() {
        let nothing = |_: &str| None;
        assert_eq!(default_store(true, nothing), PathBuf::from("/var/lib/apiarist"));
        let home = |name: &str| (name == "HOME").then(|| PathBuf::from("/home/ada"));
        assert_eq!(
            default_store(false, home),
            PathBuf::from("/home/ada/.local/state/apiarist")
        );
        let xdg = |name: &str| (name == "XDG_STATE_HOME").then(|| PathBuf::from("/state"));
        assert_eq!(default_store(false, xdg), PathBuf::from("/state/apiarist"));
        let relative = |name: &str| Some(PathBuf::from(if name == "HOME" { "/home/ada" } else { "state" }));
        assert_eq!(
            default_store(false, relative),
            PathBuf::from("/home/ada/.local/state/apiarist")
        );
    }
}
