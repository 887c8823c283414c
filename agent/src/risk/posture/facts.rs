//! What can be seen of how an endpoint is served, as names with counts.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// One thing that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Data was answered with 2xx to a request without a credential.
    AnonymousSuccess,
    /// Data was answered with 2xx to a request with a credential.
    AuthenticatedSuccess,
    /// A request without a credential was refused with 401 or 403.
    AnonymousRefused,
    /// Credentials came from another host over a connection that is not encrypted.
    CleartextCredential,
    /// A request was answered over a version of TLS that must not be used any more.
    OldTls,
    /// A credential stood in the query of a request that was answered with 2xx.
    CredentialInUrl,
    /// A token without a signature was accepted.
    UnsignedToken,
    /// A token that had expired was accepted.
    ExpiredToken,
    /// A token that never expires was accepted.
    EndlessToken,
    /// A token that is valid for long was accepted.
    LongToken,
    /// A token that brings its own key was accepted.
    KeyInToken,
    /// A token with claims that should not be readable was accepted.
    TellingToken,
    /// A token that is signed with a key that everybody guesses was accepted.
    GuessableKey,
    /// A login that failed said that there is no such account.
    SaysNoAccount,
    /// A login that failed said that the password is wrong.
    SaysWrongPassword,
    /// An answer showed where in the program it failed.
    StackTrace,
    /// An answer showed an error of a database.
    SqlError,
    /// The origin `null` was admitted with credentials.
    NullOrigin,
    /// A foreign origin was admitted with credentials.
    ForeignOrigin,
    /// Every origin was admitted, with credentials: browsers refuse it, the intention is clear.
    AnyOrigin,
    /// An answer to a request with a credential may be kept by caches.
    StorableAnswer,
    /// A session cookie was set without `Secure`.
    CookieWithoutSecure,
    /// A session cookie was set without `HttpOnly`.
    CookieWithoutHttpOnly,
    /// A request was answered with itself (RFC 9110 §9.3.8).
    TraceEcho,
    /// A request was refused: 400, 401, 403 or 422.
    Refused,
    /// One address of the internet asked often within a minute.
    Burst,
    /// Rates are limited: 429, or fields that tell how much is left.
    Limited,
}

/// How often something was seen, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// First.
    pub first: Timestamp,
    /// Last.
    pub last: Timestamp,
}

impl Seen {
    pub(super) fn add(&mut self, at: Timestamp) {
        self.merge(Self {
            count: 1,
            first: at,
            last: at,
        });
    }

    pub(super) fn merge(&mut self, other: Self) {
        if other.count == 0 {
            return;
        }
        self.first = if self.count == 0 {
            other.first
        } else {
            self.first.min(other.first)
        };
        self.last = self.last.max(other.last);
        self.count += other.count;
    }
}
