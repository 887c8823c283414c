//! Nothing limits requests: secrets can be tried without end, many refusals and never a limit; or one address of the
//! internet asks as often as it likes.

use super::{Evidence, Fact, Message, Posture, Rule, Subject};
use crate::{risk::posture::bursts, verdict::Severity};

pub(super) const RULE: Rule = Rule {
    name: "missing_rate_limit",
    title: "Nothing limits requests",
    advice: "Limit requests per account and per address, and answer 429 beyond that.",
    owasp: Some("API4:2023"),
    notice: Some(notice),
    check,
};

/// Refusals without a limit from which there seems to be none.
const MANY: u64 = 20;

/// Fields that tell how much is left.
const FIELDS: [&str; 4] = [
    "ratelimit",
    "ratelimit-remaining",
    "x-ratelimit-remaining",
    "x-rate-limit-remaining",
];

/// Words in the path of endpoints that take a short secret, other than a login: codes, resets, vouchers.
const GUESSED: [&str; 19] = [
    "otp",
    "totp",
    "mfa",
    "2fa",
    "pin",
    "verify",
    "verification",
    "reset",
    "forgot",
    "recover",
    "recovery",
    "redeem",
    "coupon",
    "coupons",
    "voucher",
    "vouchers",
    "giftcard",
    "invite",
    "invitation",
];

fn notice(message: &Message<'_>, posture: &mut Posture) {
    let status = message.response.status;
    let is_refused = match status {
        400 | 401 | 403 | 422 => true,
        404 | 410 => is_guessed(&message.request.method, message.template),
        _ => message.is_login() && message.says_failed(),
    };
    if is_refused {
        posture.note(Fact::Refused, message);
    }
    // Most answers have no field of these lengths.
    let may_be_one = |name: usize| FIELDS.iter().any(|field| field.len() == name);
    let fields = &message.response.head.fields;
    let may_have_field = || fields.iter().any(|(name, _)| may_be_one(name.len()));
    let has_field = || FIELDS.iter().any(|name| message.answer_field(name).is_some());
    if status == 429 || may_have_field() && has_field() {
        posture.note(Fact::Limited, message);
    }
    if let Some(address) = message.internet_address()
        && posture.bursts.add(address, message.at())
    {
        posture.note(Fact::Burst, message);
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    if subject.count(Fact::Limited) > 0 {
        return None;
    }
    tried(subject).or_else(|| asked(subject))
}

/// Secrets were tried, and refused every time.
fn tried(subject: &Subject<'_>) -> Option<Evidence> {
    let refused = subject
        .seen(Fact::Refused)
        .filter(|refused| refused.count >= MANY)?;
    let method = subject.view.method.as_str();
    let is_login = subject.is_login() && method == "POST";
    if !is_login && !is_guessed(method, &subject.view.template) {
        return None;
    }
    let text = format!(
        "{} attempts were refused, none was answered with 429",
        refused.count
    );
    Some(
        Evidence::new(Severity::Medium, refused, text)
            .confidence(0.6)
            .observed("no 429", "429 beyond a few attempts"),
    )
}

/// One address asked often. It may stand for many people, as that of a network of caches does.
fn asked(subject: &Subject<'_>) -> Option<Evidence> {
    let burst = subject.seen(Fact::Burst)?;
    let text = format!(
        "an address of the internet asked at least {} times within a minute, and none was answered with 429",
        bursts::MANY
    );
    Some(
        Evidence::new(Severity::Low, burst, text)
            .confidence(0.4)
            .observed(
                format!("{} in a minute", bursts::MANY),
                "429 beyond what a client needs",
            ),
    )
}

/// Whether it takes a short secret, by its place.
fn is_guessed(method: &str, template: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH")
        && template
            .split(['/', '.', ':', '-', '_'])
            .any(|word| GUESSED.iter().any(|known| word.eq_ignore_ascii_case(known)))
}
