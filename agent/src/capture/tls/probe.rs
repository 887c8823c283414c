//! Attaching kernel programs to places in files.
//!
//! In: a program, an open file, offsets. Out: [`Attached`] probes, in force for every process that maps the file, until
//! they are dropped. By one link for all offsets where the kernel has them (6.6, [`super::many`]), else by perf events, which
//! every kernel since 4.17 has: one descriptor per probe.

use std::{
    collections::BTreeMap,
    ffi::{CStr, CString},
    fs::{self, File},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result, ensure};

use super::{library::Plan, many};

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

/// Probes in force, as one descriptor holds them.
#[derive(Debug)]
pub struct Attached {
    _held: OwnedFd,
}

/// Kernel programs for functions of libraries, and how they are attached.
#[derive(Debug)]
pub struct Programs {
    /// By name.
    by_name: BTreeMap<String, OwnedFd>,
    /// One link holds a program at many places of a file; else one perf event at each.
    linked: bool,
}

impl Programs {
    /// Loaded ones. `linked`: as links want them.
    pub(crate) fn new(by_name: BTreeMap<String, OwnedFd>, linked: bool) -> Self {
        Self { by_name, linked }
    }

    /// None yet.
    pub fn none() -> Self {
        Self::new(BTreeMap::new(), false)
    }

    /// The programs.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = &OwnedFd> {
        self.by_name.values()
    }
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

    /// Attaches what a plan says to `file`, in the plan's order.
    ///
    /// # Errors
    /// When the kernel refuses: no executable mapping is possible there, or an instruction cannot be probed. Nothing is
    /// attached then.
    pub fn attach(&self, programs: &Programs, file: &File, plan: &Plan) -> Result<Vec<Attached>> {
        // The very file that was examined, wherever its name points by now.
        let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let groups = plan.groups();
        let attach = |(program, at_return, offsets): (&str, bool, Vec<u64>)| {
            let descriptor = programs.by_name.get(program);
            let descriptor = descriptor
                .with_context(|| format!("{program} is not loaded"))?
                .as_fd();
            if programs.linked {
                let link = many::create(descriptor, &path, &offsets, at_return);
                return Ok(vec![link.context("the kernel refused a link")?]);
            }
            let events = offsets.into_iter();
            events
                .map(|offset| self.event(descriptor, &path, offset, at_return))
                .collect()
        };
        let held: Vec<Vec<OwnedFd>> = groups.into_iter().map(attach).collect::<Result<_>>()?;
        Ok(held
            .into_iter()
            .flatten()
            .map(|held| Attached { _held: held })
            .collect())
    }

    fn event(&self, program: BorrowedFd<'_>, path: &CStr, offset: u64, at_return: bool) -> Result<OwnedFd> {
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
        Ok(event)
    }
}

/// Descriptors that are closed side by side. The kernel waits for grace periods at each, which those that wait together
/// share.
const LANES: usize = 32;

/// Takes probes off, and waits until they are.
pub fn release(probes: Vec<Attached>) {
    let lanes = probes.len().min(LANES);
    let waiting = Mutex::new(probes.into_iter());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                while let Some(probe) = next() {
                    drop(probe);
                }
            });
        }
    });
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
