//! Requests that are nothing but a head that came before and showed nothing: they are not looked into again.
//!
//! In: heads. Out: whether this one is known to be harmless. A head is known by the memory it lies in, which nobody else
//! can use while it is kept here; the parser shares it between exchanges whose heads are the same byte for byte
//! (docs/decisions/0022). So nothing is compared, and no head can be taken for another. Refuses heads that are not shared.

use bytes::Bytes;

use crate::exchange::Request;

/// Heads that are kept. Overflow policy: the newer takes the place.
const PLACES: usize = 64;

/// Longest head that is kept, in bytes. Overflow policy: it is looked into each time.
const MAX_HEAD_BYTES: usize = 1024;

/// Heads in which nothing was found.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    places: Vec<Bytes>,
}

impl Repeated {
    /// Whether nothing can be found in a request, as nothing was found in its head before.
    pub(super) fn has(&self, request: &Request) -> bool {
        let head = &request.head.buffer;
        is_head_alone(request)
            && self
                .places
                .get(place(head))
                .is_some_and(|kept| kept.as_ptr() == head.as_ptr() && kept.len() == head.len())
    }

    /// Notes that nothing was found in a request.
    pub(super) fn note(&mut self, request: &Request) {
        let head = &request.head.buffer;
        // What nobody shares does not come again.
        if !is_head_alone(request) || head.is_empty() || head.len() > MAX_HEAD_BYTES || head.is_unique() {
            return;
        }
        if self.places.is_empty() {
            self.places.resize(PLACES, Bytes::new());
        }
        if let Some(kept) = self.places.get_mut(place(head)) {
            kept.clone_from(head);
        }
    }
}

/// Whether a request brings nothing to look into but its head, of which its target is a part.
fn is_head_alone(request: &Request) -> bool {
    request.body.sample.is_empty()
}

/// Blocks of memory begin at multiples of 16 bytes.
fn place(head: &Bytes) -> usize {
    (head.as_ptr() as usize >> 4) % PLACES
}

#[cfg(test)]
mod tests {
    use super::{super::engine::Engine, *};
    use crate::inventory::fixture::call;

    fn request(head: &Bytes) -> Request {
        let mut request = call("GET", "/a").exchange().request.unwrap();
        request.head.buffer = head.clone();
        request.body.sample = Bytes::new();
        request
    }

    #[test]
    fn a_head_is_known_by_its_memory() {
        let head = Bytes::from(b"GET /a HTTP/1.1\r\n\r\n".to_vec());
        let same_text = Bytes::from(head.to_vec());
        let mut repeated = Repeated::default();
        assert!(!repeated.has(&request(&head)));
        repeated.note(&request(&head));
        assert!(repeated.has(&request(&head)));
        assert!(!repeated.has(&request(&same_text)));
        assert!(!repeated.has(&request(&head.slice(..4))));
        let mut with_body = request(&head);
        with_body.body.sample = Bytes::from_static(b"x");
        assert!(!repeated.has(&with_body));
    }

    #[test]
    fn an_attack_is_told_each_time() {
        let head = Bytes::from(b"GET /a HTTP/1.1\r\n\r\n".to_vec());
        let mut engine = Engine::default();
        for (target, is_attack) in [("/a?q=../../../../etc/passwd", true), ("/a?q=1", false)] {
            let mut exchange = call("GET", "/a").exchange();
            let mut request = request(&head);
            request.target = target.into();
            exchange.request = Some(request);
            for _ in 0..3 {
                assert_eq!(!engine.torn(&exchange).signals.is_empty(), is_attack, "{target}");
            }
        }
    }

    #[test]
    fn heads_of_one_exchange_and_long_ones_are_not_kept() {
        let mut repeated = Repeated::default();
        let mut alone = request(&Bytes::new());
        alone.head.buffer = Bytes::from(b"GET /a HTTP/1.1\r\n\r\n".to_vec());
        repeated.note(&alone);
        assert!(!repeated.has(&alone));
        let long = Bytes::from(vec![b'x'; MAX_HEAD_BYTES + 1]);
        repeated.note(&request(&long));
        assert!(!repeated.has(&request(&long)));
    }
}
