//! What the running kernel can do for us, as plain values.
//!
//! Out: [`Features`], gathered once at start, by asking BTF and the kernel release. The decisions that follow from it
//! are in [`super::plan`], so that they are tested without a kernel.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::btf::KernelTypes;

/// A kernel release as far as it can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Release {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
}

impl Release {
    /// Reads the first two numbers of `uname -r`; 0.0 when there are none.
    pub fn parse(text: &str) -> Self {
        let mut numbers = text
            .split(|c: char| !c.is_ascii_digit())
            .map(|part| part.parse().unwrap_or(0));
        Self {
            major: numbers.next().unwrap_or(0),
            minor: numbers.next().unwrap_or(0),
        }
    }

    /// Whether this is at least `major.minor`.
    pub fn at_least(self, major: u32, minor: u32) -> bool {
        self >= Self { major, minor }
    }
}

/// Attach points that the plan may want. Tracepoints are looked up as `btf_trace_NAME`.
const TRACEPOINTS: [&str; 7] = [
    "sock_send_length",
    "sock_recv_length",
    "inet_sock_set_state",
    "tcp_destroy_sock",
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
];
/// As above, functions.
const FUNCTIONS: [&str; 13] = [
    "inet_sendmsg",
    "inet6_sendmsg",
    "unix_stream_sendmsg",
    "inet_sendpage",
    "inet_recvmsg",
    "inet6_recvmsg",
    "unix_stream_recvmsg",
    "unix_seqpacket_sendmsg",
    "unix_seqpacket_recvmsg",
    "unix_release_sock",
    "security_socket_sendmsg",
    "security_socket_recvmsg",
    "bpf_iter_task_file",
];

/// What this kernel offers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Features {
    /// Kernel release as text.
    pub release_text: String,
    /// The same, comparable.
    pub release: Release,
    /// BTF is there and parses.
    pub btf: bool,
    /// Attach points that exist, of those the plan may want.
    pub hooks: BTreeSet<String>,
    /// `bpf_task_pt_regs` (5.15).
    pub task_pt_regs: bool,
    /// `bpf_loop` (5.17).
    pub bpf_loop: bool,
    /// Socket storage in tracing programs (5.11).
    pub tracing_sk_storage: bool,
    /// `bpf_get_current_task_btf` and `bpf_sock_from_file` (5.11).
    pub task_btf: bool,
    /// Socket cookies in tracing programs (5.12).
    pub socket_cookie: bool,
    /// Tracepoints can be preempted (7.0): the kernel leaves a program out that is active on the processor.
    pub preemptible_tracepoints: bool,
    /// Bytes of kernel stack per task.
    pub thread_size: u32,
}

impl Features {
    /// Derives the features from a release and its types (`None` when there is no BTF).
    pub fn of(release_text: &str, types: Option<&KernelTypes>) -> Self {
        let release = Release::parse(release_text);
        let has = |name: &str| types.is_some_and(|types| types.has(name));
        let tracepoints = TRACEPOINTS
            .iter()
            .filter(|name| has(&format!("btf_trace_{name}")));
        let functions = FUNCTIONS.iter().filter(|name| has(name));
        Self {
            release_text: release_text.to_owned(),
            release,
            btf: types.is_some(),
            hooks: tracepoints
                .chain(functions)
                .map(|name| (*name).to_owned())
                .collect(),
            task_pt_regs: release.at_least(5, 15),
            bpf_loop: release.at_least(5, 17),
            tracing_sk_storage: release.at_least(5, 11),
            task_btf: release.at_least(5, 11),
            socket_cookie: release.at_least(5, 12),
            preemptible_tracepoints: release.at_least(7, 0),
            thread_size: 16 * 1024,
        }
    }

    /// Whether an attach point exists.
    pub fn has(&self, hook: &str) -> bool {
        self.hooks.contains(hook)
    }
}

/// The release of the running kernel, as `uname -r` prints it.
pub fn running_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_by_number() {
        assert_eq!(Release::parse("6.18.44-fc-v595"), Release { major: 6, minor: 18 });
        assert!(Release::parse("5.10.0-30-cloud-amd64") < Release::parse("5.15.1"));
        assert!(Release::parse("6.2-rc1").at_least(5, 17));
        assert_eq!(Release::parse("weird"), Release::default());
    }
}
