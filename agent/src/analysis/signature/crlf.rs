//! Line breaks that begin a header, a response, or a command of a mail protocol.
//!
//! Only where a line break cannot be meant: bodies have lines, and lines begin with words and colons.

use super::{
    Hit,
    class::Class,
    scan::Bits,
    text::{Source, Text, from, skip_while},
};

/// Headers that attacks add; any other header counts where values have no lines.
const HEADERS: [&[u8]; 12] = [
    b"set-cookie",
    b"location",
    b"content-type",
    b"content-length",
    b"transfer-encoding",
    b"x-xss-protection",
    b"refresh",
    b"access-control-allow-origin",
    b"host",
    b"link",
    b"x-forwarded-for",
    b"content-security-policy",
];

/// Commands of SMTP, IMAP and POP3 with what follows them.
const COMMANDS: [&[u8]; 21] = [
    b"rcpt to:",
    b"mail from:",
    b"ehlo ",
    b"helo ",
    b"data\r\n",
    b"vrfy ",
    b"expn ",
    b"bcc:",
    b"retr ",
    b"dele ",
    b"capa\r",
    b"stls",
    b"uidl",
    b"quit\r",
    b"starttls",
    b"noop",
    b"rset",
    b"capability",
    b"auth plain",
    b"auth login",
    b"apop ",
];

/// A line break with something of a protocol behind it.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    if text.is_content() || !text.bits.any(Bits::CONTROL) {
        return None;
    }
    let lines = matches!(text.source, Source::Body);
    let lower = text.lower;
    let mut place = 0;
    while let Some(found) = memchr::memchr2(b'\n', b'\r', from(lower, place)) {
        place += found + 1;
        let rest = skip_while(from(lower, place), |byte| byte.is_ascii_whitespace());
        if header(rest, lines) {
            return Some(Hit::new(
                Class::CrlfInjection,
                0.85,
                "a line break begins a header",
            ));
        }
        if !lines
            && (rest.starts_with(b"http/1.")
                || rest.starts_with(b"<html")
                || rest.starts_with(b"get /")
                || rest.starts_with(b"post /"))
        {
            return Some(Hit::new(
                Class::CrlfInjection,
                0.85,
                "a line break begins a message",
            ));
        }
        if COMMANDS.iter().any(|command| rest.starts_with(command))
            || imap(rest)
            || flags(rest)
            || !lines && alone(rest)
        {
            return Some(Hit::new(
                Class::MailInjection,
                0.75,
                "a line break begins a command for a mail server",
            ));
        }
    }
    None
}

/// `x store 2 +flags (\\deleted)`: IMAP.
fn flags(rest: &[u8]) -> bool {
    let head = rest.get(..64).unwrap_or(rest);
    let has = |part: &[u8]| memchr::memmem::find(head, part).is_some();
    has(b" store ") && has(b"flags (\\")
}

/// A command of POP3 that is all of its line: `quit`, `list 3`.
fn alone(rest: &[u8]) -> bool {
    let line = rest
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .next()
        .unwrap_or(rest);
    let digits = line.strip_prefix(b"list ").or(line.strip_prefix(b"top "));
    line == b"quit"
        || digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

fn header(rest: &[u8], lines: bool) -> bool {
    let name = rest
        .iter()
        .take(40)
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-')
        .count();
    let after = skip_while(from(rest, name), |byte| byte == b' ');
    if name < 2 || !after.starts_with(b":") {
        return false;
    }
    let name = rest.get(..name).unwrap_or_default();
    let known = HEADERS.contains(&name);
    if lines {
        return matches!(
            name,
            b"set-cookie" | b"transfer-encoding" | b"x-xss-protection" | b"content-length"
        ) || known && after.starts_with(b"://");
    }
    known || name.starts_with(b"x-") || name.contains(&b'-')
}

/// `A001 SEARCH …`: a tag with a digit, and a command.
fn imap(rest: &[u8]) -> bool {
    let tag = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    let has_digit = rest.get(..tag).is_some_and(|tag| {
        tag.iter().any(u8::is_ascii_digit) && tag.first().is_some_and(u8::is_ascii_alphabetic)
    });
    let command = from(rest, tag + 1);
    has_digit
        && tag <= 10
        && [
            &b"search"[..],
            b"fetch",
            b"select",
            b"capability",
            b"login",
            b"list",
            b"delete",
            b"store",
            b"create",
            b"examine",
            b"logout",
            b"rename",
            b"append",
            b"uid ",
            b"copy ",
        ]
        .iter()
        .any(|known| command.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_where_there_are_none() {
        let class = |value: &str, source| {
            let lower = value.to_ascii_lowercase();
            detect(&Text::new(value.as_bytes(), lower.as_bytes(), source)).map(|hit| hit.class)
        };
        assert_eq!(
            class("x\r\nSet-Cookie: a=b", Source::Query),
            Some(Class::CrlfInjection)
        );
        assert_eq!(class("x\r\nX-Y: b", Source::Query), Some(Class::CrlfInjection));
        assert_eq!(
            class("x\r\nRCPT TO:<a@b.test>", Source::Body),
            Some(Class::MailInjection)
        );
        assert_eq!(
            class("a\r\nA001 SELECT inbox", Source::Query),
            Some(Class::MailInjection)
        );
        assert_eq!(class("Dear all\nLocation: room 4", Source::Body), None);
        assert_eq!(class("first\nsecond: line", Source::Query), None);
    }
}
