//! A value that is itself a command line, in a parameter or a field of a form, where applications take arguments.
//!
//! In: a short value. Out: why it is a command. A line of shell is content elsewhere, and a name of a program is a word
//! that people search for: only what runs a program in a roundabout way, or by a name that says nothing else, counts.

use super::{PROGRAMS, WORDS};
use crate::analysis::signature::{
    needles::{Words, is_one_of, words},
    text::{at, from},
};

/// Longest value that is a line. Overflow policy: it is none.
const MAX_BYTES: usize = 200;

/// What runs another program.
static RUNNERS: Words = std::sync::LazyLock::new(|| {
    words(
        "time strace ltrace nohup nice ionice setsid stdbuf sudo doas env timeout watch xargs exec command builtin \
         cpulimit choom chrt taskset setarch unshare nsenter flock logsave rlwrap parallel systemd-run \
         start-stop-daemon softlimit torsocks torify valgrind prlimit catchsegv eval busybox",
    )
});

/// What reads commands from an argument.
static SHELLS: Words =
    std::sync::LazyLock::new(|| words("sh bash zsh dash ksh csh tcsh ash fish busybox rc"));

/// Programs that tell about the machine, or manage many: nothing else is called like them.
static TELLING: Words = std::sync::LazyLock::new(|| {
    words(
        "whoami ifconfig ipconfig ansible-config ansible-console ansible-doc ansible-galaxy ansible-inventory \
         ansible-playbook ansible-pull ansible-vault chef-shell chef-run chef-client chef-vault chef-solo cscli \
         msfconsole systeminfo tasklist netstat lsmod hostnamectl loginctl getent dmsetup ncat",
    )
});

/// What shows a file, or does something to its lines.
static READERS: Words = std::sync::LazyLock::new(|| {
    words("cat tac head tail less more nl od xxd hexdump strings rev base64 sort uniq zcat bzcat")
});

/// Directories of the machine.
const ROOTS: [&[u8]; 9] = [
    b"/etc/", b"/tmp/", b"/var/", b"/proc/", b"/dev/", b"/home/", b"/root/", b"/bin/", b"/usr/",
];

/// What is only odd: no incident rests on it.
const WEAK: f32 = 0.45;

/// Whether a value without any byte of note may be a command line: it begins with a shell, or with what runs one.
pub(in crate::analysis::signature) fn may_be(bytes: &[u8]) -> bool {
    let length = bytes
        .iter()
        .take(12)
        .position(|byte| matches!(byte, b' ' | b'+'))
        .unwrap_or(0);
    let first = bytes.get(..length).unwrap_or_default();
    let letter = first.first().map(u8::to_ascii_lowercase);
    if !matches!(
        letter,
        Some(b's' | b'b' | b'z' | b'd' | b'k' | b't' | b'l' | b'n' | b'e' | b'c' | b'p')
    ) {
        return false;
    }
    [
        &b"sh"[..],
        b"bash",
        b"zsh",
        b"dash",
        b"ksh",
        b"time",
        b"strace",
        b"ltrace",
        b"sudo",
        b"nohup",
        b"env",
        b"cpulimit",
        b"powershell",
        b"pwsh",
        b"cmd",
    ]
    .iter()
    .any(|known| known.eq_ignore_ascii_case(first))
}

/// Why a value is a command line, and how sure that is.
pub(super) fn detect(lower: &[u8]) -> Option<(f32, &'static str)> {
    let whole = lower.trim_ascii();
    let line = whole
        .strip_prefix(b"\'")
        .or(whole.strip_prefix(b"\""))
        .unwrap_or(whole);
    if line.is_empty() || line.len() > MAX_BYTES {
        return None;
    }
    let (mut first, mut rest) = word(line);
    let runner = is_one_of(&RUNNERS, first).then_some(rest);
    let mut is_run = false;
    for _ in 0..3 {
        if !is_one_of(&RUNNERS, first) || rest.is_empty() {
            break;
        }
        (first, rest) = word(rest);
        is_run = true;
    }
    let name = first.rsplit(|byte| *byte == b'/').next().unwrap_or(first);
    if is_one_of(&SHELLS, name) {
        let runs = rest.starts_with(b"-c ") || is_run && rest.starts_with(b"-");
        let script = rest.ends_with(b".sh") && !rest.contains(&b' ');
        return (runs || script && name == b"rc").then_some((0.6, "a shell is given a command"));
    }
    let is_telling = is_one_of(&TELLING, name);
    let runs = is_run && (is_telling || is_one_of(&PROGRAMS, name) && rest.starts_with(b"-"));
    if runs || runner.is_some_and(runs_behind_options) || finds_and_runs(name, rest) {
        return Some((0.6, "a program is run by another one"));
    }
    if is_telling && (rest.starts_with(b"-") || name.contains(&b'-')) {
        return Some((0.6, "a program that tells about the machine"));
    }
    if first_expands(line) {
        return Some((0.6, "a program whose name a shell puts together"));
    }
    if runs_code(name, rest) {
        return Some((0.6, "an interpreter is given code"));
    }
    if pipes_to_shell(line) || loops(line) {
        return Some((0.6, "what a shell is to run"));
    }
    if walks(line) {
        return Some((0.6, "a directory is entered step by step"));
    }
    (quoted(whole) || is_one_of(&READERS, name) && is_file(rest))
        .then_some((WEAK, "a program is given a file of the machine"))
}

/// `-l 100 -f whoami` behind a program that runs others.
fn runs_behind_options(rest: &[u8]) -> bool {
    let mut words = rest
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    rest.starts_with(b"-") && words.any(|word| is_one_of(&TELLING, word) || is_one_of(&SHELLS, word))
}

/// Whether a program behind a separator runs the one behind it: `;time id`, `;net user`.
pub(super) fn is_run(lower: &[u8], program: &[u8], end: usize) -> bool {
    let (next, rest) = word(from(lower, end).trim_ascii_start());
    let next = next.rsplit(|byte| *byte == b'/').next().unwrap_or(next);
    if next.is_empty() || !at(lower, end).is_ascii_whitespace() {
        return false;
    }
    if program == b"net" {
        return is_one_of(&OF_NET, next);
    }
    let name_ends = next
        .iter()
        .position(|byte| matches!(byte, b';' | b'|' | b'&'))
        .unwrap_or(next.len());
    let name = next.get(..name_ends).unwrap_or_default();
    let ends = rest.is_empty() || name_ends < next.len() || rest.starts_with(b"-") || rest.starts_with(b"/");
    ends && is_one_of(&RUNNERS, program) && (is_one_of(&PROGRAMS, name) || is_one_of(&WORDS, name))
}

/// What `net` of Windows is asked for.
static OF_NET: Words = std::sync::LazyLock::new(|| {
    words("user users localgroup group share use view accounts session config statistics")
});

/// `perl -e '…'`
fn runs_code(name: &[u8], rest: &[u8]) -> bool {
    let option: &[&[u8]] = match name {
        b"perl" | b"ruby" | b"lua" | b"node" => &[b"-e ", b"-e'", b"-e\""],
        b"python" | b"python2" | b"python3" => &[b"-c ", b"-c'", b"-c\""],
        b"php" => &[b"-r ", b"-r'", b"-r\""],
        b"powershell" | b"powershell.exe" | b"pwsh" => &[b"-e ", b"-enc", b"-c ", b"-command "],
        b"awk" | b"gawk" | b"mawk" => &[b"'begin", b"\"begin"],
        _ => &[],
    };
    option.iter().any(|option| rest.starts_with(option))
}

/// `curl … | sh`
fn pipes_to_shell(line: &[u8]) -> bool {
    let Some(pipe) = memchr::memrchr(b'|', line) else {
        return false;
    };
    let (last, rest) = word(from(line, pipe + 1).trim_ascii());
    let (last, rest) = if last == b"sudo" { word(rest) } else { (last, rest) };
    let name = last.rsplit(|byte| *byte == b'/').next().unwrap_or(last);
    let (first, _) = word(line);
    is_one_of(&SHELLS, name)
        && (rest.is_empty() || rest == b"-")
        && (is_one_of(&PROGRAMS, first) || matches!(first, b"echo" | b"cat"))
}

/// `for i in …; do …; done`, `for %i in (…) do`, `%programfiles:~10,1%`
fn loops(line: &[u8]) -> bool {
    let find = |part: &[u8]| memchr::memmem::find(line, part);
    let begins = |words: &[&[u8]]| words.iter().any(|word| find(word).is_some());
    let of_shell = begins(&[b"for ", b"while ", b"until "])
        && find(b"; do ").or(find(b";do ")).is_some()
        && find(b"done").is_some()
        || find(b"if ").is_some()
            && find(b"; then ").or(find(b";then ")).is_some()
            && find(b" fi").or(find(b";fi")).is_some();
    let of_windows = find(b"for ").is_some()
        && memchr::memchr(b'%', line).is_some()
        && find(b" in (").is_some()
        && find(b") do ").is_some();
    let cuts = find(b":~")
        .is_some_and(|place| at(line, place + 2).is_ascii_digit() || at(line, place + 2) == b'-')
        && line.iter().filter(|byte| **byte == b'%').count() >= 2;
    of_shell || of_windows || cuts
}

/// `find /x -exec cat {}`
fn finds_and_runs(name: &[u8], rest: &[u8]) -> bool {
    let starts = matches!(rest.first(), Some(b'/' | b'.' | b'~' | b'-'));
    let mut words = rest
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let runs = words.any(|word| matches!(word, b"-exec" | b"-execdir" | b"-ok" | b"-okdir"));
    let program = words.next().unwrap_or_default();
    let program = program.rsplit(|byte| *byte == b'/').next().unwrap_or(program);
    let is_program = [&PROGRAMS, &WORDS, &SHELLS]
        .iter()
        .any(|list| is_one_of(list, program));
    name == b"find" && starts && runs && is_program
}

/// `cd /;cd etc;…`: a path in pieces, which a filter for paths does not know.
fn walks(line: &[u8]) -> bool {
    let mut steps = line
        .split(|byte| matches!(byte, b';' | b'&' | b'|'))
        .map(<[u8]>::trim_ascii)
        .filter(|step| !step.is_empty());
    let enters = |step: &[u8]| step.strip_prefix(b"cd ").map(|path| path.trim_ascii().to_vec());
    let first = steps.next().and_then(enters);
    let second = steps.next().and_then(enters);
    first.is_some_and(|path| path == b"/") && second.is_some_and(|path| !path.starts_with(b"/"))
}

/// `'ls' /var/www`: quotes that only a shell takes off.
fn quoted(whole: &[u8]) -> bool {
    let Some(quote) = whole.first().filter(|byte| matches!(byte, b'\'' | b'"')) else {
        return false;
    };
    let inside = from(whole, 1);
    let length = inside.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let behind = from(inside, length + 1);
    (1..=12).contains(&length)
        && inside.get(length) == Some(quote)
        && at(behind, 0).is_ascii_whitespace()
        && is_file(behind.trim_ascii_start())
}

/// Options, perhaps, and one path into a directory of the machine, or with two parts and an ending.
fn is_file(rest: &[u8]) -> bool {
    let mut words = rest
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .skip_while(|word| word.starts_with(b"-"));
    let (Some(path), None) = (words.next(), words.next()) else {
        return false;
    };
    let parts = path.iter().filter(|byte| **byte == b'/').count();
    ROOTS.iter().any(|root| path.starts_with(root))
        || path.starts_with(b"/") && parts >= 2 && path.contains(&b'.')
}

/// `{l,-lh}s`, `c{a,oun}t`: braces inside a word that would be nothing else.
fn first_expands(line: &[u8]) -> bool {
    let Some(open) = memchr::memchr(b'{', line) else {
        return false;
    };
    let Some(close) = memchr::memchr(b'}', from(line, open)) else {
        return false;
    };
    let inside = line.get(open + 1..open + close).unwrap_or_default();
    let (before, behind) = (line.get(..open).unwrap_or_default(), from(line, open + close + 1));
    let letters = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_lowercase);
    let parts = inside.split(|byte| *byte == b',').count();
    let fits = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b',' | b'-');
    let tail = behind.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let ends = matches!(at(behind, tail), 0 | b' ' | b';' | b'|');
    parts >= 2
        && inside.len() <= 16
        && inside.iter().all(fits)
        && letters(before)
        && ends
        && (1..=4).contains(&(before.len() + tail))
        && inside.split(|byte| *byte == b',').any(|part| {
            let name = [before, part, behind.get(..tail).unwrap_or_default()].concat();
            is_one_of(&PROGRAMS, &name) || is_one_of(&WORDS, &name)
        })
}

/// The first word and what follows it.
fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let length = line
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(length).unwrap_or((line, &[]));
    (word, rest.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roundabout_commands_are_found_and_lines_of_shell_are_not() {
        for line in [
            "sh -c whoami",
            "time sh -c whoami",
            "'time sh -c x",
            "strace ifconfig",
            "bash -c \"echo x\"",
            "/bin/bash -c id",
            "ansible-inventory --list",
            "chef-shell",
            "{l,-lh}s",
            "c{a,oun}t",
            "cpulimit -l 100 -f whoami",
            "find /etc -name passwd -exec cat {}",
            "cd /;cd etc;column passwd",
            "'ll' /var/www/",
            "cat /srv/app/keys.pem",
            "perl -e 'print 1'",
            "curl http://x.test/a | sh",
            "for /f %i in ('whoami') do echo %i",
            "if true; then id; fi",
            "%programfiles:~10,1%whoami",
        ] {
            assert!(detect(line.as_bytes()).is_some(), "{line}");
        }
        for line in [
            "time will tell",
            "docker run --rm -it alpine sh",
            "npm test",
            "curl -s https://example.test/install.sh",
            "grep -r foo . | wc -l",
            "env and time",
            "bash scripting",
            "python",
            "{a,b}",
            "file{1,2}.txt",
            "watch videos",
            "command line tools",
            "find the -exec option",
            "cd /app && npm ci",
            "'quoted' / not",
            "cat and dog",
            "more /etc more",
            "time -l is up",
            "perl and python",
            "read | write | sh",
            "for all in (one) do it",
            "if so; then what",
            "python -c",
        ] {
            assert_eq!(detect(line.as_bytes()), None, "{line}");
        }
    }
}
