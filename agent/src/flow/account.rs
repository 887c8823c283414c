//! What a connection leaves for the coverage report, at its end and before, and what its socket itself has counted.

use crate::{
    event::{ProcessRef, SocketClose},
    exchange::TlsVersion,
};

/// Accounts that wait to be taken. Overflow policy: those of closed connections are left out of the coverage report;
/// [`super::Stats::closed_full`] counts. Those of others come again.
pub(super) const MAX_ACCOUNTS: usize = 8192;

/// Why there is an account of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// It goes on, and has been for so long that what went through it should be known by now.
    Open,
    /// It was closed.
    Closed {
        /// Seen from the middle on.
        joined_late: bool,
        /// Whether the captured positions equal the socket's own byte counts; `None` where it has none.
        reconciled: Option<bool>,
    },
}

/// What went through a connection since the last account of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The process at the observed end.
    pub process: ProcessRef,
    /// Bytes, both directions.
    pub bytes: u64,
    /// Of these: lost, not left out on purpose.
    pub lost_bytes: u64,
    /// Why it is given.
    pub occasion: Occasion,
    /// What is known of TLS on it; `None` for a connection in clear text.
    pub tls: Option<Tls>,
}

/// TLS on one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The server's name that the client asked for (RFC 6066 §3).
    pub server_name: Option<String>,
    /// Protocols that the client offered (RFC 7301), in its order.
    pub protocols: Vec<String>,
    /// The version that the server chose; without its answer, the highest that the client offered.
    pub version: Option<TlsVersion>,
    /// Its plaintext was read.
    pub is_read: bool,
}

impl Tls {
    /// With or without its plaintext.
    #[must_use]
    pub(super) fn read(self, is_read: bool) -> Self {
        Self { is_read, ..self }
    }
}

/// A FIN that waited to be sent counts as a byte.
const MAX_SURPLUS: u64 = 1;

/// Whether the socket's own counts confirm the captured positions.
pub(super) fn agree(positions: [u64; 2], kernel: [u64; 2]) -> bool {
    positions
        .into_iter()
        .zip(kernel)
        .all(|(position, kernel)| (0..=MAX_SURPLUS).contains(&kernel.wrapping_sub(position)))
}

/// Where each direction ended: what passed unseen after the last captured byte is missing there.
pub(super) fn last_positions(close: &SocketClose) -> [u64; 2] {
    let Some([sent, received]) = close.kernel_bytes.filter(|_| !close.told) else {
        return close.positions;
    };
    let end = |captured: u64, counted: u64| {
        if counted > captured.saturating_add(MAX_SURPLUS) {
            counted
        } else {
            captured
        }
    };
    let [egress, ingress] = close.positions;
    [end(egress, sent), end(ingress, received)]
}

/// Bytes that passed after the source had stopped to copy them, because the other end tells the same.
pub(super) fn told_bytes(close: &SocketClose) -> u64 {
    let counts = close.kernel_bytes.unwrap_or(close.positions);
    let passed = counts
        .into_iter()
        .zip(close.positions)
        .map(|(count, position)| count.saturating_sub(position));
    passed.fold(0, u64::saturating_add)
}
