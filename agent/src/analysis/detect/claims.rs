//! Objects of somebody else than the token names (API1:2023): a parameter, or the owner in an answer, that is a claim of
//! the caller's token for everybody, and is not for one.
//!
//! In: exchanges with a JSON web token. Out: identity signals. Learned per endpoint: how often the object asked for, and
//! the owner in the answer, are claims of the token. Where exceptions are usual (support, administrators) the signal is
//! weaker. Claims are compared as hashes and kept nowhere.

use super::{Scene, objects::object, signal};
use crate::{
    analysis::{
        baseline::Baseline,
        fields::{Field, Fields, Kind},
        look::Look,
        sketch::Ratio,
    },
    exchange::TokenFacts,
    verdict::{Group, Signal},
};

/// Lower bound of the share of matches from which a place holds a claim: forty of forty are enough.
const BELONGS: f64 = 0.7;

/// Share of matches below which a place does not hold a claim, whatever is still to come.
const USUALLY: f64 = 0.9;

/// Answers with an owner from which it is known whether that is a claim: all so far may have been one, and not be enough.
const DECIDED: u64 = 64;

/// Names of fields that say whose an object is.
const OWNERS: [&str; 20] = [
    "owner",
    "owner_id",
    "ownerid",
    "user",
    "user_id",
    "userid",
    "username",
    "account",
    "account_id",
    "accountid",
    "customer",
    "customer_id",
    "customerid",
    "tenant",
    "tenant_id",
    "tenantid",
    "created_by",
    "createdby",
    "holder",
    "email",
];

/// What the exchange at hand teaches.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::analysis) struct Claims {
    asked: Option<bool>,
    answered: Option<bool>,
}

/// Whether this is usually a claim of the caller's token.
pub(super) fn belongs(ratio: Ratio) -> bool {
    ratio.bounds().0 >= BELONGS && ratio.share() >= USUALLY
}

/// Whether the owner in an answer of this endpoint is to be compared: also as long as it is not known what it is, as an
/// endpoint may be believed for everything else before that is.
pub(super) fn wants_answer(token: Option<&TokenFacts>, usual: &Baseline) -> bool {
    let ratio = usual.claimed_answer;
    let is_undecided = (1..DECIDED).contains(&ratio.n) && ratio.share() >= USUALLY;
    token.is_some() && (is_undecided || belongs(ratio))
}

/// The first token of a request that says who or whose.
pub(super) fn token<'a>(look: &Look<'a>) -> Option<&'a TokenFacts> {
    let mut tokens = look
        .request
        .credentials
        .iter()
        .filter_map(|credential| credential.token.as_deref());
    tokens.find(|token| !token.names.is_empty())
}

impl Claims {
    pub(super) fn inspect(&mut self, scene: &Scene<'_>, signals: &mut Vec<Signal>) {
        *self = Self::default();
        if !scene.look.is_success() {
            return;
        }
        let Some(token) = token(scene.look) else {
            return;
        };
        let asked = object(scene);
        self.asked = asked.map(|field| token.claims(field.text.as_bytes()));
        let answered = scene.answered.and_then(owner);
        self.answered = answered.map(|field| token.claims(field.text.as_bytes()));
        let Some(usual) = scene.usual else {
            return;
        };
        for (is_own, field, ratio, text) in [
            (
                self.asked,
                asked,
                usual.claimed,
                "a request for the object of somebody else than its token names was served",
            ),
            (
                self.answered,
                answered,
                usual.claimed_answer,
                "an object was given out whose owner is not the one that the token names",
            ),
        ] {
            let (Some(false), Some(field)) = (is_own, field) else {
                continue;
            };
            if !belongs(ratio) {
                continue;
            }
            let confidence = if ratio.hits == ratio.n { 0.9 } else { 0.6 };
            signals.push(
                signal("claims", "bola", Group::Identity, confidence, text)
                    .at(field.path)
                    .seen(
                        "not a claim of the token",
                        format!("{:.1} % are one", 100.0 * ratio.share()),
                    )
                    .of(ratio.n),
            );
        }
    }

    /// Adds what was learned to what is usual.
    pub(in crate::analysis) fn teach(self, baseline: &mut Baseline) {
        if let Some(is_own) = self.asked {
            baseline.claimed.add(is_own);
        }
        if let Some(is_own) = self.answered {
            baseline.claimed_answer.add(is_own);
        }
    }
}

/// The field of an answer that says whose it is; in a list there are many.
fn owner(fields: &Fields) -> Option<Field<'_>> {
    fields.iter().find(|field| {
        matches!(field.kind, Kind::Text | Kind::Number)
            && !field.path.contains("[]")
            && OWNERS
                .iter()
                .any(|known| field.name().eq_ignore_ascii_case(known))
    })
}
