//! What a connection speaks after HTTP/1.1 has handed it over (RFC 9110 §7.8).
//!
//! In: the exchange that ended HTTP/1.1, as the last that was told. Out: a session that goes on with it, for the
//! protocols that are known; the exchange is then that session's to tell.

use super::{http2::Http2, session::Session, websocket::WebSocket};
use crate::exchange::Exchange;

/// The session that takes over, which takes the last exchange of `out` with it.
pub(super) fn successor(out: &mut Vec<Exchange>) -> Option<Session> {
    let response = out.last()?.response.as_ref()?;
    if response.status != 101 {
        return None;
    }
    let upgrade = response.head.first("upgrade")?.trim_ascii();
    if upgrade.eq_ignore_ascii_case(b"h2c") {
        return Some(Session::Http2(Box::new(Http2::upgraded(out.pop()?))));
    }
    if upgrade.eq_ignore_ascii_case(b"websocket") {
        return Some(Session::WebSocket(Box::new(WebSocket::new(out.pop()?))));
    }
    None
}
