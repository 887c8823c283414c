//! Counters of the flow and protocol layers: every loss and every decision to leave something out has one.

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// What was seen and what was not, since the start.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Stats {
            /// All counters with their stable names, in order of declaration.
            pub fn list(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Events taken.
    socket_events,
    /// Connections announced.
    connections_opened,
    /// Connections that reported their end.
    connections_closed,
    /// Connections forgotten for want of room or after long idleness.
    connections_evicted,
    /// Connections whose announcement was lost: addresses and process are not known.
    connections_unknown,
    /// Connections found to speak HTTP/1.
    http1_connections,
    /// Connections found to speak HTTP/2.
    http2_connections,
    /// Connections found to carry TLS records.
    tls_connections,
    /// Connections over TLS whose plaintext was read.
    tls_read_connections,
    /// Sessions of TLS libraries that came back after the kernel had forgotten them for want of room.
    tls_forgotten,
    /// Connections given up because they speak no known protocol.
    other_connections,
    /// Connections that ended before their protocol was known.
    undecided_connections,
    /// Connections whose both ends were observed, counted once.
    paired_connections,
    /// Connections whose addresses are translated between their ends, as the kernel's table says.
    translated_connections,
    /// Connections that were not looked up there, because too many waited.
    untranslated_full,
    /// Closed connections whose positions equal the socket's own byte counts.
    reconciled_connections,
    /// Closed connections whose positions differ from the socket's own byte counts.
    unreconciled_connections,
    /// Closed connections left out of the coverage report because too many waited.
    closed_full,
    /// Ranges that were lost.
    gaps,
    /// Bytes in them.
    gap_bytes,
    /// Bytes known to have passed and left out by decision or because they could not be read.
    skipped_bytes,
    /// Events that told bytes told before; those were left out.
    overlaps,
    /// Bytes in them.
    overlap_bytes,
    /// Times framing was found again after it was lost.
    resyncs,
    /// Heads and chunked bodies that do not parse.
    malformed,
    /// Responses whose request is not known.
    orphan_responses,
    /// Exchanges emitted.
    exchanges,
    /// Exchanges seen at the client's end that the server's end has told.
    suppressed_exchanges,
    /// Exchanges of local clients told although the server's end was expected, because it stayed silent.
    released_exchanges,
    /// Exchanges ended by idleness.
    idle_exchanges,
    /// Connections that left HTTP/1 by upgrade or tunnel.
    upgraded_connections,
    /// Bytes on them afterwards.
    upgraded_bytes,
    /// Bytes on WebSockets.
    websocket_bytes,
    /// Streams that HTTP/2 clients gave up.
    http2_resets,
    /// Bytes on connections whose protocol is not parsed.
    opaque_bytes,
    /// Bodies whose content coding holds more than a sample: what lies beyond was not undone.
    coding_cut,
    /// Bytes of clients' ends that are not read, because the servers' ends tell the same.
    told_bytes,
    /// Clients' ends that the source was asked to leave alone, because the servers' ends tell the same.
    told_connections,
    /// Heads left out because the connection's buffer was full.
    buffer_full,
    /// Times a connection had too many unanswered requests.
    pending_full,
    /// Client-side exchanges decided early because too many were waiting.
    held_full,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_listed_by_name() {
        let stats = Stats {
            gaps: 3,
            ..Stats::default()
        };
        assert!(stats.list().any(|entry| entry == ("gaps", 3)));
    }
}
