//! Addresses that are translated between a client and its server, as the kernel's table of connections has them.
//!
//! In: that table as text (`/proc/net/nf_conntrack`). Out: for a connection as one of its ends sees it, what the other end sees:
//! the client before its source address was translated, the server behind the destination. Only translated connections are kept.
//! Where the table cannot be read, or the kernel keeps none, addresses stay as they are seen, and that is counted.

use std::{
    collections::HashMap,
    fs::File,
    io::Read as _,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{clock::Timestamp, event::Address, exchange::Side, flow::End};

/// Bytes of the table that are read, some 20,000 connections. Overflow policy: the rest is not known.
const MAX_TABLE_BYTES: u64 = 4 * 1024 * 1024;

/// Translated connections that are kept. Overflow policy: further ones are not known.
const MAX_CONNECTIONS: usize = 16_384;

/// Shortest time between two looks at the table, and how much longer it is for each KiB that the last look read: Linux 6.18 took
/// 7 ms to write 1.4 MiB, 8,691 connections, which makes looks a hundredth of the time.
const PERIOD: Duration = Duration::from_millis(50);
const PERIOD_OF_KIB: Duration = Duration::from_micros(500);

/// Time between two looks for a table where there was none; longer than between two looks at one.
const APPEARANCE: Duration = Duration::from_secs(5);

/// What a [`Translations`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TranslationStats {
    /// Looks at the table.
    pub read: u64,
    /// Looks that failed.
    pub unreadable: u64,
    /// Ends of connections that were found there.
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

/// Local and remote address of an end.
type Pair = (SocketAddr, SocketAddr);

/// The table, as far as it was read last.
#[derive(Debug)]
pub struct Translations {
    /// Where it may be, and where it is.
    paths: [PathBuf; 2],
    kept: Option<PathBuf>,
    /// From each end of a translated connection to the other.
    ends: HashMap<Pair, (Side, Pair)>,
    next: Timestamp,
    stats: TranslationStats,
}

impl Translations {
    /// The table of the host: in the network namespace of its first process, else in the agent's own.
    pub fn new(proc_root: &Path) -> Self {
        Self {
            paths: ["1/net/nf_conntrack", "net/nf_conntrack"].map(|name| proc_root.join(name)),
            kept: None,
            ends: HashMap::new(),
            next: Timestamp(0),
            stats: TranslationStats::default(),
        }
    }

    /// Whether there is a table: kernels make it when the first rule needs it. Looks for it now and then until there is.
    pub fn is_kept(&mut self, now: Timestamp) -> bool {
        if self.kept.is_none() && self.is_due(now) {
            self.next = now.after(APPEARANCE);
            self.kept = self.paths.iter().find(|path| File::open(path).is_ok()).cloned();
            if self.kept.is_some() {
                self.next = now;
            }
        }
        self.kept.is_some()
    }

    /// Whether the time has come. A clock that was set back does not make it far away.
    fn is_due(&self, now: Timestamp) -> bool {
        now >= self.next || self.next > now.after(APPEARANCE)
    }

    /// Reads the table, unless that was done a moment ago; whether what [`Self::other_end`] gives is as of now.
    pub fn look(&mut self, now: Timestamp) -> bool {
        if !self.is_kept(now) || !self.is_due(now) {
            return false;
        }
        self.stats.read += 1;
        let mut text = Vec::new();
        let mut read = || {
            let file = File::open(self.kept.as_deref().unwrap_or(Path::new("")))?;
            file.take(MAX_TABLE_BYTES).read_to_end(&mut text)
        };
        let is_read = read().is_ok();
        self.ends.clear();
        if is_read {
            let text = String::from_utf8_lossy(&text);
            for (client, server) in translated(&text).take(MAX_CONNECTIONS) {
                self.ends.insert(client, (Side::Server, server));
                self.ends.insert(server, (Side::Client, client));
            }
        } else {
            self.stats.unreadable += 1;
            self.kept = None;
        }
        let kib = u32::try_from(text.len() / 1024).unwrap_or(u32::MAX);
        self.next = now.after(PERIOD.saturating_add(PERIOD_OF_KIB.saturating_mul(kib)));
        is_read
    }

    /// The other end of a connection by the addresses that one end sees; `None` when they are not translated.
    pub fn other_end(&self, local: &Address, remote: &Address) -> Option<End> {
        let socket = |address: &Address| match address {
            Address::Ip(ip, port) => Some(SocketAddr::new(*ip, *port)),
            Address::Unix(_) => None,
        };
        let address = |socket: SocketAddr| Address::Ip(socket.ip(), socket.port());
        let (side, (local, remote)) = *self.ends.get(&(socket(local)?, socket(remote)?))?;
        Some(End {
            side,
            local: address(local),
            remote: address(remote),
        })
    }

    /// What was done so far, when so many ends were found.
    pub fn stats(&self, undone: u64) -> TranslationStats {
        TranslationStats { undone, ..self.stats }
    }
}

/// Connections over TCP of which an address was translated: the client's end and the server's.
fn translated(table: &str) -> impl Iterator<Item = (Pair, Pair)> {
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
        let (client, asked) = tuple()?;
        // Answers go from the server, as it is, to the client, as the server sees it.
        let (server, seen) = tuple()?;
        (seen != client || server != asked).then_some(((client, asked), (server, seen)))
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

    fn at(text: &str) -> Address {
        let socket: SocketAddr = text.parse().unwrap();
        Address::Ip(socket.ip(), socket.port())
    }

    #[test]
    fn each_end_leads_to_the_other() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("net")).unwrap();
        fs::write(place.path().join("net/nf_conntrack"), TABLE).unwrap();
        let mut translations = Translations::new(place.path());
        assert!(translations.look(Timestamp(1)));
        let ends = [
            (
                "10.1.0.5:8080",
                "10.1.0.1:61000",
                "203.0.113.9:40000",
                "192.0.2.1:30080",
            ),
            (
                "10.1.0.5:8080",
                "10.1.0.7:50000",
                "10.1.0.7:50000",
                "10.96.0.9:80",
            ),
            ("[fd00::5]:3", "[fd00::1]:4", "[2001:db8::9]:1", "[fd00::1]:2"),
        ];
        for (server, seen, client, asked) in ends {
            let [server, seen, client, asked] = [server, seen, client, asked].map(at);
            let of_client = translations.other_end(&server, &seen).unwrap();
            let (local, remote) = (client.clone(), asked.clone());
            assert_eq!(
                of_client,
                End {
                    side: Side::Client,
                    local,
                    remote
                }
            );
            let of_server = translations.other_end(&client, &asked).unwrap();
            assert_eq!(
                of_server,
                End {
                    side: Side::Server,
                    local: server,
                    remote: seen
                }
            );
        }
        assert_eq!(
            translations.other_end(&at("10.1.0.5:8080"), &at("10.1.0.8:50001")),
            None
        );
    }

    #[test]
    fn a_long_table_is_looked_at_less_often() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("net")).unwrap();
        let table = place.path().join("net/nf_conntrack");
        for (bytes, pause) in [(0, 50), (1024 * 1024, 562)] {
            fs::write(&table, "x".repeat(bytes)).unwrap();
            let mut translations = Translations::new(place.path());
            assert!(translations.look(Timestamp(0)));
            assert!(!translations.look(Timestamp((pause - 1) * 1_000_000)));
            assert!(translations.look(Timestamp(pause * 1_000_000)));
        }
    }

    #[test]
    fn a_table_may_appear_later() {
        let place = tempfile::tempdir().unwrap();
        let mut translations = Translations::new(place.path());
        let second = |second: u64| Timestamp(second * 1_000_000_000);
        assert!(!translations.is_kept(second(1)) && !translations.look(second(1)));
        fs::create_dir(place.path().join("net")).unwrap();
        fs::write(place.path().join("net/nf_conntrack"), TABLE).unwrap();
        assert!(!translations.is_kept(second(2)));
        assert!(translations.is_kept(second(6)) && translations.look(second(6)));
        // The clock is set back; then the table goes, with the module that made it.
        assert!(translations.look(second(0)));
        fs::remove_file(place.path().join("net/nf_conntrack")).unwrap();
        assert!(!translations.look(second(1)) && !translations.is_kept(second(2)));
    }

    #[test]
    fn a_table_that_cannot_be_read_leaves_addresses_as_they_are() {
        let place = tempfile::tempdir().unwrap();
        // It can be opened, as what it is for.
        fs::create_dir_all(place.path().join("net/nf_conntrack")).unwrap();
        let mut translations = Translations::new(place.path());
        assert!(translations.is_kept(Timestamp(0)) && !translations.look(Timestamp(0)));
        assert_eq!(
            translations.other_end(&at("10.1.0.5:80"), &at("10.1.0.1:1")),
            None
        );
        let stats = translations.stats(0);
        assert_eq!((stats.read, stats.unreadable), (1, 1));
    }
}
