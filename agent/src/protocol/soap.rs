//! SOAP 1.1 and 1.2: which operation.
//!
//! In: head and body of a request. Out: whether it is SOAP, and its name: the action of its fields, else the first
//! element in the envelope's body. Reads tags alone.

use super::operation::MAX_NAME_BYTES;
use crate::exchange::Head;

/// Tags that are looked at. Overflow policy: the operation has no name.
const MAX_TAGS: usize = 64;

/// The name of the operation; `None` if it is not SOAP.
pub(super) fn of(head: &Head, body: &[u8]) -> Option<Option<String>> {
    let content_type = head
        .first("content-type")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let is_soap12 = content_type.starts_with(b"application/soap+xml");
    let action = head.first("soapaction");
    let is_xml = content_type.starts_with(b"text/xml") || content_type.starts_with(b"application/xml");
    let element = (is_soap12 || is_xml || action.is_some()).then(|| first_element(body));
    if !is_soap12 && action.is_none() && !element.is_some_and(|element| element.is_envelope) {
        return None;
    }
    let original = head.first("content-type").unwrap_or_default();
    let named = action.and_then(name).or_else(|| action_parameter(original));
    Some(named.or_else(|| element.and_then(|element| element.first).and_then(name)))
}

/// An action without its quotes.
fn name(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim().trim_matches('"');
    let is_printable = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    (!text.is_empty() && text.len() <= MAX_NAME_BYTES && is_printable).then(|| text.to_owned())
}

/// SOAP 1.2, part 2, §6.5.2.
fn action_parameter(content_type: &[u8]) -> Option<String> {
    content_type.split(|byte| *byte == b';').find_map(|parameter| {
        let (key, value) = parameter.trim_ascii().split_at_checked(7)?;
        key.eq_ignore_ascii_case(b"action=")
            .then(|| name(value))
            .flatten()
    })
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Found<'a> {
    is_envelope: bool,
    /// Local name of the first element in the body.
    first: Option<&'a [u8]>,
}

fn first_element(xml: &[u8]) -> Found<'_> {
    let mut found = Found::default();
    let mut in_body = false;
    let mut rest = xml;
    for _ in 0..MAX_TAGS {
        let Some(start) = memchr::memchr(b'<', rest) else {
            break;
        };
        let tag = rest.get(start + 1..).unwrap_or_default();
        if let Some(comment) = tag.strip_prefix(b"!--") {
            let end = memchr::memmem::find(comment, b"-->").unwrap_or(comment.len());
            rest = comment.get(end..).unwrap_or_default();
            continue;
        }
        let Some(end) = memchr::memchr(b'>', tag) else {
            break;
        };
        let (inside, behind) = tag.split_at_checked(end).unwrap_or((tag, &[]));
        rest = behind;
        if inside.starts_with(b"?") || inside.starts_with(b"!") || inside.starts_with(b"/") {
            continue;
        }
        let length = inside.iter().position(|b| b.is_ascii_whitespace() || *b == b'/');
        let qualified = inside.get(..length.unwrap_or(inside.len())).unwrap_or(inside);
        let local = qualified.rsplit(|byte| *byte == b':').next().unwrap_or(qualified);
        match local {
            b"Envelope" if !found.is_envelope => found.is_envelope = true,
            _ if !found.is_envelope => break,
            b"Body" if !in_body => in_body = true,
            _ if in_body => {
                found.first = Some(local);
                break;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::fixture::call;

    const ENVELOPE: &[u8] =
        b"<?xml version='1.0'?><!-- <Body> --><s:Envelope xmlns:s='x'><s:Header><a:To>b</a:To></s:Header>\
        <s:Body><m:GetPrice item='1'><m:Item>x</m:Item></m:GetPrice></s:Body></s:Envelope>";

    #[track_caller]
    fn check(fields: &[(&'static str, &'static str)], body: &[u8], wanted: Option<Option<&str>>) {
        let request = fields
            .iter()
            .fold(call("POST", "/soap"), |call, (name, value)| {
                call.field(name, value)
            })
            .exchange();
        let found = of(&request.request.unwrap().head, body);
        assert_eq!(found.as_ref().map(Option::as_deref), wanted);
    }

    #[test]
    fn operations_have_names() {
        check(
            &[("SOAPAction", "\"urn:GetPrice\"")],
            ENVELOPE,
            Some(Some("urn:GetPrice")),
        );
        check(
            &[("SOAPAction", "\"\""), ("content-type", "text/xml")],
            ENVELOPE,
            Some(Some("GetPrice")),
        );
        check(
            &[("content-type", "application/soap+xml; action=\"urn:a\"")],
            ENVELOPE,
            Some(Some("urn:a")),
        );
        check(&[("content-type", "application/soap+xml")], b"", Some(None));
        check(
            &[("content-type", "text/xml; charset=utf-8")],
            ENVELOPE,
            Some(Some("GetPrice")),
        );
        check(&[("content-type", "text/xml")], b"<feed><entry/></feed>", None);
        check(&[("content-type", "application/json")], ENVELOPE, None);
    }

    #[test]
    fn an_envelope_may_be_cut_anywhere() {
        for cut in 0..ENVELOPE.len() {
            first_element(&ENVELOPE[..cut]);
        }
    }
}
