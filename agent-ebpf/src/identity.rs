//! Who a socket belongs to: told once, before its first data.
//!
//! The kernel's own structures are read at resolved offsets; a field that is absent stays zero and the agent
//! shows it as unknown.

use core::ffi::c_void;

use apiarist_common::{
    event::{FLAG_JOINED_LATE, FLAG_TLS, Header, KIND_OPEN, Open},
    limits::UNIX_PATH_BYTES,
};
use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_ktime_get_ns,
    bpf_probe_read_kernel,
};

use crate::{
    connection::{Connection, STATE_JOINED_LATE, STATE_KERNEL_TLS},
    emit::emit,
    kernel::{Sock, load, opaque, read, succeeded, task_field},
    maps::{Counters, OLDER, Scratch, constant},
};

/// Address families (include/linux/socket.h).
pub(crate) const AF_UNIX: u16 = 1;
pub(crate) const AF_INET: u16 = 2;
pub(crate) const AF_INET6: u16 = 10;

/// Tells the agent about a socket; true when that went out.
#[inline(never)]
pub(crate) fn announce(
    sock: Sock,
    connection: &mut Connection,
    scratch: &mut Scratch,
    counters: &mut Counters,
) -> bool {
    let [egress, ingress] = connection.position;
    // SAFETY: scratch data is larger than an `Open` less its header, and lies right behind the header; both are
    // plain integers.
    let open = unsafe { &mut *(&raw mut scratch.header).cast::<Open>() };
    // SAFETY: helpers without side effects.
    let (at_ns, tgid, cgroup) = unsafe {
        (
            bpf_ktime_get_ns(),
            bpf_get_current_pid_tgid() >> 32,
            bpf_get_current_cgroup_id(),
        )
    };
    open.header = Header {
        kind: KIND_OPEN,
        direction: 0,
        flags: flag(connection, STATE_JOINED_LATE, FLAG_JOINED_LATE)
            | flag(connection, STATE_KERNEL_TLS, FLAG_TLS),
        class: connection.class,
        captured: 0,
        at_ns,
        cookie: connection.cookie,
        position: egress,
        end: ingress,
        tgid: tgid as u32,
        reserved: 0,
    };
    open.cgroup = cgroup;
    open.family = family(sock);
    // SAFETY: a socket from a program argument; the offsets lie within `struct sock`.
    unsafe {
        open.local_port = load(sock, constant!(OFFSETS.sock_num)).unwrap_or(0);
        open.remote_port = load::<u16>(sock, constant!(OFFSETS.sock_dport))
            .unwrap_or(0)
            .swap_bytes();
        open.socket_type = load(sock, constant!(OFFSETS.sock_type)).unwrap_or(0);
    }
    open.netns = netns(sock);
    open.local_address = [0; 16];
    open.remote_address = [0; 16];
    open.unix_path = [0; UNIX_PATH_BYTES];
    open.unix_path_len = 0;
    open.peer_cookie = 0;
    open.reserved = [0; 4];
    open.process_start_ns = process_start();
    // SAFETY: a 16-byte destination.
    let named = unsafe { bpf_get_current_comm(open.comm.as_mut_ptr().cast(), 16) };
    if !succeeded(named) {
        open.comm = [0; 16];
    }
    match open.family {
        AF_INET => {
            inet4(sock, &mut open.local_address, constant!(OFFSETS.sock_saddr));
            inet4(sock, &mut open.remote_address, constant!(OFFSETS.sock_daddr));
        }
        AF_INET6 => {
            open.local_address = read(sock, constant!(OFFSETS.sock_v6_saddr)).unwrap_or([0; 16]);
            open.remote_address = read(sock, constant!(OFFSETS.sock_v6_daddr)).unwrap_or([0; 16]);
        }
        _ => {
            open.local_port = 0;
            open.remote_port = 0;
            unix(sock, open);
        }
    }
    emit(
        scratch,
        counters,
        (size_of::<Open>() - size_of::<Header>()) as u32,
        connection.ring,
    )
}

#[inline(always)]
fn flag(connection: &Connection, state: u8, flag: u8) -> u8 {
    if connection.is(state) { flag } else { 0 }
}

#[inline(always)]
pub(crate) fn family(sock: Sock) -> u16 {
    // SAFETY: within `struct sock`.
    unsafe { load(sock, constant!(OFFSETS.sock_family)) }.unwrap_or(0)
}

#[inline(always)]
fn inet4(sock: Sock, address: &mut [u8; 16], offset: u32) {
    // SAFETY: within `struct sock`.
    let [a, b, c, d] = unsafe { load::<u32>(sock, offset) }.unwrap_or(0).to_ne_bytes();
    [address[0], address[1], address[2], address[3]] = [a, b, c, d];
}

#[inline(always)]
fn netns(sock: Sock) -> u32 {
    let net: *const c_void = read(sock, constant!(OFFSETS.sock_net)).unwrap_or(core::ptr::null());
    if net.is_null() {
        0
    } else {
        read(net, constant!(OFFSETS.net_inum)).unwrap_or(0)
    }
}

/// When the current process was made.
#[inline(always)]
pub(crate) fn process_start() -> u64 {
    let leader: *const c_void = task_field(constant!(OFFSETS.task_group_leader)).unwrap_or(core::ptr::null());
    if leader.is_null() {
        0
    } else {
        read(leader, constant!(OFFSETS.task_start_boottime)).unwrap_or(0)
    }
}

/// The path of a unix socket: its own (a listener's, which accepted sockets share), or its peer's.
#[inline(always)]
fn unix(sock: Sock, open: &mut Open) {
    let peer = unix_peer(sock);
    if !peer.is_null() {
        open.peer_cookie = read(peer, constant!(OFFSETS.sock_cookie)).unwrap_or(0);
    }
    if !unix_path(sock, open) && !peer.is_null() {
        unix_path(peer, open);
    }
}

/// The socket at the other end of a unix socket.
#[inline(always)]
pub(crate) fn unix_peer(sock: *const c_void) -> *const c_void {
    read(sock, constant!(OFFSETS.unix_peer)).unwrap_or(core::ptr::null())
}

/// `sun_path` starts behind the 2-byte family of `struct sockaddr_un`.
const SUN_PATH: u32 = 2;

#[inline(always)]
fn unix_path(sock: *const c_void, open: &mut Open) -> bool {
    let address: *const c_void = read(sock, constant!(OFFSETS.unix_addr)).unwrap_or(core::ptr::null());
    if address.is_null() {
        return false;
    }
    let len: u32 = read(address, constant!(OFFSETS.unix_address_len)).unwrap_or(0);
    if len <= SUN_PATH || len > UNIX_PATH_BYTES as u32 + SUN_PATH {
        return false;
    }
    let len = len - SUN_PATH;
    let name = constant!(OFFSETS.unix_address_name);
    // SAFETY: the destination holds `UNIX_PATH_BYTES`; the helper checks the source.
    let status = unsafe {
        let len = opaque(u64::from(len)) as u32;
        let len = if len > UNIX_PATH_BYTES as u32 {
            UNIX_PATH_BYTES as u32
        } else {
            len
        };
        bpf_probe_read_kernel(
            open.unix_path.as_mut_ptr().cast(),
            len,
            address
                .cast::<u8>()
                .wrapping_add((name + SUN_PATH) as usize)
                .cast(),
        )
    };
    if !succeeded(status) {
        return false;
    }
    open.unix_path_len = len;
    true
}

/// Whether the agent found this socket in /proc when it started.
#[inline(always)]
pub(crate) fn is_older(sock: Sock) -> bool {
    if constant!(SETTINGS.has_older) == 0 {
        return false;
    }
    let socket: *const c_void = read(sock, constant!(OFFSETS.sock_socket)).unwrap_or(core::ptr::null());
    if socket.is_null() {
        return false;
    }
    read::<u64>(socket, constant!(OFFSETS.socket_inode)).is_some_and(|inode| OLDER.get_ptr(&inode).is_some())
}

/// Which ring both ends of a connection use, so that one reader sees both.
#[inline(always)]
pub(crate) fn ring(sock: Sock) -> u8 {
    let rings = constant!(SETTINGS.rings);
    if rings <= 1 {
        return 0;
    }
    let mixed = if family(sock) == AF_UNIX {
        // Its own address as its peer knows it: the verifier lets no program calculate with the pointer at hand.
        let peer = unix_peer(sock);
        let own = if peer.is_null() { peer } else { unix_peer(peer) };
        (own as u64) ^ (peer as u64)
    } else {
        // SAFETY: within `struct sock`.
        let (local, remote): (u16, u16) = unsafe {
            (
                load(sock, constant!(OFFSETS.sock_num)).unwrap_or(0),
                load::<u16>(sock, constant!(OFFSETS.sock_dport))
                    .unwrap_or(0)
                    .swap_bytes(),
            )
        };
        u64::from(local ^ remote)
    };
    // Fibonacci hashing; the highest bits are the best mixed.
    ((mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as u32 & (rings - 1)) as u8
}
