use super::{
    super::{Account, Flows, Occasion, SocketId},
    kit::*,
};
use crate::{
    clock::Timestamp,
    event::{SocketClose, SocketEvent},
    exchange::Exchange,
};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

/// Both ends of one connection, as a source tells them that can leave a socket alone.
struct Both {
    flows: Flows,
    client: Wire,
    server: Wire,
    at: u64,
    out: Vec<Exchange>,
}

impl Both {
    fn new() -> Self {
        let mut flows = flows();
        flows.leave_out_told();
        Self::of(flows, Wire::server())
    }

    fn of(mut flows: Flows, server: Wire) -> Self {
        let (client, mut out) = (Wire::client(2), Vec::new());
        flows.event(&client.open(0), &mut out);
        flows.event(&server.open(0), &mut out);
        Self {
            flows,
            client,
            server,
            at: 0,
            out,
        }
    }

    fn tell(&mut self, is_client: bool, request: bool, bytes: &'static [u8], shown: usize) {
        self.at += 1;
        let wire = match is_client {
            true => &mut self.client,
            false => &mut self.server,
        };
        let event = wire.operation(self.at, request, bytes, shown);
        self.flows.event(&event, &mut self.out);
    }

    /// A request and its response, in the order in which their operations return.
    fn exchange(&mut self) {
        self.tell(true, true, GET, GET.len());
        self.tell(false, true, GET, GET.len());
        self.tell(false, false, OK, OK.len());
        self.tell(true, false, OK, OK.len());
    }

    /// The same, told by the server's end alone.
    fn exchange_at_server(&mut self) {
        self.tell(false, true, GET, GET.len());
        self.tell(false, false, OK, OK.len());
    }

    /// How many exchanges pass before the client's end is to be left alone, of so many.
    fn named_after(&mut self, most: usize) -> Option<usize> {
        (1..=most).find(|_| {
            self.exchange();
            self.flows.take_told() == [SocketId(2)]
        })
    }
}

#[test]
fn a_client_is_left_alone_once_the_server_has_told_for_a_while() {
    let mut both = Both::new();
    assert_eq!(both.named_after(100), Some(8));
    for _ in 0..20 {
        both.exchange();
    }
    assert!(both.flows.take_told().is_empty(), "named once");
    assert_eq!(both.flows.stats().told_connections, 1);
    assert_eq!(both.out.len(), 28);
}

#[test]
fn what_passes_unseen_then_is_neither_lost_nor_forgotten() {
    let mut both = Both::new();
    both.named_after(100).unwrap();
    for _ in 0..10 {
        both.exchange_at_server();
    }
    let SocketEvent::Close(close) = both.client.close(90) else {
        panic!()
    };
    let told = both.flows.stats().told_bytes;
    let [sent, received] = close.positions;
    let all = [sent + 10 * GET.len() as u64, received + 10 * OK.len() as u64];
    let close = SocketClose {
        kernel_bytes: Some(all),
        told: true,
        ..close
    };
    both.flows.event(&SocketEvent::Close(close), &mut both.out);
    both.flows.event(&both.server.close(91), &mut both.out);
    both.flows.finish(Timestamp(92), &mut both.out);

    let stats = both.flows.stats();
    assert_eq!(both.out.len(), 18);
    assert!(
        both.out
            .iter()
            .all(|exchange| exchange.connection.peer_process.as_deref() == Some(&process(2)))
    );
    assert_eq!((stats.gaps, stats.gap_bytes, stats.skipped_bytes), (0, 0, 0));
    // Only the server's end can be compared.
    assert_eq!(
        (stats.reconciled_connections, stats.unreconciled_connections),
        (1, 0)
    );
    assert_eq!(
        stats.told_bytes - told,
        10 * (GET.len() + OK.len()) as u64,
        "what passed is counted"
    );
    let accounts = both.flows.take_accounts();
    let sums: Vec<_> = accounts
        .iter()
        .map(
            |Account {
                 bytes,
                 lost_bytes,
                 occasion,
                 ..
             }| match occasion {
                Occasion::Closed { reconciled, .. } => (*bytes, *lost_bytes, *reconciled),
                Occasion::Open => panic!("both were closed"),
            },
        )
        .collect();
    let bytes = all.iter().sum();
    assert_eq!(sums, [(bytes, 0, None), (bytes, 0, Some(true))]);
}

#[test]
fn a_loss_at_the_server_starts_the_wait_anew() {
    let mut both = Both::new();
    for _ in 0..7 {
        both.exchange();
    }
    // The server's end misses a response.
    both.tell(true, true, GET, GET.len());
    both.tell(false, true, GET, GET.len());
    both.server.lose(false, OK.len());
    both.tell(true, false, OK, OK.len());
    assert!(both.flows.take_told().is_empty());
    assert_eq!(both.named_after(100), Some(8));
}

#[test]
fn a_server_that_cannot_be_read_leaves_the_client_as_it_is() {
    let mut both = Both::new();
    for _ in 0..50 {
        both.tell(true, true, GET, GET.len());
        both.tell(false, true, GET, 0);
        both.tell(false, false, OK, 0);
        both.tell(true, false, OK, OK.len());
        both.flows.tick(Timestamp(both.at + 600 * MS), &mut both.out);
    }
    assert!(both.flows.take_told().is_empty());
    assert_eq!(both.out.len(), 50);
}

#[test]
fn a_client_of_another_host_and_a_server_not_observed_leave_nothing_out() {
    let (mut flows, mut out) = (flows(), Vec::new());
    flows.leave_out_told();
    let mut client = Wire::client(2);
    flows.event(&client.open(0), &mut out);
    for at in 0..50 {
        flows.event(&client.data(at, true, GET), &mut out);
        flows.event(&client.data(at, false, OK), &mut out);
    }
    assert!(flows.take_told().is_empty());
    assert_eq!(out.len(), 50);
}

#[test]
fn ends_at_other_positions_are_not_those_of_one_connection() {
    let mut both = Both::new();
    both.server.lose(true, 1);
    assert_eq!(both.named_after(100), None);
}

#[test]
fn the_server_must_have_told_the_last_operations_too() {
    let mut both = Both::new();
    for _ in 0..7 {
        both.exchange();
    }
    for _ in 0..3 {
        both.tell(true, true, GET, GET.len());
        both.tell(false, true, GET, GET.len());
        both.tell(true, false, OK, OK.len());
        assert!(both.flows.take_told().is_empty());
        both.tell(false, false, OK, OK.len());
    }
    // With the next request both ends are alike for a moment.
    both.tell(false, true, GET, GET.len());
    both.tell(true, true, GET, GET.len());
    assert_eq!(both.flows.take_told(), [SocketId(2)]);
}

#[test]
fn nothing_is_left_out_unless_the_source_can() {
    let mut both = Both::of(flows(), Wire::server());
    assert_eq!(both.named_after(100), None);
    assert_eq!(both.flows.stats().told_connections, 0);
}

#[test]
fn a_tunnel_is_not_left_to_its_server() {
    const CONNECT: &[u8] = b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n";
    const OPEN: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
    let mut both = Both::new();
    for _ in 0..7 {
        both.exchange();
    }
    both.tell(true, true, CONNECT, CONNECT.len());
    both.tell(false, true, CONNECT, CONNECT.len());
    both.tell(false, false, OPEN, OPEN.len());
    both.tell(true, false, OPEN, OPEN.len());
    assert_eq!(both.named_after(50), None);
}
