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
    /// Tracepoint or function.
    pub target: String,
    /// The agent cannot do its work without it.
    pub required: bool,
}

/// Kinds of attach points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachKind {
    /// A BTF-typed tracepoint.
    TracepointBtf,
    /// Function exit.
    Fexit,
}

/// What will be attached, and what that means for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachPlan {
    /// 1, 2 or 3: see the README.
    pub tier: u8,
    /// Why this tier.
    pub reason: String,
    /// Programs in attach order.
    pub attachments: Vec<Attachment>,
    /// What this kernel does not let us see, one sentence each.
    pub blind_spots: Vec<String>,
}

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
    let mut plan = if features.socket_length_tracepoints {
        tier1()
    } else {
        return Err(format!(
            "kernel {} has no sock_send_length tracepoint: Apiarist needs Linux 6.3 or later",
            features.release_text
        ));
    };
    if features.state_tracepoint {
        plan.attachments
            .push(tracepoint("on_state", "inet_sock_set_state", false));
    } else {
        plan.blind_spots
            .push("the end of a TCP stream is not seen: such exchanges end by time".to_owned());
    }
    if features.destroy_tracepoint {
        plan.attachments
            .push(tracepoint("on_destroy", "tcp_destroy_sock", false));
    } else {
        plan.blind_spots
            .push("closed sockets are not compared with their own byte counts".to_owned());
    }
    degrade(&mut plan, offsets);
    Ok(plan)
}

fn tier1() -> AttachPlan {
    AttachPlan {
        tier: 1,
        reason: "the tracepoints sock_send_length and sock_recv_length exist".to_owned(),
        attachments: vec![
            tracepoint("on_send", "sock_send_length", true),
            tracepoint("on_receive", "sock_recv_length", true),
        ],
        blind_spots: vec![
            "io_uring: operations are counted, their payload is not read".to_owned(),
            "32-bit programs: operations are counted, their payload is not read".to_owned(),
            "TLS: ciphertext is recognised and muted, its plaintext is not read".to_owned(),
        ],
    }
}

fn tracepoint(program: &str, target: &str, required: bool) -> Attachment {
    Attachment {
        program: program.to_owned(),
        kind: AttachKind::TracepointBtf,
        target: target.to_owned(),
        required,
    }
}

/// Says what absent fields cost.
fn degrade(plan: &mut AttachPlan, offsets: &Offsets) {
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
    ];
    for (absent, sentence) in rules {
        if absent {
            plan.blind_spots.push(sentence.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets() -> Offsets {
        Offsets {
            sock_family: 16,
            sock_type: 500,
            ..Offsets::NONE
        }
    }

    fn modern() -> Features {
        Features {
            release_text: "6.18.0".to_owned(),
            btf: true,
            socket_length_tracepoints: true,
            state_tracepoint: true,
            destroy_tracepoint: true,
            ..Features::default()
        }
    }

    #[test]
    fn a_modern_kernel_gets_tier_1_with_every_program() {
        let plan = plan(&modern(), &offsets()).unwrap();
        assert_eq!(plan.tier, 1);
        let programs: Vec<_> = plan.attachments.iter().map(|a| a.program.as_str()).collect();
        assert_eq!(programs, ["on_send", "on_receive", "on_state", "on_destroy"]);
    }

    #[test]
    fn a_missing_optional_hook_is_a_blind_spot_not_an_error() {
        let plan = plan(
            &Features {
                destroy_tracepoint: false,
                ..modern()
            },
            &offsets(),
        )
        .unwrap();
        assert_eq!(plan.attachments.len(), 3);
        assert!(plan.blind_spots.iter().any(|spot| spot.contains("byte counts")));
    }

    #[test]
    fn without_btf_one_sentence_says_what_is_missing() {
        let error = plan(
            &Features {
                btf: false,
                ..modern()
            },
            &offsets(),
        )
        .unwrap_err();
        assert!(error.contains("CONFIG_DEBUG_INFO_BTF"));
    }

    #[test]
    fn an_absent_field_costs_one_feature() {
        let plan = plan(
            &modern(),
            &Offsets {
                unix_addr: ABSENT,
                ..offsets()
            },
        )
        .unwrap();
        assert!(plan.blind_spots.iter().any(|spot| spot.contains("unix sockets")));
    }
}
