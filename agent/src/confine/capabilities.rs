//! Capabilities: all but a few are given up for good (capabilities(7)).

use anyhow::{Context as _, Result};
use rustix::{
    io::Errno,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set,
        remove_capability_from_bounding_set, set_capabilities,
    },
};

/// Keeps those of `wanted` that this thread has, and gives up all others, also for programs started later.
pub(super) fn keep_only(wanted: CapabilitySet) -> Result<()> {
    let have = capabilities(None).context("the kernel does not tell them")?;
    // The agent before 5.8 does with SYS_ADMIN what BPF and PERFMON are for since.
    let split = CapabilitySet::BPF | CapabilitySet::PERFMON;
    let mut wanted = wanted;
    if wanted.intersects(split) && !have.permitted.contains(split) {
        wanted |= CapabilitySet::SYS_ADMIN;
    }
    let keep = have.permitted & wanted;
    for capability in CapabilitySet::all().iter() {
        if keep.contains(capability) {
            continue;
        }
        // The bounding set may only be changed by who has SETPCAP; a service manager has done it for others.
        if have.effective.contains(CapabilitySet::SETPCAP) {
            tolerate_unknown(remove_capability_from_bounding_set(capability))?;
        }
        tolerate_unknown(configure_capability_in_ambient_set(capability, false))?;
    }
    let sets = CapabilitySets {
        effective: keep,
        permitted: keep,
        inheritable: keep & have.inheritable,
    };
    set_capabilities(None, sets).context("the kernel refuses to drop them")
}

/// A capability that this kernel does not know yet cannot be had either.
fn tolerate_unknown(result: rustix::io::Result<()>) -> Result<()> {
    match result {
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(error) => Err(error).context("the kernel refuses to drop them"),
    }
}
