//! Bounds of the flow layer, each with its overflow policy.

use std::time::Duration;

use apiarist_common::limits::DEFAULT_BUDGET_BYTES;

/// What the flow layer may hold, and how long it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. Overflow policy: one that has been idle for long is evicted, its pending exchanges are
    /// emitted, and `connections_evicted` counts it.
    pub connections: usize,
    /// Bytes buffered per connection: incomplete heads, heads and body samples of pending exchanges. Overflow policy:
    /// body samples are cut; a head that finds no room is left out, and `buffer_full` counts it.
    pub connection_bytes: usize,
    /// Requests of a connection that wait for a response. Overflow policy: all are given up as lost, and
    /// `pending_full` counts it.
    pub pending_requests: usize,
    /// Exchanges that wait for the other end of their connection to show itself: a client's for the server's side, a
    /// server's for its caller's name. Overflow policy: the oldest is decided at once with what is known.
    pub held_exchanges: usize,
    /// Bytes that the source copies of each message, after which it is silent: bytes that are missing then are left
    /// out by decision, not lost.
    pub budget_bytes: u64,
    /// Without events for so long, an exchange that may be over is.
    pub idle: Duration,
    /// How long an exchange waits for the other end of the same connection.
    pub hold: Duration,
    /// A unix connection without events for so long is forgotten: such sockets never report their end.
    pub unix_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 65_536,
            connection_bytes: 256 * 1024,
            pending_requests: 1_024,
            held_exchanges: 1_024,
            budget_bytes: u64::from(DEFAULT_BUDGET_BYTES),
            idle: Duration::from_secs(2),
            hold: Duration::from_millis(500),
            unix_idle: Duration::from_secs(600),
        }
    }
}
