//! A control group for the command: what is in it belongs to the command, and nothing else does.
//!
//! Made below the observer's own group of the unified hierarchy (cgroups(7)), wherever that is mounted, hybrid systems
//! included. Groups without controllers need no delegation. A group in which something still runs stays.
//!
//! Removing it is left to a shell that was started before the agent gave its rights up, and that acts when its input
//! ends: also when the agent is killed.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::config::Observed;

/// A control group of its own.
#[derive(Debug)]
pub(super) struct Group {
    /// Where it is mounted.
    directory: PathBuf,
    /// As `/proc/<pid>/cgroup` names it.
    path: String,
    id: u64,
    janitor: Child,
}

/// Interrupts from the terminal are for the command.
const JANITOR: &str = r#"trap "" INT TERM HUP; read -r end; rmdir "$1""#;

impl Group {
    /// Makes one.
    pub(super) fn make() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").context("no /proc")?;
        let own = fs::read_to_string("/proc/self/cgroup").context("no /proc")?;
        let own = own
            .lines()
            .find_map(|line| line.strip_prefix("0::"))
            .context("no unified control groups")?;
        let parent = mounted(&mounts, own).context("the unified control groups are not mounted")?;
        let name = format!("apiarist-observe-{}", std::process::id());
        let directory = parent.join(&name);
        fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        // A group of the threaded kind takes no processes.
        if !directory.join("cgroup.procs").is_file() {
            fs::remove_dir(&directory)?;
            bail!("the control group takes no processes");
        }
        let janitor = Command::new("/bin/sh")
            .args(["-c", JANITOR, "apiarist"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start /bin/sh")?;
        Ok(Self {
            path: format!("{}/{name}", own.trim_end_matches('/')),
            id: fs::metadata(&directory)?.ino(),
            directory,
            janitor,
        })
    }

    /// The file that takes processes.
    pub(super) fn processes(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }

    pub(super) fn observed(&self) -> Observed {
        Observed::Group {
            id: self.id,
            path: self.path.clone(),
        }
    }

    /// Removes it, unless something is still running in it.
    pub(super) fn remove(mut self) {
        drop(self.janitor.stdin.take());
        if !self.janitor.wait().is_ok_and(|status| status.success()) {
            let directory = self.directory.display();
            tracing::warn!(
                "the command left processes behind: {directory} stays until it is removed by hand"
            );
        }
    }
}

/// The directory of a group, by the list of mounts (proc_pid_mountinfo(5)): `36 35 0:31 /root /mount … - cgroup2 …`.
fn mounted(mounts: &str, group: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        if !kind.starts_with("cgroup2 ") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        let below = group.strip_prefix(root.trim_end_matches('/'))?;
        Some(Path::new(&at.replace("\\040", " ")).join(below.trim_start_matches('/')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounted_anywhere() {
        let hybrid = "30 24 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n31 30 0:27 / /sys/fs/cgroup/unified rw shared:8 - cgroup2 cgroup2 rw\n";
        assert_eq!(mounted(hybrid, "/a/b"), Some("/sys/fs/cgroup/unified/a/b".into()));
        assert_eq!(mounted(hybrid, "/"), Some("/sys/fs/cgroup/unified/".into()));
        let inside = "31 30 0:27 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(mounted(inside, "/docker/1/x"), Some("/sys/fs/cgroup/x".into()));
        assert_eq!(mounted("1 1 0:1 / / rw - ext4 /dev/sda rw\n", "/"), None);
    }
}
