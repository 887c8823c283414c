//! What the operator has accepted for a while.
//!
//! In: an alert about to be. Out: the entry that covers it, if one does and has not expired.

use crate::{analysis::settings::Allow, clock::Timestamp, verdict::Alert};

/// The entry that covers an alert at a time.
pub(super) fn allowed<'a>(entries: &'a [Allow], alert: &Alert, now: Timestamp) -> Option<&'a Allow> {
    entries
        .iter()
        .find(|entry| now < entry.until && covers(entry, alert))
}

fn covers(entry: &Allow, alert: &Alert) -> bool {
    let fits = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
    let endpoint = |wanted: &String| {
        alert.endpoint_name.as_ref() == Some(wanted)
            || alert.endpoint.is_some_and(|id| id.to_string() == *wanted)
    };
    fits(&entry.class, &alert.class)
        && fits(&entry.workload, &alert.workload)
        && fits(&entry.actor, &alert.actor)
        && entry.endpoint.as_ref().is_none_or(endpoint)
}
