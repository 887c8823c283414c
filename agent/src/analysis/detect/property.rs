//! A property set that callers do not set (API3:2023): sent for the first time, and found in the answer.
//!
//! In: a request with a field that was never sent, and its answer. Out: an exposure signal when the field is one that
//! answers have had all along, or is named like a privilege, and the answer shows the value that was sent.

use super::{Scene, signal, words::has_word};
use crate::{
    analysis::{
        baseline::Novelty,
        fields::{Field, Fields, Part},
    },
    verdict::{Group, Signal},
};

/// Words in names of properties that give power or money.
const WORDS: &[&str] = &[
    "admin",
    "role",
    "roles",
    "permission",
    "permissions",
    "scope",
    "scopes",
    "privilege",
    "verified",
    "balance",
    "credit",
    "credits",
    "price",
    "discount",
    "owner",
    "tenant",
    "plan",
    "tier",
    "status",
    "approved",
    "enabled",
    "superuser",
    "staff",
    "group",
    "groups",
    "level",
    "limit",
    "quota",
];

/// Requests below which it is not known what they hold.
const MIN: u64 = 100;

/// Whether a request has a field that was never sent.
pub(super) fn has_news(asked: &Fields) -> bool {
    news(asked).next().is_some()
}

fn news(asked: &Fields) -> impl Iterator<Item = Field<'_>> {
    asked
        .news()
        .filter(|(field, novelty)| field.part == Part::Body && *novelty == Novelty::Place)
        .map(|(field, _)| field)
}

pub(super) fn inspect(scene: &Scene<'_>, signals: &mut Vec<Signal>) {
    let (Some(usual), Some(answered)) = (scene.usual, scene.answered) else {
        return;
    };
    if !scene.look.is_success() || usual.asked.messages() < MIN {
        return;
    }
    let is_anonymous = scene.look.request.credentials.is_empty();
    for field in news(scene.asked) {
        let is_power = has_word(field.name(), WORDS);
        let was_answered = usual.answered.knows(place(field.path));
        let shown = answered
            .iter()
            .any(|shown| shown.name() == field.name() && shown.text == field.text && !field.text.is_empty());
        let confidence = match (is_power, was_answered, shown) {
            (true, _, true) => 0.9,
            (false, true, true) => 0.8,
            // Nobody registers as an administrator.
            (true, ..) if is_anonymous && grants(&field) => 0.8,
            (true, ..) => 0.45,
            _ => continue,
        };
        let text = match shown {
            true => "a property that callers never set was set, and the answer shows it",
            false => "a property that callers never set was sent",
        };
        signals.push(
            signal("property", "mass_assignment", Group::Exposure, confidence, text)
                .at(field.path)
                .of(usual.asked.messages()),
        );
        return;
    }
}

/// Whether a property gives power over others to who sets it.
fn grants(field: &Field<'_>) -> bool {
    const POWERS: [&str; 8] = [
        "true",
        "1",
        "admin",
        "administrator",
        "root",
        "superuser",
        "owner",
        "staff",
    ];
    let names = [
        "admin",
        "role",
        "roles",
        "superuser",
        "staff",
        "privilege",
        "group",
        "groups",
    ];
    has_word(field.name(), &names) && POWERS.iter().any(|power| field.text.eq_ignore_ascii_case(power))
}

/// The place in an answer that has the same path.
fn place(path: &str) -> u64 {
    crate::analysis::hash::hash(path.as_bytes())
}
