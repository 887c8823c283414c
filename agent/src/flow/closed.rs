//! What a closed connection leaves for the coverage report.

use crate::{event::ProcessRef, exchange::TlsVersion};

/// Closed connections that wait to be taken. Overflow policy: further ones are left out of the coverage report;
/// [`super::Stats::closed_full`] counts.
pub(super) const MAX_CLOSED: usize = 8192;

/// A connection that was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The process at the observed end.
    pub process: ProcessRef,
    /// Bytes that went through it, both directions.
    pub bytes: u64,
    /// Of these: lost, not left out on purpose.
    pub lost_bytes: u64,
    /// Seen from the middle on.
    pub joined_late: bool,
    /// Whether the captured positions equal the socket's own byte counts; `None` where it has none.
    pub reconciled: Option<bool>,
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
