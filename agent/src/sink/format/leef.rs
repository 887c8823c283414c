//! Log Event Extended Format 2.0 (IBM QRadar, "LEEF event components").

use super::{Event, PRODUCT, VERSION, about, cef::one_line, milliseconds, of_ten};

/// Between attributes. The format allows to name one; a tab is its default and cannot occur in what was made one line.
const DELIMITER: char = '\t';

pub(super) fn record(event: &Event) -> String {
    let about = about(event);
    let header = format!(
        "LEEF:2.0|{PRODUCT}|{PRODUCT}|{VERSION}|{}|x09|",
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
        assert!(text.starts_with("LEEF:2.0|apiarist|apiarist|"), "{text}");
        let (_, attributes) = text.split_once("|x09|").unwrap();
        let keys: Vec<&str> = attributes
            .split('\t')
            .map(|pair| pair.split_once('=').unwrap().0)
            .collect();
        assert_eq!(keys.first(), Some(&"cat"));
        assert!(keys.contains(&"src") && keys.contains(&"resource"), "{keys:?}");
    }
}
