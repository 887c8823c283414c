//! Objects with sensitive data go to whoever asks with their id: traffic shows no owner.
//!
//! Principals are told apart by credentials that stay the same for one of them: the holder a token names, a password,
//! an API key. What several of them get may be shared on purpose, hence the low confidence.

use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

use super::{Caller, Evidence, Message, Posture, Rule, Subject, gravity};
use crate::{
    exchange::Credential,
    inventory::{path, template::SegmentType},
    verdict::Severity,
};

pub(super) const RULE: Rule = Rule {
    name: "object_without_owner",
    title: "Objects are given to whoever knows their id",
    advice: "Check on every request that the object belongs to the caller; ids that cannot be guessed do not replace it.",
    owasp: Some("API1:2023"),
    notice: Some(notice),
    check,
};

/// Objects that must have been looked at.
const MIN_OBJECTS: usize = 5;

fn notice(message: &Message<'_>, posture: &mut Posture) {
    if message.caller != Caller::Authenticated || !message.has_data() || !message.template.ends_with('}') {
        return;
    }
    let Some(principal) = message.request.credentials.iter().find_map(principal) else {
        return;
    };
    let object = path::without_query(&message.request.target).rsplit('/').next();
    if let Some(object) = object.filter(|object| !object.is_empty()) {
        let mut hash = SipHasher13::new();
        hash.write(object.as_bytes());
        posture.objects.add(hash.finish(), principal);
    }
}

fn principal(credential: &Credential) -> Option<u64> {
    match credential.scheme {
        "bearer_jwt" => credential.token.as_ref()?.holder,
        "basic" | "api_key" => Some(credential.fingerprint),
        _ => None,
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let last = subject.view.parameters.last()?;
    let is_id = last.kind.is_parameter() && !matches!(last.kind, SegmentType::Date | SegmentType::Float);
    let is_private = subject
        .answers()
        .any(|field| gravity(&field.kind) > 0.5 && !field.suspected);
    let (objects, shared) = subject.posture.objects.shared();
    if !is_id || !is_private || objects < MIN_OBJECTS || shared * 2 < objects {
        return None;
    }
    let mut seen = subject.always();
    seen.count = shared as u64;
    let text = format!("{shared} of {objects} objects looked at were given to several principals");
    Some(
        Evidence::new(Severity::Medium, seen, text)
            .confidence(0.5)
            .observed(format!("{shared} shared"), "one principal each"),
    )
}
