//! As much of rtnetlink(7) as two namespaces with a cable between them need.
//!
//! Also for the guests of the kernel tests, which have no `ip`.

use std::{net::Ipv4Addr, os::fd::OwnedFd, os::fd::RawFd};

use anyhow::{Context as _, Result, bail};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const NLM_F_REQUEST_ACK: u16 = 0x1 | 0x4;
const NLM_F_CREATE_EXCLUSIVE: u16 = 0x400 | 0x200;
const IFF_UP: u32 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// A name for an interface.
pub(crate) struct Link {
    pub(crate) name: &'static str,
}

/// A route netlink socket of the calling thread's namespace.
pub struct Netlink {
    socket: OwnedFd,
}

impl Netlink {
    /// The loopback interface has this index in every namespace.
    pub const LOOPBACK: i32 = 1;

    /// Opens it.
    ///
    /// # Errors
    /// When the kernel has no such sockets.
    pub fn open() -> Result<Self> {
        // No protocol: 0, NETLINK_ROUTE.
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok(Self { socket })
    }

    /// Sets an interface up.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn up(&mut self, index: i32) -> Result<()> {
        self.request(RTM_NEWLINK, 0, &interface(index, IFF_UP))
            .with_context(|| format!("cannot set interface {index} up"))
    }

    /// Adds a pair of linked interfaces, the second in the namespace that `peer_namespace` refers to.
    pub(crate) fn add_veth(&mut self, link: &Link, peer: &Link, peer_namespace: RawFd) -> Result<()> {
        let mut other = interface(0, 0);
        attribute(&mut other, IFLA_IFNAME, &name(peer));
        attribute(&mut other, IFLA_NET_NS_FD, &peer_namespace.to_ne_bytes());
        let mut data = Vec::new();
        attribute(&mut data, VETH_INFO_PEER, &other);
        let mut info = Vec::new();
        attribute(&mut info, IFLA_INFO_KIND, b"veth");
        attribute(&mut info, IFLA_INFO_DATA, &data);
        let mut message = interface(0, 0);
        attribute(&mut message, IFLA_IFNAME, &name(link));
        attribute(&mut message, IFLA_LINKINFO, &info);
        self.request(RTM_NEWLINK, NLM_F_CREATE_EXCLUSIVE, &message)
            .context("cannot add a veth pair")
    }

    /// Gives an interface an address.
    pub(crate) fn add_address(&mut self, index: i32, address: Ipv4Addr, prefix: u8) -> Result<()> {
        const AF_INET: u8 = 2;
        // struct ifaddrmsg: family, prefix length, flags, scope, index.
        let mut message = vec![AF_INET, prefix, 0, 0];
        message.extend(index.to_ne_bytes());
        attribute(&mut message, IFA_LOCAL, &address.octets());
        attribute(&mut message, IFA_ADDRESS, &address.octets());
        self.request(RTM_NEWADDR, NLM_F_CREATE_EXCLUSIVE, &message)
            .with_context(|| format!("cannot add {address}"))
    }

    /// The index of an interface in the calling thread's namespace.
    pub(crate) fn index(name: &str) -> Result<i32> {
        let socket =
            rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        let index = rustix::net::netdevice::name_to_index(&socket, name)?;
        Ok(i32::try_from(index)?)
    }

    fn request(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<()> {
        // struct nlmsghdr: length, type, flags, sequence, port.
        let mut message = Vec::new();
        message.extend((16 + body.len() as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((flags | NLM_F_REQUEST_ACK).to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);
        rustix::net::sendto(
            &self.socket,
            &message,
            SendFlags::empty(),
            &SocketAddrNetlink::new(0, 0),
        )?;
        // The answer: a header of 16 bytes, then an error number, 0 for success.
        let mut answer = [0; 1_024];
        let (read, _) = rustix::net::recv(&self.socket, &mut answer, RecvFlags::empty())?;
        match answer[..read].get(16..20).and_then(|bytes| bytes.try_into().ok()) {
            Some(error) => match i32::from_ne_bytes(error) {
                0 => Ok(()),
                error => Err(std::io::Error::from_raw_os_error(-error).into()),
            },
            None => bail!("an answer of {read} bytes"),
        }
    }
}

/// `struct ifinfomsg`: family and type, index, flags, which flags to change.
fn interface(index: i32, flags: u32) -> Vec<u8> {
    let mut message = vec![0; 4];
    message.extend(index.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message
}

/// Appends an attribute, padded to four bytes.
fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend((4 + value.len() as u16).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn name(link: &Link) -> Vec<u8> {
    let mut name = link.name.as_bytes().to_vec();
    name.push(0);
    name
}
