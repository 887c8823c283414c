//! Traffic between network namespaces.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    netlink::{Link, Netlink},
    observer::Observer,
    pair::{Pair, receive, send},
    skip,
    story::converse,
    sys,
};

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PREFIX: u8 = 24;

/// Runs `work` in a network namespace of its own and returns what it made there: sockets stay in it.
fn in_new_namespace<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            sys::unshare_network().map_err(|error| skip(format!("no network namespaces here: {error}")))?;
            work()
        });
        thread.join().ok().context("the thread panicked")?
    })
}

/// Inode number of this thread's network namespace.
fn namespace() -> Result<u32> {
    let inode = rustix::fs::stat("/proc/thread-self/ns/net")?.st_ino;
    Ok(u32::try_from(inode)?)
}

fn namespace_file() -> Result<OwnedFd> {
    Ok(std::fs::File::open("/proc/thread-self/ns/net")?.into())
}

/// Loopback of a namespace of its own: the same addresses as everywhere, told apart by the namespace.
pub(super) fn loopback_in_namespace(observer: &mut Observer) -> Result<()> {
    let (pair, inside) = in_new_namespace(|| {
        let mut netlink = Netlink::open()?;
        netlink.up(Netlink::LOOPBACK)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        Ok((Pair::tcp(&listener, None)?, namespace()?))
    })?;
    let ids = pair.ids;
    converse(observer, pair, send, receive)?;
    ensure!(inside != namespace()?, "no namespace of its own");
    for id in [ids.client, ids.server] {
        let seen = observer.socket(id)?.open()?.netns;
        ensure!(seen == inside, "the namespace is {inside}, seen was {seen}");
    }
    Ok(())
}

/// Two namespaces with a virtual cable between them.
pub(super) fn veth_between_namespaces(observer: &mut Observer) -> Result<()> {
    let (server_namespace, file) = in_new_namespace(|| Ok((namespace()?, namespace_file()?)))?;
    let (client, client_namespace, server) = in_new_namespace(|| {
        let mut netlink = Netlink::open()?;
        netlink
            .add_veth(
                &Link { name: "cable0" },
                &Link { name: "cable1" },
                file.as_raw_fd(),
            )
            .map_err(|error| skip(format!("no veth here: {error:#}")))?;
        let index = Netlink::index("cable0")?;
        netlink.add_address(index, CLIENT, PREFIX)?;
        netlink.up(index)?;
        let listener = std::thread::scope(|scope| {
            let thread = scope.spawn(|| -> Result<TcpListener> {
                sys::enter_network(&file)?;
                let mut netlink = Netlink::open()?;
                let index = Netlink::index("cable1")?;
                netlink.add_address(index, SERVER, PREFIX)?;
                netlink.up(index)?;
                Ok(TcpListener::bind((SERVER, 0))?)
            });
            thread.join().ok().context("the thread panicked")?
        })?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        Ok((client, namespace()?, server))
    })?;
    let remote = client.peer_addr()?;
    let pair = Pair::of(client.into(), server.into(), true)?;
    let ids = pair.ids;
    converse(observer, pair, send, receive)?;
    for (id, namespace) in [(ids.client, client_namespace), (ids.server, server_namespace)] {
        let open = observer.socket(id)?.open()?;
        ensure!(
            open.netns == namespace,
            "namespace {}, not {namespace}",
            open.netns
        );
    }
    let open = observer.socket(ids.client)?.open()?;
    let known = SocketAddr::new(IpAddr::V4(SERVER), remote.port());
    ensure!(open.remote.to_string() == known.to_string(), "{}", open.remote);
    Ok(())
}
