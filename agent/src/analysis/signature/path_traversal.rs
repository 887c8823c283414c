//! Ways up a directory tree, and files that no caller should name.
//!
//! A relative path is ordinary (`../lib/a.js` in a diff, an import, a manifest): one step up counts only with a disguise,
//! in a place that addresses something, or together with a file of the system.

use std::sync::LazyLock;

use super::{
    Hit,
    class::Class,
    needles::{self, Needles},
    scan::Bits,
    text::{Shape, Source, Text, at, from, prose_words},
};

/// Files of the system and of applications, in lower case with `/`.
const FILES: &str = "etc/passwd etc/shadow etc/group etc/issue etc/hosts etc/hostname etc/motd etc/security/ etc/sudoers \
     etc/crontab etc/fstab etc/ssh etc/mysql etc/apache etc/httpd etc/nginx etc/php etc/master.passwd \
     etc/samba etc/resolv.conf proc/self/ proc/version proc/cmdline proc/net/ proc/sys/ proc/mounts proc/1/ \
     boot.ini win.ini windows/system32 winnt/ system32/ windows/repair windows/win windows/php.ini /repair/sam \
     web-inf/ meta-inf/ .ssh/ .aws/credentials .aws/config .bash_history .git/config .git/head .svn/entries \
     .htaccess .htpasswd wp-config web.config ntuser.dat unattend.xml unattended.xml sysprep global.asa \
     access_log error_log apache/logs apache2/logs /logs/access.log log/apache httpd.conf php.ini id_rsa \
     xampp/ .kube/config docker.sock";

static KNOWN: Needles = LazyLock::new(|| needles::build(&FILES.split_ascii_whitespace().collect::<Vec<_>>()));

/// A file that no caller should name.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    let hit = |confidence, why| Some(Hit::new(Class::PathTraversal, confidence, why));
    if text.is_content() || !text.bits.any(Bits::DOT.or(Bits::SLASH).or(Bits::BACKSLASH)) {
        return None;
    }
    if text.disguised {
        return hit(0.9, "characters of a path in disguise");
    }
    let lower = text.lower.get(..MAX_BYTES).unwrap_or(text.lower);
    let steps = steps_up(lower);
    let prose = text.shape == Shape::Prose || prose_words(lower, 4) >= 3;
    if steps.escaped >= 1 {
        return hit(0.9, "steps up the tree in disguise");
    }
    if steps.count >= 3 && !prose || steps.run >= 2 && (steps.leads || text.depth > 0) && !prose {
        return hit(0.9, "steps up the tree");
    }
    let addresses = matches!(text.source, Source::Path | Source::Query | Source::Header) || text.depth > 0;
    if steps.count >= 1 && steps.leads && addresses && !prose && !is_relative_url(lower) {
        return hit(0.75, "a step up the tree");
    }
    if steps.dots {
        return hit(0.75, "a disguised step up the tree");
    }
    if is_restricted(lower, text.source) {
        return hit(0.65, "a file that servers do not mean to serve");
    }
    if let Some(confidence) = names_a_file(lower, text, prose) {
        return hit(
            if steps.count > 0 { 0.95 } else { confidence },
            "a file that no caller should name",
        );
    }
    None
}

/// Bytes of a value that are read. Overflow policy: what is behind is not.
const MAX_BYTES: usize = 1_024;

/// What was found of `../` and its disguises.
#[derive(Debug, Default)]
struct Steps {
    /// Steps in all.
    count: usize,
    /// The longest row of them.
    run: usize,
    /// Steps whose separator or dots are written in a way that only gets past filters.
    escaped: usize,
    /// The value begins with them.
    leads: bool,
    /// Many dots in a row behind a slash.
    dots: bool,
}

fn steps_up(lower: &[u8]) -> Steps {
    let mut steps = Steps::default();
    let mut place = 0;
    let mut expected = 0;
    let mut run = 0;
    while let Some(found) = memchr::memchr(b'.', from(lower, place)) {
        let start = place + found;
        let dots = from(lower, start)
            .iter()
            .take_while(|byte| **byte == b'.')
            .count();
        place = start + dots;
        let before = start.checked_sub(1).map_or(0, |place| at(lower, place));
        if dots >= 6 && (matches!(before, b'/' | b'\\') || matches!(at(lower, place), b'/' | b'\\')) {
            steps.dots = true;
        }
        // `0x2e`, `%2e` and friends stand for a dot or a slash in what some decoder reads next.
        let (separator, length) = separator(from(lower, place));
        let spelled = spelled_dot(lower, start);
        if !(separator && ((2..=4).contains(&dots) || spelled)) {
            continue;
        }
        let begins = matches!(
            before,
            0 | b'/' | b'\\' | b'=' | b':' | b'"' | b'\'' | b' ' | b'(' | b',' | b';' | b'&'
        ) || start <= expected;
        if !begins {
            continue;
        }
        steps.count += 1;
        run = if start <= expected + 2 { run + 1 } else { 1 };
        steps.run = steps.run.max(run);
        steps.leads |= start <= 3;
        if length > 1 && !matches!(from(lower, place), [b'/' | b'\\', ..])
            || dots > 2 && run > 1
            || at(lower, place) == b'\\' && at(lower, place + 1) == b'/'
        {
            steps.escaped += 1;
        }
        place += length;
        expected = place;
    }
    steps.escaped += spelled_steps(lower);
    steps
}

/// Whether a separator stands here, in one of its spellings, and its length.
fn separator(bytes: &[u8]) -> (bool, usize) {
    const SPELLED: [&[u8]; 12] = [
        b"%2f", b"%5c", b"%252f", b"%255c", b"0x2f", b"0x5c", b"%c0%af", b"%c1%9c", b"%u2215", b"%u2216",
        b"2f", b"5c",
    ];
    if let [b'/' | b'\\', ..] = bytes {
        let run = bytes
            .iter()
            .take_while(|byte| matches!(byte, b'/' | b'\\'))
            .count();
        return (true, run);
    }
    match SPELLED.iter().find(|spelled| bytes.starts_with(spelled)) {
        Some(spelled) if spelled.len() > 2 => (true, spelled.len()),
        // `..2f..2f`: what is left of a filter that takes percent signs out.
        Some(spelled) if from(bytes, spelled.len()).starts_with(b"..") => (true, spelled.len()),
        _ => (false, 0),
    }
}

fn spelled_dot(lower: &[u8], start: usize) -> bool {
    let before = lower.get(..start).unwrap_or_default();
    before.ends_with(b"%2e") || before.ends_with(b"0x2e")
}

/// Steps without any dot or slash as such.
fn spelled_steps(lower: &[u8]) -> usize {
    const SPELLED: [&[u8]; 8] = [
        b"0x2e0x2e",
        b"%2e%2e",
        b"%252e%252e",
        b"%c0%ae",
        b"%c0%2e",
        b"%uff0e",
        b"%c1%8s",
        b"%c0%9v",
    ];
    SPELLED
        .iter()
        .map(|spelled| memchr::memmem::find_iter(lower, spelled).take(2).count())
        .sum()
}

/// `../assets/a.png` relative to a page.
fn is_relative_url(lower: &[u8]) -> bool {
    let up = lower.strip_prefix(b"../").unwrap_or_default();
    !up.is_empty()
        && up
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'@'))
        && memchr::memmem::find(up, b"..").is_none()
        && !is_known(up)
}

fn is_known(lower: &[u8]) -> bool {
    KNOWN.as_ref().is_some_and(|known| known.is_match(lower))
}

/// Hidden files, backups and logs at the top of a site: `/.env`, `/backup.sql.gz`. Deeper down they are somebody's data.
fn is_restricted(lower: &[u8], source: Source) -> bool {
    const SERVED: [&[u8]; 6] = [
        b".well-known",
        b".netlify",
        b".auth",
        b".vercel",
        b".api",
        b".rest",
    ];
    const ENDS: [&[u8]; 11] = [
        b".sql",
        b".sql.gz",
        b".sql.zip",
        b".bak",
        b".swp",
        b".php~",
        b"/debug.log",
        b"/error.log",
        b"/errors.log",
        b"wp-config.php",
        b".pem",
    ];
    let path = match source {
        Source::Path => lower,
        Source::Query | Source::Body if lower.starts_with(b"/.") && lower.len() <= 32 => lower,
        _ => return false,
    };
    let mut segments = path
        .split(|byte| *byte == b'/')
        .filter(|segment| !segment.is_empty());
    let hidden = segments.clone().take(2).any(|segment| {
        segment.len() >= 4
            && segment.starts_with(b".")
            && segment.get(1).is_some_and(u8::is_ascii_alphabetic)
            && !SERVED.contains(&segment)
            && segment
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    });
    let top = segments.nth(2).is_none();
    hidden && (source == Source::Path || top)
        || source == Source::Path && top && ENDS.iter().any(|end| path.ends_with(end))
}

/// How sure it is that a value names a file of the system: a value that *is* a path, or a command's argument.
fn names_a_file(lower: &[u8], text: &Text<'_>, prose: bool) -> Option<f32> {
    if prose {
        return None;
    }
    let slashed: Vec<u8>;
    let path = if text.bits.any(Bits::BACKSLASH) {
        slashed = lower
            .iter()
            .map(|byte| if *byte == b'\\' { b'/' } else { *byte })
            .collect();
        slashed.as_slice()
    } else {
        lower
    };
    let mut folded = Vec::with_capacity(path.len());
    for byte in path {
        if !(*byte == b'/' && folded.last() == Some(&b'/')) {
            folded.push(*byte);
        }
    }
    let found = KNOWN.as_ref()?.find(folded.as_slice())?;
    let before = found.start().checked_sub(1).map_or(0, |place| at(&folded, place));
    let begins = matches!(
        before,
        0 | b'/' | b' ' | b'=' | b'"' | b'\'' | b':' | b';' | b'|' | b'<' | b'(' | b'.' | b'{' | b',' | b'\t'
    );
    // On the web everything has a host: `https://x.test/etc/hosts` is a page.
    let hosted = memchr::memmem::find(&folded, b"http:/")
        .or(memchr::memmem::find(&folded, b"https:/"))
        .is_some();
    (begins && !hosted).then_some(0.8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_traversal(value: &str, source: Source) -> bool {
        let lower = value.to_ascii_lowercase();
        detect(&Text::new(value.as_bytes(), lower.as_bytes(), source)).is_some()
    }

    #[test]
    fn steps_and_files_are_found() {
        for value in [
            "../../../etc/passwd",
            "..\\..\\windows\\system32\\drivers\\etc\\hosts",
            "....//....//etc//issue",
            "/etc/passwd",
            "file:///etc/shadow",
            "..%2f..%2f..%2fx",
            "..0x2f..0x2f..0x2fboot.ini",
            "/..........................{file}",
            "0x2e0x2e/0x2e0x2e/x",
            "C:\\boot.ini",
            "../../../../x",
            "/var/www/.htpasswd",
            "/proc/self/environ",
        ] {
            assert!(is_traversal(value, Source::Query), "{value}");
        }
    }

    #[test]
    fn ordinary_paths_are_not() {
        for value in [
            "../lib/a.js",
            "./src/main.rs",
            "a/b/../c.txt",
            "wait...",
            "and so on ... / or not",
            "https://example.test/etc/hosts",
            "/var/lib/app/data.csv",
            "C:\\Users\\ada\\report.docx",
            "1.2.3",
            "v1.0...v1.1",
            "feature/..main",
            "src/../../x is what the import says there",
            "10/12/2024",
        ] {
            assert!(!is_traversal(value, Source::Body), "{value}");
        }
    }
}
