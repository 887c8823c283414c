//! Recorded traffic in memory: records of the ring as the kernel programs write them, for cases that cost differently.

use std::net::{IpAddr, Ipv4Addr};

use apiarist::{
    clock::Timestamp,
    event::{Address, ProcessRef, SocketEvent, SocketId, SocketOpen},
};
use apiarist_common::event::{EGRESS, FLAG_TURN, Header, INGRESS, KIND_DATA};

/// Nanoseconds from one exchange to the next.
const STEP_NS: u64 = 20_000_000;

/// The beginning of all traffic, in nanoseconds.
const START_NS: u64 = 1_700_000_000_000_000_000;

/// Callers, each with connections of its own.
const CALLERS: u64 = 40;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// A few paths, answers of 600 bytes that are no JSON.
    Small,
    /// Known paths, JSON of 1 KiB each way.
    Json,
    /// More paths than are remembered, a token, short JSON.
    Paths,
    /// Known paths, JSON of 1 KiB each way full of quotes.
    Quotes,
    /// Calls of JSON-RPC, each method an endpoint: as many as are wanted.
    Calls,
}

impl Case {
    pub(crate) const ALL: [Self; 4] = [Self::Small, Self::Json, Self::Paths, Self::Quotes];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Json => "json",
            Self::Paths => "paths",
            Self::Quotes => "quotes",
            Self::Calls => "calls",
        }
    }

    fn request(self, spread: &Spread, number: u64) -> String {
        // Each connection meets all endpoints.
        let endpoint = (number / spread.connections + number) % spread.endpoints;
        let common = "Host: api.example.test\r\nUser-Agent: shop-app/2.1\r\nAccept: application/json\r\n";
        let token = "Authorization: Bearer 5f0c1d2e3b4a59687f6e5d4c3b2a1908\r\n";
        match self {
            Self::Small => format!("GET /assets/page{endpoint} HTTP/1.1\r\n{common}\r\n"),
            Self::Paths => {
                let user = number.wrapping_mul(7_919) % 1_000_003;
                format!(
                    "GET /v1/shop{endpoint}/users/{user}/orders?page=2&limit=20 HTTP/1.1\r\n{common}{token}\r\n"
                )
            }
            Self::Calls => {
                let body =
                    format!("{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"shop.call{endpoint}\"}}");
                format!(
                    "POST /rpc HTTP/1.1\r\n{common}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            Self::Json | Self::Quotes => {
                let body = self.body(number);
                format!(
                    "POST /v1/shop{endpoint}/orders HTTP/1.1\r\n{common}{token}Content-Type: application/json\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
        }
    }

    fn answer(self, number: u64) -> String {
        let (kind, body) = match self {
            Self::Small => ("text/plain", "x".repeat(600)),
            Self::Paths => (
                "application/json",
                format!("{{\"orders\":[{{\"id\":{number},\"total\":12.5,\"paid\":true}}],\"next\":null}}"),
            ),
            Self::Calls => (
                "application/json",
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{number},\"result\":true}}"),
            ),
            Self::Json | Self::Quotes => ("application/json", self.body(number)),
        };
        format!(
            "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// About 1 KiB of JSON.
    fn body(self, number: u64) -> String {
        let text = match self {
            Self::Quotes => {
                "she said \\\"it's 5 o'clock\\\" -- and 'left'; then (maybe) {came} back <soon> & 'well'"
            }
            _ => "an ordinary note about an order that was delivered on time to the front door",
        };
        let items: Vec<String> = (0..6)
            .map(|at| {
                format!(
                    "{{\"sku\":\"item-{}\",\"count\":{},\"price\":{}.5,\"gift\":{},\"note\":\"{text}\"}}",
                    number % 500 + at,
                    at + 1,
                    number % 90,
                    at % 2 == 0
                )
            })
            .collect();
        format!(
            "{{\"order\":{number},\"city\":\"Graz\",\"currency\":\"EUR\",\"express\":false,\"items\":[{}]}}",
            items.join(",")
        )
    }
}

/// Over how much the traffic is spread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    /// Endpoints of each workload.
    pub(crate) endpoints: u64,
    /// Connections.
    pub(crate) connections: u64,
    /// Workloads, which serve the connections in turn.
    pub(crate) workloads: u64,
}

/// Records of the ring, and where each ends.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Ring {
    pub(crate) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .filter_map(|(start, end)| self.bytes.get(start..*end))
    }

    fn push(&mut self, header: &Header, payload: &[u8]) {
        let Header {
            kind,
            direction,
            flags,
            class,
            captured,
            at_ns,
            cookie,
            position,
            end,
            tgid,
            reserved,
        } = *header;
        self.bytes.extend([kind, direction, flags, class]);
        self.bytes.extend(captured.to_ne_bytes());
        for number in [at_ns, cookie, position, end] {
            self.bytes.extend(number.to_ne_bytes());
        }
        self.bytes.extend(tgid.to_ne_bytes());
        self.bytes.extend(reserved.to_ne_bytes());
        self.bytes.extend(payload);
        self.ends.push(self.bytes.len());
    }
}

/// Connections under way, and the exchanges they will carry.
#[derive(Debug)]
pub(crate) struct Traffic {
    case: Case,
    spread: Spread,
    number: u64,
    /// Sent and received, by connection.
    positions: Vec<[u64; 2]>,
}

impl Traffic {
    pub(crate) fn new(case: Case, spread: Spread) -> Self {
        let connections = usize::try_from(spread.connections).unwrap_or(1);
        Self {
            case,
            spread,
            number: 0,
            positions: vec![[0; 2]; connections],
        }
    }

    /// The announcements of all connections.
    pub(crate) fn opens(&self) -> impl Iterator<Item = SocketEvent<'static>> {
        (0..self.spread.connections).map(|socket| {
            let [_, _, high, low] = u32::try_from(socket % CALLERS).unwrap_or(0).to_be_bytes();
            let port = u16::try_from(20_000 + socket / CALLERS % 40_000).unwrap_or(1);
            SocketEvent::Open(SocketOpen {
                socket: SocketId(socket + 1),
                at: Timestamp(START_NS),
                local: Address::Ip(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1)), 80),
                remote: Address::Ip(IpAddr::V4(Ipv4Addr::new(10, 0, high, low)), port),
                netns: 1,
                process: ProcessRef {
                    pid: u32::try_from(socket % self.spread.workloads).unwrap_or(0),
                    start_ns: 1,
                    cgroup: 1,
                    comm: "shop".into(),
                },
                peer: None,
                joined_late: false,
                tls: false,
                positions: [0; 2],
            })
        })
    }

    /// The records of the next exchanges.
    pub(crate) fn next(&mut self, exchanges: u64) -> Ring {
        let mut ring = Ring::default();
        for _ in 0..exchanges {
            let number = self.number;
            self.number += 1;
            let request = self.case.request(&self.spread, number);
            let answer = self.case.answer(number);
            // Neighbours are on different connections.
            let socket = number.wrapping_mul(17) % self.spread.connections;
            let at_ns = START_NS + number * STEP_NS;
            self.message(&mut ring, socket, INGRESS, at_ns, request.as_bytes());
            let latency = 4_000_000 + number * 7_919 % 3_000_000;
            self.message(&mut ring, socket, EGRESS, at_ns + latency, answer.as_bytes());
        }
        ring
    }

    fn message(&mut self, ring: &mut Ring, socket: u64, direction: u8, at_ns: u64, payload: &[u8]) {
        let place = usize::try_from(socket).unwrap_or(0);
        let Some(position) = self
            .positions
            .get_mut(place)
            .and_then(|positions| positions.get_mut(usize::from(direction)))
        else {
            return;
        };
        let header = Header {
            kind: KIND_DATA,
            direction,
            flags: FLAG_TURN,
            class: 1,
            captured: u32::try_from(payload.len()).unwrap_or(0),
            at_ns,
            cookie: socket + 1,
            position: *position,
            end: *position + payload.len() as u64,
            tgid: 1,
            reserved: 0,
        };
        *position = header.end;
        ring.push(&header, payload);
    }
}
