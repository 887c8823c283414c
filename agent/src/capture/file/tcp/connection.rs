//! One TCP connection of a capture file, as its server would see it.
//!
//! In: segments of either end. Out: [`SocketEvent`]s of the server's socket: one open, at the first byte;
//! data in order, ingress being what the client sent; one close. A connection over which no byte went gives
//! nothing.

use super::{Endpoint, Segment};
use crate::{
    capture::file::ordered::{Ordered, Run},
    clock::Timestamp,
    event::{Address, Direction, ProcessRef, SocketClose, SocketData, SocketEvent, SocketId, SocketOpen},
};

/// Where the events of a capture go.
pub(super) type Emit<'a> = dyn FnMut(&SocketEvent<'_>) + 'a;

#[derive(Debug)]
pub(super) struct Connection {
    socket: SocketId,
    client: Endpoint,
    server: Endpoint,
    /// By [`Direction::index`].
    streams: [Ordered; 2],
    ended: [bool; 2],
    /// Sequence number of the client's SYN, if that was seen.
    syn: Option<u32>,
    joined_late: bool,
    opened: bool,
    closed: bool,
    last_direction: Option<Direction>,
    last_at: Timestamp,
    /// Number of the last packet, for eviction.
    pub(super) last_packet: u64,
}

impl Connection {
    pub(super) fn new(socket: SocketId, client: Endpoint, server: Endpoint, joined_late: bool) -> Self {
        Self {
            socket,
            client,
            server,
            streams: Default::default(),
            ended: [false; 2],
            syn: None,
            joined_late,
            opened: false,
            closed: false,
            last_direction: None,
            last_at: Timestamp::default(),
            last_packet: 0,
        }
    }

    pub(super) fn socket(&self) -> SocketId {
        self.socket
    }

    /// Bytes held back in both directions.
    pub(super) fn pending_bytes(&self) -> usize {
        self.streams.iter().map(Ordered::pending_bytes).sum()
    }

    /// Whether this SYN made this connection (and was merely sent again).
    pub(super) fn made_by(&self, syn: &Segment<'_>) -> bool {
        self.syn == Some(syn.seq)
    }

    /// Takes a segment that belongs to this connection.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, emit: &mut Emit<'_>) {
        if self.closed {
            return;
        }
        self.last_at = segment.at;
        let direction = if segment.source == self.client {
            Direction::Ingress
        } else {
            Direction::Egress
        };
        if segment.syn && direction == Direction::Ingress && !segment.acknowledges {
            self.syn = Some(segment.seq);
        }
        let seq = segment.seq.wrapping_add(u32::from(segment.syn));
        self.stream(direction).start_at(seq);
        if segment.acknowledges {
            self.stream(direction.flip()).start_at(segment.ack);
        }
        if segment.len > 0 {
            // The sender answers what it has: holes before that in the other direction stay holes. An
            // acknowledgement without data does not say that, packets may be out of order in the file.
            if segment.acknowledges {
                self.each(direction.flip(), segment.at, emit, |stream, give| {
                    stream.acknowledged(segment.ack, give);
                });
            }
            self.each(direction, segment.at, emit, |stream, give| {
                stream.push(seq, segment.payload, segment.len, give);
            });
        }
        if segment.fin {
            // Truncation is what sequence numbers do.
            self.stream(direction)
                .end_at(seq.wrapping_add(segment.len as u32));
        }
        self.ends(segment.at, emit);
        if segment.rst || self.ended == [true; 2] {
            self.close(segment.at, emit);
        }
    }

    /// Turns holes into gaps: too much is held back.
    pub(super) fn give_up(&mut self, emit: &mut Emit<'_>) {
        let at = self.last_at;
        for direction in [Direction::Ingress, Direction::Egress] {
            self.each(direction, at, emit, |stream, give| stream.give_up(give));
        }
        self.ends(at, emit);
    }

    /// Gives what is left, and the close.
    pub(super) fn close(&mut self, at: Timestamp, emit: &mut Emit<'_>) {
        if self.closed {
            return;
        }
        self.give_up(emit);
        self.closed = true;
        if self.opened {
            emit(&SocketEvent::Close(SocketClose {
                socket: self.socket,
                at,
                positions: [
                    self.stream(Direction::Egress).position(),
                    self.stream(Direction::Ingress).position(),
                ],
                kernel_bytes: None,
                told: false,
            }));
        }
    }

    /// As [`Connection::close`], at the time of the last packet.
    pub(super) fn close_now(&mut self, emit: &mut Emit<'_>) {
        self.close(self.last_at, emit);
    }

    fn stream(&mut self, direction: Direction) -> &mut Ordered {
        let [egress, ingress] = &mut self.streams;
        match direction {
            Direction::Egress => egress,
            Direction::Ingress => ingress,
        }
    }

    /// Gives out as events what `act` makes the stream give.
    fn each(
        &mut self,
        direction: Direction,
        at: Timestamp,
        emit: &mut Emit<'_>,
        act: impl FnOnce(&mut Ordered, &mut dyn FnMut(Run<'_>)),
    ) {
        let open = (!self.opened).then(|| self.open_event(at));
        let (socket, mut last) = (self.socket, self.last_direction);
        let mut opened = self.opened;
        act(self.stream(direction), &mut |run| {
            if let Some(open) = open.as_ref().filter(|_| !opened) {
                emit(open);
                opened = true;
            }
            let turn = last != Some(direction);
            last = Some(direction);
            let Run { position, bytes, end } = run;
            emit(&SocketEvent::Data(SocketData {
                socket,
                at,
                direction,
                position,
                bytes,
                end,
                turn,
                eof: false,
                spent: false,
                layer: crate::event::Layer::Socket,
                pid: 0,
            }));
        });
        self.opened = opened;
        self.last_direction = last;
    }

    /// Tells the ends of streams that have been reached.
    fn ends(&mut self, at: Timestamp, emit: &mut Emit<'_>) {
        for direction in [Direction::Ingress, Direction::Egress] {
            let stream = self.stream(direction);
            let (finished, position) = (stream.finished(), stream.position());
            let Some(ended) = self.ended.get_mut(direction.index()) else {
                continue;
            };
            if !finished || *ended {
                continue;
            }
            *ended = true;
            if self.opened {
                emit(&SocketEvent::Data(SocketData {
                    socket: self.socket,
                    at,
                    direction,
                    position,
                    bytes: &[],
                    end: position,
                    turn: false,
                    eof: true,
                    spent: false,
                    layer: crate::event::Layer::Socket,
                    pid: 0,
                }));
            }
        }
    }

    fn open_event(&self, at: Timestamp) -> SocketEvent<'static> {
        let address = |(ip, port): Endpoint| Address::Ip(ip, port);
        SocketEvent::Open(SocketOpen {
            socket: self.socket,
            at,
            local: address(self.server),
            remote: address(self.client),
            netns: 0,
            process: ProcessRef {
                pid: 0,
                start_ns: 0,
                cgroup: 0,
                comm: Default::default(),
            },
            peer: None,
            joined_late: self.joined_late,
            tls: false,
            positions: [0, 0],
        })
    }
}
