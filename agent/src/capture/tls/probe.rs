//! Attaching kernel programs to places in files.
//!
//! In: a program, an open file, an offset. Out: an [`Attached`] probe, in force for every process that maps the file, until
//! it is dropped. By perf events, which every kernel since 4.17 has: one descriptor per probe.

use std::{
    ffi::CString,
    fs::{self, File},
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result, ensure};

/// Where the kernel tells the number of its uprobe events.
const PMU: &str = "/sys/bus/event_source/devices/uprobe";

/// `PERF_FLAG_FD_CLOEXEC`, and the requests of `include/uapi/linux/perf_event.h`.
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;
const PERF_EVENT_IOC_ENABLE: libc::c_ulong = 0x2400;
const PERF_EVENT_IOC_SET_BPF: libc::c_ulong = 0x4004_2408;

/// `struct perf_event_attr` as far as uprobes use it (its second version, 72 bytes).
#[repr(C)]
#[derive(Default)]
struct EventAttributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    /// Address of the path.
    path: u64,
    offset: u64,
}

const _: () = assert!(size_of::<EventAttributes>() == 72);

/// What the kernel offers for probes of user space.
#[derive(Debug, Clone, Copy)]
pub struct Uprobes {
    kind: u32,
    /// Bit of `config` that says: at the return.
    return_bit: u32,
}

/// A probe in force.
#[derive(Debug)]
pub struct Attached {
    _event: OwnedFd,
}

impl Uprobes {
    /// Asks the kernel.
    ///
    /// # Errors
    /// When it has no uprobes.
    pub fn of_running_kernel() -> Result<Self> {
        let read = |name: &str| {
            fs::read_to_string(format!("{PMU}/{name}"))
                .context("this kernel has no uprobes (CONFIG_UPROBE_EVENTS)")
        };
        let return_bit = read("format/retprobe")?;
        Ok(Self {
            kind: read("type")?.trim().parse().context("uprobe type")?,
            return_bit: return_bit
                .trim()
                .strip_prefix("config:")
                .and_then(|bit| bit.parse().ok())
                .unwrap_or(0),
        })
    }

    /// Attaches `program` at `offset` of `file`, at the return of the function there if `at_return`.
    ///
    /// # Errors
    /// When the kernel refuses: no executable mapping is possible there, or the instruction cannot be probed.
    pub fn attach(
        &self,
        program: BorrowedFd<'_>,
        file: &File,
        offset: u64,
        at_return: bool,
    ) -> Result<Attached> {
        // The very file that was examined, wherever its name points by now.
        let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let attributes = EventAttributes {
            kind: self.kind,
            size: size_of::<EventAttributes>() as u32,
            config: u64::from(at_return) << self.return_bit,
            path: path.as_ptr() as u64,
            offset,
            ..EventAttributes::default()
        };
        // SAFETY: the structure has the size it says, and the path outlives the call.
        let event = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                &raw const attributes,
                -1,
                0,
                -1,
                PERF_FLAG_FD_CLOEXEC,
            )
        };
        ensure!(
            event >= 0,
            "the kernel refused a probe: {}",
            std::io::Error::last_os_error()
        );
        // SAFETY: a descriptor that the kernel has just given us.
        let event = unsafe { OwnedFd::from_raw_fd(i32::try_from(event).context("descriptor")?) };
        request(&event, PERF_EVENT_IOC_SET_BPF, program.as_raw_fd())?;
        request(&event, PERF_EVENT_IOC_ENABLE, 0)?;
        Ok(Attached { _event: event })
    }
}

fn request(event: &OwnedFd, request: libc::c_ulong, argument: i32) -> Result<()> {
    // SAFETY: requests that take an integer.
    let status = unsafe { libc::ioctl(event.as_raw_fd(), request, argument) };
    ensure!(
        status >= 0,
        "the kernel refused a program at a probe: {}",
        std::io::Error::last_os_error()
    );
    Ok(())
}
