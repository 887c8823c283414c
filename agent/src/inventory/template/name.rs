//! Names of parameters.
//!
//! In: the literal before a parameter and the parameter's type. Out: a name in camel case: `{userId}` after
//! `users`. Refuses linguistics: a short list of irregular plurals and three rules.

use super::SegmentType;

/// Longest name made from a literal, in bytes. Overflow policy: such a literal names nothing and `id` is used.
const MAX_NAME_BYTES: usize = 48;

/// The name of a parameter of this type after this literal.
pub(super) fn parameter(parent: Option<&str>, kind: SegmentType) -> String {
    let suffix = match kind {
        SegmentType::Date => return "date".into(),
        SegmentType::Float => return "value".into(),
        SegmentType::Name => "name",
        SegmentType::Email => "email",
        SegmentType::Ip => "ip",
        _ => "id",
    };
    let base = parent.map(camel_singular).unwrap_or_default();
    if base.is_empty() || base.len() > MAX_NAME_BYTES || base == suffix {
        return suffix.into();
    }
    let (first, rest) = suffix.split_at(1);
    format!("{base}{}{rest}", first.to_ascii_uppercase())
}

/// The words of a literal in camel case, the last one in singular. Empty if it has no letter in front.
fn camel_singular(literal: &str) -> String {
    let shouted = !literal.bytes().any(|b| b.is_ascii_lowercase());
    let words: Vec<String> = literal
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| {
            if shouted {
                word.to_ascii_lowercase()
            } else {
                word.to_owned()
            }
        })
        .collect();
    let Some((last, init)) = words.split_last() else {
        return String::new();
    };
    let last = singular(last);
    let mut name = String::new();
    for word in init.iter().map(String::as_str).chain([last.as_str()]) {
        let (first, rest) = word.split_at(1);
        if name.is_empty() {
            name.push_str(&first.to_ascii_lowercase());
        } else {
            name.push_str(&first.to_ascii_uppercase());
        }
        name.push_str(rest);
    }
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name
    } else {
        String::new()
    }
}

/// Plurals that no rule gets right, and words in `s` that are none. Compared with the end of the word.
const IRREGULAR: &[(&str, &str)] = &[
    ("people", "person"),
    ("children", "child"),
    ("indices", "index"),
    ("vertices", "vertex"),
    ("matrices", "matrix"),
    ("analyses", "analysis"),
    ("movies", "movie"),
    ("cookies", "cookie"),
    ("series", "series"),
    ("species", "species"),
    ("news", "news"),
    ("aliases", "alias"),
    ("statuses", "status"),
    ("buses", "bus"),
    ("viruses", "virus"),
    ("campuses", "campus"),
    ("bonuses", "bonus"),
    ("caches", "cache"),
    ("archives", "archive"),
    ("axes", "axis"),
    ("lenses", "lens"),
    ("gas", "gas"),
    ("canvas", "canvas"),
    ("alias", "alias"),
    ("dns", "dns"),
    ("sms", "sms"),
    ("aws", "aws"),
];

/// The singular of an English noun, as far as [`IRREGULAR`] and the rules go.
fn singular(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    for (plural, one) in IRREGULAR {
        if let Some(head) = lower.strip_suffix(plural) {
            let head = word.get(..head.len()).unwrap_or_default();
            // Keep the case of camel case: `blogPeople` is `blogPerson`.
            let capital = word
                .get(head.len()..)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
            let (first, rest) = one.split_at(1);
            let first = if capital {
                first.to_ascii_uppercase()
            } else {
                first.to_owned()
            };
            return format!("{head}{first}{rest}");
        }
    }
    let cut = |count: usize| word.get(..word.len().saturating_sub(count)).unwrap_or_default();
    if lower.len() > 4 && lower.ends_with("ies") {
        format!("{}y", cut(3))
    } else if ["sses", "shes", "ches", "xes", "zzes"]
        .iter()
        .any(|end| lower.ends_with(end))
    {
        cut(2).to_owned()
    } else if lower.len() > 2
        && lower.ends_with('s')
        && !["ss", "us", "is"].iter().any(|end| lower.ends_with(end))
    {
        cut(1).to_owned()
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singulars() {
        for (plural, one) in [
            ("users", "user"),
            ("categories", "category"),
            ("addresses", "address"),
            ("branches", "branch"),
            ("boxes", "box"),
            ("databases", "database"),
            ("status", "status"),
            ("statuses", "status"),
            ("analysis", "analysis"),
            ("blogPeople", "blogPerson"),
            ("invoices", "invoice"),
            ("Releases", "Release"),
            ("s", "s"),
            ("ies", "ie"),
        ] {
            assert_eq!(singular(plural), one);
        }
    }

    #[test]
    fn names() {
        for (parent, kind, name) in [
            (Some("users"), SegmentType::Int, "userId"),
            (Some("user-profiles"), SegmentType::Uuid, "userProfileId"),
            (Some("LineItems"), SegmentType::Hex, "lineItemId"),
            (Some("ORDERS"), SegmentType::Int, "orderId"),
            (Some("users"), SegmentType::Email, "userEmail"),
            (Some("hosts"), SegmentType::Ip, "hostIp"),
            (Some("reports"), SegmentType::Date, "date"),
            (Some("lat"), SegmentType::Float, "value"),
            (Some("id"), SegmentType::Int, "id"),
            (Some("$$"), SegmentType::Int, "id"),
            (Some("2nd"), SegmentType::Int, "id"),
            (Some("%C3%A9"), SegmentType::Int, "c3A9Id"),
            (None, SegmentType::Int, "id"),
            (None, SegmentType::Email, "email"),
        ] {
            assert_eq!(parameter(parent, kind), name, "{parent:?}");
        }
        assert_eq!(parameter(Some(&"x".repeat(60)), SegmentType::Int), "id");
    }
}
