//! What the capture plane promises about sockets, one test a promise.
//!
//! Each makes its own traffic and compares what was seen with what was sent: bytes, positions, gaps, turns, and the
//! socket's own counts at its end. One table, so that a running system (`cargo test`) and a guest with another kernel
//! (`cargo xtask vm`) run the same. Refuses to guess: what cannot be tried here is skipped with its reason.
#![expect(
    clippy::indexing_slicing,
    reason = "tests: an index that is out of range is a failed test"
)]

use anyhow::Result;

mod attaching;
mod calls;
mod churn;
mod counts;
mod crowds;
mod endings;
mod extent;
mod frames;
mod kernel_memory;
mod kernel_tls;
mod messages;
mod namespaces;
mod netlink;
mod observer;
mod overflow;
mod pair;
mod processes;
mod quota;
mod sharing;
mod story;
mod stream;
mod sys;
mod told;
mod transports;
mod uring;
mod zero_copy;

pub use netlink::Netlink;
pub use observer::Observer;

/// One promise.
pub struct Semantic {
    /// Name for people and filters.
    pub name: &'static str,
    /// Acts it out and compares.
    run: fn(&mut Observer) -> Result<()>,
}

/// Why a test was not tried.
#[derive(Debug)]
struct Skipped(String);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

/// What came of a test.
#[derive(Debug)]
pub enum Outcome {
    /// The promise holds.
    Passed,
    /// Not tried, and why.
    Skipped(String),
    /// It does not hold, and why.
    Failed(String),
}

impl Semantic {
    /// Runs it.
    pub fn run(&self, observer: &mut Observer) -> Outcome {
        match observer.forget().and_then(|()| (self.run)(observer)) {
            Ok(()) => Outcome::Passed,
            Err(error) => match error.downcast_ref::<Skipped>() {
                Some(Skipped(reason)) => Outcome::Skipped(reason.clone()),
                None => Outcome::Failed(format!("{error:#}")),
            },
        }
    }
}

/// An error that means: this cannot be tried here.
fn skip(reason: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Skipped(reason.into()))
}

macro_rules! semantics {
    ($($module:ident: $($name:ident),+;)+) => {
        /// Every promise.
        pub const SEMANTICS: &[Semantic] = &[
            $($(Semantic { name: stringify!($name), run: $module::$name },)+)+
        ];
    };
}

semantics! {
    calls: read_write, readv_writev, recvfrom_sendto, recvmsg_sendmsg, peek, short_writes, eagain_retry, dribble,
        iovecs_1024, mmsg, mmsg_cut_short, trunc_receive;
    zero_copy: sendfile, splice_to_socket, vmsplice_to_socket, splice_from_socket;
    transports: ipv4, ipv6, v4_mapped, unix_stream, unix_abstract, socketpair, seqpacket, one_port_two_families,
        other_protocols, tls, udp;
    sharing: dup_and_dup2, fork, scm_rights, reuseport;
    messages: head_64k_largest_budget, head_64k_default_budget, budget_lowered, pipelining_50, body_5_mb_content_length,
        body_5_mb_chunked, expect_continue;
    kernel_tls: keys_in_the_kernel, keys_for_sending_only;
    told: clients_of_http1_are_left_alone, clients_of_http2_are_left_alone;
    frames: h2_multiplexed, h2_download, h2_server_first, h2_joined_late;
    namespaces: loopback_in_namespace, veth_between_namespaces;
    uring: io_uring_echo, io_uring_read_write, io_uring_messages, io_uring_registered;
    crowds: connections_10_000;
    churn: churn, no_growth;
    counts: reconciliation;
    overflow: ring_overflow;
    quota: more_groups_than_are_counted;
    processes: fork_exec_exit;
    attaching: four_rings_then_detach;
    endings: half_close, reset, joined_late, joined_late_unix, compat_task;
}
