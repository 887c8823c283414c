//! A value that is itself a command line, in a parameter or a field of a form, where applications take arguments.
//!
//! In: a short value. Out: why it is a command. A line of shell is content elsewhere, and a name of a program is a word
//! that people search for: only what runs a program in a roundabout way, or by a name that says nothing else, counts.

use super::PROGRAMS;
use crate::analysis::signature::{
    needles::{Words, is_one_of, words},
    text::{at, from},
};

/// Longest value that is a line. Overflow policy: it is none.
const MAX_BYTES: usize = 200;

/// What runs another program.
static RUNNERS: Words = std::sync::LazyLock::new(|| {
    words(
        "time strace ltrace nohup nice ionice setsid stdbuf sudo doas env timeout watch xargs exec command builtin",
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

/// Why a value is a command line.
pub(super) fn detect(lower: &[u8]) -> Option<&'static str> {
    let line = lower.trim_ascii();
    let line = line
        .strip_prefix(b"\'")
        .or(line.strip_prefix(b"\""))
        .unwrap_or(line);
    if line.is_empty() || line.len() > MAX_BYTES {
        return None;
    }
    let (mut first, mut rest) = word(line);
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
        return (runs || script && name == b"rc").then_some("a shell is given a command");
    }
    let is_telling = is_one_of(&TELLING, name);
    if is_run && (is_telling || is_one_of(&PROGRAMS, name) && rest.starts_with(b"-")) {
        return Some("a program is run by another one");
    }
    if is_telling && (rest.starts_with(b"-") || name.contains(&b'-')) {
        return Some("a program that tells about the machine");
    }
    first_expands(line).then_some("a program whose name a shell puts together")
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
            is_one_of(&PROGRAMS, &name) || is_one_of(&super::WORDS, &name)
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
        ] {
            assert_eq!(detect(line.as_bytes()), None, "{line}");
        }
    }
}
