//! Counters that the kernel programs keep per CPU and the agent sums up.
//!
//! The number of a counter is its index in the `COUNTERS` map; append, never reorder within a release.

/// What is counted. Loss reasons say why bytes that belong to an observed socket were not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Counter {
    /// Socket operations the programs looked at (stream sockets, any protocol).
    Operations = 0,
    /// Operations on muted sockets: one storage look-up and out.
    MutedOperations,
    /// Events put into a ring.
    Events,
    /// Payload bytes put into a ring.
    PayloadBytes,
    /// Times the reader was woken.
    Wakeups,
    /// Sockets muted because neither direction spoke a known protocol.
    MutedSockets,
    /// Sockets muted because they carry TLS records.
    TlsSockets,
    /// Bytes beyond the budget of their message: known, deliberate, not copied.
    BudgetBytes,
    /// Operations without a user buffer (`sendfile`, `splice`): bytes known only by count.
    BufferlessOperations,
    /// Bytes of such operations.
    BufferlessBytes,
    /// Loss: events that found the ring full.
    RingFullEvents,
    /// Loss: payload bytes of events that found the ring full.
    RingFullBytes,
    /// Loss: reads of user memory that faulted.
    FaultOperations,
    /// Loss: socket storage could not be created.
    StorageFull,
    /// Loss: operations by io_uring, whose buffers the registers do not hold.
    IoUringOperations,
    /// Loss: bytes of such operations.
    IoUringBytes,
    /// Loss: operations by 32-bit tasks, whose system-call numbers differ.
    CompatOperations,
    /// Loss: operations by system calls whose arguments are not known here, or by kernel threads.
    UnknownSyscallOperations,
    /// Loss: bytes of such operations.
    UnknownSyscallBytes,
    /// Loss: events over the ring quota of their control group.
    QuotaEvents,
    /// Loss: payload bytes over that quota.
    QuotaBytes,
    /// Loss: bytes that a TCP socket moved in operations that passed no program: each is a gap of known length.
    UnseenBytes,
    /// Plaintext operations of TLS libraries the programs looked at.
    TlsOperations,
    /// Loss: plaintext operations of sessions whose socket is not known.
    TlsUnboundOperations,
    /// Loss: plaintext bytes of such operations.
    TlsUnboundBytes,
    /// Loss: plaintext operations that found all scratch memory of their processor in use.
    TlsBusyOperations,
    /// Loss: starts and ends of processes that found their ring full: such a process is known as long as /proc has it.
    ProcessEvents,
    /// Loss: plaintext operations whose start is not known: the table of calls has forgotten it, or it was before the probes.
    TlsForgottenCalls,
    /// Control groups that began to be counted against the quota of a ring. Beyond [`crate::control::MAX_QUOTA_GROUPS`]
    /// others are forgotten for them.
    QuotaGroups,
    /// Clients' sockets muted because the servers' ends, on this host, tell the same.
    ToldSockets,
}

impl Counter {
    /// Number of counters: the length of the `COUNTERS` map.
    pub const COUNT: u32 = 30;

    /// All counters in index order, each with its stable name in `status` and metrics, and whether it is a
    /// loss reason.
    pub const ALL: [(Counter, &'static str, Kind); Self::COUNT as usize] = [
        (Counter::Operations, "operations", Kind::Activity),
        (Counter::MutedOperations, "muted_operations", Kind::Activity),
        (Counter::Events, "events", Kind::Activity),
        (Counter::PayloadBytes, "payload_bytes", Kind::Activity),
        (Counter::Wakeups, "wakeups", Kind::Activity),
        (Counter::MutedSockets, "muted_sockets", Kind::Activity),
        (Counter::TlsSockets, "tls_sockets", Kind::Activity),
        (Counter::BudgetBytes, "budget_bytes", Kind::Activity),
        (
            Counter::BufferlessOperations,
            "bufferless_operations",
            Kind::Activity,
        ),
        (Counter::BufferlessBytes, "bufferless_bytes", Kind::Activity),
        (Counter::RingFullEvents, "ring_full_events", Kind::Loss),
        (Counter::RingFullBytes, "ring_full_bytes", Kind::Loss),
        (Counter::FaultOperations, "fault_operations", Kind::Loss),
        (Counter::StorageFull, "storage_full", Kind::Loss),
        (Counter::IoUringOperations, "io_uring_operations", Kind::Loss),
        (Counter::IoUringBytes, "io_uring_bytes", Kind::Loss),
        (Counter::CompatOperations, "compat_operations", Kind::Loss),
        (
            Counter::UnknownSyscallOperations,
            "unknown_syscall_operations",
            Kind::Loss,
        ),
        (Counter::UnknownSyscallBytes, "unknown_syscall_bytes", Kind::Loss),
        (Counter::QuotaEvents, "quota_events", Kind::Loss),
        (Counter::QuotaBytes, "quota_bytes", Kind::Loss),
        (Counter::UnseenBytes, "unseen_bytes", Kind::Loss),
        (Counter::TlsOperations, "tls_operations", Kind::Activity),
        (
            Counter::TlsUnboundOperations,
            "tls_unbound_operations",
            Kind::Loss,
        ),
        (Counter::TlsUnboundBytes, "tls_unbound_bytes", Kind::Loss),
        (Counter::TlsBusyOperations, "tls_busy_operations", Kind::Loss),
        (Counter::ProcessEvents, "process_events", Kind::Loss),
        (Counter::TlsForgottenCalls, "tls_forgotten_calls", Kind::Loss),
        (Counter::QuotaGroups, "quota_groups", Kind::Activity),
        (Counter::ToldSockets, "told_sockets", Kind::Activity),
    ];
}

/// Whether a counter reports work done or bytes missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work done or deliberately left out.
    Activity,
    /// Something was there and was not seen.
    Loss,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_index_order() {
        for (index, (counter, name, _)) in Counter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, index, "{name}");
        }
    }
}
