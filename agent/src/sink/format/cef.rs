//! Common Event Format, version 0 ("Micro Focus Security ArcSight Common Event Format", revision 25).

use std::fmt::Write as _;

use super::{Event, PRODUCT, VERSION, about, milliseconds, of_ten};

pub(super) fn record(event: &Event) -> String {
    let about = about(event);
    let mut text = format!(
        "CEF:0|{PRODUCT}|{PRODUCT}|{VERSION}|{}|{}|{}|",
        in_header(about.class),
        in_header(&about.class.replace('_', " ")),
        of_ten(about.severity),
    );
    let (method, template) = about
        .endpoint
        .and_then(|endpoint| endpoint.split_once(' '))
        .unzip();
    let time = |at: &str| Some(milliseconds(at).to_string());
    let owned = |value: Option<&str>| value.map(str::to_owned);
    for (key, value) in [
        ("externalId", owned(Some(about.id))),
        ("cat", owned(Some(about.kind))),
        ("start", time(about.first)),
        ("end", time(about.time)),
        ("cnt", Some(about.count.to_string())),
        ("destinationServiceName", owned(Some(about.workload))),
        ("requestMethod", owned(method)),
        ("request", owned(template)),
        ("src", owned(about.address())),
        ("suser", owned(about.actor.filter(|_| about.address().is_none()))),
        ("cs1Label", owned(Some("fingerprint"))),
        ("cs1", owned(Some(about.fingerprint))),
        ("cs2Label", about.owasp.map(|_| "owasp".to_owned())),
        ("cs2", owned(about.owasp)),
        ("cs3Label", about.owner.map(|_| "owner".to_owned())),
        ("cs3", owned(about.owner)),
        ("cfp1Label", owned(Some("confidence"))),
        ("cfp1", Some(about.confidence.to_string())),
        ("msg", Some(about.sentence())),
    ] {
        if let Some(value) = value {
            let space = if text.ends_with('|') { "" } else { " " };
            // Writing to a string cannot fail.
            write!(text, "{space}{key}={}", in_extension(&value)).ok();
        }
    }
    text
}

/// Escapes what ends a field of the header.
fn in_header(text: &str) -> String {
    one_line(text).replace('\\', r"\\").replace('|', r"\|")
}

/// Escapes what ends a value of the extension.
fn in_extension(text: &str) -> String {
    one_line(text).replace('\\', r"\\").replace('=', r"\=")
}

/// Line breaks and other controls become spaces.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn separators_in_values_are_escaped() {
        let text = record(&fixture::incident());
        assert!(text.starts_with("CEF:0|apiarist|apiarist|"), "{text}");
        assert!(
            text.contains(r"destinationServiceName=shop|\=\\^ requestMethod=GET"),
            "{text}"
        );
        assert!(text.contains(" src=10.0.0.7 "), "{text}");
        assert_eq!(in_header(r"a|b\c"), r"a\|b\\c");
        assert_eq!(in_extension("a\nb"), "a b");
    }
}
