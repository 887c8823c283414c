//! Messages of every length against the budget, and several in a row.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, ensure};
use apiarist::event::Direction;
use apiarist_common::limits::{DEFAULT_BUDGET_BYTES, MAX_BUDGET_BYTES, TAIL_BYTES};

use super::{
    observer::Observer,
    pair::{Pair, Transport, receive, receive_all, receive_whole, send, send_all},
    story::{
        Story, body, carry, exchanged, first_line, gap, get, ok, ok_head, post, sequence, whole,
        within_budget,
    },
    stream::Parts,
};

/// Bytes of one write of a long message.
const PIECE: usize = 64 * 1024;

/// A request whose head is `len` bytes long.
fn long_head(len: usize) -> Vec<u8> {
    let start = b"GET /long HTTP/1.1\r\nHost: semantics.test\r\nX-Long: ";
    let end = b"\r\n\r\n";
    [&start[..], &body(len - start.len() - end.len()), end].concat()
}

fn conclude(pair: Pair, mut story: Story, observer: &mut Observer) -> Result<()> {
    for (direction, bytes) in [
        (Direction::Ingress, ok(10)),
        (Direction::Egress, get(1)),
        (Direction::Ingress, ok(20)),
    ] {
        carry(&pair, direction, &bytes, send, receive)?;
        story.tell(direction, &bytes);
    }
    story.verify(observer, pair.close())
}

pub(super) fn head_64k_largest_budget(observer: &mut Observer) -> Result<()> {
    let request = long_head(MAX_BUDGET_BYTES as usize);
    observer.with_budget(MAX_BUDGET_BYTES, |observer| {
        let pair = Pair::connect(Transport::Tcp4)?;
        carry(&pair, Direction::Egress, &request, send, receive_whole)?;
        let mut story = Story::default();
        story.tell_as(Direction::Egress, whole(&request), whole(&request));
        conclude(pair, story, observer)
    })
}

pub(super) fn head_64k_default_budget(observer: &mut Observer) -> Result<()> {
    let request = long_head(64 * 1024);
    let pair = Pair::connect(Transport::Tcp4)?;
    carry(&pair, Direction::Egress, &request, send, receive_whole)?;
    let seen = with_tail(&request);
    let mut story = Story::default();
    story.tell_as(Direction::Egress, seen.clone(), seen);
    conclude(pair, story, observer)
}

/// What is seen of bytes beyond the budget whose end is an empty line.
fn with_tail(bytes: &[u8]) -> Parts {
    let budget = DEFAULT_BUDGET_BYTES as usize;
    let tail = bytes.len() - TAIL_BYTES;
    sequence(&[whole(&bytes[..budget]), gap(tail - budget), whole(&bytes[tail..])])
}

/// A smaller budget that ends with an operation: what follows of the message was left out, not lost.
pub(super) fn budget_lowered(observer: &mut Observer) -> Result<()> {
    const LOWERED: usize = 2_048;
    observer.with_changed_budget(LOWERED as u32, |observer| {
        let pair = Pair::connect(Transport::Tcp4)?;
        let mut story = Story::default();
        for number in 0..3 {
            let request = post(number, 3 * LOWERED);
            let (first, rest) = request.split_at(LOWERED);
            for piece in [first, rest] {
                carry(&pair, Direction::Egress, piece, send, receive)?;
            }
            story.tell_beyond_budget(Direction::Egress, sequence(&[whole(first), gap(rest.len())]));
            carry(&pair, Direction::Ingress, &ok(10), send, receive)?;
            story.tell(Direction::Ingress, &ok(10));
        }
        story.verify(observer, pair.close())
    })
}

/// All requests in one write; the answers one by one, more than a budget in all.
pub(super) fn pipelining_50(observer: &mut Observer) -> Result<()> {
    const REQUESTS: usize = 50;
    let pair = Pair::connect(Transport::Tcp4)?;
    let requests: Vec<_> = (0..REQUESTS).map(get).collect();
    carry(&pair, Direction::Egress, &requests.concat(), send, receive_whole)?;
    let mut story = Story::default();
    story.tell_as(
        Direction::Egress,
        whole(&requests.concat()),
        whole(&requests.concat()),
    );
    for number in 0..REQUESTS {
        let response = ok(200 + 7 * number);
        carry(&pair, Direction::Ingress, &response, send, receive_whole)?;
        story.tell_as(Direction::Ingress, whole(&response), whole(&response));
    }
    let ids = pair.close();
    story.verify_events(observer, ids)?;
    let requests: Vec<_> = requests.iter().map(|request| first_line(request)).collect();
    let responses = vec![first_line(&ok(0)); REQUESTS];
    exchanged(observer, ids, &requests, &responses)
}

/// Sends long bytes while the other end takes them, both in pieces.
fn carry_long(pair: &Pair, bytes: &[u8]) -> Result<()> {
    carry_in_pieces(pair, bytes, PIECE)
}

/// The same with pieces of `piece` bytes.
pub(super) fn carry_in_pieces(pair: &Pair, bytes: &[u8], piece: usize) -> Result<()> {
    std::thread::scope(|scope| {
        let server: &OwnedFd = &pair.server;
        let sender = scope.spawn(move || {
            bytes
                .chunks(piece)
                .try_for_each(|piece| send_all(server, piece, send))
        });
        for piece in bytes.chunks(piece) {
            let arrived = receive_all(&pair.client, piece.len(), receive_whole)?;
            ensure!(arrived == piece, "other bytes arrived than were sent");
        }
        sender.join().ok().context("the sender panicked")?
    })
}

pub(super) fn body_5_mb_content_length(observer: &mut Observer) -> Result<()> {
    let response = ok(5 << 20);
    let pair = Pair::connect(Transport::Tcp4)?;
    let mut story = Story::default();
    for number in 0..2 {
        carry(&pair, Direction::Egress, &get(number), send, receive)?;
        story.tell(Direction::Egress, &get(number));
        carry_long(&pair, &response)?;
        story.tell_as(
            Direction::Ingress,
            within_budget(&response),
            within_budget(&response),
        );
    }
    carry(&pair, Direction::Egress, &get(2), send, receive)?;
    story.tell(Direction::Egress, &get(2));
    conclude(pair, story, observer)
}

/// The end of a chunked body is seen beyond the budget, in a write of its own and together with data.
pub(super) fn body_5_mb_chunked(observer: &mut Observer) -> Result<()> {
    let chunks: Vec<u8> = (0..80)
        .flat_map(|_| {
            [
                format!("{PIECE:x}\r\n").into_bytes(),
                body(PIECE),
                b"\r\n".to_vec(),
            ]
            .concat()
        })
        .collect();
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let open_ended = [&head[..], &chunks].concat();
    let last: &[u8] = b"0\r\n\r\n";
    let complete = [&open_ended, last].concat();
    ensure!(complete.len() % PIECE > TAIL_BYTES, "the last piece is too short");
    let pair = Pair::connect(Transport::Tcp4)?;
    let mut story = Story::default();

    carry(&pair, Direction::Egress, &get(0), send, receive)?;
    story.tell(Direction::Egress, &get(0));
    carry_long(&pair, &open_ended)?;
    carry(&pair, Direction::Ingress, last, send, receive_whole)?;
    let seen = sequence(&[within_budget(&open_ended), whole(last)]);
    story.tell_as(Direction::Ingress, seen.clone(), seen);

    carry(&pair, Direction::Egress, &get(1), send, receive)?;
    story.tell(Direction::Egress, &get(1));
    carry_long(&pair, &complete)?;
    let seen = with_tail(&complete);
    story.tell_as(Direction::Ingress, seen.clone(), seen);

    carry(&pair, Direction::Egress, &get(2), send, receive)?;
    story.tell(Direction::Egress, &get(2));
    conclude(pair, story, observer)
}

/// A head sent apart from its body, an interim response in between.
pub(super) fn expect_continue(observer: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::Tcp4)?;
    let mut story = Story::default();
    let head = b"PUT /items/1 HTTP/1.1\r\nHost: semantics.test\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n";
    for (direction, bytes) in [
        (Direction::Egress, head.to_vec()),
        (Direction::Ingress, b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        (Direction::Egress, body(5_000)),
        (Direction::Ingress, ok_head(0)),
    ] {
        carry(&pair, direction, &bytes, send, receive)?;
        story.tell(direction, &bytes);
    }
    story.verify(observer, pair.close())
}
