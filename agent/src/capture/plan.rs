//! What to attach, as a pure function of what the kernel offers.
//!
//! In: [`Features`] and [`Offsets`]. Out: an [`AttachPlan`], or the one sentence that says what is missing. No kernel
//! is touched here: the rules are tested against feature sets of real kernels.

use apiarist_common::offsets::{ABSENT, Offsets};
use serde::{Deserialize, Serialize};

use super::features::Features;

/// One program and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Name of the program in the object.
    pub program: String,
    /// How it is attached.
    pub kind: AttachKind,
    /// Tracepoint, function or iterator.
    pub target: String,
    /// What is lost without it; `None` when the agent cannot do its work without it.
    pub without: Option<String>,
}

/// Kinds of attach points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachKind {
    /// A BTF-typed tracepoint.
    TracepointBtf,
    /// Function entry.
    Fentry,
    /// Function exit.
    Fexit,
    /// An iterator, walked once.
    Iterator,
}

/// What will be attached, and what that means for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachPlan {
    /// 1, 2 or 3: see the README.
    pub tier: u8,
    /// Why this tier.
    pub reason: String,
    /// Sockets that are older than the programs are looked for in /proc, for want of an iterator.
    pub older_from_proc: bool,
    /// Programs in attach order.
    pub attachments: Vec<Attachment>,
    /// What this kernel does not let us see, one sentence each.
    pub blind_spots: Vec<String>,
}

const IO_URING: &str = "io_uring: operations are counted, their payload is not read";
const STREAM_END: &str = "the end of a TCP stream is not seen: such exchanges end by time";
const GONE: &str = "processes that end before they are looked up are known by their task's name";
const UNIX_END: &str = "the end of a unix socket is not seen: its last exchange may end by time";

/// Decides.
///
/// # Errors
/// One sentence that says what the kernel lacks.
pub fn plan(features: &Features, offsets: &Offsets) -> Result<AttachPlan, String> {
    if !features.btf {
        return Err(
            "this kernel has no BTF (/sys/kernel/btf/vmlinux): use one built with CONFIG_DEBUG_INFO_BTF=y"
                .to_owned(),
        );
    }
    if offsets.sock_family == ABSENT || offsets.sock_type == ABSENT {
        return Err("the kernel's BTF does not describe struct sock: it cannot be used".to_owned());
    }
    let mut plan = base(features, offsets)?;
    let optional = [
        (
            AttachKind::TracepointBtf,
            "on_state",
            "inet_sock_set_state",
            STREAM_END,
        ),
        (
            AttachKind::TracepointBtf,
            "on_destroy",
            "tcp_destroy_sock",
            "closed sockets are not compared with their own byte counts",
        ),
        (
            AttachKind::TracepointBtf,
            "on_destroy_spare",
            "tcp_destroy_sock",
            "closed sockets are not compared with their own byte counts",
        ),
        (
            AttachKind::TracepointBtf,
            "on_state_spare",
            "inet_sock_set_state",
            STREAM_END,
        ),
        (AttachKind::TracepointBtf, "on_fork", "sched_process_fork", GONE),
        (
            AttachKind::TracepointBtf,
            "on_exec",
            "sched_process_exec",
            "TLS of programs that bring a library of their own is read from their second connection on, and processes \
             that end early are known by their task's name",
        ),
        (AttachKind::TracepointBtf, "on_exit", "sched_process_exit", GONE),
        (
            AttachKind::Fentry,
            "on_unix_release",
            "unix_release_sock",
            UNIX_END,
        ),
        (
            AttachKind::Fentry,
            "on_unix_release_spare",
            "unix_release_sock",
            UNIX_END,
        ),
        (
            AttachKind::Fentry,
            "on_send_start",
            "security_socket_sendmsg",
            IO_URING,
        ),
        (
            AttachKind::Fentry,
            "on_receive_start",
            "security_socket_recvmsg",
            IO_URING,
        ),
    ];
    for (kind, program, target, without) in optional {
        plan.want(features, kind, program, target, without);
    }
    let existing = "unix sockets that were open before the start are not marked as joined late";
    if features.task_btf && features.has("bpf_iter_task_file") {
        plan.want_named(
            features,
            AttachKind::Iterator,
            "on_existing",
            "task_file",
            "bpf_iter_task_file",
            existing,
        );
    } else if offsets.sock_socket != ABSENT && offsets.socket_inode != ABSENT {
        plan.older_from_proc = true;
    } else {
        plan.blind(existing);
    }
    plan.degrade(offsets);
    Ok(plan)
}

/// The programs that see sends and receives.
fn base(features: &Features, offsets: &Offsets) -> Result<AttachPlan, String> {
    if features.has("sock_send_length") && features.has("sock_recv_length") {
        let required = [
            ("on_send", "sock_send_length"),
            ("on_receive", "sock_recv_length"),
        ];
        let mut plan = AttachPlan {
            tier: 1,
            reason: "the tracepoints sock_send_length and sock_recv_length exist".to_owned(),
            attachments: required
                .map(|(program, target)| required_on(AttachKind::TracepointBtf, program, target))
                .into(),
            blind_spots: Vec::new(),
            older_from_proc: false,
        };
        plan.want_spares(features);
        return Ok(plan);
    }
    let required = [
        ("on_inet_send", "inet_sendmsg"),
        ("on_inet_receive", "inet_recvmsg"),
        ("on_inet6_send", "inet6_sendmsg"),
        ("on_inet6_receive", "inet6_recvmsg"),
        ("on_unix_send", "unix_stream_sendmsg"),
        ("on_unix_receive", "unix_stream_recvmsg"),
    ];
    if offsets.socket_sk == ABSENT || required.iter().any(|(_, target)| !features.has(target)) {
        return Err(format!(
            "kernel {} has neither the sock_send_length tracepoint (6.3 or later) nor the socket functions to attach to",
            features.release_text
        ));
    }
    let (tier, reason) = if features.tracing_sk_storage {
        (2, "no sock_send_length tracepoint (6.3): function exits are used")
    } else {
        (
            3,
            "no sock_send_length tracepoint (6.3) and no socket storage for tracing (5.11): function exits and a table are used",
        )
    };
    // Kernels without `bpf_loop` refuse a program that mentions a callback: each exists twice.
    let named = |program: &str| match features.bpf_loop {
        true => program.to_owned(),
        false => format!("{program}_no_loop"),
    };
    let mut plan = AttachPlan {
        tier,
        reason: reason.to_owned(),
        attachments: required
            .map(|(program, target)| required_on(AttachKind::Fexit, &named(program), target))
            .into(),
        blind_spots: Vec::new(),
        older_from_proc: false,
    };
    let optional = [
        (
            "on_seqpacket_send",
            "unix_seqpacket_sendmsg",
            "unix seqpacket sockets: sends are not seen",
        ),
        (
            "on_seqpacket_receive",
            "unix_seqpacket_recvmsg",
            "unix seqpacket sockets: receives are not seen",
        ),
        (
            "on_inet_sendpage",
            "inet_sendpage",
            "sendfile: bytes sent this way are not counted",
        ),
    ];
    for (program, target, without) in optional {
        plan.want(features, AttachKind::Fexit, &named(program), target, without);
    }
    Ok(plan)
}

fn required_on(kind: AttachKind, program: &str, target: &str) -> Attachment {
    Attachment {
        program: program.to_owned(),
        kind,
        target: target.to_owned(),
        without: None,
    }
}

impl AttachPlan {
    fn want(&mut self, features: &Features, kind: AttachKind, program: &str, target: &str, without: &str) {
        self.want_named(features, kind, program, target, target, without);
    }

    /// Attaches an optional program where its hook exists, notes what is lost where it does not.
    fn want_named(
        &mut self,
        features: &Features,
        kind: AttachKind,
        program: &str,
        target: &str,
        hook: &str,
        without: &str,
    ) {
        if features.has(hook) {
            let without = Some(without.to_owned());
            self.attachments.push(Attachment {
                without,
                ..required_on(kind, program, target)
            });
        } else {
            self.blind(without);
        }
    }

    /// Spare copies, which have to come after the programs they stand in for.
    fn want_spares(&mut self, features: &Features) {
        if !features.preemptible_tracepoints {
            return;
        }
        let without = "under pressure, operations at which the kernel leaves a program out are gaps";
        for (program, target) in [
            ("on_send_spare", "sock_send_length"),
            ("on_receive_spare", "sock_recv_length"),
            ("on_send_third", "sock_send_length"),
            ("on_receive_third", "sock_recv_length"),
        ] {
            self.want(features, AttachKind::TracepointBtf, program, target, without);
        }
    }

    /// Notes something that is not seen, once.
    pub fn blind(&mut self, sentence: &str) {
        if !self.blind_spots.iter().any(|known| known == sentence) {
            self.blind_spots.push(sentence.to_owned());
        }
    }

    /// Says what absent fields cost, and what no kernel lets us see.
    fn degrade(&mut self, offsets: &Offsets) {
        let rules = [
            (
                offsets.sock_net == ABSENT || offsets.net_inum == ABSENT,
                "network namespaces are not told apart",
            ),
            (offsets.unix_addr == ABSENT, "paths of unix sockets are not known"),
            (
                offsets.task_thread_status == ABSENT,
                "32-bit programs are not recognised",
            ),
            (
                offsets.tcp_bytes_received == ABSENT,
                "connections that were open before the start are not marked",
            ),
            (
                offsets.task_start_boottime == ABSENT,
                "a reused process id is not told from its predecessor",
            ),
            (offsets.iter_type == ABSENT, IO_URING),
            (
                true,
                "32-bit programs: operations are counted, their payload is not read",
            ),
            (
                true,
                "TLS: plaintext is read inside OpenSSL, its relatives and GnuTLS; that of other libraries is counted only",
            ),
        ];
        for (applies, sentence) in rules {
            if applies {
                self.blind(sentence);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::features::Release;

    fn offsets() -> Offsets {
        Offsets {
            sock_family: 16,
            sock_type: 500,
            socket_sk: 24,
            sock_socket: 600,
            socket_inode: 192,
            iter_type: 0,
            ..Offsets::NONE
        }
    }

    fn kernel(major: u32, minor: u32, hooks: &[&str]) -> Features {
        let at_least = |a, b| Release { major, minor }.at_least(a, b);
        Features {
            release_text: format!("{major}.{minor}"),
            release: Release { major, minor },
            btf: true,
            hooks: hooks.iter().map(|hook| (*hook).to_owned()).collect(),
            tracing_sk_storage: at_least(5, 11),
            task_btf: at_least(5, 11),
            bpf_loop: at_least(5, 17),
            preemptible_tracepoints: at_least(7, 0),
            ..Features::default()
        }
    }

    const MODERN: [&str; 6] = [
        "sock_send_length",
        "sock_recv_length",
        "inet_sock_set_state",
        "tcp_destroy_sock",
        "unix_release_sock",
        "bpf_iter_task_file",
    ];
    const OLD: [&str; 8] = [
        "inet_sendmsg",
        "inet6_sendmsg",
        "unix_stream_sendmsg",
        "inet_recvmsg",
        "inet6_recvmsg",
        "unix_stream_recvmsg",
        "inet_sock_set_state",
        "tcp_destroy_sock",
    ];

    fn programs(plan: &AttachPlan) -> Vec<&str> {
        plan.attachments.iter().map(|a| a.program.as_str()).collect()
    }

    #[test]
    fn a_modern_kernel_gets_tier_1() {
        let plan = plan(&kernel(6, 18, &MODERN), &offsets()).unwrap();
        assert_eq!(plan.tier, 1);
        assert_eq!(
            programs(&plan),
            [
                "on_send",
                "on_receive",
                "on_state",
                "on_destroy",
                "on_destroy_spare",
                "on_state_spare",
                "on_unix_release",
                "on_unix_release_spare",
                "on_existing"
            ]
        );
    }

    #[test]
    fn spares_follow_what_they_stand_in_for_where_tracepoints_can_be_preempted() {
        let plan = plan(&kernel(7, 2, &MODERN), &offsets()).unwrap();
        assert_eq!(
            programs(&plan)[..6],
            [
                "on_send",
                "on_receive",
                "on_send_spare",
                "on_receive_spare",
                "on_send_third",
                "on_receive_third"
            ]
        );
    }

    #[test]
    fn kernels_before_the_tracepoints_use_function_exits() {
        let plan_of = |major, minor| plan(&kernel(major, minor, &OLD), &offsets()).unwrap();
        assert_eq!(plan_of(6, 1).tier, 2);
        assert_eq!(plan_of(5, 10).tier, 3);
        assert!(programs(&plan_of(5, 10)).contains(&"on_inet_send_no_loop"));
        assert!(programs(&plan_of(6, 1)).contains(&"on_inet_send"));
    }

    #[test]
    fn a_missing_optional_hook_is_a_blind_spot_not_an_error() {
        let plan = plan(&kernel(6, 18, &MODERN[..3]), &offsets()).unwrap();
        assert!(!programs(&plan).contains(&"on_destroy"));
        assert!(plan.blind_spots.iter().any(|spot| spot.contains("byte counts")));
        assert_eq!(
            plan.blind_spots
                .iter()
                .filter(|spot| spot.contains("io_uring"))
                .count(),
            1
        );
    }

    #[test]
    fn what_is_missing_is_one_sentence() {
        let without_btf = Features {
            btf: false,
            ..kernel(6, 18, &MODERN)
        };
        assert!(
            plan(&without_btf, &offsets())
                .unwrap_err()
                .contains("CONFIG_DEBUG_INFO_BTF")
        );
        assert!(
            plan(&kernel(4, 19, &[]), &offsets())
                .unwrap_err()
                .contains("4.19")
        );
    }

    #[test]
    fn without_an_iterator_older_sockets_are_looked_for_in_proc() {
        let old = plan(&kernel(5, 10, &OLD), &offsets()).unwrap();
        assert!(old.older_from_proc);
        let modern = plan(&kernel(6, 18, &MODERN), &offsets()).unwrap();
        assert!(!modern.older_from_proc && programs(&modern).contains(&"on_existing"));
        let neither = Offsets {
            socket_inode: ABSENT,
            ..offsets()
        };
        let neither = plan(&kernel(5, 10, &OLD), &neither).unwrap();
        assert!(!neither.older_from_proc);
        assert!(
            neither
                .blind_spots
                .iter()
                .any(|spot| spot.contains("joined late"))
        );
    }

    #[test]
    fn an_absent_field_costs_one_feature() {
        let plan = plan(
            &kernel(6, 18, &MODERN),
            &Offsets {
                unix_addr: ABSENT,
                ..offsets()
            },
        )
        .unwrap();
        assert!(
            plan.blind_spots
                .iter()
                .any(|spot| spot.contains("unix sockets are not known"))
        );
    }
}
