//! Expressions of template engines that compute or reach into the server.
//!
//! A placeholder is content: `{{ name }}`, `${user}`, `<%= title %>` in a text. What counts is arithmetic that a probe
//! makes, members that lead to classes, and calls in a value that is nothing but an expression.

use std::sync::LazyLock;

use super::{
    Hit,
    class::Class,
    hints::Hints,
    needles::{self, Needles},
    scan::Bits,
    text::{Shape, Text, at, find, from},
};

/// Pairs that enclose an expression in some engine.
const PAIRS: [(&[u8], &[u8]); 11] = [
    (b"{{", b"}}"),
    (b"${", b"}"),
    (b"#{", b"}"),
    (b"<%", b"%>"),
    (b"{%", b"%}"),
    (b"*{", b"}"),
    (b"@(", b")"),
    (b"@{", b"}"),
    (b"~{", b"}"),
    (b"%{", b"}"),
    (b"{", b"}"),
];

/// Members and functions that lead from a template to the server.
pub(super) const MEMBERS: &[&str] = &[
    "__class__",
    "__mro__",
    "__globals__",
    "__builtins__",
    "__subclasses__",
    "__init__",
    "__import__",
    "_self.env",
    "getclass",
    "getruntime",
    ".exec(",
    "exec(",
    "popen(",
    "system(",
    "java.lang",
    "java.io",
    "t(java",
    "freemarker",
    "?new()",
    "registerundefinedfiltercallback",
    "getfilter(",
    "range.constructor",
    "constructor(",
    ".constructor",
    "config.items",
    "request.application",
    "request['",
    "lipsum",
    "cycler.",
    "joiner.",
    "namespace.__",
    "file.open(",
    "get_user_file",
    "dump(",
    "|attr(",
    "| attr(",
    "self.__",
    "self._",
    "includeonly",
    "getenv(",
    "readfile(",
    "phpinfo",
    "global.process",
    "child_process",
    "require(",
    "script.execute",
    "|map('system",
    "|filter('",
    "|sort('",
    "'.getclass",
    "processbuilder",
    "scriptengine",
    "springmacrorequestcontext",
    "#application",
    "file_excerpt",
    ".tofixed(",
    "settings.secret",
    "config.secret",
    "_context",
    "app.request",
];

static REACHES: Needles = LazyLock::new(|| needles::build(MEMBERS));

/// Expressions of one value that are judged. Overflow policy: the first so many.
const MAX_EXPRESSIONS: usize = 32;

/// Longest expression. Overflow policy: read as far as this.
const MAX_EXPRESSION_BYTES: usize = 512;

/// An expression in this value.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    let hit = |confidence, why| Some(Hit::new(Class::TemplateInjection, confidence, why));
    let kinds = Bits::BRACE.or(Bits::PERCENT).or(Bits::HASH);
    let razor = text.bits.any(Bits::PAREN) && find(text.lower, b"@(").is_some();
    if text.shape == Shape::Code || !(razor || text.bits.any(kinds)) {
        return None;
    }
    let lower = text.lower;
    let openings = openings(lower, razor);
    let mut judged = 0;
    for (number, (open, close)) in PAIRS.into_iter().enumerate() {
        if openings & 1 << number == 0 {
            continue;
        }
        let mut place = 0;
        while let Some(found) = find(from(lower, place), open) {
            let start = place + found + open.len();
            let rest = from(lower, start);
            let rest = rest.get(..MAX_EXPRESSION_BYTES).unwrap_or(rest);
            let Some(end) = find(rest, close) else {
                break;
            };
            place = start;
            judged += 1;
            if judged > MAX_EXPRESSIONS {
                return None;
            }
            let inside = rest.get(..end).unwrap_or_default();
            let single = open == b"{";
            if is_arithmetic(inside) && (!single || start == 1 && start + end + 1 >= lower.len()) {
                return hit(0.9, "arithmetic that probes a template engine");
            }
            if single {
                continue;
            }
            if text.hints.any(Hints::TEMPLATE)
                && needles::find(&REACHES, inside).is_some()
                && !text.is_content()
            {
                return hit(0.92, "a template expression that reaches into the server");
            }
            // A value that is an expression and nothing else, and calls something.
            let whole = start - open.len() <= 2 && start + end + close.len() + 2 >= lower.len();
            let before = place
                .checked_sub(open.len() + 1)
                .map_or(0, |place| at(lower, place));
            if text.shape == Shape::Short && whole && before != b'$' && probes(open, inside) {
                return hit(0.75, "a value that is a template expression");
            }
        }
    }
    if !text.is_content() && has_directive(text, openings) {
        return hit(0.85, "a directive of a template engine");
    }
    None
}

/// Which of [`PAIRS`] are opened, as a set: all but one by a `{` or `%` and what stands before it.
fn openings(lower: &[u8], razor: bool) -> u16 {
    let mut openings = u16::from(razor) << RAZOR;
    for place in memchr::memchr2_iter(b'{', b'%', lower) {
        let before = place.checked_sub(1).map_or(0, |place| at(lower, place));
        openings |= match (before, at(lower, place)) {
            (b'<', b'%') => 1 << 3,
            (b'{', b'%') => 1 << 4,
            (_, b'%') => 0,
            (b'{', _) => 1 | BRACE,
            (b'$', _) => 1 << 1 | BRACE,
            (b'#', _) => 1 << 2 | BRACE,
            (b'*', _) => 1 << 5 | BRACE,
            (b'@', _) => 1 << 7 | BRACE,
            (b'~', _) => 1 << 8 | BRACE,
            (b'%', _) => 1 << 9 | BRACE,
            _ => BRACE,
        };
    }
    openings
}

/// The place of `@(` among [`PAIRS`].
const RAZOR: u32 = 6;

/// A `{`, whatever stands before it.
const BRACE: u16 = 1 << 10;

fn has_directive(text: &Text<'_>, openings: u16) -> bool {
    let has = |directives: &[&str]| directives.iter().any(|known| text.has(known));
    text.bits.any(Bits::HASH) && has(&["#set($", "#set ($", "#foreach(", "<#assign", "#evaluate("])
        || openings & BRACE != 0 && has(&["{php}", "{$smarty", "{{constructor"])
        || text.bits.any(Bits::BRACE) && has(&["$class.inspect"])
}

/// `7*7`, `'7'*7`, `1337-1`: numbers and one operator, nothing else.
fn is_arithmetic(inside: &[u8]) -> bool {
    let inside = inside.trim_ascii();
    let inside = inside.strip_prefix(b"=").unwrap_or(inside).trim_ascii();
    let inside = inside
        .strip_prefix(b"{")
        .or(inside.strip_prefix(b"("))
        .unwrap_or(inside)
        .trim_ascii();
    let Some(operator) = inside
        .iter()
        .position(|byte| matches!(byte, b'*' | b'+' | b'/' | b'-' | b'^'))
    else {
        return false;
    };
    let digits = |side: &[u8]| {
        let side = side.trim_ascii();
        let side = side
            .strip_prefix(b"'")
            .or(side.strip_prefix(b"\""))
            .unwrap_or(side);
        let side = side
            .strip_suffix(b"'")
            .or(side.strip_suffix(b"\""))
            .unwrap_or(side);
        !side.is_empty()
            && side.len() <= 12
            && side
                .iter()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b')' | b' '))
            && side.iter().any(u8::is_ascii_digit)
    };
    // Dates and ranges between braces are no probes.
    let multiplies =
        at(inside, operator) == b'*' || inside.len() <= 12 && !matches!(at(inside, operator), b'-' | b'/');
    let (left, right) = inside.split_at_checked(operator).unwrap_or_default();
    multiplies && digits(left) && digits(from(right, 1))
}

/// Whether an expression does more than name something.
fn probes(open: &[u8], inside: &[u8]) -> bool {
    let inside = inside.trim_ascii();
    let calls = inside.contains(&b'(') && inside.contains(&b')');
    let bare = matches!(
        inside,
        b"self" | b"config" | b"request" | b"settings" | b"this" | b"dump" | b"app" | b"_self" | b"debug"
    );
    let statement = matches!(open, b"<%" | b"{%");
    match open {
        b"{{" => calls || bare || inside.contains(&b'['),
        b"${" | b"#{" | b"*{" | b"%{" | b"@{" | b"~{" => {
            calls && inside.contains(&b'.') || bare && open == b"#{"
        }
        b"@(" => inside.contains(&b'.') && calls,
        _ => statement && (calls || inside.starts_with(b"=") || inside.contains(&b' ')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::signature::text::Source;

    fn is_template(value: &str) -> bool {
        let lower = value.to_ascii_lowercase();
        detect(&Text::new(value.as_bytes(), lower.as_bytes(), Source::Query)).is_some()
    }

    #[test]
    fn expressions_are_found() {
        for value in [
            "{{7*7}}",
            "${7*7}",
            "#{ 7 * 7 }",
            "<%= 7*7 %>",
            "{{'7'*7}}",
            "{{config.items()}}",
            "{{''.__class__.__mro__[2].__subclasses__()}}",
            "${T(java.lang.Runtime).getRuntime().exec('x')}",
            "{{self}}",
            "<%= system('id') %>",
            "{% for x in ().__class__.__base__.__subclasses__() %}x{% endfor %}",
            "{{ someString.toUpperCase() }}",
            "#set($x=7)",
        ] {
            assert!(is_template(value), "{value}");
        }
    }

    #[test]
    fn openings_are_those_that_are_there() {
        for (number, (open, _)) in PAIRS.into_iter().enumerate() {
            let razor = open == b"@(";
            assert_ne!(
                openings(&[b"x", open].concat(), razor) & 1 << number,
                0,
                "{open:?}"
            );
        }
        assert_eq!(openings(b"50% of <this>", false), 0);
        assert_eq!(openings(b"a {b}", false), BRACE);
    }

    #[test]
    fn placeholders_are_not() {
        for value in [
            "Hello {{ name }}, welcome",
            "{{name}}",
            "{{ user.name | upper }}",
            "${HOME}/bin",
            "${user.name}",
            "${{ secrets.TOKEN }}",
            "/users/{id}/posts/{2024-01}",
            "{a-b}",
            "@{user}",
            "a{3,5}b",
            "x^{2}+y^{2}",
            "{\"a\":1}",
            "50% off",
            "#{channel}",
            "price: ${price} (incl. tax)",
        ] {
            assert!(!is_template(value), "{value}");
        }
    }
}
