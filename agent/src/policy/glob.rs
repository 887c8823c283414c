//! Patterns with `*` for anything within a segment, `**` for anything, and `!` in front for "not".

use serde::{Deserialize, Deserializer, de::Error as _};

/// Longest pattern, in bytes. Overflow policy: it is refused.
const MAX_BYTES: usize = 512;

/// Most `*` of a pattern: what bounds the time to match. Overflow policy: it is refused.
const MAX_STARS: usize = 8;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: String,
    is_negated: bool,
}

impl Glob {
    /// Whether `!` stands in front.
    pub(super) const fn is_negated(&self) -> bool {
        self.is_negated
    }

    /// The only text that fits, if there is only one.
    pub(super) fn word(&self) -> Option<&str> {
        (!self.text.contains('*')).then_some(self.text.as_str())
    }

    /// Whether a text fits, `!` aside; letters fit in either case.
    pub(super) fn fits(&self, text: &str) -> bool {
        fits(self.text.as_bytes(), text.as_bytes())
    }
}

impl TryFrom<&str> for Glob {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        let (text, is_negated) = match text.strip_prefix('!') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        if text.is_empty() || text.len() > MAX_BYTES || text.matches('*').count() > 2 * MAX_STARS {
            return Err(format!(
                "a pattern has 1 to {MAX_BYTES} bytes and at most {MAX_STARS} `*`"
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            is_negated,
        })
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::try_from(text.as_str()).map_err(D::Error::custom)
    }
}

/// Goes back to the last `*` only, which is enough for `**`; a `*` that may not pass a `/` gives way to the `**` before.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Where to go on after the last star of each kind, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        let rest = pattern.get(at..).unwrap_or_default();
        if rest.starts_with(b"**") {
            at += 2;
            double = Some((at, seen));
            star = None;
            continue;
        }
        match (rest.first(), text.get(seen)) {
            (Some(b'*'), _) => {
                at += 1;
                star = Some((at, seen));
                continue;
            }
            (Some(p), Some(t)) if p.eq_ignore_ascii_case(t) => {
                at += 1;
                seen += 1;
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        if let Some((after, taken)) = star
            && text.get(taken).is_some_and(|byte| *byte != b'/')
        {
            star = Some((after, taken + 1));
            (at, seen) = (after, taken + 1);
        } else if let Some((after, taken)) = double
            && taken < text.len()
        {
            double = Some((after, taken + 1));
            star = None;
            (at, seen) = (after, taken + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars() {
        for (pattern, text, expected) in [
            ("/admin/**", "/admin/users/7", true),
            ("/admin/**", "/administration", false),
            ("/v*/users/*", "/v1/users/{userId}", true),
            ("/v*/users/*", "/v1/users/a/b", false),
            ("**/export", "/a/b/export", true),
            ("**/export/*", "/export/export/x/export/y", true),
            ("shop*", "Shop-api", true),
            ("*", "", true),
            ("2xx", "204", false),
            ("a**b**c", "axxbyyc", true),
            ("a**b**c", "axxbyy", false),
        ] {
            assert_eq!(
                Glob::try_from(pattern).expect("a pattern").fits(text),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn hostile_texts_take_little_time() {
        let pattern = Glob::try_from("**a*a*a*a*a*a*b").expect("a pattern");
        assert!(!pattern.fits(&"a".repeat(2000)));
        assert!(Glob::try_from("").is_err() && Glob::try_from("*".repeat(99).as_str()).is_err());
    }
}
