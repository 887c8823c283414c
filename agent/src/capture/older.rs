//! Sockets that are open already, where the kernel has no iterator over them (before 5.11).
//!
//! In: /proc. Out: inodes of sockets that some process has open, whatever their network namespace. What is opened or closed
//! meanwhile may or may not be among them. Refuses to open anything of a process: names of links say enough.

use std::{collections::BTreeSet, fs, path::Path};

/// Sockets that are remembered. Overflow policy: further ones are taken for new ones; the caller says so.
pub(super) const MAX_OLDER: u32 = 32 * 1024;

/// Inodes of sockets, at most `most`, in ascending order; and whether that was all.
pub(super) fn sockets(proc_root: &Path, most: usize) -> (BTreeSet<u64>, bool) {
    let mut inodes = BTreeSet::new();
    let Ok(processes) = fs::read_dir(proc_root) else {
        return (inodes, false);
    };
    for process in processes.filter_map(Result::ok) {
        let is_process = process
            .file_name()
            .as_encoded_bytes()
            .iter()
            .all(u8::is_ascii_digit);
        if !is_process {
            continue;
        }
        // Gone meanwhile.
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        for descriptor in descriptors.filter_map(Result::ok) {
            let Ok(target) = fs::read_link(descriptor.path()) else {
                continue;
            };
            if let Some(inode) = target.to_str().and_then(inode) {
                if inodes.len() >= most && !inodes.contains(&inode) {
                    return (inodes, false);
                }
                inodes.insert(inode);
            }
        }
    }
    (inodes, true)
}

/// The number in `socket:[number]` (proc_pid_fd(5)).
fn inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::{fs::MetadataExt as _, net::UnixStream};

    #[test]
    fn own_sockets_are_found() {
        let pair = UnixStream::pair().unwrap();
        let own = [&pair.0, &pair.1].map(|socket| {
            let file = fs::File::from(std::os::fd::OwnedFd::from(socket.try_clone().unwrap()));
            file.metadata().unwrap().ino()
        });
        let (found, all) = sockets(Path::new("/proc"), usize::MAX);
        assert!(all && own.iter().all(|inode| found.contains(inode)));
        let (few, all) = sockets(Path::new("/proc"), 1);
        assert_eq!((few.len(), all), (1, false));
    }

    #[test]
    fn only_links_to_sockets_count() {
        assert_eq!(inode("socket:[4711]"), Some(4711));
        for other in ["pipe:[4711]", "socket:[]", "socket:[4711", "/tmp/socket:[1]"] {
            assert_eq!(inode(other), None, "{other}");
        }
    }
}
