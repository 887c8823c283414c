//! Secrets that are known by how they begin: tokens of vendors, private keys, JSON web tokens, passwords in URLs.
//!
//! In: a value. Out: its type. One pass over the value finds all beginnings; what follows each is checked against the
//! shape its issuer documents. Placeholders (`xxxx…`, few different characters) are none.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::{Finding, Grade, SensitiveType};

/// What a secret is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `-` and `_`.
    Url,
    /// As before, and `.`, `=`, `+`, `/`, `~`.
    Wide,
    /// Capitals and digits.
    Upper,
    /// Hex digits.
    Hex,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Alphabet::Alnum => byte.is_ascii_alphanumeric(),
            Alphabet::Url => byte.is_ascii_alphanumeric() || b"-_".contains(&byte),
            Alphabet::Wide => byte.is_ascii_alphanumeric() || b"-_.=+/~".contains(&byte),
            Alphabet::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Alphabet::Hex => byte.is_ascii_hexdigit(),
        }
    }
}

/// How a secret begins, what follows, and how many characters of it at least and at most.
type Shape = (&'static str, Alphabet, usize, usize);

/// Longest secret that is looked at.
const ANY: usize = 4096;

const SHAPES: &[Shape] = &[
    ("AKIA", Alphabet::Upper, 16, 16),
    ("ASIA", Alphabet::Upper, 16, 16),
    ("ABSK", Alphabet::Wide, 100, ANY),
    ("AIza", Alphabet::Url, 35, 35),
    ("ya29.", Alphabet::Url, 20, ANY),
    ("GOCSPX-", Alphabet::Url, 20, 40),
    ("ghp_", Alphabet::Alnum, 36, 40),
    ("gho_", Alphabet::Alnum, 36, 40),
    ("ghu_", Alphabet::Alnum, 36, 40),
    ("ghs_", Alphabet::Alnum, 36, 40),
    ("ghr_", Alphabet::Alnum, 36, 80),
    ("github_pat_", Alphabet::Url, 60, 100),
    ("glpat-", Alphabet::Wide, 20, 80),
    ("glptt-", Alphabet::Hex, 40, 40),
    ("gldt-", Alphabet::Url, 20, 40),
    ("glrt-", Alphabet::Url, 20, 40),
    ("glsa_", Alphabet::Url, 41, 41),
    ("glc_", Alphabet::Wide, 32, 400),
    ("xoxb-", Alphabet::Url, 20, 200),
    ("xoxp-", Alphabet::Url, 40, 200),
    ("xoxe-", Alphabet::Url, 40, 200),
    ("xoxe.xoxp-", Alphabet::Url, 40, 200),
    ("xoxa-", Alphabet::Url, 20, 200),
    ("xoxr-", Alphabet::Url, 20, 200),
    ("xoxs-", Alphabet::Url, 20, 200),
    ("xapp-", Alphabet::Url, 30, 200),
    ("hooks.slack.com/services/", Alphabet::Wide, 40, 60),
    ("sk_live_", Alphabet::Alnum, 10, 120),
    ("sk_test_", Alphabet::Alnum, 10, 120),
    ("sk_prod_", Alphabet::Alnum, 10, 120),
    ("rk_live_", Alphabet::Alnum, 10, 120),
    ("rk_test_", Alphabet::Alnum, 10, 120),
    ("rk_prod_", Alphabet::Alnum, 10, 120),
    ("whsec_", Alphabet::Wide, 24, 80),
    ("sk-ant-", Alphabet::Url, 40, 140),
    ("sk-proj-", Alphabet::Url, 48, 200),
    ("sk-svcacct-", Alphabet::Url, 48, 200),
    ("sk-admin-", Alphabet::Url, 48, 200),
    ("sk-", Alphabet::Alnum, 40, 60),
    ("SG.", Alphabet::Wide, 60, 70),
    ("sq0atp-", Alphabet::Url, 22, 22),
    ("sq0csp-", Alphabet::Url, 43, 43),
    ("EAAA", Alphabet::Url, 56, 64),
    ("EAAM", Alphabet::Alnum, 90, ANY),
    ("EAAC", Alphabet::Alnum, 90, ANY),
    ("shpat_", Alphabet::Hex, 32, 32),
    ("shpss_", Alphabet::Hex, 32, 32),
    ("npm_", Alphabet::Alnum, 36, 36),
    ("pypi-AgE", Alphabet::Url, 60, 1000),
    ("rubygems_", Alphabet::Hex, 48, 48),
    ("dop_v1_", Alphabet::Hex, 64, 64),
    ("doo_v1_", Alphabet::Hex, 64, 64),
    ("dp.pt.", Alphabet::Alnum, 40, 50),
    ("hf_", Alphabet::Alnum, 34, 40),
    ("api_org_", Alphabet::Alnum, 34, 34),
    ("hvs.", Alphabet::Url, 24, 200),
    ("hvb.", Alphabet::Url, 24, 400),
    ("atlasv1.", Alphabet::Wide, 60, 80),
    ("ATATT3", Alphabet::Wide, 100, 250),
    ("lin_api_", Alphabet::Alnum, 40, 40),
    ("pul-", Alphabet::Hex, 40, 40),
    ("rdme_", Alphabet::Alnum, 70, 70),
    ("fo1_", Alphabet::Url, 43, 43),
    ("fm1a_", Alphabet::Wide, 100, ANY),
    ("fm1r_", Alphabet::Wide, 100, ANY),
    ("fm2_", Alphabet::Wide, 100, ANY),
    ("sntrys_eyJ", Alphabet::Wide, 80, 400),
    ("sntryu_", Alphabet::Hex, 64, 64),
    ("sgp_", Alphabet::Url, 57, 57),
    ("ico-", Alphabet::Alnum, 32, 32),
    ("sgp_local_", Alphabet::Hex, 40, 40),
    ("squ_", Alphabet::Hex, 40, 40),
    ("sqp_", Alphabet::Hex, 40, 40),
    ("sqa_", Alphabet::Hex, 40, 40),
    ("A3-", Alphabet::Url, 36, 37),
    ("ops_eyJ", Alphabet::Wide, 200, ANY),
    ("dapi", Alphabet::Hex, 32, 32),
    ("NRAK-", Alphabet::Upper, 27, 27),
    ("PMAK-", Alphabet::Url, 59, 59),
    ("figd_", Alphabet::Url, 40, 50),
    ("tskey-", Alphabet::Url, 20, 80),
    ("AGE-SECRET-KEY-1", Alphabet::Upper, 58, 58),
    ("CCIPAT_", Alphabet::Url, 40, 80),
    ("secret_", Alphabet::Alnum, 43, 43),
];

/// Beginnings of another kind, behind those of [`SHAPES`].
const MARKERS: &[&str] = &["-----BEGIN ", "eyJ", "://", "Q~", "\"service_account\""];

static MATCHER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let all = SHAPES
        .iter()
        .map(|(prefix, ..)| *prefix)
        .chain(MARKERS.iter().copied());
    // Patterns are constant and few: building cannot fail. Without it no secret is found by how it begins.
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(all)
        .ok()
});

/// The type of the first secret in a value.
pub(super) fn find(value: &str) -> Option<Finding> {
    let matcher = MATCHER.as_ref()?;
    matcher.find_iter(value).find_map(|found| {
        let (before, rest) = (value.get(..found.start())?, value.get(found.end()..)?);
        let index = found.pattern().as_usize();
        match SHAPES.get(index) {
            Some(shape) => fits(shape, before, rest).then_some(SensitiveType::Secret),
            None => marked(MARKERS.get(index - SHAPES.len())?, before, rest),
        }
        .map(|kind| Finding::new(kind, Grade::Checksum))
    })
}

fn fits((_, alphabet, least, most): &Shape, before: &str, rest: &str) -> bool {
    let is_joined = before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    let length = rest.bytes().take_while(|byte| alphabet.has(*byte)).count();
    let ends = !rest.as_bytes().get(length).is_some_and(u8::is_ascii_alphanumeric);
    !is_joined
        && (*least..=*most).contains(&length)
        && ends
        && is_varied(rest.get(..length).unwrap_or_default())
}

/// What stands behind a marker.
fn marked(marker: &str, before: &str, rest: &str) -> Option<SensitiveType> {
    match marker {
        "-----BEGIN " => {
            let line = rest.lines().next()?;
            line.contains("PRIVATE KEY").then_some(SensitiveType::PrivateKey)
        }
        "eyJ" => is_jwt(rest).then_some(SensitiveType::Jwt),
        "://" => has_password(rest).then_some(SensitiveType::Secret),
        // Entra ID: three characters, a digit, the marker and 31 to 34 more.
        "Q~" => {
            let length = rest.bytes().take_while(|byte| Alphabet::Wide.has(*byte)).count();
            let head = before.as_bytes().rchunks(4).next()?;
            let is_head = head.len() == 4 && head.last().is_some_and(u8::is_ascii_digit);
            (is_head && (31..=34).contains(&length)).then_some(SensitiveType::Secret)
        }
        _ => Some(SensitiveType::Secret),
    }
}

/// The rest of a header, a payload and a signature; an unsigned token has none.
fn is_jwt(rest: &str) -> bool {
    let is_part = |part: &str, least: usize| {
        part.len() >= least
            && part
                .bytes()
                .all(|byte| Alphabet::Url.has(byte) || byte == b'=' || byte == b'/' || byte == b'\\')
    };
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.=/\\".contains(c)))
        .unwrap_or(rest.len());
    let mut parts = rest.get(..end).unwrap_or_default().split('.');
    let header = parts.next().unwrap_or_default();
    let payload = parts.next().unwrap_or_default();
    is_part(header, 10) && payload.starts_with("eyJ") && is_part(payload, 10)
}

/// `user:password@host`, no part of it a template.
fn has_password(rest: &str) -> bool {
    let end =
        rest.find(|c: char| c == '/' || c == '?' || c == '#' || c == '"' || c == '\'' || c.is_whitespace());
    let authority = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
    let Some((user, host)) = authority.rsplit_once('@') else {
        return false;
    };
    let is_plain = |text: &str| !text.is_empty() && !text.contains(['<', '{', '$', '*', '%']);
    user.split_once(':').is_some_and(|(name, password)| {
        is_plain(name) && is_plain(password) && !super::keys::is_masked(password)
    }) && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
}

/// Whether there are enough different characters for a secret.
pub(super) fn is_varied(text: &str) -> bool {
    let count = variety(text);
    count >= 8 || (count >= 5 && text.len() < 12)
}

/// How many different bytes there are.
pub(super) fn variety(text: &str) -> usize {
    let mut seen = [false; 256];
    let mut count = 0;
    for byte in text.bytes() {
        if let Some(known) = seen.get_mut(usize::from(byte))
            && !std::mem::replace(known, true)
        {
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_and_shapes() {
        for secret in [
            "AKIAQ4M7WZ2XN5K8R3TB".to_owned(),
            format!("token: ghp_{}", "a1B2c3D4e5F6".repeat(3)),
            format!("sk_live_{}", "4eC39HqLyjWDarjtT1"),
            "https://ann:hunter2@db.example.test/".to_owned(),
            format!("xyz8Q~{}", "rcBcYjzzOhg1Hnn76Wm3jGgakZiZ.8vM"),
        ] {
            assert_eq!(
                find(&secret).map(|found| found.kind),
                Some(SensitiveType::Secret),
                "{secret}"
            );
        }
        for other in [
            format!("ghp_{}", "x".repeat(36)),
            "disk-usage-report".to_owned(),
            "https://api.example.test/@ann:b".to_owned(),
            "https://<user>:<password>@db.test".to_owned(),
            "AKIAABC".to_owned(),
            "eyJhbGciOiJIUzI1NiJ9".to_owned(),
        ] {
            assert_eq!(find(&other), None, "{other}");
        }
    }
}
