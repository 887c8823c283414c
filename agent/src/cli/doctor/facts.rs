//! What there is to know about the host before anything is loaded. Reads /proc and /sys, changes nothing.

use std::{fs, path::Path};

use apiarist_common::offsets::Offsets;

use crate::capture::{
    btf::KernelTypes,
    features::{Features, Release},
    plan::{AttachPlan, plan},
};

/// Inode of the first pid namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Facts that decide whether and how the agent can run. What could not be read is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostFacts {
    /// `uname -r`.
    pub(crate) release: String,
    /// Whether the kernel describes its types in /sys/kernel/btf/vmlinux.
    pub(crate) btf: bool,
    /// What capture would attach on this kernel, or the one sentence that says what it lacks.
    pub(crate) plan: Result<AttachPlan, String>,
    /// `uname -m`.
    pub(crate) machine: String,
    /// Effective capabilities of this process, a set of bits (capabilities(7)).
    pub(crate) capabilities: u64,
    /// The active mode in /sys/kernel/security/lockdown: `none`, `integrity` or `confidentiality`.
    pub(crate) lockdown: Option<String>,
    /// Whether this process is in the first pid namespace: sees the processes of the whole host.
    pub(crate) host_pids: Option<bool>,
    /// A container runtime left its mark in this root directory.
    pub(crate) in_container: bool,
    /// How control groups are mounted.
    pub(crate) cgroups: Cgroups,
    /// Limit of locked memory (RLIMIT_MEMLOCK), in bytes; `None` when unlimited.
    pub(crate) locked_memory_bytes: Option<u64>,
    /// `kernel.io_uring_disabled`: 0 everybody may use it, 1 only a group, 2 nobody. `None` before 6.6.
    pub(crate) io_uring_disabled: Option<u8>,
    /// Whether 32-bit programs can run on this 64-bit kernel.
    pub(crate) compat_tasks: bool,
    /// Whether the kernel can probe functions of programs.
    pub(crate) uprobes: bool,
}

/// How control groups are mounted at /sys/fs/cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cgroups {
    /// Version 2 alone.
    Unified,
    /// Version 1, perhaps with version 2 beside it.
    Legacy,
    /// Nothing there.
    Absent,
}

impl HostFacts {
    /// Looks at this host.
    pub(crate) fn gather() -> Self {
        let uname = rustix::system::uname();
        let release = uname.release().to_string_lossy().into_owned();
        let types = KernelTypes::of_running_kernel().ok();
        let exists = |path: &str| Path::new(path).exists();
        Self {
            btf: types.is_some(),
            plan: attach_plan(&release, types.as_ref()),
            release,
            machine: uname.machine().to_string_lossy().into_owned(),
            capabilities: effective_capabilities(&text("/proc/self/status")).unwrap_or(0),
            lockdown: active_choice(&text("/sys/kernel/security/lockdown")),
            host_pids: namespace_inode("/proc/self/ns/pid").map(|inode| inode == FIRST_PID_NAMESPACE),
            in_container: exists("/.dockerenv") || exists("/run/.containerenv"),
            cgroups: match (
                exists("/sys/fs/cgroup/cgroup.controllers"),
                exists("/sys/fs/cgroup"),
            ) {
                (true, _) => Cgroups::Unified,
                (false, true) => Cgroups::Legacy,
                (false, false) => Cgroups::Absent,
            },
            locked_memory_bytes: rustix::process::getrlimit(rustix::process::Resource::Memlock).current,
            io_uring_disabled: text("/proc/sys/kernel/io_uring_disabled").trim().parse().ok(),
            // Registered for the 32-bit ABI wherever it is compiled in: x86 (abi) and aarch64 (abi/cp15_barrier…).
            compat_tasks: exists("/proc/sys/abi/vsyscall32") || exists("/proc/sys/abi/cp15_barrier"),
            uprobes: exists("/sys/bus/event_source/devices/uprobe/type"),
        }
    }

    /// Version of the kernel.
    pub(crate) fn version(&self) -> Release {
        Release::parse(&self.release)
    }
}

fn attach_plan(release: &str, types: Option<&KernelTypes>) -> Result<AttachPlan, String> {
    let offsets = types.map_or(Offsets::NONE, KernelTypes::offsets);
    plan(&Features::of(release, types), &offsets)
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The line `CapEff` of /proc/PID/status (proc(5)).
fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// The choice in brackets, as in `none [integrity] confidentiality`.
fn active_choice(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

fn namespace_inode(path: &str) -> Option<u64> {
    let link = fs::read_link(path).ok()?;
    link.to_str()?
        .strip_prefix("pid:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_proc_and_sys_are_understood() {
        assert_eq!(
            effective_capabilities("Name:\tx\nCapEff:\t000001ffffffffff\n"),
            Some(0x1ff_ffff_ffff)
        );
        assert_eq!(effective_capabilities("Name:\tx\n"), None);
        assert_eq!(
            active_choice("none [integrity] confidentiality\n").as_deref(),
            Some("integrity")
        );
        assert_eq!(active_choice(""), None);
    }

    #[test]
    fn this_host_can_be_looked_at() {
        let facts = HostFacts::gather();
        assert!(facts.version().at_least(3, 0), "{facts:?}");
    }
}
