//! PHP in a value: tags, superglobals, calls of functions that run or read, and functions called by computed names.

use std::sync::LazyLock;

use super::{
    Hit,
    class::Class,
    hints::Hints,
    needles::{self, Needles, Words},
    scan::Bits,
    text::{Shape, Source, Text, at, from, is_word, prose_words, take_while},
};

/// What only PHP has.
pub(super) const MARKED: &[&str] = &[
    "<?php",
    "<?=",
    "[php]",
    "[/php]",
    "$_get",
    "$_post",
    "$_request",
    "$_server",
    "$_cookie",
    "$_files",
    "$_session",
    "$_env",
    "$globals",
    "$http_post_vars",
    "$http_get_vars",
    "$http_raw_post_data",
    "allow_url_include",
    "auto_prepend_file",
    "disable_functions",
    "open_basedir",
    "suhosin.",
];

static MARKS: Needles = LazyLock::new(|| needles::build(MARKED));

/// Functions that run, read or reveal.
static FUNCTIONS: Words = LazyLock::new(|| {
    needles::words(
        "phpinfo system exec shell_exec passthru popen proc_open pcntl_exec assert eval base64_decode \
     base64_encode str_rot13 gzinflate gzuncompress gzdecode create_function call_user_func \
     call_user_func_array func_get_args file_get_contents file_put_contents fopen fread fwrite fgets fsockopen \
     readfile preg_replace preg_match preg_replace_callback move_uploaded_file curl_exec curl_init chr bin2hex \
     hex2bin getenv putenv ini_set ini_get set_time_limit php_uname phpversion get_defined_vars \
     get_defined_functions scandir glob opendir readdir getcwd chdir unlink symlink highlight_file show_source \
     parse_ini_file array_map array_filter array_walk usort uasort uksort register_shutdown_function ob_start \
     ob_get_clean ob_get_contents unserialize serialize var_dump print_r phpcredits posix_getuid \
     posix_getpwuid mysql_query mysqli_query pg_query urldecode rawurldecode strrev is_dir is_file file_exists \
     filesize fileperms mail dl session_start include include_once require require_once tmpfile tempnam \
     imap_open ftp_connect stream_get_contents simplexml_load_file simplexml_load_string readgzfile gzopen \
     zlib_decode convert_uuencode fputs file eregi_replace ereg_replace json_decode \
     strip_tags intval unpack assert_options filegroup fileowner fileinode fileatime filectime filemtime filetype",
    )
});

/// Beginnings of functions of extensions: what is called like this is called by nothing else.
const FAMILIES: [&[u8]; 24] = [
    b"apache_",
    b"array_",
    b"bzde",
    b"curl_",
    b"ftp_",
    b"gzde",
    b"imap_",
    b"ini_",
    b"mb_ereg",
    b"mysqli_",
    b"openssl_",
    b"pcntl_",
    b"php_",
    b"posix_",
    b"proc_",
    b"readline_",
    b"session_",
    b"socket_",
    b"sodium_",
    b"stream_",
    b"tidy_",
    b"wincache_",
    b"xmlwriter_",
    b"zend_",
];

/// Whether a name is that of a function of PHP.
fn is_function(name: &[u8]) -> bool {
    needles::is_one_of(&FUNCTIONS, name)
        || name.len() > 8 && FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Bytes of a value that are read. Overflow policy: what is behind is not.
const MAX_BYTES: usize = 1_024;

/// PHP in this value.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    let hit = |confidence, why| Some(Hit::new(Class::PhpInjection, confidence, why));
    let bits = Bits::ANGLE
        .or(Bits::BRACE)
        .or(Bits::PAREN)
        .or(Bits::SQUARE)
        .or(Bits::DOT);
    if text.is_content() || text.shape == Shape::Prose || !text.bits.any(bits) {
        return None;
    }
    let lower = text.lower.get(..MAX_BYTES).unwrap_or(text.lower);
    if text.hints.any(Hints::PHP)
        && let Some((_, start, end)) = needles::find(&MARKS, lower)
        && !is_word(at(lower, end))
        && (start == 0 || !is_word(at(lower, start - 1)))
    {
        return hit(0.9, "source of PHP");
    }
    if text.bits.any(Bits::BRACE) && spaced_variable(lower) {
        return hit(0.75, "a variable of PHP whose name is spaced out");
    }
    if !text.bits.any(Bits::PAREN) {
        return None;
    }
    if calls(lower, text.source) {
        return hit(0.8, "a value that calls a function of PHP");
    }
    if text.bits.any(Bits::QUOTE) && text.bits.any(Bits::DOT) && joins_a_name(lower) {
        return hit(0.85, "a function whose name is put together");
    }
    computed(lower).then(|| Hit::new(Class::PhpInjection, 0.75, "a function called by a computed name"))
}

/// A call at the front of a value, or behind what ended a string or statement.
fn calls(lower: &[u8], source: Source) -> bool {
    let mut place = 0;
    while let Some(found) = memchr::memchr(b'(', from(lower, place)) {
        let open = place + found;
        place = open + 1;
        let before = trim_comments(lower.get(..open).unwrap_or_default());
        let length = before.iter().rev().take_while(|byte| is_word(**byte)).count();
        let (head, name) = before.split_at_checked(before.len() - length).unwrap_or_default();
        if length < 2 || !is_function(name) {
            continue;
        }
        let in_path = source == Source::Path && head.last() == Some(&b'/');
        let dotted = matches!(head.last(), Some(b'.' | b'>' | b'$' | b'-' | b'/')) && !in_path;
        let between = lower.get(before.len()..open).unwrap_or_default();
        // One blank is for people; tabs, lines and comments are not.
        let spaced = between == b" ";
        let inside = from(lower, place);
        let inside = inside
            .get(..memchr::memchr(b')', inside).unwrap_or(inside.len()))
            .unwrap_or_default();
        let quoted = inside.iter().any(|byte| matches!(byte, b'\'' | b'"'));
        let sentence = spaced && !quoted && prose_words(inside, 2) >= 1 && !name.contains(&b'_');
        let whole = prose_words(head, 2) == 0;
        if !dotted && whole && !sentence {
            return true;
        }
    }
    false
}

/// `$_S ERVER[`: PHP takes blanks in names of parameters for underscores, filters do not.
fn spaced_variable(lower: &[u8]) -> bool {
    let Some(start) = memchr::memmem::find(lower, b"$_") else {
        return false;
    };
    let rest = from(lower, start + 2);
    let head = rest.get(..16).unwrap_or(rest);
    let Some(end) = memchr::memchr2(b'[', b'{', head) else {
        return false;
    };
    let name = head.get(..end).unwrap_or_default();
    let letters: Vec<u8> = name.iter().copied().filter(u8::is_ascii_lowercase).collect();
    letters.len() < name.len()
        && matches!(
            letters.as_slice(),
            b"server" | b"get" | b"post" | b"request" | b"cookie" | b"files" | b"env" | b"session"
        )
}

/// `'sys'.'tem'`: pieces between quotes that make the name of a function that runs.
fn joins_a_name(lower: &[u8]) -> bool {
    const RUN: [&[u8]; 8] = [
        b"system",
        b"exec",
        b"passthru",
        b"shell_exec",
        b"assert",
        b"popen",
        b"proc_open",
        b"phpinfo",
    ];
    let mut joined = Vec::with_capacity(lower.len());
    let mut is_joined = false;
    let mut rest = lower;
    while let Some((&byte, behind)) = rest.split_first() {
        if matches!(byte, b'\'' | b'"') && !joined.is_empty() {
            let dot = behind.trim_ascii_start().strip_prefix(b".");
            let next = dot
                .map(<[u8]>::trim_ascii_start)
                .and_then(|dot| dot.split_first());
            if let Some((b'\'' | b'"', tail)) = next {
                is_joined = true;
                rest = tail;
                continue;
            }
        }
        joined.push(byte);
        rest = behind;
    }
    is_joined
        && joined
            .split(|byte| !is_word(*byte))
            .any(|name| RUN.contains(&name))
}

/// Without white space and comments at the end: they may stand between a function and its arguments.
fn trim_comments(before: &[u8]) -> &[u8] {
    let mut before = before.trim_ascii_end();
    let line = memchr::memrchr(b'\n', before).map_or(0, |place| place + 1);
    let comment =
        memchr::memmem::find(from(before, line), b"//").or_else(|| memchr::memchr(b'#', from(before, line)));
    if let Some(comment) = comment {
        before = before.get(..line + comment).unwrap_or_default().trim_ascii_end();
    }
    for _ in 0..4 {
        if !before.ends_with(b"*/") {
            break;
        }
        let Some(start) = memchr::memmem::rfind(before, b"/*") else {
            break;
        };
        before = before.get(..start).unwrap_or_default().trim_ascii_end();
    }
    before
}

/// `$f(1)`, `${x}['y'](1)`, `"system"(ls)`, `(sy.(st).em)(id)`, `[system][0](id)`.
fn computed(lower: &[u8]) -> bool {
    let first = lower.trim_ascii_start().first();
    let begins = matches!(first, Some(b'$' | b'@' | b'(' | b'{' | b'[' | b'"' | b'\''));
    if !begins && memchr::memmem::find(lower, b"::").is_none() {
        return false;
    }
    // White space and comments mean nothing here.
    let mut plain = Vec::with_capacity(lower.len().min(MAX_NAME_BYTES));
    let mut rest = lower;
    while let Some((&byte, behind)) = rest.split_first() {
        if plain.len() >= MAX_NAME_BYTES {
            break;
        }
        if rest.starts_with(b"/*") {
            let end = memchr::memmem::find(behind, b"*/").unwrap_or(behind.len());
            rest = from(behind, end + 2);
            continue;
        }
        if !byte.is_ascii_whitespace() {
            plain.push(byte);
        }
        rest = behind;
    }
    let start = plain.strip_prefix(b"@").unwrap_or(&plain);
    let start = start.strip_prefix(b"(string)").unwrap_or(start);
    let start = start.strip_prefix(b"{").unwrap_or(start);
    let start = match memchr::memmem::find(start, b"::$") {
        Some(place)
            if start
                .get(..place)
                .is_some_and(|class| class.iter().all(|byte| is_word(*byte))) =>
        {
            from(start, place + 2)
        }
        _ => start,
    };
    if let Some(rest) = start.strip_prefix(b"$") {
        let name = take_while(rest, |byte| {
            is_word(byte)
                || matches!(
                    byte,
                    b'{' | b'}'
                        | b'$'
                        | b'['
                        | b']'
                        | b'\''
                        | b'"'
                        | b'-'
                        | b'>'
                        | b':'
                        | b'@'
                        | b'!'
                        | b'+'
                        | b'.'
                )
        });
        let digit = name.first().is_some_and(u8::is_ascii_digit);
        let behind = from(rest, name.len());
        return !name.is_empty() && !digit && behind.starts_with(b"(") && behind.contains(&b')');
    }
    let names = |name: &[u8]| {
        let letters: Vec<u8> = name
            .iter()
            .copied()
            .filter(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
            .collect();
        needles::is_one_of(&FUNCTIONS, &letters)
            || name.contains(&b'.')
                && letters.len() >= 4
                && name.iter().all(|byte| {
                    is_word(*byte)
                        || matches!(
                            byte,
                            b'.' | b'(' | b')' | b'\'' | b'"' | b'[' | b']' | b'0'..=b'9'
                        )
                })
    };
    let (open, close): (u8, &[u8]) = match start.first() {
        Some(b'(') => (b'(', b")("),
        Some(b'[') => (b'[', b"]("),
        Some(quote @ (b'"' | b'\'')) => {
            let end = memchr::memchr(*quote, from(start, 1)).map_or(0, |end| end + 1);
            let name = start.get(1..end).unwrap_or_default();
            return from(start, end + 1).starts_with(b"(")
                && !lower.contains(&b' ')
                && name.len() > 2
                && name.iter().all(|byte| is_word(*byte));
        }
        _ => return false,
    };
    let close = memchr::memmem::find(start, close)
        .or_else(|| memchr::memmem::find(start, b"}("))
        .or_else(|| memchr::memmem::find(start, b"]("));
    let name = close.and_then(|close| start.get(1..close)).unwrap_or_default();
    let name = name
        .strip_suffix(b"[0]")
        .or(name.strip_suffix(b"][0"))
        .unwrap_or(name);
    // `(a.b)(c)` is an ordinary call in many languages: what is put together from pieces is not.
    let pieces = open == b'('
        && name.contains(&b'.')
        && !name.iter().any(|byte| matches!(byte, b'\'' | b'"' | b'('))
        && !names(name.split(|byte| *byte == b'.').next().unwrap_or_default());
    names(name) && !pieces
}

/// Bytes of an expression that are read for the name of a function. Overflow policy: what is behind is not.
const MAX_NAME_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_and_calls_are_found_and_talk_is_not() {
        let is_php = |value: &str| {
            let lower = value.to_ascii_lowercase();
            detect(&Text::new(value.as_bytes(), lower.as_bytes(), Source::Query)).is_some()
        };
        for value in [
            "<?php echo 1; ?>",
            "$_GET['x']",
            "phpinfo()",
            "';system('id');//",
            "exec /* x */ ('id')",
            "$_(1)",
            "\"system\"(ls)",
            "(sy.(st).em)(whoami)",
            "x;file_get_contents('/x')",
            "exec\t(x)",
            "$_S ERVER['x']",
            "define('x', 'sys' . 'tem');(x)('id');",
            "[system][0](ls);",
            "(['system'])[0]('id')",
            "sodium_crypto_box_keypair ()",
        ] {
            assert!(is_php(value), "{value}");
        }
        for value in [
            "system (operating)",
            "the exec (see org chart) said so",
            "$5 (five)",
            "$(document).ready()",
            "a.glob(x)",
            "math.floor(x)",
            "mail (annual)",
            "\"quoted\" (and more)",
            "[link](https://example.test)",
            "(a)(b)",
            "'a'.'b' (joined)",
            "array_ (sic)",
            "[a](b)",
        ] {
            assert!(!is_php(value), "{value}");
        }
    }
}
