//! The kernel's own measurement of its programs.
//!
//! Asked for with a descriptor (`BPF_ENABLE_STATS`, Linux 5.8): the measurement ends with who asked, even one that is killed.
//! The switch in `/proc` would stay on, and makes every program of the host dearer from then on.

use std::{
    fs, io,
    os::fd::{FromRawFd as _, OwnedFd},
};

use anyhow::{Result, ensure};

/// The switch of the whole host.
const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// Command and kind of measurement of bpf(2).
const BPF_ENABLE_STATS: libc::c_long = 32;
const BPF_STATS_RUN_TIME: u32 = 0;

/// Has run times measured until it is dropped.
#[derive(Debug)]
pub(super) struct RunTimes {
    _descriptor: OwnedFd,
}

impl RunTimes {
    /// `None` where the kernel refuses, or is too old.
    pub(super) fn measured() -> Option<Self> {
        let kind = BPF_STATS_RUN_TIME;
        // SAFETY: the attribute is as long as it is said to be, and read only.
        let descriptor = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_ENABLE_STATS,
                &raw const kind,
                size_of_val(&kind),
            )
        };
        let descriptor = i32::try_from(descriptor).ok().filter(|number| *number >= 0)?;
        // SAFETY: a new descriptor that nothing else has.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Some(Self {
            _descriptor: descriptor,
        })
    }
}

/// Refuses to measure what the agent costs while the host measures all programs: that would be part of it.
pub(super) fn refuse_if_left_on() -> Result<()> {
    let is_on = match fs::read_to_string(SWITCH) {
        Ok(text) => text.trim() != "0",
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error.into()),
    };
    ensure!(
        !is_on,
        "the kernel measures every program, which makes them dearer: `sysctl kernel.bpf_stats_enabled=0` ends that"
    );
    Ok(())
}
