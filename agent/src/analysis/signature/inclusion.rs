//! Files and streams that an interpreter would include: wrappers of PHP, remote scripts, names of uploaded programs.

use std::sync::LazyLock;

use super::{
    Hit,
    class::Class,
    hints::Hints,
    needles::{self, Needles},
    scan::Bits,
    text::{Source, Text, at, from, is_word, take_while},
};

/// Wrappers of PHP's streams and others that only includes use.
pub(super) const STREAMS: &[&str] = &[
    "php://",
    "phar://",
    "expect://",
    "zip://",
    "glob://",
    "compress.zlib://",
    "compress.bzip2://",
    "zlib://",
    "ogg://",
    "rar://",
    "ssh2.",
    "file://",
    "file:/",
    "data://text",
    "convert.base64-encode",
    "convert.iconv.",
    "string.rot13",
];

static WRAPPERS: Needles = LazyLock::new(|| needles::build(STREAMS));

/// Such a file or stream.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    let hit = |confidence, why| Some(Hit::new(Class::FileInclusion, confidence, why));
    if text.is_content() {
        return None;
    }
    let lower = text.lower;
    if is_upload(text.name) && is_program(lower) {
        return hit(0.7, "an uploaded program");
    }
    if !text.bits.any(Bits::COLON.or(Bits::DOT)) {
        return None;
    }
    if text.hints.any(Hints::INCLUSION)
        && let Some((_, start, _)) = needles::find(&WRAPPERS, lower)
        && (start == 0 || !is_word(at(lower, start - 1)))
        && !lower.get(..start).unwrap_or_default().contains(&b' ')
    {
        return hit(0.85, "a stream that an interpreter would include");
    }
    if matches!(text.source, Source::Query | Source::Body | Source::Header) && is_remote_script(lower) {
        return hit(0.7, "a remote script");
    }
    None
}

/// Whether a field or header of this name holds that of a file somebody sends.
fn is_upload(name: &[u8]) -> bool {
    if !(8..=16).contains(&name.len()) {
        return false;
    }
    let letters: Vec<u8> = name
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .map(u8::to_ascii_lowercase)
        .collect();
    matches!(letters.as_slice(), b"filename" | b"xfilename" | b"uploadfilename")
}

/// `http://x.test/shell.txt?`: a URL that hides what is appended to it, or a script on a bare address.
fn is_remote_script(lower: &[u8]) -> bool {
    let Some(rest) = [&b"http://"[..], b"https://", b"ftp://", b"ftps://"]
        .iter()
        .find_map(|scheme| lower.strip_prefix(*scheme))
    else {
        return false;
    };
    let path = memchr::memchr(b'/', rest).map_or(&[][..], |slash| from(rest, slash));
    let cut = rest.ends_with(b"?") || rest.ends_with(b"?\0") || rest.ends_with(b"\0");
    let numeric = rest.first().is_some_and(u8::is_ascii_digit)
        && rest
            .iter()
            .take_while(|byte| !matches!(byte, b'/' | b':'))
            .all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let script = [
        &b".php"[..],
        b".txt",
        b".phtml",
        b".jsp",
        b".asp",
        b".aspx",
        b".cgi",
        b".sh",
        b".py",
        b".pl",
    ]
    .iter()
    .any(|end| path.ends_with(end));
    let literal = rest.starts_with(b"[");
    cut || (numeric || literal) && script
}

/// Whether a file of this name would run on a web server.
fn is_program(lower: &[u8]) -> bool {
    let name = lower.trim_ascii_end();
    let name = name
        .strip_suffix(b"...")
        .or(name.strip_suffix(b"."))
        .unwrap_or(name);
    let last = name
        .rsplit(|byte| matches!(byte, b'/' | b'\\'))
        .next()
        .unwrap_or(name);
    // A stored session is run as one.
    if last.strip_prefix(b"sess_").is_some_and(|id| id.len() >= 16) {
        return true;
    }
    let Some(dot) = memchr::memchr(b'.', name) else {
        return false;
    };
    from(name, dot + 1).split(|byte| *byte == b'.').any(|part| {
        let part = take_while(part.trim_ascii(), |byte| byte.is_ascii_alphanumeric());
        matches!(
            part,
            b"php"
                | b"php3"
                | b"php4"
                | b"php5"
                | b"php7"
                | b"php8"
                | b"phps"
                | b"phtml"
                | b"phar"
                | b"pht"
                | b"phpt"
                | b"jsp"
                | b"jspx"
                | b"aspx"
                | b"ashx"
                | b"asmx"
                | b"htaccess"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_remote_scripts_are_found() {
        let is_inclusion = |value: &str, name: &[u8]| {
            let lower = value.to_ascii_lowercase();
            let text = Text {
                name,
                ..Text::new(value.as_bytes(), lower.as_bytes(), Source::Query)
            };
            detect(&text).is_some()
        };
        for value in [
            "php://filter/read=x",
            "phar://a.jpg",
            "http://x.test/shell.txt?",
            "http://1.2.3.4/x.php",
            "file:///x",
        ] {
            assert!(is_inclusion(value, b"page"), "{value}");
        }
        assert!(is_inclusion("a.php5", b"filename"));
        for value in [
            "https://example.test/index.php",
            "https://example.test/?q=x",
            "profile://x",
            "php is fine",
            "a.php",
        ] {
            assert!(!is_inclusion(value, b"page"), "{value}");
        }
        assert!(!is_inclusion("a.jpg", b"filename"));
    }
}
