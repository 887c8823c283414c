//! Who listens, whether or not anybody calls.
//!
//! In: the tables of sockets of every network namespace that a process is in, and which process holds which socket. Out:
//! [`Listening`]: an address, a port, a process, and from how far away it can be reached. An API that nobody has called yet is known
//! by this alone. Refuses to connect to anything: that a socket listens says nothing about what it speaks.

mod reach;
mod scan;
mod table;

use std::net::IpAddr;

pub use scan::{MAX_LISTENING, Scanner};

use crate::inventory::Exposure;

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listening {
    /// Where it listens; unspecified when at all addresses of its network namespace.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
    /// Inode of the network namespace.
    pub netns: u64,
    /// A process that holds it, the one with the smallest id; 0 when none was found.
    pub pid: u32,
    /// Name of that process.
    pub comm: String,
    /// From how far away its address can be reached, firewalls aside.
    pub reach: Exposure,
}
