//! System calls that have no safe wrapper here.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::observer::deadline;
use apiarist::clock::monotonic_ns;

/// Messages of one call.
const MOST_MESSAGES: usize = 64;

/// Sends or receives several messages in one call; returns the length of each that was handled.
fn several(
    buffers: &mut [Vec<libc::iovec>],
    call: impl Fn(*mut libc::mmsghdr, u32) -> i32,
) -> io::Result<Vec<usize>> {
    // On the stack, so that calls from one place use the same array: who counts its elements has to notice.
    // SAFETY: a structure of integers and pointers, all of which may be zero.
    let mut headers: [libc::mmsghdr; MOST_MESSAGES] = unsafe { std::mem::zeroed() };
    for (header, vectors) in headers.iter_mut().zip(buffers.iter_mut()) {
        header.msg_hdr.msg_iov = vectors.as_mut_ptr();
        header.msg_hdr.msg_iovlen = vectors.len();
    }
    let messages = buffers.len().min(MOST_MESSAGES);
    let handled = call(headers.as_mut_ptr(), messages as u32);
    let handled = usize::try_from(handled).map_err(|_| io::Error::last_os_error())?;
    Ok(headers
        .iter()
        .take(handled)
        .map(|header| header.msg_len as usize)
        .collect())
}

/// `sendmmsg`, one buffer a message.
pub(crate) fn sendmmsg(socket: &OwnedFd, messages: &[&[u8]], flags: i32) -> io::Result<Vec<usize>> {
    let mut buffers: Vec<_> = messages
        .iter()
        .map(|message| {
            vec![libc::iovec {
                iov_base: message.as_ptr().cast_mut().cast(),
                iov_len: message.len(),
            }]
        })
        .collect();
    several(&mut buffers, |headers, count| {
        // SAFETY: `count` headers whose vectors point to live buffers, which the call only reads.
        unsafe { libc::sendmmsg(socket.as_raw_fd(), headers, count, flags) }
    })
}

/// `recvmmsg`, one buffer a message.
pub(crate) fn recvmmsg(socket: &OwnedFd, messages: &mut [Vec<u8>], flags: i32) -> io::Result<Vec<usize>> {
    let mut buffers: Vec<_> = messages
        .iter_mut()
        .map(|message| {
            vec![libc::iovec {
                iov_base: message.as_mut_ptr().cast(),
                iov_len: message.len(),
            }]
        })
        .collect();
    several(&mut buffers, |headers, count| {
        // SAFETY: `count` headers whose vectors point to live buffers of the given lengths.
        unsafe { libc::recvmmsg(socket.as_raw_fd(), headers, count, flags, std::ptr::null_mut()) }
    })
}

/// `vmsplice`: the pages that hold `bytes` into a pipe.
pub(crate) fn vmsplice(pipe: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    let vector = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: one vector over a live buffer, which the caller does not change before the pipe was read.
    let moved = unsafe { libc::vmsplice(pipe.as_raw_fd(), &raw const vector, 1, 0) };
    usize::try_from(moved)
        .map_err(|_| io::Error::last_os_error())
        .context("cannot vmsplice")
}

/// Gives the calling thread a network namespace of its own.
pub(crate) fn unshare_network() -> io::Result<()> {
    // SAFETY: affects this thread's view of the network only.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes the calling thread to the network namespace that a file refers to.
pub(crate) fn enter_network(namespace: &OwnedFd) -> io::Result<()> {
    // SAFETY: affects this thread's view of the network only.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A forked process that has not been waited for.
pub(crate) struct Child(Pid);

/// Forks; the child runs `work` and ends with 0 if it returns true.
///
/// `work` must not allocate or take locks: other threads of this process may hold them for ever in the child.
pub(crate) fn fork(work: impl FnOnce() -> bool) -> Result<Child> {
    // SAFETY: the child calls `work`, which keeps to system calls, and ends.
    match unsafe { libc::fork() } {
        0 => {
            let code = i32::from(!work());
            // SAFETY: ends the process without running what the parent registered.
            unsafe { libc::_exit(code) }
        }
        pid if pid > 0 => Ok(Child(Pid::from_raw(pid).context("fork returned no process")?)),
        _ => Err(io::Error::last_os_error()).context("cannot fork"),
    }
}

impl Child {
    pub(crate) fn pid(&self) -> u32 {
        self.0.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits for the end; the signal that ended it, if one did.
    pub(crate) fn ended_by_signal(self) -> Result<Option<i32>> {
        let until = deadline(super::observer::PATIENCE);
        loop {
            if let Some((_, status)) = waitpid(Some(self.0), WaitOptions::NOHANG)? {
                return match status.exit_status() {
                    Some(0) => Ok(None),
                    Some(code) => bail!("the child ended with {code}"),
                    None => Ok(status.terminating_signal()),
                };
            }
            if monotonic_ns() > until {
                rustix::process::kill_process(self.0, rustix::process::Signal::KILL)?;
                bail!("the child did not end");
            }
            std::thread::yield_now();
        }
    }

    /// Waits for success.
    pub(crate) fn succeed(self) -> Result<()> {
        match self.ended_by_signal()? {
            None => Ok(()),
            Some(signal) => bail!("signal {signal} ended the child"),
        }
    }
}

/// `write` as a 32-bit program calls it; `None` where the machine has no such thing.
#[cfg(target_arch = "x86_64")]
pub(crate) fn write_compat(socket: &OwnedFd, bytes: &[u8]) -> Option<i32> {
    const WRITE_32: i64 = 4;
    // SAFETY: a new private mapping below 2 GiB.
    let low = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes.len(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
            -1,
            0,
        )
    };
    if low == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the mapping is as long as `bytes`.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), low.cast(), bytes.len()) };
    let mut result = WRITE_32;
    // SAFETY: `int 0x80` keeps all registers but `rax`, and clears r8 to r11 on some kernels; `rbx` is kept by hand
    // because the compiler reserves it.
    unsafe {
        std::arch::asm!(
            "xchg {descriptor}, rbx",
            "int 0x80",
            "xchg {descriptor}, rbx",
            descriptor = inout(reg) i64::from(socket.as_raw_fd()) => _,
            inout("rax") result,
            in("rcx") low,
            in("rdx") bytes.len(),
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
        libc::munmap(low, bytes.len());
    }
    Some(result as i32)
}

/// As above.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn write_compat(_: &OwnedFd, _: &[u8]) -> Option<i32> {
    None
}

/// Which keys the kernel gets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keys {
    ToSend,
    ToReceive,
}

/// `SOL_TLS`, `TLS_TX` and `TLS_RX` (include/uapi/linux/tls.h).
const SOL_TLS: i32 = 282;
const TLS_TX: i32 = 1;
const TLS_RX: i32 = 2;

/// `struct tls12_crypto_info_aes_gcm_128`: TLS 1.2, and the same key, salt and numbers for everybody.
const CRYPTO_INFO: [u8; 40] = {
    let mut info = [7; 40];
    [info[0], info[1], info[2], info[3]] = [3, 3, 51, 0];
    info
};

/// Lets the kernel do the TLS of a connected socket.
pub(crate) fn kernel_tls(socket: &OwnedFd, keys: &[Keys]) -> io::Result<()> {
    let set = |level, option, value: &[u8]| {
        // SAFETY: the value is as long as said, and the call only reads it.
        let status = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                option,
                value.as_ptr().cast(),
                value.len() as libc::socklen_t,
            )
        };
        if status == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    set(libc::IPPROTO_TCP, libc::TCP_ULP, b"tls")?;
    keys.iter().try_for_each(|keys| {
        let option = match keys {
            Keys::ToSend => TLS_TX,
            Keys::ToReceive => TLS_RX,
        };
        set(SOL_TLS, option, &CRYPTO_INFO)
    })
}
