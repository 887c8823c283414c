//! Attacks on logins: stuffing (many accounts, from one place), spraying (one password, many accounts), brute force (one
//! account, many passwords), and the success that follows (API2:2023).
//!
//! In: attempts to log in. Out: identity signals. Names and passwords are compared as hashes, for minutes. A success
//! after an attack is an account taken over; the failures alone are an anomaly.

use super::{Memory, Scene, memory::Few, signal, words::has_word};
use crate::{
    analysis::{
        fields::{Field, Fields, Kind},
        hash::mix,
        look::{Look, Outcome},
    },
    clock::Timestamp,
    verdict::{Group, Signal},
};

/// Sources, passwords and accounts remembered, each. Overflow policy: the one not seen for the longest is forgotten.
const MAX_REMEMBERED: usize = 4096;

/// Seconds within which attempts belong together.
const WINDOW: u64 = 600;

/// Accounts that failed from one place, or with one password, from which it is an attack.
const ACCOUNTS: usize = 8;

/// Failures of one account, with half as many passwords, from which it is an attack.
const PASSWORDS: usize = 10;

/// Share of failures below which a place is merely busy.
const FAILING: f64 = 0.7;

/// Attempts that belong together.
#[derive(Debug, Default)]
struct Attempts {
    since: Timestamp,
    failed: u32,
    all: u32,
    names: Few,
}

impl Attempts {
    /// Adds an attempt: `name` is the account, or the password.
    fn add(&mut self, look: &Look<'_>, name: u64, has_failed: bool) {
        if look.at.since(self.since).as_secs() > WINDOW {
            *self = Self {
                since: look.at,
                ..Self::default()
            };
        }
        self.all += 1;
        if has_failed {
            self.failed += 1;
            self.names.add(name);
        }
    }

    /// So many different names failed, and hardly anything else happened.
    fn are(&self, names: usize) -> bool {
        self.names.count() >= names && f64::from(self.failed) >= FAILING * f64::from(self.all)
    }

    fn signal(&self, class: &'static str, text: &str, unit: &str, limit: usize) -> Signal {
        signal("login", class, Group::Identity, 0.85, text)
            .seen(
                format!("{} {unit}", self.names.count()),
                format!("fewer than {limit}"),
            )
            .of(u64::from(self.failed))
            .within(WINDOW)
    }
}

/// Attempts by source, by password and by account.
#[derive(Debug)]
pub(super) struct Logins {
    sources: Memory<Attempts>,
    passwords: Memory<Attempts>,
    accounts: Memory<Attempts>,
    /// The exchange at hand was a login that failed, whatever its status.
    pub(super) has_failed: bool,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            sources: Memory::new(MAX_REMEMBERED),
            passwords: Memory::new(MAX_REMEMBERED),
            accounts: Memory::new(MAX_REMEMBERED),
            has_failed: false,
        }
    }
}

impl Logins {
    pub(super) fn inspect(&mut self, scene: &Scene<'_>, signals: &mut Vec<Signal>) {
        let look = scene.look;
        self.has_failed = false;
        let Some(attempt) = Attempt::of(scene) else {
            return;
        };
        let (account, has_failed) = (attempt.account, attempt.has_failed);
        self.has_failed = has_failed;
        let before = signals.len();
        let source = self.sources.of(mix(look.workload, look.source));
        source.add(look, account, has_failed);
        if source.are(ACCOUNTS) {
            let text = "many accounts failed to log in from one place";
            signals.push(source.signal("credential_stuffing", text, "accounts", ACCOUNTS));
        }
        if let Some(password) = attempt.password {
            let same = self.passwords.of(mix(look.workload, password));
            same.add(look, account, has_failed);
            if same.are(ACCOUNTS) {
                let text = "many accounts failed to log in with one password";
                signals.push(same.signal("password_spraying", text, "accounts", ACCOUNTS));
            }
            let one = self.accounts.of(mix(look.workload, account));
            one.add(look, password, has_failed);
            if one.failed as usize >= PASSWORDS && one.are(PASSWORDS / 2) {
                let text = "many passwords were tried for one account";
                signals.push(one.signal("brute_force", text, "passwords", PASSWORDS / 2));
            }
        }
        if signals.len() > before && !has_failed {
            let text = "a login succeeded in the midst of an attack on logins";
            signals.push(signal(
                "takeover",
                "account_takeover",
                Group::Identity,
                0.95,
                text,
            ));
        }
    }
}

/// One attempt to log in.
struct Attempt {
    account: u64,
    password: Option<u64>,
    has_failed: bool,
}

impl Attempt {
    /// `None` if it is none, or if what came of it is not known.
    fn of(scene: &Scene<'_>) -> Option<Self> {
        let look = scene.look;
        let mut credentials = look.request.credentials.iter();
        let basic = credentials.find(|credential| credential.scheme == "basic");
        if basic.is_none() && !scene.is_login {
            return None;
        }
        let has_failed = match look.outcome {
            Outcome::Refused | Outcome::Invalid | Outcome::Limited => true,
            Outcome::Success => scene.answered.is_some_and(says_failed),
            Outcome::Redirect => false,
            _ => return None,
        };
        if let Some(basic) = basic {
            return matches!(look.outcome, Outcome::Refused | Outcome::Success).then_some(Self {
                account: basic.fingerprint,
                password: None,
                has_failed,
            });
        }
        let named = |words: &[&str]| {
            let is_value = |field: &Field<'_>| matches!(field.kind, Kind::Text | Kind::Number);
            let mut fields = scene.asked.iter();
            fields
                .find(|field| is_value(field) && has_word(field.name(), words))
                .map(|field| field.value())
        };
        Some(Self {
            account: named(ACCOUNT_WORDS).unwrap_or(0),
            password: named(PASSWORD_WORDS),
            has_failed,
        })
    }
}

const ACCOUNT_WORDS: &[&str] = &[
    "username", "user", "email", "login", "account", "phone", "name", "mail",
];

const PASSWORD_WORDS: &[&str] = &["password", "passwd", "pwd", "pass", "passcode", "pin", "otp"];

const LOGIN_WORDS: &[&str] = &[
    "login",
    "signin",
    "auth",
    "authenticate",
    "token",
    "tokens",
    "session",
    "sessions",
    "logon",
    "verify",
];

/// Whether a request tries to log in: by its place, with a password.
pub(in crate::analysis) fn is_login(look: &Look<'_>, asked: &Fields) -> bool {
    let place = look.seen.template.unwrap_or_else(|| look.path());
    &*look.request.method == "POST"
        && has_word(place, LOGIN_WORDS)
        && !has_word(place, &["register", "signup", "reset", "forgot"])
        && asked.iter().any(|field| has_word(field.name(), PASSWORD_WORDS))
}

/// Whether an answer with 200 says that it failed.
fn says_failed(answered: &Fields) -> bool {
    let is_token = |field: Field<'_>| has_word(field.name(), &["token", "jwt"]) && !field.text.is_empty();
    let fails = |field: Field<'_>| {
        let says = |words: &[&str]| words.iter().any(|word| field.text.eq_ignore_ascii_case(word));
        let name = field.name();
        has_word(name, &["status", "result"]) && says(&["fail", "failed", "error", "failure", "denied"])
            || has_word(name, &["success", "ok", "authenticated"]) && says(&["false", "0"])
            || has_word(name, &["error", "errors"]) && field.kind != Kind::Null && !says(&["false", "0", ""])
    };
    !answered.iter().any(is_token) && answered.iter().any(fails)
}
