//! Connected sockets, and moving bytes between them with a call of choice.
//!
//! Every socket has timeouts, so that a test that waits for bytes that never come fails instead.

use std::{
    net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream},
    os::{
        fd::{AsFd, OwnedFd},
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream},
    },
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use apiarist::event::SocketId;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

/// Longest a call on a socket of a test may block.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// How two sockets are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp4,
    Tcp6,
    /// An IPv6 socket that listens for IPv4 too, and an IPv4 client.
    Mapped,
    UnixPath,
    UnixAbstract,
    UnixPair,
    UnixSeqPacket,
}

/// A connection's two ends.
pub(crate) struct Pair {
    pub(crate) client: OwnedFd,
    pub(crate) server: OwnedFd,
    /// Cookies of both.
    pub(crate) ids: Ids,
}

/// A connection's two ends as the capture plane names them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) client: SocketId,
    pub(crate) server: SocketId,
    /// The kernel tells when such a socket ends, and what it counted.
    pub(crate) closes: bool,
}

impl Pair {
    pub(crate) fn connect(transport: Transport) -> Result<Self> {
        match transport {
            Transport::Tcp4 => Self::tcp(&TcpListener::bind("127.0.0.1:0")?, None),
            Transport::Tcp6 => Self::tcp(&TcpListener::bind("[::1]:0")?, None),
            Transport::Mapped => {
                let listener = TcpListener::bind("[::]:0")?;
                let port = listener.local_addr()?.port();
                Self::tcp(&listener, Some(SocketAddr::from(([127, 0, 0, 1], port))))
            }
            Transport::UnixPath => {
                let path = unix_path();
                let listener = UnixListener::bind(&path)?;
                let pair = Self::unix(&listener);
                std::fs::remove_file(path)?;
                pair
            }
            Transport::UnixAbstract => Self::unix(&UnixListener::bind_addr(
                &UnixAddress::from_abstract_name(abstract_name())?,
            )?),
            Transport::UnixPair => Self::socketpair(SocketType::STREAM),
            Transport::UnixSeqPacket => Self::socketpair(SocketType::SEQPACKET),
        }
    }

    /// A client connected to `listener`, by its own address or by `address`.
    pub(crate) fn tcp(listener: &TcpListener, address: Option<SocketAddr>) -> Result<Self> {
        let address = match address {
            Some(address) => address,
            None => listener.local_addr()?,
        };
        let client = TcpStream::connect(address)?;
        let (server, _) = listener.accept()?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        Self::of(client.into(), server.into(), true)
    }

    fn unix(listener: &UnixListener) -> Result<Self> {
        let client = UnixStream::connect_addr(&listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        Self::of(client.into(), server.into(), false)
    }

    fn socketpair(kind: SocketType) -> Result<Self> {
        let (client, server) =
            rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        Self::of(client, server, false)
    }

    pub(crate) fn of(client: OwnedFd, server: OwnedFd, closes: bool) -> Result<Self> {
        for socket in [&client, &server] {
            for timeout in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
                sockopt::set_socket_timeout(socket, timeout, Some(CALL_TIMEOUT))?;
            }
        }
        let ids = Ids {
            client: cookie(&client)?,
            server: cookie(&server)?,
            closes,
        };
        Ok(Self { client, server, ids })
    }

    /// Closes both ends, the client first.
    pub(crate) fn close(self) -> Ids {
        let Self { client, server, ids } = self;
        drop(client);
        drop(server);
        ids
    }
}

/// The socket's name in events.
pub(crate) fn cookie(socket: impl AsFd) -> Result<SocketId> {
    Ok(SocketId(
        sockopt::socket_cookie(socket).context("cannot read a socket's cookie")?,
    ))
}

/// The name of this test's abstract sockets; one test runs at a time.
pub(crate) fn abstract_name() -> String {
    format!("apiarist-semantics-{}", std::process::id())
}

/// The path of this test's unix sockets.
pub(crate) fn unix_path() -> PathBuf {
    std::env::temp_dir().join(format!("apiarist-semantics-{}", std::process::id()))
}

/// An IPv6 loopback address with a port.
pub(crate) fn v6(port: u16) -> SocketAddr {
    SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0).into()
}

/// A system call that sends; returns how much it took.
pub(crate) type SendCall = fn(&OwnedFd, &[u8]) -> Result<usize>;

/// A system call that receives.
pub(crate) type ReceiveCall = fn(&OwnedFd, &mut [u8]) -> Result<usize>;

/// Sends everything.
pub(crate) fn send_all(socket: &OwnedFd, mut bytes: &[u8], call: SendCall) -> Result<()> {
    while !bytes.is_empty() {
        let taken = call(socket, bytes).context("cannot send")?;
        bytes = &bytes[taken..];
    }
    Ok(())
}

/// Receives exactly `len` bytes.
pub(crate) fn receive_all(socket: &OwnedFd, len: usize, call: ReceiveCall) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match call(socket, &mut bytes[filled..]).context("cannot receive")? {
            0 => bail!("the stream ended after {filled} of {len} bytes"),
            got => filled += got,
        }
    }
    Ok(bytes)
}

/// `sendto`.
pub(crate) fn send(socket: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?)
}

/// `recvfrom`.
pub(crate) fn receive(socket: &OwnedFd, bytes: &mut [u8]) -> Result<usize> {
    Ok(rustix::net::recv(socket, bytes, RecvFlags::empty())?.1)
}

/// `recvfrom` that returns with all that was asked for, so that one message is one operation.
pub(crate) fn receive_whole(socket: &OwnedFd, bytes: &mut [u8]) -> Result<usize> {
    Ok(rustix::net::recv(socket, bytes, RecvFlags::WAITALL)?.1)
}
