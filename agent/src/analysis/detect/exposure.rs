//! Data that goes where it did not go (API3:2023): a sensitive field in answers that had none, or answers with sensitive
//! data to the first caller from the internet.
//!
//! In: answers that were read. Out: exposure signals. What is sensitive the inventory's classifier says; it is asked for
//! new fields only.

use super::{Scene, signal};
use crate::{
    analysis::{
        baseline::Novelty,
        fields::{Field, Kind},
    },
    inventory::sensitive::{self, Grade},
    verdict::{Group, Signal},
};

/// Answers below which it is not known what they hold.
const MIN: u64 = 50;

pub(super) fn inspect(scene: &Scene<'_>, signals: &mut Vec<Signal>) {
    let Some(usual) = scene.usual else {
        return;
    };
    let look = scene.look;
    if !look.is_success() {
        return;
    }
    let audience = usual.internet;
    let is_new_audience =
        look.is_from_internet() && audience.n >= 200 && audience.hits == 0 && usual.sensitive > 0;
    if is_new_audience {
        let text = "sensitive data went to the internet for the first time";
        signals.push(
            signal(
                "exposure",
                "sensitive_data_new_audience",
                Group::Exposure,
                0.8,
                text,
            )
            .seen("a public address", "private addresses")
            .of(audience.n),
        );
    }
    let Some(answered) = scene.answered.filter(|_| usual.answered.messages() >= MIN) else {
        return;
    };
    let news = answered
        .iter()
        .filter(|field| usual.answered.ask(field) == Novelty::Place)
        .find_map(|field| Some((field, is_sensitive(&field)?)));
    if let Some((field, kind)) = news {
        let text = "an answer holds sensitive data that answers did not hold";
        signals.push(
            signal("exposure", "sensitive_data_new", Group::Exposure, 0.6, text)
                .at(&format!("response.{}", field.path.trim_start_matches("body.")))
                .seen(kind, "no such field")
                .of(usual.answered.messages()),
        );
    }
}

/// What kind of sensitive data a field holds, if its name or a checksum says so.
pub(in crate::analysis) fn is_sensitive(field: &Field<'_>) -> Option<&'static str> {
    if !matches!(field.kind, Kind::Text | Kind::Number) {
        return None;
    }
    let found = sensitive::classify(field.name(), field.text, field.kind == Kind::Number)?;
    (found.grade >= Grade::Key).then(|| found.kind.as_str())
}
