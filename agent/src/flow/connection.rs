//! One observed socket: positions, protocol and role, and the session that parses it.
//!
//! In: the events of one socket. Out: exchanges. The announcement is kept until the role is known, and becomes the
//! shared [`Connection`] of its exchanges then.

use std::sync::Arc;

use super::{
    Limits, Stats,
    account::{Account, Occasion, agree, last_positions, told_bytes},
    announcement::{announcement, connection},
    hello::Hello,
    opening::{Decision, Opening},
    stream::Stream,
    twins,
};
use crate::{
    clock::Timestamp,
    event::{
        Address, Direction, Layer, ProcessRef, SocketClose, SocketCount, SocketData, SocketId, SocketOpen,
    },
    exchange::{Connection, Exchange, Side},
    protocol::{
        http1::{Http1, Reuse},
        http2::{Http2, Join},
        redact::Redactor,
        session::{Chunk, Context, Gap, Session, Way},
    },
};

/// What a connection works with.
pub(super) struct Environment<'a> {
    pub(super) limits: &'a Limits,
    pub(super) redactor: &'a Redactor,
    pub(super) stats: &'a mut Stats,
    pub(super) reuse: &'a mut Reuse,
    pub(super) out: &'a mut Vec<Exchange>,
}

/// The socket at the other end, on this host.
#[derive(Debug)]
pub(super) struct Twin {
    pub(super) socket: SocketId,
    pub(super) process: Arc<ProcessRef>,
    /// It has told whole exchanges as the server.
    pub(super) tells: bool,
    /// It was given time to tell and did not.
    pub(super) silent: bool,
}

#[derive(Debug)]
enum Stage {
    /// The protocol is not known yet.
    Opening(Box<Opening>, Box<SocketOpen>),
    /// It is.
    Decided(Session, Arc<Connection>),
}

/// The state of one socket.
#[derive(Debug)]
pub(super) struct Conn {
    stage: Stage,
    /// Who owns the socket.
    pub(super) process: Arc<ProcessRef>,
    streams: [Stream; 2],
    /// Bytes lost since the last account.
    lost_bytes: u64,
    /// Bytes that accounts have told of.
    accounted: u64,
    /// Bytes that the source has counted, of TLS that is not read here.
    counted: u64,
    /// The socket carries TLS: what the client said in the open, once it has.
    hello: Option<Box<Hello>>,
    /// Plaintext of the socket's TLS library comes: positions are the plaintext's.
    is_plaintext: bool,
    /// It is the client's end, and the server's tells its exchanges: bytes are counted here, not read.
    pub(super) is_told: bool,
    /// The source was asked to leave it alone.
    pub(super) is_left_out: bool,
    /// Whole exchanges of the server's end since the last that was not, or since bytes were lost.
    pub(super) whole: u32,
    pub(super) twin: Option<Box<Twin>>,
    pub(super) peer: Option<SocketId>,
    pub(super) last: Timestamp,
    /// Exchanges of it that wait for the server's side.
    pub(super) held: u32,
    /// An entry in the queue of idleness checks exists.
    pub(super) scheduled: bool,
    /// An entry in the queue of promises exists.
    pub(super) promised: bool,
    /// The socket is closed; only held exchanges keep it.
    pub(super) closed: bool,
    /// Whole exchanges were told.
    pub(super) tells: bool,
    /// The other end was given time to show itself and did not.
    pub(super) alone: bool,
    /// Its addresses may be translated: the table has not been asked, or the other end has not shown itself yet.
    pub(super) is_stranger: bool,
}

impl Conn {
    pub(super) fn new(open: SocketOpen, process: Arc<ProcessRef>) -> Self {
        // A connection that was joined late begins where its first bytes are.
        let streams = open.positions.map(|position| {
            let mut stream = Stream::default();
            if !open.joined_late {
                stream.start(position);
            }
            stream
        });
        Self {
            process,
            streams,
            lost_bytes: 0,
            accounted: 0,
            counted: 0,
            hello: None,
            is_plaintext: false,
            is_told: false,
            is_left_out: false,
            whole: 0,
            twin: None,
            peer: open.peer,
            last: open.at,
            held: 0,
            scheduled: false,
            promised: false,
            closed: false,
            tells: false,
            alone: false,
            is_stranger: false,
            stage: Stage::Opening(Box::default(), Box::new(open)),
        }
    }

    /// Role of the observed end, once it is known.
    pub(super) fn side(&self) -> Option<Side> {
        match &self.stage {
            Stage::Opening(..) => None,
            Stage::Decided(_, connection) => Some(connection.side),
        }
    }

    /// Local and remote address and network namespace.
    pub(super) fn addresses(&self) -> (&Address, &Address, u32) {
        match &self.stage {
            Stage::Opening(_, open) => (&open.local, &open.remote, open.netns),
            Stage::Decided(_, connection) => match connection.side {
                Side::Server => (&connection.server, &connection.client, connection.netns),
                Side::Client => (&connection.client, &connection.server, connection.netns),
            },
        }
    }

    /// Whether the other end is certainly on this host too.
    pub(super) fn is_local(&self) -> bool {
        let (local, remote, _) = self.addresses();
        twins::is_local(local, remote)
    }

    /// Whether the exchanges of a server are to wait for the announcement of the client's socket.
    pub(super) fn awaits_caller(&self) -> bool {
        self.side() == Some(Side::Server)
            && self.twin.is_none()
            && !self.alone
            // Captures name no processes.
            && self.process.pid != 0
            && (self.is_local() || self.is_stranger)
    }

    /// Gives an exchange what is known of its connection now.
    pub(super) fn bring_up_to_date(&self, exchange: &mut Exchange) {
        if let Stage::Decided(_, connection) = &self.stage
            && !Arc::ptr_eq(&exchange.connection, connection)
        {
            exchange.connection = Arc::clone(connection);
        }
    }

    /// The client's address, where the one that was seen stands for it only.
    pub(super) fn is_called_by(&mut self, client: Address) {
        match &mut self.stage {
            Stage::Opening(_, open) => open.remote = client,
            Stage::Decided(_, connection) => Arc::make_mut(connection).client = client,
        }
    }

    /// Names the other end.
    pub(super) fn set_twin(&mut self, socket: SocketId, process: Arc<ProcessRef>, tells: bool) {
        if let Stage::Decided(_, connection) = &mut self.stage {
            let mut named = Connection::clone(connection);
            named.peer_process = Some(Arc::clone(&process));
            *connection = Arc::new(named);
        }
        if self.is_told && !tells {
            self.read_again();
        }
        self.twin = Some(Box::new(Twin {
            socket,
            process,
            tells,
            silent: false,
        }));
    }

    /// Whether exchanges are under way.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(&self.stage, Stage::Decided(session, _) if session.is_waiting())
    }

    /// Whether HTTP in clear text is parsed at this end.
    pub(super) fn is_plain_http(&self) -> bool {
        matches!(
            &self.stage,
            Stage::Decided(Session::Http1(_) | Session::Http2(_), _)
        ) && self.is_clear()
    }

    /// Whether it is no connection over TLS.
    pub(super) fn is_clear(&self) -> bool {
        !self.is_plaintext && self.hello.is_none() && !self.is_tls()
    }

    /// Where each direction has got to, by [`Direction::index`].
    pub(super) fn ends(&self) -> [u64; 2] {
        self.streams.each_ref().map(Stream::end)
    }

    /// Whether operations were told in part.
    pub(super) fn has_promise(&self) -> bool {
        self.streams.iter().any(Stream::has_promise)
    }

    pub(super) fn data(&mut self, data: &SocketData<'_>, env: &mut Environment<'_>) {
        self.last = data.at;
        match data.layer {
            // Ciphertext that was under way when the plaintext came.
            Layer::Socket if self.is_plaintext => return,
            Layer::Tls { start } if start || !self.is_plaintext => self.start_plaintext(env),
            Layer::Socket | Layer::Tls { .. } => {}
        }
        self.leave_to_twin();
        let length = data.bytes.len() as u64;
        if self.is_left_out(data.direction.flip()) {
            self.keep_promise(data.direction.flip(), data.at, env);
        }
        self.stream(data.direction).start(data.position);
        if !self.stream(data.direction).continues(data.position, data.end) {
            self.keep_promise(data.direction, data.at, env);
        }
        let budget = env.limits.budget_bytes;
        let advance = self
            .stream(data.direction)
            .advance(data.position, length, data.end, data.turn, budget);
        if data.spent {
            self.stream(data.direction).spend();
        }
        if advance.missing > 0 {
            let gap = Gap {
                at: data.at,
                length: advance.missing,
                loss: advance.loss,
            };
            self.gap(data.direction, gap, env);
        }
        if advance.known > 0 {
            env.stats.overlaps += 1;
            env.stats.overlap_bytes += advance.known;
        }
        let bytes = data.bytes.get(advance.known as usize..).unwrap_or_default();
        if !bytes.is_empty() {
            let chunk = Chunk {
                at: data.at,
                turn: data.turn && advance.known == 0,
                bytes,
            };
            self.bytes(data.direction, &chunk, env);
        }
        if data.eof {
            self.keep_promise(data.direction, data.at, env);
            self.eof(data.direction, data.at, env);
        }
    }

    /// Stops reading what the server's end tells: what comes of it here would be left out. Half an exchange is given up with
    /// it, as the other end has all of it.
    fn leave_to_twin(&mut self) {
        if !self.is_told
            && let Stage::Decided(session, connection) = &mut self.stage
            && connection.side == Side::Client
            && self.twin.as_ref().is_some_and(|twin| twin.tells)
        {
            *session = Session::Told;
            self.is_told = true;
        }
    }

    /// Another server's end has taken the place of the one that told: the stream is joined in the middle.
    fn read_again(&mut self) {
        self.is_told = false;
        if let Stage::Decided(_, connection) = &self.stage {
            let mut open = announcement(connection, self.last, self.peer);
            open.joined_late = true;
            self.stage = Stage::Opening(Box::default(), Box::new(open));
        }
    }

    /// From here on the plaintext of the socket's TLS library is told, from its own beginning.
    fn start_plaintext(&mut self, env: &mut Environment<'_>) {
        let mut open = match &self.stage {
            Stage::Opening(_, open) => SocketOpen::clone(open),
            Stage::Decided(_, connection) => announcement(connection, self.last, self.peer),
        };
        if self.is_plaintext {
            // The beginning of this session was told before and has been forgotten since.
            self.end(env);
            open.joined_late = true;
            env.stats.tls_forgotten += 1;
        } else {
            env.stats.tls_read_connections += 1;
        }
        open.tls = true;
        self.is_plaintext = true;
        self.is_told = false;
        self.streams = <[Stream; 2]>::default();
        self.stage = Stage::Opening(Box::default(), Box::new(open));
    }

    fn stream(&mut self, direction: Direction) -> &mut Stream {
        let [egress, ingress] = &mut self.streams;
        match direction {
            Direction::Egress => egress,
            Direction::Ingress => ingress,
        }
    }

    /// Whether what was promised of a direction can be taken as left out when the other one goes on. The directions of HTTP/2
    /// are told by two processors at once, so that pieces of an operation may still come; in HTTP/1 they take turns.
    fn is_left_out(&mut self, direction: Direction) -> bool {
        let promise = self.stream(direction).promise();
        match &mut self.stage {
            Stage::Decided(Session::Http2(session), connection) if promise > 0 => {
                session.is_left_out(way(connection.side, direction), promise)
            }
            Stage::Decided(..) | Stage::Opening(..) => true,
        }
    }

    /// The rest of an operation has passed unseen.
    fn keep_promise(&mut self, direction: Direction, at: Timestamp, env: &mut Environment<'_>) {
        let length = self.stream(direction).take_promise();
        if length > 0 {
            self.gap(
                direction,
                Gap {
                    at,
                    length,
                    loss: false,
                },
                env,
            );
        }
    }

    /// Accounts for the rest of operations that were told in part.
    pub(super) fn keep_promises(&mut self, env: &mut Environment<'_>) {
        let at = self.last;
        self.keep_promise(Direction::Egress, at, env);
        self.keep_promise(Direction::Ingress, at, env);
    }

    fn gap(&mut self, direction: Direction, gap: Gap, env: &mut Environment<'_>) {
        if gap.loss {
            self.whole = 0;
            env.stats.gaps += 1;
            self.lost_bytes = self.lost_bytes.saturating_add(gap.length);
            env.stats.gap_bytes = env.stats.gap_bytes.saturating_add(gap.length);
        } else {
            env.stats.skipped_bytes = env.stats.skipped_bytes.saturating_add(gap.length);
        }
        match &mut self.stage {
            Stage::Opening(opening, _) => opening.gap(direction, gap.length),
            Stage::Decided(session, connection) => {
                let way = way(connection.side, direction);
                session.gap(way, gap, &mut context(connection, env));
            }
        }
    }

    fn bytes(&mut self, direction: Direction, chunk: &Chunk<'_>, env: &mut Environment<'_>) {
        if !self.is_plaintext
            && let Some(hello) = &mut self.hello
        {
            hello.bytes(direction, chunk.bytes);
        }
        match &mut self.stage {
            Stage::Decided(session, connection) => {
                let way = way(connection.side, direction);
                session.bytes(way, chunk, &mut context(connection, env));
            }
            Stage::Opening(opening, _) => {
                let decision = opening.bytes(direction, chunk.bytes, chunk.turn, chunk.at);
                self.decide(decision, direction, chunk, env);
            }
        }
    }

    /// The protocol has become known: builds the session and gives it what was kept back.
    fn decide(
        &mut self,
        decision: Decision,
        direction: Direction,
        chunk: &Chunk<'_>,
        env: &mut Environment<'_>,
    ) {
        let side = match decision {
            Decision::Wait => return,
            Decision::Http1(side) | Decision::Http2(side) | Decision::LateHttp2(side) => side,
            Decision::Tls | Decision::Other => Side::Client,
        };
        let Stage::Opening(opening, open) = &mut self.stage else {
            return;
        };
        let joined_late = open.joined_late;
        let mut connection = connection(open, side, &self.process, self.twin.as_deref());
        if connection.tls {
            connection.tls_version = self.hello.as_ref().and_then(|hello| hello.finish().version);
        }
        let halves = std::mem::take(&mut opening.halves);
        let [egress, ingress] = &halves;
        let (requests, responses) = match side {
            Side::Server => (ingress, egress),
            Side::Client => (egress, ingress),
        };
        let session = match decision {
            Decision::Http1(_) => {
                env.stats.http1_connections += 1;
                let lost = [
                    joined_late || requests.incomplete,
                    joined_late || responses.incomplete,
                ];
                Session::Http1(Box::new(Http1::new(lost)))
            }
            Decision::Http2(_) => {
                env.stats.http2_connections += 1;
                // The preface proves that this is the start, whatever the announcement says.
                let join = if responses.incomplete {
                    Join::WithoutServerStart
                } else {
                    Join::Start
                };
                Session::Http2(Box::new(Http2::new(join)))
            }
            Decision::LateHttp2(_) => {
                env.stats.http2_connections += 1;
                Session::Http2(Box::new(Http2::new(Join::Late)))
            }
            Decision::Tls => {
                env.stats.tls_connections += 1;
                self.hello = Some(Box::default());
                Session::Opaque
            }
            Decision::Other | Decision::Wait => {
                env.stats.other_connections += 1;
                Session::Opaque
            }
        };
        self.stage = Stage::Decided(session, Arc::new(connection));
        // The other direction's bytes came first.
        let [egress, ingress] = halves;
        let order = match direction {
            Direction::Egress => [(Direction::Ingress, ingress), (Direction::Egress, egress)],
            Direction::Ingress => [(Direction::Egress, egress), (Direction::Ingress, ingress)],
        };
        for (direction, half) in order {
            let kept = half.prefix.len().saturating_sub(chunk.bytes.len());
            // Bytes of the present chunk keep their time.
            let (before, now) = match half.prefix.split_at_checked(kept) {
                Some((before, now)) if half.prefix.ends_with(chunk.bytes) => (before, now),
                _ => (&*half.prefix, Default::default()),
            };
            for (bytes, at, turn) in [
                (before, half.at, half.turn),
                (now, chunk.at, half.turn && before.is_empty()),
            ] {
                if !bytes.is_empty() {
                    self.bytes(direction, &Chunk { at, turn, bytes }, env);
                }
            }
        }
    }

    fn eof(&mut self, direction: Direction, at: Timestamp, env: &mut Environment<'_>) {
        if let Stage::Decided(session, connection) = &mut self.stage {
            let way = way(connection.side, direction);
            session.eof(way, at, &mut context(connection, env));
        }
    }

    /// The source has counted what it does not tell.
    pub(super) fn count(&mut self, count: &SocketCount) {
        let [egress, ingress] = count.bytes;
        self.last = count.at;
        self.counted = egress.saturating_add(ingress);
    }

    /// What has gone through it since the last account, if that is known. Of TLS only the source knows, and a connection that it
    /// has not counted yet may be in its handshake, about to be read.
    pub(super) fn account(&mut self) -> Option<Account> {
        let [egress, ingress] = self.ends();
        let all = match self.is_clear() {
            true => egress.saturating_add(ingress),
            false => self.counted,
        };
        let bytes = all.saturating_sub(self.accounted);
        (bytes > 0).then(|| self.account_of(bytes, Occasion::Open))
    }

    fn account_of(&mut self, bytes: u64, occasion: Occasion) -> Account {
        self.accounted = self.accounted.saturating_add(bytes);
        let hello = self.hello.as_ref().map(|hello| hello.finish());
        let is_tls = hello.is_some() || self.is_plaintext;
        Account {
            process: ProcessRef::clone(&self.process),
            bytes,
            lost_bytes: std::mem::take(&mut self.lost_bytes),
            occasion,
            tls: is_tls.then(|| hello.unwrap_or_default().read(self.is_plaintext)),
        }
    }

    /// The socket has reported its end.
    pub(super) fn closed(&mut self, close: &SocketClose, env: &mut Environment<'_>) -> Account {
        self.last = close.at;
        self.keep_promises(env);
        let tls = self.hello.is_some() || self.is_plaintext;
        let budget = env.limits.budget_bytes;
        // The socket counts ciphertext.
        let told = last_positions(close).into_iter().filter(|_| !tls);
        if close.told {
            env.stats.told_bytes = env.stats.told_bytes.saturating_add(told_bytes(close));
        }
        for (direction, position) in [Direction::Egress, Direction::Ingress].into_iter().zip(told) {
            self.stream(direction).start(position);
            let advance = self
                .stream(direction)
                .advance(position, 0, position, false, budget);
            if advance.missing > 0 {
                let gap = Gap {
                    at: close.at,
                    length: advance.missing,
                    loss: advance.loss,
                };
                self.gap(direction, gap, env);
            }
        }
        let reconciled = close
            .kernel_bytes
            .filter(|_| !tls && !close.told)
            .map(|kernel| agree(close.positions, kernel));
        match reconciled {
            Some(true) => env.stats.reconciled_connections += 1,
            Some(false) => env.stats.unreconciled_connections += 1,
            None => {}
        }
        self.eof(Direction::Ingress, close.at, env);
        self.eof(Direction::Egress, close.at, env);
        self.end(env);
        let all = close.kernel_bytes.filter(|_| tls || close.told);
        let [egress, ingress] = all.unwrap_or(close.positions);
        let bytes = egress.saturating_add(ingress).saturating_sub(self.accounted);
        let occasion = Occasion::Closed {
            joined_late: self.is_joined_late(),
            reconciled,
        };
        self.account_of(bytes, occasion)
    }

    /// Whether this is the plaintext of a TLS connection.
    pub(super) fn is_tls(&self) -> bool {
        match &self.stage {
            Stage::Opening(_, open) => open.tls,
            Stage::Decided(_, connection) => connection.tls,
        }
    }

    fn is_joined_late(&self) -> bool {
        match &self.stage {
            Stage::Opening(_, open) => open.joined_late,
            Stage::Decided(_, connection) => connection.joined_late,
        }
    }

    /// No more events will come: emits what is pending.
    pub(super) fn end(&mut self, env: &mut Environment<'_>) {
        self.keep_promises(env);
        match &mut self.stage {
            Stage::Opening(..) => env.stats.undecided_connections += 1,
            Stage::Decided(session, connection) => {
                let silent = silent(&self.streams, connection.side, env.limits.budget_bytes);
                session.close(silent, &mut context(connection, env));
            }
        }
    }

    /// Nothing has happened for a while.
    pub(super) fn idle(&mut self, env: &mut Environment<'_>) {
        if let Stage::Decided(session, connection) = &mut self.stage {
            let silent = silent(&self.streams, connection.side, env.limits.budget_bytes);
            session.idle(silent, &mut context(connection, env));
        }
    }

    /// Bytes of memory, roughly.
    pub(super) fn memory(&self) -> usize {
        let stage = match &self.stage {
            Stage::Opening(opening, _) => opening.memory() + size_of::<SocketOpen>(),
            Stage::Decided(session, _) => session.memory() + size_of::<Connection>(),
        };
        size_of::<Self>() + stage + self.twin.as_ref().map_or(0, |_| size_of::<Twin>())
    }
}

fn context<'a>(connection: &'a Arc<Connection>, env: &'a mut Environment<'_>) -> Context<'a> {
    Context {
        connection,
        redactor: env.redactor,
        limits: env.limits,
        stats: env.stats,
        reuse: env.reuse,
        out: env.out,
    }
}

fn way(side: Side, direction: Direction) -> Way {
    match (side, direction) {
        (Side::Server, Direction::Ingress) | (Side::Client, Direction::Egress) => Way::Request,
        (Side::Server, Direction::Egress) | (Side::Client, Direction::Ingress) => Way::Response,
    }
}

/// Which ways the source has stopped to copy, requests first.
fn silent(streams: &[Stream; 2], side: Side, budget: u64) -> [bool; 2] {
    let [egress, ingress] = streams.each_ref().map(|stream| stream.is_silent(budget));
    match side {
        Side::Server => [ingress, egress],
        Side::Client => [egress, ingress],
    }
}
