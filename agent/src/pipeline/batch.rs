//! What goes from the shards to the core.

use std::sync::mpsc::SyncSender;

use super::reload::Change;
use crate::{event::ProcessRef, exchange::Exchange, flow, workload::TranslationStats};

/// Batches and requests that may wait for the core. Overflow policy: the shard waits.
pub(super) const MAX_WAITING_BATCHES: usize = 32;

/// A batch is sent when its exchanges hold about this many bytes: with [`MAX_WAITING_BATCHES`] this bounds the queue to
/// some 8 MiB.
pub(super) const BATCH_BYTES: usize = 256 * 1024;

/// A message to the core.
#[derive(Debug)]
pub(super) enum ToCore {
    /// What a shard saw since its last message.
    Batch(Box<Batch>),
    /// There is a question: it is in a queue of its own, so that the core finds it while it does something long.
    Ask,
    /// Another configuration.
    Change(Box<Change>),
}

/// What one shard saw.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Which shard.
    pub(super) shard: usize,
    /// Processes seen for the first time, so that they are looked up while they are there.
    pub(super) processes: Vec<ProcessRef>,
    /// Exchanges.
    pub(super) exchanges: Vec<Exchange>,
    /// What went through connections.
    pub(super) accounts: Vec<flow::Account>,
    /// Totals of the shard since its start.
    pub(super) totals: Totals,
    /// Where the list of exchanges goes back to, emptied: a large block that one thread takes and another gives back costs
    /// both more than the exchanges in it weigh.
    pub(super) back: Option<SyncSender<Vec<Exchange>>>,
}

/// Emptied lists of exchanges that may wait for their shard. Overflow policy: further ones are given back to the C library.
pub(super) const MAX_SPENT_LISTS: usize = 2;

/// Totals of one shard.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    /// Records read from the ring.
    pub(super) events: u64,
    /// Payload bytes in them.
    pub(super) bytes: u64,
    /// Records that were not events.
    pub(super) undecodable: u64,
    /// Sockets outside the scope.
    pub(super) out_of_scope: u64,
    /// What the flow layer counts.
    pub(super) flow: flow::Stats,
    /// What was done with the kernel's table of translated connections.
    pub(super) translations: TranslationStats,
}

/// Bytes an exchange holds, roughly.
pub(super) fn weight(exchange: &Exchange) -> usize {
    let request = exchange.request.as_ref().map_or(0, |request| {
        request.head.buffer.len() + request.body.sample.len() + request.target.len()
    });
    let response = exchange.response.as_ref().map_or(0, |response| {
        response.head.buffer.len() + response.body.sample.len()
    });
    size_of::<Exchange>() + request + response
}
