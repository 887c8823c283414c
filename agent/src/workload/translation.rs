//! Addresses that were translated on the way to this host's servers, and what they were before.
//!
//! In: the kernel's table of connections as text (`/proc/net/nf_conntrack`). Out: for a connection as its server sees it, the
//! client before its source address was translated. Only connections whose source was translated are kept. Where the table cannot
//! be read, or the kernel keeps none, addresses stay as they are seen, and that is counted.

use std::{
    collections::HashMap,
    fs::File,
    io::Read as _,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::clock::Timestamp;

/// Bytes of the table that are read, some 20,000 connections. Overflow policy: the rest is not known.
const MAX_TABLE_BYTES: u64 = 4 * 1024 * 1024;

/// Translated connections that are kept. Overflow policy: further ones are not known.
const MAX_CONNECTIONS: usize = 16_384;

/// Shortest time between two looks at the table: a connection that is not in it makes no look before.
const PERIOD: Duration = Duration::from_secs(2);

/// What a [`Translations`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TranslationStats {
    /// Looks at the table.
    pub read: u64,
    /// Looks that failed.
    pub unreadable: u64,
    /// Clients that were found behind a translated address.
    pub undone: u64,
}

impl TranslationStats {
    /// All counters by the name `status` shows.
    pub fn list(self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self {
            read,
            unreadable,
            undone,
        } = self;
        [
            ("nat_read", read),
            ("nat_unreadable", unreadable),
            ("nat_undone", undone),
        ]
        .into_iter()
    }
}

/// The table, as far as it was read last.
#[derive(Debug)]
pub struct Translations {
    path: PathBuf,
    /// The client before translation, by server and client as the server sees them.
    clients: HashMap<(SocketAddr, SocketAddr), SocketAddr>,
    next: Timestamp,
    stats: TranslationStats,
}

impl Translations {
    /// The table of the host: in the network namespace of its first process, else in the agent's own.
    pub fn new(proc_root: &Path) -> Self {
        let first = proc_root.join("1/net/nf_conntrack");
        let own = proc_root.join("net/nf_conntrack");
        let path = if File::open(&first).is_ok() { first } else { own };
        Self {
            path,
            clients: HashMap::new(),
            next: Timestamp(0),
            stats: TranslationStats::default(),
        }
    }

    /// The client of a connection before its address was translated; `None` when it was not. Looks at the table again when the
    /// connection is not in it and the last look is a while ago.
    pub fn client(&mut self, server: SocketAddr, client: SocketAddr, now: Timestamp) -> Option<SocketAddr> {
        let key = (server, client);
        if !self.clients.contains_key(&key) && now >= self.next {
            self.next = now.after(PERIOD);
            self.read();
        }
        let found = self.clients.get(&key).copied();
        self.stats.undone += u64::from(found.is_some());
        found
    }

    /// What was done so far.
    pub fn stats(&self) -> TranslationStats {
        self.stats
    }

    fn read(&mut self) {
        self.stats.read += 1;
        let mut text = Vec::new();
        let read = || {
            File::open(&self.path)?
                .take(MAX_TABLE_BYTES)
                .read_to_end(&mut text)
        };
        let mut read = read;
        match read() {
            Ok(_) => {
                self.clients = sources(&String::from_utf8_lossy(&text))
                    .take(MAX_CONNECTIONS)
                    .collect()
            }
            Err(_) => self.stats.unreadable += 1,
        }
    }
}

/// Connections over TCP whose source was translated: server and client as the server sees them, and the client before.
fn sources(table: &str) -> impl Iterator<Item = ((SocketAddr, SocketAddr), SocketAddr)> {
    table.lines().filter_map(|line| {
        // family number protocol number timeout state src= dst= sport= dport= src= dst= sport= dport= flags
        let mut words = line.split_ascii_whitespace();
        (words.nth(2)? == "tcp").then_some(())?;
        let mut parts = words.filter_map(|word| word.split_once('='));
        let mut tuple = || {
            let mut next = |name: &str| parts.find_map(|(found, value)| (found == name).then_some(value));
            let (source, destination): (IpAddr, IpAddr) =
                (next("src")?.parse().ok()?, next("dst")?.parse().ok()?);
            let (from, to) = (next("sport")?.parse().ok()?, next("dport")?.parse().ok()?);
            Some((SocketAddr::new(source, from), SocketAddr::new(destination, to)))
        };
        let (client, _) = tuple()?;
        // Answers go from the server, as it is, to the client, as the server sees it.
        let (server, seen) = tuple()?;
        (seen != client).then_some(((server, seen), client))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A client of the internet at a node port, whose source is masqueraded; one of a service, of which only the destination is
    /// translated; one that is not translated at all; and something that is no TCP.
    const TABLE: &str = "\
ipv4     2 tcp      6 431999 ESTABLISHED src=203.0.113.9 dst=192.0.2.1 sport=40000 dport=30080 src=10.1.0.5 dst=10.1.0.1 sport=8080 dport=61000 [ASSURED] mark=0 zone=0 use=2
ipv4     2 tcp      6 86 TIME_WAIT src=10.1.0.7 dst=10.96.0.9 sport=50000 dport=80 src=10.1.0.5 dst=10.1.0.7 sport=8080 dport=50000 [ASSURED] use=1
ipv4     2 tcp      6 86 ESTABLISHED src=10.1.0.8 dst=10.1.0.5 sport=50001 dport=8080 src=10.1.0.5 dst=10.1.0.8 sport=8080 dport=50001 [ASSURED] use=1
ipv4     2 udp      17 20 src=10.1.0.8 dst=10.1.0.5 sport=5 dport=8 [UNREPLIED] src=10.1.0.5 dst=10.1.0.9 sport=8 dport=5 use=1
ipv6     10 tcp      6 9 SYN_SENT src=2001:db8::9 dst=fd00::1 sport=1 dport=2 [UNREPLIED] src=fd00::5 dst=fd00::1 sport=3 dport=4 use=1
nonsense
";

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_client_in_front_of_a_translated_address_is_found() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("net")).unwrap();
        fs::write(place.path().join("net/nf_conntrack"), TABLE).unwrap();
        let mut translations = Translations::new(place.path());
        let mut client = |server, client| translations.client(at(server), at(client), Timestamp(1));
        assert_eq!(
            client("10.1.0.5:8080", "10.1.0.1:61000"),
            Some(at("203.0.113.9:40000"))
        );
        assert_eq!(client("10.1.0.5:8080", "10.1.0.7:50000"), None);
        assert_eq!(client("[fd00::5]:3", "[fd00::1]:4"), Some(at("[2001:db8::9]:1")));
        // One look answered all.
        assert_eq!(
            translations.stats(),
            TranslationStats {
                read: 1,
                unreadable: 0,
                undone: 2
            }
        );
    }

    #[test]
    fn without_a_table_addresses_stay_as_they_are() {
        let place = tempfile::tempdir().unwrap();
        let mut translations = Translations::new(place.path());
        for second in 1..=3 {
            let now = Timestamp(second * 1_000_000_000);
            assert_eq!(
                translations.client(at("10.1.0.5:80"), at("10.1.0.1:1"), now),
                None
            );
        }
        assert_eq!(
            translations.stats(),
            TranslationStats {
                read: 2,
                unreadable: 2,
                undone: 0
            }
        );
    }
}
