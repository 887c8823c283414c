//! Log Event Extended Format 1.0 (IBM QRadar, "LEEF event components").
//!
//! Version 2.0 adds a field that names the delimiter of attributes, which readers disagree about: rsyslog takes it for a part
//! of the first key, OpenTelemetry's collector refuses `x09` where the guide allows it. All read version 1.0, whose
//! delimiter is a tab, in the same way.

use super::{Event, PRODUCT, VERSION, about, cef::one_line, milliseconds, of_ten};

/// Between attributes; it cannot occur in what was made one line.
const DELIMITER: char = '\t';

pub(super) fn record(event: &Event) -> String {
    let about = about(event);
    let header = format!(
        "LEEF:1.0|{PRODUCT}|{PRODUCT}|{VERSION}|{}|",
        one_line(about.class).replace('|', "_")
    );
    let (method, template) = about
        .endpoint
        .and_then(|endpoint| endpoint.split_once(' '))
        .unzip();
    let owned = |value: Option<&str>| value.map(str::to_owned);
    let attributes = [
        ("cat", owned(Some(about.kind))),
        ("sev", Some(of_ten(about.severity).to_string())),
        ("devTime", Some(milliseconds(about.time).to_string())),
        ("identSrc", owned(about.address())),
        ("src", owned(about.address())),
        (
            "usrName",
            owned(about.actor.filter(|_| about.address().is_none())),
        ),
        ("resource", owned(Some(about.workload))),
        ("method", owned(method)),
        ("url", owned(template)),
        ("id", owned(Some(about.id))),
        ("fingerprint", owned(Some(about.fingerprint))),
        ("owasp", owned(about.owasp)),
        ("owner", owned(about.owner)),
        ("confidence", Some(about.confidence.to_string())),
        ("count", Some(about.count.to_string())),
        ("msg", Some(about.sentence())),
    ];
    let attributes: Vec<String> = attributes
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", one_line(&value?))))
        .collect();
    header + &attributes.join(&DELIMITER.to_string())
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn attributes_are_separated_by_tabs() {
        let text = record(&fixture::incident());
        assert!(text.starts_with("LEEF:1.0|apiarist|apiarist|"), "{text}");
        let attributes = text.splitn(6, '|').last().unwrap();
        let keys: Vec<&str> = attributes
            .split('\t')
            .map(|pair| pair.split_once('=').unwrap().0)
            .collect();
        assert_eq!(keys.first(), Some(&"cat"));
        assert!(keys.contains(&"src") && keys.contains(&"resource"), "{keys:?}");
    }
}
