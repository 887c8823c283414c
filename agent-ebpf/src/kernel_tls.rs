//! TLS that the kernel itself does (`setsockopt(TCP_ULP, "tls")`): what passes the socket is plaintext then.
//!
//! A connection starts as any other TLS connection, and is muted as one; once the process has handed the keys over, it is
//! looked at again, from its first byte of plaintext on. Keys may be set for one direction alone: the other stays
//! ciphertext. Records other than data (tickets, alerts) pass as bytes that no parser wants.

use core::ffi::c_void;

use apiarist_common::{event::EGRESS, sniff::Class};

use crate::{
    connection::{Connection, NO_DIRECTION, STATE_ANNOUNCED, STATE_KERNEL_TLS, STATE_MUTED, STATE_SEQUENCED},
    kernel::{Sock, load, read},
    maps::constant,
    sequence::tcp,
};

/// Name of the upper-layer protocol (`tcp_tls_ulp_ops.name`).
const NAME: u32 = u32::from_le_bytes(*b"tls\0");

/// Bits of `tls_context.tx_conf` and, behind it, `rx_conf`; zero is `TLS_BASE`: no keys yet.
const CONF_BITS: u8 = 3;
const CONF_MASK: u8 = (1 << CONF_BITS) - 1;

/// Whether the kernel encrypts (EGRESS) or decrypts what passes this socket.
#[inline(never)]
pub(crate) fn has_keys(sock: Sock, direction: u8) -> bool {
    let tcp = tcp(sock);
    if tcp.is_null() {
        return false;
    }
    // SAFETY: within `struct tcp_sock`.
    let (layer, context): (u64, u64) = unsafe {
        (
            load(tcp, constant!(OFFSETS.tcp_ulp_ops)).unwrap_or(0),
            load(tcp, constant!(OFFSETS.tcp_ulp_data)).unwrap_or(0),
        )
    };
    if layer == 0 || read::<u32>(layer as *const c_void, constant!(OFFSETS.ulp_name)) != Some(NAME) {
        return false;
    }
    let Some(conf) = read::<u8>(context as *const c_void, constant!(OFFSETS.tls_conf)) else {
        return false;
    };
    let conf = if direction == EGRESS {
        conf
    } else {
        conf >> CONF_BITS
    };
    conf & CONF_MASK != 0
}

/// Starts anew with a socket that was muted for its handshake.
#[inline(always)]
pub(crate) fn take_over(connection: &mut Connection) {
    connection.state &= !(STATE_MUTED | STATE_ANNOUNCED | STATE_SEQUENCED);
    connection.state |= STATE_KERNEL_TLS;
    connection.class = Class::Unknown as u8;
    connection.position = [0; 2];
    connection.budget = [0; 2];
    connection.prefix_len = [0; 2];
    connection.unknown_messages = 0;
    connection.unknown_operations = 0;
    connection.last_direction = NO_DIRECTION;
}
