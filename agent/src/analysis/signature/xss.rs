//! HTML in a value that a browser would run: elements and attributes, read as a browser reads them.
//!
//! Harmless markup is content: `<p>`, `<b>`, links and pictures of the web, a `<` in a sentence. What counts is an element
//! that runs or loads script, an attribute that handles an event, a URL that is script, and an attribute that a value
//! adds after it has left the one it was put into. Scripts without any markup are those of [`super::script`].

mod attributes;
mod urls;

use super::{
    Hit,
    class::Class,
    hints::Hints,
    scan::Bits,
    script,
    text::{Shape, Source, Text, at, find, from, is_word},
};

use attributes::{is_event, judge_attribute, next_attribute};
use urls::{active_url, style_runs};

/// Tags of one value that are read. Overflow policy: the first so many.
const MAX_TAGS: usize = 64;

/// Attributes of one tag that are read. Overflow policy: the first so many.
const MAX_ATTRIBUTES: usize = 32;

/// Active HTML in this value.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    let hit = |confidence, why| Some(Hit::new(Class::Xss, confidence, why));
    if text.shape == Shape::Code {
        return None;
    }
    if text.bits.any(Bits::ANGLE)
        && let Some((confidence, why)) = elements(text)
    {
        return hit(confidence, why);
    }
    if text.is_content() || is_page(text.lower) {
        return None;
    }
    if text.bits.any(Bits::EQUAL)
        && let Some(why) = added_attribute(text)
    {
        return hit(0.85, why);
    }
    if let Some(why) = active_url(text.lower, text.source) {
        return hit(0.85, why);
    }
    if text.hints.any(Hints::STYLE) && in_another_charset(text)
        || memchr::memchr(0xbc, text.raw).is_some() && memchr::memmem::find(text.raw, b"\xbcscript").is_some()
    {
        return hit(0.85, "an element in another character set");
    }
    if text.hints.any(Hints::STYLE) && style_runs(text.lower) {
        return hit(0.8, "a style that runs script");
    }
    script::expression(text).and_then(|why| hit(0.75, why))
}

/// `+ADw-script+AD4-`: UTF-7 (RFC 2152), where `+` may have become a space.
fn in_another_charset(text: &Text<'_>) -> bool {
    text.has("adw-") && text.has("ad4-") && ["+adw-", " adw-"].iter().any(|start| text.has(start))
}

/// Elements that run or load script.
fn elements(text: &Text<'_>) -> Option<(f32, &'static str)> {
    let page = is_page(text.lower);
    let mut place = 0;
    let mut in_code = CodeSpans::default();
    for _ in 0..MAX_TAGS {
        let found = memchr::memchr(b'<', from(text.lower, place))?;
        let gone = text.lower.get(place..place + found).unwrap_or_default();
        place += found;
        if text.is_content() && in_code.after(gone) {
            place += 1;
            continue;
        }
        if let Some(found) = element(from(text.lower, place), text, page) {
            return Some(found);
        }
        place += 1;
    }
    None
}

/// Whether a text is a whole page, to which scripts belong.
fn is_page(lower: &[u8]) -> bool {
    let start = lower.trim_ascii_start();
    start.starts_with(b"<!doctype html") || start.starts_with(b"<html") && lower.len() > 512
}

/// Where in Markdown a text is: between backticks nothing is markup.
#[derive(Debug, Default)]
struct CodeSpans {
    backticks: usize,
}

impl CodeSpans {
    /// Whether the text behind `gone` is code.
    fn after(&mut self, gone: &[u8]) -> bool {
        let mut place = 0;
        while let Some(found) = memchr::memchr(b'`', from(gone, place)) {
            place += found;
            let run = from(gone, place).iter().take_while(|byte| **byte == b'`').count();
            self.backticks += 1;
            place += run;
        }
        self.backticks % 2 == 1
    }
}

/// The element whose `<` is at the front.
fn element(bytes: &[u8], text: &Text<'_>, page: bool) -> Option<(f32, &'static str)> {
    let mut rest = from(bytes, 1);
    // Filters and parsers disagree on what may stand before a name.
    while let [b'/' | b'\\' | b'?' | b'%' | b'!' | b':' | 0..=b' ', tail @ ..] = rest {
        if rest.first() == Some(&b'!') && !tail.first().is_some_and(u8::is_ascii_alphabetic) {
            return None;
        }
        rest = tail;
    }
    if spaced_out(rest) {
        return Some((0.85, "an element whose name is spaced out"));
    }
    let closes = at(bytes, 1) == b'/';
    let length = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(**byte, b':' | b'-' | b'_' | b'.'))
        .count();
    let (name, mut rest) = rest.split_at_checked(length)?;
    if name.is_empty() {
        return None;
    }
    // `< x: script`: a prefix apart from its name.
    if name.ends_with(b":") {
        let apart = rest.trim_ascii_start();
        if apart.starts_with(b"script") && !is_word(at(apart, 6)) {
            return Some((0.85, "an element whose name is spaced out"));
        }
    }
    let name = name.rsplit(|byte| *byte == b':').next().unwrap_or(name);
    let behind = at(rest, 0);
    let is_tag = rest.is_empty()
        || matches!(behind, b'>' | b'/' | b'<' | 0..=b' ' | b'"' | b'\'' | b'\\' | 0x7f.. | b'+' | b'?' | b'%' | b'&' | b'=');
    if !is_tag {
        return None;
    }
    let runs = matches!(name, b"script" | b"vmlframe" | b"isindex" | b"vbscript");
    if runs && !page && (!closes || !text.is_content()) {
        return Some((0.95, "an element that runs script"));
    }
    let loads = matches!(
        name,
        b"object"
            | b"embed"
            | b"applet"
            | b"base"
            | b"frameset"
            | b"frame"
            | b"bgsound"
            | b"ilayer"
            | b"layer"
            | b"xml"
            | b"import"
            | b"portal"
            | b"animation"
            | b"handler"
            | b"listener"
    );
    if loads
        && !closes
        && !text.is_content()
        && matches!(behind, 0..=b' ' | b'/')
        && text.source != Source::Path
    {
        return Some((0.75, "an element that loads what runs"));
    }
    let mut is_refresh = false;
    for _ in 0..MAX_ATTRIBUTES {
        let (attribute, behind) = next_attribute(rest)?;
        rest = behind;
        if let Some(why) = judge_attribute(name, &attribute, page, &mut is_refresh, text) {
            return Some((0.92, why));
        }
        if attribute.ends_tag {
            return None;
        }
    }
    None
}

/// `<s c r i p t`: filters that remove white space make it whole.
fn spaced_out(rest: &[u8]) -> bool {
    let mut letters = [0_u8; 8];
    let mut count = 0;
    for pair in rest.chunks(2).take(letters.len()) {
        let (letter, blank) = match pair {
            [letter, blank] => (letter, blank),
            [letter] => (letter, &0),
            _ => break,
        };
        if !letter.is_ascii_lowercase() {
            break;
        }
        if let Some(slot) = letters.get_mut(count) {
            *slot = *letter;
        }
        count += 1;
        if *blank != b' ' {
            break;
        }
    }
    let word = letters.get(..count).unwrap_or_default();
    matches!(
        word,
        b"script"
            | b"form"
            | b"style"
            | b"iframe"
            | b"object"
            | b"embed"
            | b"dialog"
            | b"img"
            | b"svg"
            | b"link"
            | b"meta"
            | b"base"
            | b"video"
            | b"audio"
            | b"input"
    )
}

/// Ends of names of events: what stands behind `on` when no `<` is there to say that it is HTML.
const EVENTS: [&[u8]; 46] = [
    b"load",
    b"error",
    b"click",
    b"over",
    b"out",
    b"move",
    b"enter",
    b"leave",
    b"down",
    b"up",
    b"focus",
    b"blur",
    b"key",
    b"press",
    b"change",
    b"input",
    b"submit",
    b"reset",
    b"select",
    b"toggle",
    b"start",
    b"end",
    b"iteration",
    b"cancel",
    b"wheel",
    b"scroll",
    b"drag",
    b"drop",
    b"copy",
    b"cut",
    b"paste",
    b"play",
    b"pause",
    b"playing",
    b"resize",
    b"unload",
    b"message",
    b"show",
    b"close",
    b"finish",
    b"begin",
    b"invalid",
    b"search",
    b"storage",
    b"hashchange",
    b"focusin",
];

/// An event handler that a value adds to the element it was put into: `" onfocus=…`.
fn added_attribute(text: &Text<'_>) -> Option<&'static str> {
    let lower = text.lower;
    let mut place = 0;
    while let Some(found) = find(from(lower, place), b"on") {
        let start = place + found;
        place = start + 2;
        let boundary = start == 0
            || matches!(
                at(lower, start - 1),
                b'"' | b'\'' | b'`' | b'/' | b';' | b'\\' | b'<' | b'>' | 0..=b' ' | 0xa0
            );
        if !boundary {
            continue;
        }
        let name = from(lower, place)
            .iter()
            .take_while(|byte| byte.is_ascii_lowercase())
            .count();
        let event = from(lower, place).get(..name).unwrap_or_default();
        let blanks = from(lower, place + name)
            .iter()
            .take_while(|byte| matches!(**byte, 0..=b' ' | b'\\' | b'+'))
            .count();
        let after = place + name + blanks;
        if at(lower, after) != b'=' || at(lower, after + 1) == b'=' {
            continue;
        }
        let quoted = start > 0 && matches!(at(lower, start - 1), b'"' | b'\'' | b'`');
        let known = EVENTS.iter().any(|known| event.ends_with(known));
        let encoded = text.source == Source::Name && lower.trim_ascii_start().len() + start == lower.len();
        let handles =
            known || (quoted || encoded) && is_event(lower.get(start..place + name).unwrap_or_default());
        if !handles {
            continue;
        }
        let value = from(lower, after + 1);
        let runs = value.iter().any(|byte| matches!(byte, b'(' | b'`'));
        let before = lower.get(..start).unwrap_or_default();
        let left = before
            .iter()
            .any(|byte| matches!(byte, b'"' | b'\'' | b'`' | b'>'));
        if runs
            || left
            || text.source == Source::Name
            || value.trim_ascii().is_empty() && before.trim_ascii().is_empty()
        {
            return Some("an attribute that handles an event");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_xss(value: &str) -> bool {
        let lower = value.to_ascii_lowercase();
        detect(&Text::new(value.as_bytes(), lower.as_bytes(), Source::Query)).is_some()
    }

    #[test]
    fn active_markup_is_found() {
        for value in [
            "<script>x</script>",
            "</title><ScRiPt src=//x.test/y>",
            "<img src=x onerror=alert(1)>",
            "<svg/onload=alert(1)>",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<a href='java\tscript:alert(1)'>x</a>",
            "\" onmouseover=\"alert(1)",
            "'onfocus=alert(1) autofocus='",
            "javascript:alert(document.domain)",
            "<iframe srcdoc=\"<p>\">",
            "<object data=x>",
            "<div style=\"width: expression(alert(1))\">",
            "data:text/html,<b>x",
            "<details open ontoggle=confirm`1`>",
            "<x onpointerrawupdate=x>",
            "<meta http-equiv=refresh content=\"0;url=x\">",
        ] {
            assert!(is_xss(value), "{value}");
        }
    }

    #[test]
    fn content_is_not() {
        for value in [
            "<p>Hello <b>world</b></p>",
            "<a href=\"https://example.test/a?b=c\">link</a>",
            "<img src=\"https://example.test/a.png\" alt=\"a\">",
            "JavaScript: Basics of JavaScript Language",
            "a < b and c > d",
            "if x<y: done=1",
            "I <3 this; only=1",
            "Map<String, List<Integer>>",
            "List<Object>",
            "The standard for the <$ tag is to enclose text",
            "<https://example.test>; rel=\"next\"",
            "<GITHUB_LOGIN>/<REPO>",
            "version=1 once=2 online=true",
            "<user@example.test>",
            "price on sale = 5",
            "data:image/png;base64,iVBORw0KGgo=",
            "Steps:\n\n1. open `<script>` tag\n2. close it with `</script>`\n3. done, thanks a lot\n",
        ] {
            assert!(!is_xss(value), "{value}");
        }
    }
}
