//! Where the bytes of the operation that just ended lie in user memory.
//!
//! The programs run after the operation, still inside the system call, so the saved user registers tell the call
//! and its arguments. What they cannot tell is reported as such: operations without a user buffer, by io_uring, by
//! 32-bit tasks, by kernel threads.

use core::{ffi::c_void, mem::MaybeUninit};

use apiarist_common::counter::Counter;
use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_probe_read_user, bpf_task_pt_regs};

use crate::{
    connection::Connection,
    kernel::{Task, read, succeeded},
    maps::constant,
};

/// The user's buffer.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Source {
    pub(crate) kind: SourceKind,
    /// Why it cannot be read.
    pub(crate) reason: Counter,
    /// The bytes, or an array of `struct iovec`.
    pub(crate) address: u64,
    /// Elements of that array.
    pub(crate) elements: u64,
}

/// Shapes of buffers.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum SourceKind {
    Unreadable = 0,
    Flat,
    /// An array of `struct iovec` in user memory.
    Vector,
    /// The same in kernel memory, whose elements point to user memory.
    KernelVector,
}

impl Source {
    #[inline(always)]
    pub(crate) fn flat(address: u64) -> Self {
        Self {
            kind: SourceKind::Flat,
            reason: Counter::Operations,
            address,
            elements: 0,
        }
    }

    #[inline(always)]
    pub(crate) fn vector(address: u64, elements: u64) -> Self {
        Self {
            kind: SourceKind::Vector,
            reason: Counter::Operations,
            address,
            elements,
        }
    }

    #[inline(always)]
    pub(crate) const fn unreadable(reason: Counter) -> Self {
        Self {
            kind: SourceKind::Unreadable,
            reason,
            address: 0,
            elements: 0,
        }
    }

    #[inline(always)]
    pub(crate) fn is_unreadable(&self) -> bool {
        self.kind == SourceKind::Unreadable
    }
}

/// `PF_KTHREAD`, `PF_IO_WORKER` and `PF_USER_WORKER` (include/linux/sched.h): no system call of their own.
const PF_KTHREAD: u32 = 0x0020_0000;
const PF_IO_WORKER: u32 = 0x10;
const PF_USER_WORKER: u32 = 0x4000;

/// The saved registers of the present system call.
struct Registers {
    number: u64,
    second: u64,
    third: u64,
}

#[cfg(bpf_target_arch = "x86_64")]
mod arch {
    /// `TS_COMPAT` in `thread_info.status` (arch/x86/include/asm/thread_info.h).
    pub(super) const COMPAT_BIT: u32 = 0x2;
    /// Offsets within `struct pt_regs`.
    pub(super) const NUMBER: usize = 120;
    pub(super) const SECOND: usize = 104;
    pub(super) const THIRD: usize = 96;
    /// `rax`, which holds `-ENOSYS` from entry until the call returns; task work that runs on the way out sees
    /// the result there, and must not take the registers for its own.
    pub(super) const RESULT: usize = 80;
    pub(super) const IN_PROGRESS: u64 = -38_i64 as u64;
    pub(super) const PT_REGS_BYTES: u64 = 168;

    pub(super) const READ: u64 = 0;
    pub(super) const WRITE: u64 = 1;
    pub(super) const READV: u64 = 19;
    pub(super) const WRITEV: u64 = 20;
    pub(super) const SENDFILE: u64 = 40;
    pub(super) const SENDTO: u64 = 44;
    pub(super) const RECVFROM: u64 = 45;
    pub(super) const SENDMSG: u64 = 46;
    pub(super) const RECVMSG: u64 = 47;
    pub(super) const SPLICE: u64 = 275;
    pub(super) const RECVMMSG: u64 = 299;
    pub(super) const SENDMMSG: u64 = 307;
    pub(super) const COPY_FILE_RANGE: u64 = 326;
    pub(super) const PREADV2: u64 = 327;
    pub(super) const PWRITEV2: u64 = 328;
}

#[cfg(bpf_target_arch = "aarch64")]
mod arch {
    /// `_TIF_32BIT` in `thread_info.flags` (arch/arm64/include/asm/thread_info.h).
    pub(super) const COMPAT_BIT: u32 = 1 << 22;
    /// Offsets within `struct pt_regs`; `syscallno` is an `int` behind `orig_x0`.
    pub(super) const NUMBER: usize = 280;
    pub(super) const SECOND: usize = 8;
    pub(super) const THIRD: usize = 16;
    pub(super) const PT_REGS_BYTES: u64 = 336;

    pub(super) const READ: u64 = 63;
    pub(super) const WRITE: u64 = 64;
    pub(super) const READV: u64 = 65;
    pub(super) const WRITEV: u64 = 66;
    pub(super) const SENDFILE: u64 = 71;
    pub(super) const SPLICE: u64 = 76;
    pub(super) const SENDTO: u64 = 206;
    pub(super) const RECVFROM: u64 = 207;
    pub(super) const SENDMSG: u64 = 211;
    pub(super) const RECVMSG: u64 = 212;
    pub(super) const RECVMMSG: u64 = 243;
    pub(super) const SENDMMSG: u64 = 269;
    pub(super) const COPY_FILE_RANGE: u64 = 285;
    pub(super) const PREADV2: u64 = 286;
    pub(super) const PWRITEV2: u64 = 287;
}

/// `io_uring_enter` has one number everywhere.
const IO_URING_ENTER: u64 = 426;

/// Finds the buffer of the operation on `connection` that just ended, having moved `len` bytes. For io_uring it was noted
/// when the operation started, where the kernel lets us see that.
#[inline(always)]
pub(crate) fn source(connection: &mut Connection, len: u32) -> Source {
    let registers = match caller() {
        Ok(registers) => registers,
        Err(Counter::IoUringOperations) => {
            let noted = connection.noted;
            connection.noted = Source::unreadable(Counter::IoUringOperations);
            // A new connection is all zero: nothing was noted.
            return if noted.reason == Counter::Operations && noted.is_unreadable() {
                connection.noted
            } else {
                noted
            };
        }
        Err(reason) => return Source::unreadable(reason),
    };
    match registers.number {
        arch::READ | arch::WRITE | arch::SENDTO | arch::RECVFROM => Source::flat(registers.second),
        arch::READV | arch::WRITEV | arch::PREADV2 | arch::PWRITEV2 => {
            Source::vector(registers.second, registers.third)
        }
        arch::SENDMSG | arch::RECVMSG => message(registers.second),
        arch::SENDMMSG => {
            let source = element(connection, &registers);
            if is_cut_short(&source, len) {
                operation_failed(connection);
            }
            source
        }
        arch::RECVMMSG => element(connection, &registers),
        arch::SENDFILE | arch::SPLICE | arch::COPY_FILE_RANGE => {
            Source::unreadable(Counter::BufferlessOperations)
        }
        _ => Source::unreadable(Counter::UnknownSyscallOperations),
    }
}

/// Whether io_uring does what this task does now.
#[inline(always)]
pub(crate) fn by_io_uring() -> bool {
    matches!(caller(), Err(Counter::IoUringOperations))
}

/// The buffer of an operation that io_uring starts, from its `struct iov_iter`.
#[inline(always)]
pub(crate) fn of_iter(iter: *const c_void) -> Source {
    let kind = match read::<u8>(iter, constant!(OFFSETS.iter_type)) {
        Some(kind) => u32::from(kind),
        None => return Source::unreadable(Counter::IoUringOperations),
    };
    let skipped: u64 = read(iter, constant!(OFFSETS.iter_offset)).unwrap_or(0);
    if kind == constant!(OFFSETS.value_iter_ubuf) {
        let Some(address) = read::<u64>(iter, constant!(OFFSETS.iter_ubuf)) else {
            return Source::unreadable(Counter::IoUringOperations);
        };
        return Source::flat(address + skipped);
    }
    if kind == constant!(OFFSETS.value_iter_iovec) && skipped == 0 {
        let address: u64 = read(iter, constant!(OFFSETS.iter_iov)).unwrap_or(0);
        let elements: u64 = read(iter, constant!(OFFSETS.iter_segments)).unwrap_or(0);
        return Source {
            kind: SourceKind::KernelVector,
            ..Source::vector(address, elements)
        };
    }
    // Registered buffers and pages: known by length only.
    Source::unreadable(Counter::BufferlessOperations)
}

/// The registers of the system call this task is in; or why they do not hold the buffer.
#[inline(always)]
fn caller() -> Result<Registers, Counter> {
    let task = Task::current();
    let flags: u32 = task.field(constant!(OFFSETS.task_flags)).unwrap_or(0);
    if flags & PF_IO_WORKER != 0 {
        return Err(Counter::IoUringOperations);
    }
    if flags & (PF_KTHREAD | PF_USER_WORKER) != 0 {
        return Err(Counter::UnknownSyscallOperations);
    }
    let status: u32 = task.field(constant!(OFFSETS.task_thread_status)).unwrap_or(0);
    if status & arch::COMPAT_BIT != 0 {
        return Err(Counter::CompatOperations);
    }
    match registers(task) {
        // Task work on the way out of a system call, or `io_uring_enter` itself.
        None => Err(Counter::IoUringOperations),
        Some(registers) if registers.number == IO_URING_ENTER => Err(Counter::IoUringOperations),
        Some(registers) => Ok(registers),
    }
}

/// Forgets which element of a `sendmmsg`/`recvmmsg` array comes next: the call ended early.
#[inline(always)]
pub(crate) fn operation_failed(connection: &mut Connection) {
    connection.vector_index = 0;
}

#[inline(always)]
fn registers(task: Task) -> Option<Registers> {
    if constant!(SETTINGS.has_task_pt_regs) != 0 {
        // SAFETY: a typed kernel pointer; the result is one too.
        let base = unsafe { bpf_task_pt_regs(task.pointer().cast_mut().cast()) } as *const u8;
        // SAFETY: offsets within `struct pt_regs`, checked by the verifier.
        unsafe {
            #[cfg(bpf_target_arch = "x86_64")]
            if base.add(arch::RESULT).cast::<u64>().read_volatile() != arch::IN_PROGRESS {
                return None;
            }
            return Some(Registers {
                number: number(base.add(arch::NUMBER).cast::<u64>().read_volatile()),
                second: base.add(arch::SECOND).cast::<u64>().read_volatile(),
                third: base.add(arch::THIRD).cast::<u64>().read_volatile(),
            });
        }
    }
    let stack: u64 = task.field(constant!(OFFSETS.task_stack))?;
    let base = stack + constant!(SETTINGS.thread_size) as u64 - arch::PT_REGS_BYTES;
    let base = base as *const core::ffi::c_void;
    #[cfg(bpf_target_arch = "x86_64")]
    if read::<u64>(base, arch::RESULT as u32)? != arch::IN_PROGRESS {
        return None;
    }
    Some(Registers {
        number: number(read(base, arch::NUMBER as u32)?),
        second: read(base, arch::SECOND as u32)?,
        third: read(base, arch::THIRD as u32)?,
    })
}

/// The system-call number from the word that holds it.
#[inline(always)]
fn number(word: u64) -> u64 {
    word & 0xffff_ffff
}

/// `struct user_msghdr` as far as needed.
#[repr(C)]
#[derive(Clone, Copy)]
struct MessageHeader {
    name: u64,
    name_len: u64,
    iov: u64,
    iov_len: u64,
}

/// Size of `struct mmsghdr` on 64-bit machines.
const MMSGHDR_BYTES: u64 = 64;

#[inline(always)]
fn message(address: u64) -> Source {
    let mut header = MessageHeader {
        name: 0,
        name_len: 0,
        iov: 0,
        iov_len: 0,
    };
    // SAFETY: the helper checks the source, and the destination is on the stack with this size.
    let status = unsafe {
        bpf_probe_read_user(
            (&raw mut header).cast(),
            size_of::<MessageHeader>() as u32,
            address as *const _,
        )
    };
    if !succeeded(status) {
        return Source::unreadable(Counter::FaultOperations);
    }
    Source::vector(header.iov, header.iov_len)
}

/// The element of a `*mmsg` array whose operation just ended. The calls handle elements in order and stop at the
/// first that fails, so counting them per socket is enough; a failed operation or the array's end starts anew.
#[inline(always)]
fn element(connection: &mut Connection, registers: &Registers) -> Source {
    // SAFETY: no arguments.
    let thread = unsafe { bpf_get_current_pid_tgid() } as u32;
    if connection.vector_thread != thread || connection.vector_address != registers.second {
        connection.vector_thread = thread;
        connection.vector_address = registers.second;
        connection.vector_index = 0;
    }
    let elements = registers.third & 0xffff_ffff;
    // Not so when an earlier, longer call with the same array ended unseen.
    let index = if u64::from(connection.vector_index) < elements {
        u64::from(connection.vector_index)
    } else {
        0
    };
    connection.vector_index = if index + 1 >= elements {
        0
    } else {
        (index + 1) as u32
    };
    message(registers.second + index * MMSGHDR_BYTES)
}

/// Elements of a message that [`is_cut_short`] adds up.
const SUMMED_IOVECS: u64 = 8;

/// Whether a send took less than its message has: `sendmmsg` ends there without an error (`__sys_sendmmsg`), and the
/// next call, often with the same array, starts anew. A message of more than [`SUMMED_IOVECS`] is taken for whole.
#[inline(never)]
fn is_cut_short(source: &Source, len: u32) -> bool {
    if source.kind != SourceKind::Vector || source.elements > SUMMED_IOVECS {
        return false;
    }
    let mut total = 0;
    let mut index = 0;
    while index < SUMMED_IOVECS {
        if index >= source.elements {
            break;
        }
        let mut element = MaybeUninit::<[u64; 2]>::uninit();
        // SAFETY: the destination is on the stack with this size; the helper checks the source.
        let status = unsafe {
            bpf_probe_read_user(
                element.as_mut_ptr().cast(),
                16,
                (source.address + 16 * index) as *const _,
            )
        };
        if !succeeded(status) {
            return false;
        }
        // SAFETY: the helper filled it.
        total += unsafe { element.assume_init() }[1];
        index += 1;
    }
    u64::from(len) < total
}
