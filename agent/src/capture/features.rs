//! What the running kernel can do for us, as plain values.
//!
//! Out: [`Features`], gathered once at start, by asking BTF and the kernel release. The decisions that follow from it
//! are in [`super::plan`], so that they are tested without a kernel.

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
    /// The tracepoints `sock_send_length` and `sock_recv_length` (6.3).
    pub socket_length_tracepoints: bool,
    /// The tracepoint `inet_sock_set_state`.
    pub state_tracepoint: bool,
    /// The tracepoint `tcp_destroy_sock`.
    pub destroy_tracepoint: bool,
    /// The functions that tier 2 and 3 attach to.
    pub inet_sendmsg: bool,
    /// As above.
    pub unix_stream_sendmsg: bool,
    /// `bpf_task_pt_regs` (5.15).
    pub task_pt_regs: bool,
    /// `bpf_loop` (5.17).
    pub bpf_loop: bool,
    /// Socket storage in tracing programs (5.11).
    pub tracing_sk_storage: bool,
    /// Bytes of kernel stack per task.
    pub thread_size: u32,
}

impl Features {
    /// Derives the features from a release and its types (`None` when there is no BTF).
    pub fn of(release_text: &str, types: Option<&KernelTypes>) -> Self {
        let release = Release::parse(release_text);
        let has = |name: &str| types.is_some_and(|types| types.has(name));
        Self {
            release_text: release_text.to_owned(),
            release,
            btf: types.is_some(),
            socket_length_tracepoints: has("btf_trace_sock_send_length") && has("btf_trace_sock_recv_length"),
            state_tracepoint: has("btf_trace_inet_sock_set_state"),
            destroy_tracepoint: has("btf_trace_tcp_destroy_sock"),
            inet_sendmsg: has("inet_sendmsg") && has("inet6_sendmsg"),
            unix_stream_sendmsg: has("unix_stream_sendmsg"),
            task_pt_regs: release.at_least(5, 15),
            bpf_loop: release.at_least(5, 17),
            tracing_sk_storage: release.at_least(5, 11),
            thread_size: 16 * 1024,
        }
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
