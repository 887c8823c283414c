//! What two ends tell each other, acted out on sockets and compared with what was seen.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, ensure};
use apiarist::{
    event::{Direction, SocketClose, SocketId},
    exchange::{Completeness, Side},
};
use apiarist_common::limits::DEFAULT_BUDGET_BYTES;

use super::{
    observer::Observer,
    pair::{Ids, Pair, ReceiveCall, SendCall, receive_all, send_all},
    stream::Parts,
};

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// As the client sees it.
    pub(crate) direction: Direction,
    /// What should be seen of it at each end, by [`Direction::index`] of that end's view.
    pub(crate) seen: [Parts; 2],
    /// Nothing but what lies beyond the budget is missing.
    within_budget: bool,
}

/// Messages in order. Both ends tell the same story with directions reversed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    pub(crate) messages: Vec<Message>,
}

impl Story {
    /// Adds a message that both ends should see as the budget allows: its first bytes, then a gap.
    pub(crate) fn tell(&mut self, direction: Direction, bytes: &[u8]) {
        let seen = within_budget(bytes);
        self.messages.push(Message {
            direction,
            seen: [seen.clone(), seen],
            within_budget: true,
        });
    }

    /// Adds a message of which both ends should see these parts, the rest being beyond the budget.
    pub(crate) fn tell_beyond_budget(&mut self, direction: Direction, seen: Parts) {
        self.messages.push(Message {
            direction,
            seen: [seen.clone(), seen],
            within_budget: true,
        });
    }

    /// Adds a message of which sender and receiver see different parts.
    pub(crate) fn tell_as(&mut self, direction: Direction, sender: Parts, receiver: Parts) {
        self.messages.push(Message {
            direction,
            seen: [sender, receiver],
            within_budget: false,
        });
    }

    /// Bytes of a direction, as the client sees it.
    fn len(&self, direction: Direction) -> u64 {
        let len = |message: &Message| (message.direction == direction).then(|| message.seen[0].len());
        self.messages.iter().filter_map(len).sum()
    }

    /// Waits until both ends have been seen up to the end of the story, and compares everything.
    pub(crate) fn verify(&self, observer: &mut Observer, ids: Ids) -> Result<()> {
        self.verify_events(observer, ids)?;
        self.verify_exchanges(observer, ids)
    }

    /// The same without what the agent makes of the events.
    pub(crate) fn verify_events(&self, observer: &mut Observer, ids: Ids) -> Result<()> {
        self.wait(observer, ids)?;
        let client = self.compare(observer, ids.client, Direction::Egress);
        client.context("at the client")?;
        let server = self.compare(observer, ids.server, Direction::Ingress);
        server.context("at the server")?;
        if ids.closes {
            for id in [ids.client, ids.server] {
                reconcile(observer.socket(id)?.close()?)?;
            }
        }
        Ok(())
    }

    /// Each request and its final response is told once, by the server's end. Messages of the story are taken for
    /// HTTP messages by their first line.
    fn verify_exchanges(&self, observer: &mut Observer, ids: Ids) -> Result<()> {
        let lines = |direction, is_start: fn(&str) -> bool| -> Vec<String> {
            let own = |message: &&Message| message.direction == direction;
            let messages = self.messages.iter().filter(own);
            messages
                .map(|message| first_line(message.seen[0].first_bytes()))
                .filter(|line| is_start(line))
                .collect()
        };
        let requests = lines(Direction::Egress, |line| line.contains(" HTTP/1."));
        let responses = lines(Direction::Ingress, |line| {
            line.starts_with("HTTP/1.") && !line.contains(" 100 ")
        });
        exchanged(observer, ids, &requests, &responses)?;
        if self.messages.iter().all(|message| message.within_budget) {
            for exchange in observer.exchanges([ids.client, ids.server]) {
                ensure!(
                    exchange.completeness == Completeness::Complete,
                    "an exchange is {:?}: {exchange:?}",
                    exchange.completeness
                );
            }
        }
        Ok(())
    }

    /// Waits until both sockets are gone and compares one end, which is the client's.
    pub(crate) fn compare_client(&self, observer: &mut Observer, ids: Ids) -> Result<()> {
        observer.collect_until("the end of both sockets", |log| {
            let ended = |id| log.get(&id).is_some_and(|log| !log.closes.is_empty());
            ended(ids.client) && (ended(ids.server) || !log.contains_key(&ids.server))
        })?;
        self.compare(observer, ids.client, Direction::Egress)
    }

    /// Waits until both ends have been seen up to the end of the story.
    pub(crate) fn wait(&self, observer: &mut Observer, ids: Ids) -> Result<()> {
        let [egress, ingress] = [self.len(Direction::Egress), self.len(Direction::Ingress)];
        let wanted = [(ids.client, [egress, ingress]), (ids.server, [ingress, egress])];
        let outcome = observer.collect_until("the end of the connection", |log| {
            wanted.iter().all(|(id, [sent, received])| {
                log.get(id).is_some_and(|log| {
                    log.end(Direction::Egress) >= *sent
                        && log.end(Direction::Ingress) >= *received
                        && (!ids.closes || !log.closes.is_empty())
                })
            })
        });
        outcome.with_context(|| {
            let reached = wanted.map(|(id, wanted)| match observer.log().get(&id) {
                Some(log) => format!(
                    "[{}, {}] of {wanted:?}, {} closes",
                    log.end(Direction::Egress),
                    log.end(Direction::Ingress),
                    log.closes.len()
                ),
                None => "nothing".to_owned(),
            });
            format!(
                "the client was seen up to {}, the server up to {}",
                reached[0], reached[1]
            )
        })
    }

    /// Compares one end; `client_sends` is the direction in which that end sees what the client sends.
    pub(crate) fn compare(&self, observer: &Observer, id: SocketId, client_sends: Direction) -> Result<()> {
        let log = observer.socket(id)?;
        for direction in [Direction::Egress, Direction::Ingress] {
            let mut parts = Parts::default();
            let mut turns = Vec::new();
            let mut before = None;
            for message in &self.messages {
                let own = match client_sends {
                    Direction::Egress => message.direction,
                    Direction::Ingress => message.direction.flip(),
                };
                if own == direction {
                    if before != Some(own) {
                        turns.push(parts.len());
                    }
                    parts.extend(&message.seen[own.index()]);
                }
                before = Some(own);
            }
            let stream = log.stream(direction)?;
            ensure!(
                stream.start == 0,
                "{direction:?} starts at {}, not at 0",
                stream.start
            );
            let equal = stream.parts.equal(&parts);
            equal.with_context(|| format!("{direction:?}"))?;
            ensure!(
                stream.turns == turns,
                "{direction:?} turns at {:?}, should at {turns:?}",
                stream.turns
            );
        }
        Ok(())
    }
}

/// Compares the exchanges of a connection with the first lines of its messages.
pub(crate) fn exchanged(
    observer: &mut Observer,
    ids: Ids,
    requests: &[String],
    responses: &[String],
) -> Result<()> {
    let exchanges = observer.exchanges([ids.client, ids.server]);
    let seen: Vec<_> = exchanges
        .iter()
        .map(|exchange| {
            let request = exchange.request.as_ref();
            let request = request.map(|request| format!("{} {}", request.method, request.target));
            let status = exchange.response.as_ref().map(|response| response.status);
            (request.unwrap_or_default(), status.unwrap_or(0))
        })
        .collect();
    let wanted: Vec<_> = requests
        .iter()
        .zip(responses)
        .map(|(request, response)| {
            let (request, _version) = request.rsplit_once(' ').unwrap_or_default();
            let status = response.split(' ').nth(1).and_then(|status| status.parse().ok());
            (request.to_owned(), status.unwrap_or(0))
        })
        .collect();
    ensure!(
        requests.len() == responses.len() && seen == wanted,
        "the exchanges are {seen:?}, should be {wanted:?}"
    );
    for exchange in exchanges {
        ensure!(
            exchange.connection.side == Side::Server && exchange.connection.socket == ids.server,
            "told by the {:?} {:?}, not by the server {:?}",
            exchange.connection.side,
            exchange.connection.socket,
            ids.server
        );
    }
    Ok(())
}

/// The first line of a message, empty if it is no text.
pub(crate) fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    String::from_utf8(line.to_vec()).unwrap_or_default()
}

/// What a message within one turn looks like when each operation is as long as its message: the budget's worth of
/// bytes, then a gap.
pub(crate) fn within_budget(bytes: &[u8]) -> Parts {
    let (first, rest) = bytes.split_at(bytes.len().min(DEFAULT_BUDGET_BYTES as usize));
    let mut parts = Parts::default();
    parts.bytes(first);
    parts.gap(rest.len() as u64);
    parts
}

/// All of it.
pub(crate) fn whole(bytes: &[u8]) -> Parts {
    let mut parts = Parts::default();
    parts.bytes(bytes);
    parts
}

/// Only its length.
pub(crate) fn gap(len: usize) -> Parts {
    let mut parts = Parts::default();
    parts.gap(len as u64);
    parts
}

/// Several runs, one after the other.
pub(crate) fn sequence(several: &[Parts]) -> Parts {
    let mut parts = Parts::default();
    several.iter().for_each(|some| parts.extend(some));
    parts
}

/// What the socket counted is what was captured: but for a FIN that waited to be sent, which counts as a byte.
pub(crate) fn reconcile(close: &SocketClose) -> Result<()> {
    let [sent, received] = differences(close)?;
    ensure!(
        (0..=1).contains(&sent) && received == 0,
        "the socket counted {sent} sent and {received} received bytes more than were captured: {close:?}"
    );
    Ok(())
}

/// The socket's own counts less the captured positions.
pub(crate) fn differences(close: &SocketClose) -> Result<[i128; 2]> {
    let counted = close.kernel_bytes.context("the kernel's counts are missing")?;
    Ok([0, 1].map(|direction| i128::from(counted[direction]) - i128::from(close.positions[direction])))
}

/// A request without a body.
pub(crate) fn get(number: usize) -> Vec<u8> {
    format!("GET /items/{number} HTTP/1.1\r\nHost: semantics.test\r\nAccept: */*\r\n\r\n").into_bytes()
}

/// A request with a body of `len` bytes.
pub(crate) fn post(number: usize, len: usize) -> Vec<u8> {
    let mut bytes = post_head(number, len);
    bytes.extend(body(len));
    bytes
}

/// The head of such a request.
pub(crate) fn post_head(number: usize, len: usize) -> Vec<u8> {
    format!("POST /items/{number} HTTP/1.1\r\nHost: semantics.test\r\nContent-Length: {len}\r\n\r\n")
        .into_bytes()
}

/// A response with a body of `len` bytes.
pub(crate) fn ok(len: usize) -> Vec<u8> {
    let mut bytes = ok_head(len);
    bytes.extend(body(len));
    bytes
}

/// The head of such a response.
pub(crate) fn ok_head(len: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\r\n").into_bytes()
}

/// Bytes of which no two stretches are alike, so that a wrong position shows; without line ends.
pub(crate) fn body(len: usize) -> Vec<u8> {
    (0..len.div_ceil(8))
        .flat_map(|word| format!("{word:07x}.").into_bytes())
        .take(len)
        .collect()
}

/// Sends `bytes` one way and takes them at the other end.
pub(crate) fn carry(
    pair: &Pair,
    direction: Direction,
    bytes: &[u8],
    send: SendCall,
    receive: ReceiveCall,
) -> Result<()> {
    let (from, to): (&OwnedFd, &OwnedFd) = match direction {
        Direction::Egress => (&pair.client, &pair.server),
        Direction::Ingress => (&pair.server, &pair.client),
    };
    send_all(from, bytes, send)?;
    let arrived = receive_all(to, bytes.len(), receive)?;
    ensure!(arrived == bytes, "other bytes arrived than were sent");
    Ok(())
}

/// Three exchanges over one connection with the given calls, closed and compared.
pub(crate) fn converse(
    observer: &mut Observer,
    pair: Pair,
    send: SendCall,
    receive: ReceiveCall,
) -> Result<()> {
    let mut story = Story::default();
    for number in 0..3 {
        for (direction, bytes) in [
            (Direction::Egress, post(number, 200 * number)),
            (Direction::Ingress, ok(1_500 * number)),
        ] {
            carry(&pair, direction, &bytes, send, receive)?;
            story.tell(direction, &bytes);
        }
    }
    story.verify(observer, pair.close())
}
