//! The whole user space of a test guest: `cargo xtask vm` packs it as `/init` of an initramfs.
//!
//! Prepares what a running system has (file systems, loopback, modules), runs the checks, and prints
//! `apiarist-vm: N passed, M failed` as its last line. Refuses to run as anything but process 1.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    mount::MountFlags,
    net::{AddressFamily, SendFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink},
    system::RebootCommand,
};

/// A check: its name, and what it does.
type Check = (&'static str, fn() -> Result<()>);

const CHECKS: &[Check] = &[
    ("loopback carries TCP", loopback_carries_tcp),
    ("the kernel has BTF", has_btf),
];

/// Type and mount point.
const FILE_SYSTEMS: [(&str, &str); 7] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("bpf", "/sys/fs/bpf"),
    ("tracefs", "/sys/kernel/tracing"),
    ("cgroup2", "/sys/fs/cgroup"),
];

fn main() -> ExitCode {
    if std::process::id() != 1 {
        say("vm_init: start it with `cargo xtask vm`; outside a guest it would power the machine off");
        return ExitCode::from(2);
    }
    say(&format!(
        "apiarist-vm: init, Linux {}",
        rustix::system::uname().release().to_string_lossy()
    ));
    let (mut passed, mut failed) = (0, 0);
    let prepared: Check = ("the guest is prepared", prepare);
    for (name, check) in [&prepared].into_iter().chain(CHECKS) {
        match check() {
            Ok(()) => {
                passed += 1;
                say(&format!("ok: {name}"));
            }
            Err(problem) => {
                failed += 1;
                say(&format!("FAILED: {name}: {problem:#}"));
            }
        }
    }
    say(&format!("apiarist-vm: {passed} passed, {failed} failed"));
    // Only when this fails does process 1 end, which restarts the guest and so ends it too.
    match rustix::system::reboot(RebootCommand::PowerOff) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Mounts the usual file systems, loads the modules that were packed, brings loopback up.
fn prepare() -> Result<()> {
    for (kind, target) in FILE_SYSTEMS {
        rustix::mount::mount(kind, target, kind, MountFlags::empty(), None)
            // The kernel mounts devtmpfs by itself when it is configured to.
            .or_else(|error| if error == rustix::io::Errno::BUSY { Ok(()) } else { Err(error) })
            .with_context(|| format!("cannot mount {kind} on {target}"))?;
    }
    if Path::new("/modules").exists() {
        for entry in fs::read_dir("/modules")? {
            let path = entry?.path();
            rustix::system::init_module(&fs::read(&path)?, c"")
                .with_context(|| format!("cannot load {}", path.display()))?;
        }
    }
    loopback_up().context("cannot bring loopback up")
}

/// Sets the interface with index 1 up: one `RTM_NEWLINK` message, see rtnetlink(7).
fn loopback_up() -> Result<()> {
    const MESSAGE_BYTES: u32 = 32;
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 0x1 | 0x4;
    const IFF_UP: u32 = 1;
    let mut message = Vec::new();
    // struct nlmsghdr: length, type, flags, sequence, port.
    message.extend_from_slice(&MESSAGE_BYTES.to_ne_bytes());
    message.extend_from_slice(&RTM_NEWLINK.to_ne_bytes());
    message.extend_from_slice(&NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    // struct ifinfomsg: family and type, index, flags, which flags to change.
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&1_i32.to_ne_bytes());
    message.extend_from_slice(&IFF_UP.to_ne_bytes());
    message.extend_from_slice(&IFF_UP.to_ne_bytes());

    // No protocol: 0, NETLINK_ROUTE.
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::sendto(
        &socket,
        &message,
        SendFlags::empty(),
        &SocketAddrNetlink::new(0, 0),
    )?;
    // The answer: a header of 16 bytes, then an error number, 0 for success.
    let mut answer = [0; 64];
    let (read, _) = rustix::net::recv(&socket, &mut answer, rustix::net::RecvFlags::empty())?;
    let error = answer
        .get(16..20)
        .filter(|_| read >= 20)
        .and_then(|bytes| bytes.try_into().ok());
    ensure!(
        error.map(i32::from_ne_bytes) == Some(0),
        "the kernel refused it: {error:?}"
    );
    Ok(())
}

fn loopback_carries_tcp() -> Result<()> {
    use std::{
        io::Read as _,
        net::{TcpListener, TcpStream},
    };
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        let mut client = TcpStream::connect(listener.local_addr()?)?;
        let (mut server, _) = listener.accept()?;
        client.write_all(b"ping")?;
        let mut received = [0; 4];
        server.read_exact(&mut received)?;
        ensure!(&received == b"ping", "other bytes arrived: {received:?}");
    }
    Ok(())
}

fn has_btf() -> Result<()> {
    let size = fs::metadata("/sys/kernel/btf/vmlinux").context("no BTF")?.len();
    ensure!(size > 0, "/sys/kernel/btf/vmlinux is empty");
    Ok(())
}

/// Writes a line to the console. Nothing can be done when that fails, and the verdict is then missing.
fn say(line: &str) {
    writeln!(io::stdout(), "{line}").ok();
}
