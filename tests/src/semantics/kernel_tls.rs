//! TLS done by the kernel: muted while it shakes hands, read once the kernel has the keys.

use std::os::fd::OwnedFd;

use anyhow::{Result, ensure};
use apiarist::event::Direction;

use super::{
    observer::Observer,
    pair::{Ids, Pair, Transport, receive, send},
    skip,
    story::{Story, carry, get, ok, post},
    sys::{self, Keys},
};

/// A connection that has shaken hands, as far as the capture plane can tell, and is not looked at any more.
fn muted(observer: &mut Observer) -> Result<Pair> {
    let pair = Pair::connect(Transport::Tcp4)?;
    let mut client_hello = vec![22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    client_hello.resize(517, 0x5a);
    let server_hello = [&[22, 3, 3, 0, 100, 2][..], &[7; 99]].concat();
    carry(&pair, Direction::Egress, &client_hello, send, receive)?;
    carry(&pair, Direction::Ingress, &server_hello, send, receive)?;
    observer.forget()?;
    Ok(pair)
}

fn set_keys(socket: &OwnedFd, keys: &[Keys]) -> Result<()> {
    match sys::kernel_tls(socket, keys) {
        Ok(()) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            Err(skip("this kernel has no TLS, or not its cipher"))
        }
        Err(error) => Err(error.into()),
    }
}

/// The end of such a socket is not compared with its counts: they are those of records.
fn close(pair: Pair) -> Ids {
    Ids {
        closes: false,
        ..pair.close()
    }
}

/// Both directions, at both ends: as if there were no TLS, but told.
pub(super) fn keys_in_the_kernel(observer: &mut Observer) -> Result<()> {
    let pair = muted(observer)?;
    set_keys(&pair.client, &[Keys::ToSend, Keys::ToReceive])?;
    set_keys(&pair.server, &[Keys::ToSend, Keys::ToReceive])?;
    let mut story = Story::default();
    for number in 0..3 {
        for (direction, bytes) in [
            (Direction::Egress, post(number, 500)),
            (Direction::Ingress, ok(1_000)),
        ] {
            carry(&pair, direction, &bytes, send, receive)?;
            story.tell(direction, &bytes);
        }
    }
    let ids = close(pair);
    story.verify(observer, ids)?;
    for id in [ids.client, ids.server] {
        let open = observer.socket(id)?.open()?;
        ensure!(open.tls, "not told to be TLS: {open:?}");
    }
    let exchanges = observer.exchanges([ids.client, ids.server]);
    ensure!(
        exchanges.iter().all(|exchange| exchange.connection.tls),
        "the exchanges are not told to be those of TLS"
    );
    Ok(())
}

/// Keys for sending alone: what is received stays ciphertext, and is not looked at.
pub(super) fn keys_for_sending_only(observer: &mut Observer) -> Result<()> {
    let pair = muted(observer)?;
    set_keys(&pair.client, &[Keys::ToSend])?;
    let request = get(1);
    ensure!(send(&pair.client, &request)? == request.len(), "a short send");
    // Taken as they come: this end has no keys.
    let mut room = vec![0; 4_096];
    let record = rustix::net::recv(&pair.server, &mut room[..], rustix::net::RecvFlags::empty())?.1;
    ensure!(record > request.len(), "a record of {record} bytes");
    ensure!(send(&pair.server, &room[..record])? == record, "a short send");
    let back = rustix::net::recv(&pair.client, &mut room[..], rustix::net::RecvFlags::empty())?.1;
    ensure!(back == record, "{back} bytes came back");
    let ids = close(pair);
    observer.collect_until("the request", |log| log.contains_key(&ids.client))?;
    let client = observer.socket(ids.client)?;
    ensure!(client.open()?.tls, "not told to be TLS");
    let sent = client.stream(Direction::Egress)?;
    ensure!(sent.parts.first_bytes() == request, "{:?}", sent.parts);
    let received = client.stream(Direction::Ingress)?;
    ensure!(received.parts.captured() == 0, "{:?}", received.parts);
    let server = observer.log().get(&ids.server);
    ensure!(
        server.is_none_or(|log| log.chunks.is_empty()),
        "ciphertext was captured"
    );
    Ok(())
}
