//! Finds credentials in heads, masks them in place, and names each by scheme and keyed hash.
//!
//! In: the bytes of a head and the ranges of its target and fields. Out: the same bytes with every secret
//! overwritten by `*` (ranges stay valid, scheme words and names stay readable) and the [`Credential`]s found.
//! A fingerprint is SipHash-2-4 under the host's key: equal secrets give equal fingerprints, nothing else can be
//! told. Refuses to keep or return a secret.

mod authorization;
mod cookie;
mod key;
mod names;
mod target;
mod token;

use std::{
    hash::Hasher,
    num::NonZeroUsize,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use lru::LruCache;
use siphasher::sip::SipHasher24;
use smallvec::SmallVec;

use crate::exchange::{Credential, CredentialLocation, TokenAlgorithm, TokenFacts};
use names::Secret;

/// Name and value ranges of fields, as in [`crate::exchange::Head`].
pub type Fields = [(Range<u32>, Range<u32>)];

/// Credentials reported per request. Overflow policy: further ones are masked and not reported.
pub const MAX_CREDENTIALS: usize = 8;

/// Masks secrets; holds the host's key.
#[derive(Clone)]
pub struct Redactor {
    key: [u8; 16],
    keeps_targets: bool,
    /// Tokens come again and again: what they say is read once.
    tokens: Arc<Tokens>,
}

/// Tokens whose facts are remembered, by fingerprint. Overflow policy: the one not seen for the longest is read again.
const MAX_TOKENS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(511);

/// What is known of tokens.
struct Tokens {
    facts: Mutex<LruCache<u64, Option<Box<TokenFacts>>, foldhash::fast::FixedState>>,
    tried: key::Tried,
}

impl Tokens {
    /// The facts of a token, if it has some.
    fn facts(&self, token: &[u8], fingerprint: u64, redactor: &Redactor) -> Option<Box<TokenFacts>> {
        // Nothing panics while it holds the lock; if something did, the facts are as good as before.
        let mut known = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(facts) = known.get(&fingerprint) {
            return facts.clone();
        }
        let facts = token::read(token, redactor).map(|facts| {
            let is_tried = facts.algorithm == TokenAlgorithm::Symmetric && self.tried.next();
            Box::new(TokenFacts {
                has_guessable_key: is_tried && key::is_guessable(token),
                ..facts
            })
        });
        known.put(fingerprint, facts.clone());
        facts
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor { .. }")
    }
}

/// Credentials of one request.
pub type Credentials = SmallVec<[Credential; 1]>;

impl Redactor {
    /// With the key that fingerprints are made with. Keep it as long as fingerprints are compared.
    pub fn new(key: [u8; 16]) -> Self {
        Self {
            key,
            keeps_targets: false,
            tokens: Arc::new(Tokens {
                facts: Mutex::new(LruCache::with_hasher(
                    MAX_TOKENS,
                    foldhash::fast::FixedState::default(),
                )),
                tried: key::Tried::default(),
            }),
        }
    }

    /// Also keeps request targets as they were sent, beside the masked ones. For replays alone.
    #[must_use]
    pub fn keeping_targets(mut self) -> Self {
        self.keeps_targets = true;
        self
    }

    /// The target as it was sent, if that is kept; to be asked for before it is masked.
    pub fn sent_target(&self, buffer: &[u8], target: &Range<u32>) -> Option<Box<str>> {
        if !self.keeps_targets {
            return None;
        }
        let sent = buffer.get(target.start as usize..target.end as usize)?;
        Some(String::from_utf8_lossy(sent).into())
    }

    /// Masks the secrets of a request head and reports them.
    pub fn request(&self, buffer: &mut [u8], target: &Range<u32>, fields: &Fields) -> Credentials {
        let mut found = Found {
            redactor: self,
            credentials: Credentials::new(),
        };
        if let Some(target) = slice(buffer, target) {
            target::mask(target, &mut found);
        }
        for (name, value) in fields {
            let Some((name, value)) = pair(buffer, name, value) else {
                continue;
            };
            match names::classify(name) {
                None => {}
                Some(Secret::Authorization) => authorization::mask(name, value, &mut found),
                Some(Secret::Cookie) => cookie::mask(value, &mut found),
                Some(Secret::ApiKey) => {
                    let scheme = if is_jwt(value) { "bearer_jwt" } else { "api_key" };
                    found.whole(header(name), scheme, value);
                }
                Some(Secret::Other | Secret::SetCookie) => overwrite(value),
            }
        }
        found.credentials
    }

    /// Masks the secrets of a response head.
    pub fn response(&self, buffer: &mut [u8], fields: &Fields) {
        for (name, value) in fields {
            let Some((name, value)) = pair(buffer, name, value) else {
                continue;
            };
            match names::classify(name) {
                None => {}
                Some(Secret::SetCookie) => cookie::mask_set(value),
                Some(_) => overwrite(value),
            }
        }
    }

    /// Names a secret without telling it.
    pub fn fingerprint(&self, secret: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(secret);
        hasher.finish()
    }
}

/// What was found so far in one head.
struct Found<'a> {
    redactor: &'a Redactor,
    credentials: Credentials,
}

impl Found<'_> {
    /// Reports the part of a secret that identifies its holder.
    fn report(&mut self, location: CredentialLocation, scheme: &'static str, identity: &[u8]) {
        if identity.is_empty() || self.credentials.len() >= MAX_CREDENTIALS {
            return;
        }
        let fingerprint = self.redactor.fingerprint(identity);
        let is_token = scheme == "bearer_jwt";
        self.credentials.push(Credential {
            location,
            scheme,
            fingerprint,
            token: is_token
                .then(|| self.redactor.tokens.facts(identity, fingerprint, self.redactor))
                .flatten(),
        });
    }

    /// Reports and masks a secret that is the whole value.
    fn whole(&mut self, location: CredentialLocation, scheme: &'static str, value: &mut [u8]) {
        self.report(location, scheme, value);
        overwrite(value);
    }
}

fn slice<'a>(buffer: &'a mut [u8], range: &Range<u32>) -> Option<&'a mut [u8]> {
    buffer.get_mut(range.start as usize..range.end as usize)
}

/// Name and value of a field; the name must end before the value starts.
fn pair<'a>(buffer: &'a mut [u8], name: &Range<u32>, value: &Range<u32>) -> Option<(&'a [u8], &'a mut [u8])> {
    let (head, tail) = buffer.split_at_mut_checked(value.start as usize)?;
    let name = head.get(name.start as usize..name.end as usize)?;
    let value = tail.get_mut(..(value.end.checked_sub(value.start)?) as usize)?;
    Some((name, value))
}

fn overwrite(secret: &mut [u8]) {
    secret.fill(b'*');
}

fn lower(name: &[u8]) -> Box<str> {
    String::from_utf8_lossy(name)
        .to_ascii_lowercase()
        .into_boxed_str()
}

fn header(name: &[u8]) -> CredentialLocation {
    CredentialLocation::Header(lower(name))
}

/// Three base64url parts, the first a JSON object (RFC 7519 §3, RFC 7515 §7.1).
fn is_jwt(token: &[u8]) -> bool {
    token.starts_with(b"eyJ")
        && token.len() > 20
        && token.iter().filter(|&&b| b == b'.').count() == 2
        && token
            .iter()
            .all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'='))
}

#[cfg(test)]
mod tests;
