//! Judges the facts about a host: what works, what stays unseen, what must be mended first.
//!
//! In: [`HostFacts`]. Out: one [`Check`] for each question, always all of them and in the same order. Pure.

use serde_json::{Value, json};

use super::facts::{Cgroups, HostFacts};

/// The answer to one question about the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// What was looked at, one or two words.
    pub(crate) name: &'static str,
    /// The verdict.
    pub(crate) outcome: Outcome,
    /// What was found, and what it means.
    pub(crate) finding: String,
    /// What to do about it.
    pub(crate) fix: Option<String>,
}

/// Verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should be.
    Ok,
    /// The agent runs; something stays unseen.
    Warn,
    /// The agent cannot run.
    Fail,
}

/// Bits of capabilities(7).
const CAP_DAC_READ_SEARCH: u64 = 1 << 2;
const CAP_SYS_PTRACE: u64 = 1 << 19;
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_PERFMON: u64 = 1 << 38;
const CAP_BPF: u64 = 1 << 39;

/// Locked memory that suffices for rings and maps on kernels that count BPF memory against the limit.
const LOCKED_MEMORY_BYTES: u64 = 64 * 1024 * 1024;

impl Check {
    fn ok(name: &'static str, finding: impl Into<String>) -> Self {
        Self {
            name,
            outcome: Outcome::Ok,
            finding: finding.into(),
            fix: None,
        }
    }

    fn warn(name: &'static str, finding: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Warn,
            fix: Some(fix.into()),
            ..Self::ok(name, finding)
        }
    }

    fn fail(name: &'static str, finding: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Fail,
            ..Self::warn(name, finding, fix)
        }
    }

    /// As a row of `-o json`.
    pub(super) fn to_json(&self) -> Value {
        let outcome = match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Warn => "warn",
            Outcome::Fail => "fail",
        };
        json!({"check": self.name, "outcome": outcome, "finding": self.finding, "fix": self.fix})
    }
}

/// All checks, in the order in which a problem should be mended.
pub(crate) fn diagnose(facts: &HostFacts) -> Vec<Check> {
    vec![
        privileges(facts),
        type_information(facts),
        kernel(facts),
        lockdown(facts),
        processes(facts),
        cgroups(facts),
        memory(facts),
        io_uring(facts),
        compat(facts),
        tls(facts),
        fields(facts),
    ]
}

fn privileges(facts: &HostFacts) -> Check {
    const NAME: &str = "privileges";
    let has = |wanted: u64| facts.capabilities & wanted == wanted;
    let load = has(CAP_SYS_ADMIN) || has(CAP_BPF | CAP_PERFMON);
    match (load, has(CAP_SYS_PTRACE | CAP_DAC_READ_SEARCH)) {
        (true, true) => Check::ok(NAME, "may load programs and name the processes of all users"),
        (true, false) => Check::warn(
            NAME,
            "may load programs; processes of other users will be known by their task name only",
            "add CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
        ),
        (false, _) => Check::fail(
            NAME,
            "needs root, or the capabilities CAP_BPF and CAP_PERFMON",
            "run it with sudo, or give the service AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE CAP_DAC_READ_SEARCH",
        ),
    }
}

fn type_information(facts: &HostFacts) -> Check {
    const NAME: &str = "BTF";
    match facts.btf {
        true => Check::ok(NAME, "the kernel describes its types"),
        false => Check::fail(
            NAME,
            "this kernel has no BTF in /sys/kernel/btf/vmlinux",
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as those of all current distributions are",
        ),
    }
}

fn kernel(facts: &HostFacts) -> Check {
    const NAME: &str = "kernel";
    let release = &facts.release;
    match &facts.plan {
        Ok(plan) => Check::ok(
            NAME,
            format!("{release}: capture tier {}, because {}", plan.tier, plan.reason),
        ),
        Err(_) if !facts.btf => Check::warn(
            NAME,
            format!("{release}: what it offers is not known without BTF"),
            "see BTF",
        ),
        Err(lacking) => {
            let (finding, fix) = lacking
                .split_once(": ")
                .unwrap_or((lacking, "use Linux 6.3 or newer"));
            Check::fail(NAME, finding, fix)
        }
    }
}

fn lockdown(facts: &HostFacts) -> Check {
    const NAME: &str = "lockdown";
    match facts.lockdown.as_deref() {
        Some("confidentiality") => Check::fail(
            NAME,
            "the kernel is locked down for confidentiality: programs may not read its memory",
            "start the kernel with lockdown=integrity or without lockdown",
        ),
        Some(mode) => Check::ok(NAME, format!("{mode}: no obstacle")),
        None => Check::ok(NAME, "not in use"),
    }
}

fn processes(facts: &HostFacts) -> Check {
    const NAME: &str = "processes";
    match facts.host_pids {
        Some(true) => Check::ok(NAME, "sees the processes of the whole host"),
        None => Check::warn(
            NAME,
            "whether all processes can be seen is unknown",
            "mount /proc",
        ),
        Some(false) => Check::warn(
            NAME,
            match facts.in_container {
                true => {
                    "runs in a container: sockets of the whole host are seen, but their processes cannot be named"
                }
                false => "runs in a pid namespace of its own: processes outside of it cannot be named",
            },
            "give the container the host's pid namespace (hostPID: true, or --pid=host)",
        ),
    }
}

fn cgroups(facts: &HostFacts) -> Check {
    const NAME: &str = "control groups";
    match facts.cgroups {
        Cgroups::Unified => Check::ok(NAME, "version 2"),
        Cgroups::Legacy => Check::warn(
            NAME,
            "version 1: workloads are named through /proc, short-lived processes may be missed",
            "boot with systemd.unified_cgroup_hierarchy=1",
        ),
        Cgroups::Absent => Check::warn(
            NAME,
            "/sys/fs/cgroup is not mounted: units and containers are named through /proc",
            "mount the host's /sys/fs/cgroup",
        ),
    }
}

fn memory(facts: &HostFacts) -> Check {
    const NAME: &str = "locked memory";
    let counts = !facts.version().at_least(5, 11);
    match facts.locked_memory_bytes {
        Some(limit) if counts && limit < LOCKED_MEMORY_BYTES => Check::warn(
            NAME,
            format!("limited to {limit} bytes, which this kernel applies to BPF memory"),
            "raise it: `ulimit -l unlimited`, or LimitMEMLOCK=infinity in the unit",
        ),
        Some(_) if !counts => Check::ok(
            NAME,
            "not limited: BPF memory counts for the control group (since 5.11)",
        ),
        _ => Check::ok(NAME, "the limit suffices"),
    }
}

fn io_uring(facts: &HostFacts) -> Check {
    const NAME: &str = "io_uring";
    match facts.io_uring_disabled {
        Some(2) => Check::ok(NAME, "disabled on this host: nothing can pass through it"),
        _ => Check::warn(
            NAME,
            "programs may use it: bytes they move through it are counted as unreadable where they cannot be read",
            "look at `apiarist status --coverage`; kernel.io_uring_disabled=2 forbids it (since 6.6)",
        ),
    }
}

fn compat(facts: &HostFacts) -> Check {
    const NAME: &str = "32-bit programs";
    match facts.compat_tasks {
        false => Check::ok(NAME, "this kernel runs none"),
        true => Check::warn(
            NAME,
            format!(
                "this {} kernel runs them: what they send and receive is counted, not read",
                facts.machine
            ),
            "look at `apiarist status` for compat_operations",
        ),
    }
}

fn tls(facts: &HostFacts) -> Check {
    const NAME: &str = "TLS";
    if !facts.uprobes {
        return Check::warn(
            NAME,
            "this kernel cannot probe functions of programs: plaintext of TLS is counted, not read",
            "use a kernel built with CONFIG_UPROBE_EVENTS=y, as those of all current distributions are",
        );
    }
    if facts.capabilities & CAP_SYS_ADMIN == 0 {
        return Check::warn(
            NAME,
            "probing functions of TLS libraries needs CAP_SYS_ADMIN: plaintext of TLS is counted, not read",
            "add CAP_SYS_ADMIN: one thread keeps it, the others give it up",
        );
    }
    Check::warn(
        NAME,
        "plaintext is read inside OpenSSL, its relatives and GnuTLS; workloads that use other libraries are counted, not read",
        "look at `apiarist status --coverage`; observe such workloads behind the proxy that ends TLS",
    )
}

/// Blind spots of this very kernel, besides those that have a check of their own.
fn fields(facts: &HostFacts) -> Check {
    const NAME: &str = "kernel fields";
    const OWN_CHECK: [&str; 3] = ["io_uring", "32-bit programs", "TLS"];
    let spots = facts.plan.iter().flat_map(|plan| &plan.blind_spots);
    let others: Vec<&str> = spots
        .map(String::as_str)
        .filter(|spot| !OWN_CHECK.iter().any(|own| spot.starts_with(own)))
        .collect();
    match (others.is_empty(), &facts.plan) {
        (false, _) => Check::warn(NAME, others.join("; "), "a newer kernel tells them"),
        (true, Ok(_)) => Check::ok(NAME, "all that are of use are there"),
        (true, Err(_)) => Check::warn(NAME, "unknown", "see kernel"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::plan::AttachPlan;

    fn plan(blind_spots: Vec<String>) -> AttachPlan {
        AttachPlan {
            tier: 1,
            reason: "the tracepoints exist".into(),
            attachments: Vec::new(),
            blind_spots,
            older_from_proc: false,
        }
    }

    fn good() -> HostFacts {
        HostFacts {
            release: "6.12.9-amd64".into(),
            machine: "x86_64".into(),
            capabilities: u64::MAX,
            btf: true,
            plan: Ok(plan(vec!["TLS: x".into()])),
            lockdown: None,
            host_pids: Some(true),
            in_container: false,
            cgroups: Cgroups::Unified,
            locked_memory_bytes: Some(8 * 1024 * 1024),
            io_uring_disabled: Some(2),
            compat_tasks: false,
            uprobes: true,
        }
    }

    fn outcome(facts: &HostFacts, name: &str) -> Outcome {
        diagnose(facts)
            .into_iter()
            .find(|check| check.name == name)
            .unwrap()
            .outcome
    }

    #[test]
    fn a_good_host_fails_nothing() {
        assert!(
            diagnose(&good())
                .iter()
                .all(|check| check.outcome != Outcome::Fail)
        );
    }

    #[test]
    fn each_failure_has_a_fix() {
        let bad = HostFacts {
            release: "4.19.0".into(),
            capabilities: 0,
            plan: Err("kernel 4.19 has no tracepoint: use another".into()),
            lockdown: Some("confidentiality".into()),
            ..good()
        };
        let failed: Vec<_> = diagnose(&bad)
            .into_iter()
            .filter(|check| check.outcome == Outcome::Fail)
            .collect();
        assert_eq!(
            failed.iter().map(|check| check.name).collect::<Vec<_>>(),
            ["privileges", "kernel", "lockdown"]
        );
        assert!(failed.iter().all(|check| check.fix.is_some()));
    }

    #[test]
    fn capabilities_may_stand_for_root() {
        let with = |capabilities| {
            outcome(
                &HostFacts {
                    capabilities,
                    ..good()
                },
                "privileges",
            )
        };
        assert_eq!(with(CAP_BPF | CAP_PERFMON), Outcome::Warn);
        assert_eq!(
            with(CAP_BPF | CAP_PERFMON | CAP_SYS_PTRACE | CAP_DAC_READ_SEARCH),
            Outcome::Ok
        );
        assert_eq!(with(CAP_BPF), Outcome::Fail);
        assert_eq!(with(CAP_SYS_ADMIN), Outcome::Warn);
    }

    #[test]
    fn what_keeps_tls_from_being_read_is_told() {
        let told = |facts: HostFacts| tls(&facts).finding;
        assert!(told(good()).starts_with("plaintext is read"));
        let unprivileged = HostFacts {
            capabilities: !CAP_SYS_ADMIN,
            ..good()
        };
        assert!(told(unprivileged).contains("CAP_SYS_ADMIN"));
        let without_probes = HostFacts {
            uprobes: false,
            ..good()
        };
        assert!(told(without_probes).contains("cannot probe functions"));
    }

    #[test]
    fn the_tier_is_what_capture_would_attach() {
        assert_eq!(
            kernel(&good()).finding,
            "6.12.9-amd64: capture tier 1, because the tracepoints exist"
        );
    }

    #[test]
    fn what_the_kernel_lacks_is_one_failure() {
        let without = HostFacts {
            btf: false,
            plan: Err("this kernel has no BTF: use another".into()),
            ..good()
        };
        assert_eq!(outcome(&without, "BTF"), Outcome::Fail);
        assert_eq!(outcome(&without, "kernel"), Outcome::Warn);
    }

    #[test]
    fn blind_spots_of_this_kernel_are_listed_once() {
        assert_eq!(outcome(&good(), "kernel fields"), Outcome::Ok);
        let facts = HostFacts {
            plan: Ok(plan(vec!["TLS: x".into(), "paths are not known".into()])),
            ..good()
        };
        assert_eq!(fields(&facts).finding, "paths are not known");
    }

    #[test]
    fn the_memory_limit_matters_on_old_kernels_only() {
        assert_eq!(outcome(&good(), "locked memory"), Outcome::Ok);
        assert_eq!(
            outcome(
                &HostFacts {
                    release: "5.10.0".into(),
                    ..good()
                },
                "locked memory"
            ),
            Outcome::Warn
        );
        let unlimited = HostFacts {
            release: "5.10.0".into(),
            locked_memory_bytes: None,
            ..good()
        };
        assert_eq!(outcome(&unlimited, "locked memory"), Outcome::Ok);
    }

    #[test]
    fn a_container_is_told_what_it_misses() {
        let facts = HostFacts {
            host_pids: Some(false),
            in_container: true,
            ..good()
        };
        assert!(processes(&facts).finding.contains("container"));
    }
}
