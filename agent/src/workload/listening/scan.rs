//! Finds listening sockets, in every network namespace, and who holds them.
//!
//! In: the root of a proc file system. Out: [`Listening`]s, sorted. A namespace is read through one of its processes. Which process
//! holds a socket is found by looking through all descriptors, and remembered: as long as no socket is new nothing is looked
//! through again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::Read as _,
    net::IpAddr,
    path::{Path, PathBuf},
};

use super::{Listening, reach, table};

/// Sockets that are told. Overflow policy: further ones, in order of address, are left out and counted.
pub const MAX_LISTENING: usize = 2048;

/// Processes looked at. Overflow policy: further ones are not.
const MAX_PROCESSES: usize = 32_768;

/// Network namespaces looked into. Overflow policy: further ones are not.
const MAX_NAMESPACES: usize = 2048;

/// Descriptors looked at in one look, of all processes. Overflow policy: sockets not found by then have no process.
const MAX_DESCRIPTORS: usize = 1_000_000;

/// Bytes of one table. Overflow policy: the rest is not read.
const MAX_TABLE_BYTES: u64 = 8 * 1024 * 1024;

/// Looks for listening sockets, again and again.
#[derive(Debug)]
pub struct Scanner {
    proc_root: PathBuf,
    /// Who holds a socket, by inode; 0 when nobody was found, as with sockets of the kernel itself.
    holders: HashMap<u64, u32>,
}

impl Scanner {
    /// Looks into the proc file system at this path.
    pub fn new(proc_root: &Path) -> Self {
        Self {
            proc_root: proc_root.to_owned(),
            holders: HashMap::new(),
        }
    }

    /// What listens now, and how many sockets there was no room for.
    pub fn scan(&mut self) -> (Vec<Listening>, usize) {
        let processes = self.processes();
        let mut rows = BTreeSet::new();
        for (netns, pid) in self.namespaces(&processes) {
            let net = self.proc_root.join(pid.to_string()).join("net");
            let text = |name: &str| read(&net.join(name)).unwrap_or_default();
            let mut own = reach::of_fib_trie(&text("fib_trie"));
            own.extend(reach::of_if_inet6(&text("if_inet6")));
            for name in ["tcp", "tcp6"] {
                rows.extend(
                    table::listening(&text(name)).map(|row| (row, netns, reach::reach(row.address, &own))),
                );
            }
        }
        let overflow = rows.len().saturating_sub(MAX_LISTENING);
        let rows: Vec<_> = rows.into_iter().take(MAX_LISTENING).collect();
        self.find_holders(rows.iter().map(|(row, ..)| row.inode).collect(), &processes);
        // A socket that several processes hold is one; so are those that share a port (SO_REUSEPORT).
        let mut found: BTreeMap<(IpAddr, u16, u64), Listening> = BTreeMap::new();
        for (row, netns, reach) in rows {
            let pid = self.holders.get(&row.inode).copied().unwrap_or_default();
            let listening = found
                .entry((row.address, row.port, netns))
                .or_insert_with(|| Listening {
                    address: row.address,
                    port: row.port,
                    netns,
                    pid,
                    comm: String::new(),
                    reach,
                });
            if listening.pid == 0 {
                listening.pid = pid;
            }
        }
        let mut found: Vec<_> = found.into_values().collect();
        for listening in &mut found {
            let comm = read(&self.proc_root.join(listening.pid.to_string()).join("comm"));
            listening.comm = comm.unwrap_or_default().trim_end().to_owned();
        }
        (found, overflow)
    }

    fn processes(&self) -> Vec<u32> {
        let entries = fs::read_dir(&self.proc_root).into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut pids: Vec<u32> = pids.take(MAX_PROCESSES).collect();
        pids.sort_unstable();
        pids
    }

    /// One process of each network namespace.
    fn namespaces(&self, processes: &[u32]) -> BTreeMap<u64, u32> {
        let mut found = BTreeMap::new();
        for pid in processes {
            let link = fs::read_link(self.proc_root.join(pid.to_string()).join("ns/net"));
            let inode = link.ok().and_then(|link| inode(link.to_str()?, "net:["));
            if let Some(inode) = inode
                && found.len() < MAX_NAMESPACES
            {
                found.entry(inode).or_insert(*pid);
            }
        }
        found
    }

    /// Makes sure that who holds these sockets is known, as far as it can be.
    fn find_holders(&mut self, wanted: BTreeSet<u64>, processes: &[u32]) {
        self.holders.retain(|inode, pid| {
            wanted.contains(inode) && (*pid == 0 || processes.binary_search(pid).is_ok())
        });
        let mut missing: BTreeSet<u64> = wanted
            .into_iter()
            .filter(|inode| !self.holders.contains_key(inode))
            .collect();
        let mut left = MAX_DESCRIPTORS;
        for pid in processes {
            if missing.is_empty() || left == 0 {
                break;
            }
            let descriptors = fs::read_dir(self.proc_root.join(pid.to_string()).join("fd"));
            for descriptor in descriptors.into_iter().flatten().flatten().take(left) {
                left = left.saturating_sub(1);
                let link = fs::read_link(descriptor.path());
                if let Some(inode) = link.ok().and_then(|link| inode(link.to_str()?, "socket:["))
                    && missing.remove(&inode)
                {
                    self.holders.insert(inode, *pid);
                }
            }
        }
        self.holders.extend(missing.into_iter().map(|inode| (inode, 0)));
    }
}

/// The number in `socket:[4711]`.
fn inode(link: &str, prefix: &str) -> Option<u64> {
    link.strip_prefix(prefix)?.strip_suffix(']')?.parse().ok()
}

fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(MAX_TABLE_BYTES)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::inventory::Exposure;

    #[test]
    fn a_socket_of_this_process_is_found_and_gone_when_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut scanner = Scanner::new(Path::new("/proc"));
        let found = |scanner: &mut Scanner| scanner.scan().0.into_iter().find(|one| one.port == port);
        let own = found(&mut scanner).unwrap();
        assert_eq!((own.pid, own.reach), (std::process::id(), Exposure::Host));
        assert!(!own.comm.is_empty());
        drop(listener);
        assert_eq!(found(&mut scanner), None);
    }
}
