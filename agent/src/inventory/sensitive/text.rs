//! What text shows by its shape: addresses of mail and networks, telephone numbers, accounts, vehicles.
//!
//! In: a value. Out: its type. Refuses to guess: a telephone number without a name needs its country code.

use std::net::IpAddr;

use super::{Finding, Grade, SensitiveType, checksum};

/// Longest text in which something is looked for word by word. Overflow policy: the first so many bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// The type of a text, or of the first word in it that has one.
pub(super) fn find(value: &str) -> Option<Finding> {
    if value.parse::<IpAddr>().is_ok() {
        return Some(Finding::new(SensitiveType::IpAddress, Grade::Shape));
    }
    let text = head(value, MAX_TEXT_BYTES);
    let has_phone = text
        .match_indices('+')
        .take(4)
        .any(|(at, _)| is_phone(text.get(at..).unwrap_or_default()));
    if has_phone {
        return Some(Finding::new(SensitiveType::Phone, Grade::Shape));
    }
    if let Some(finding) = account(text) {
        return Some(finding);
    }
    text.split(|c: char| c.is_whitespace() || "<>()[]{},;\"'".contains(c))
        .filter(|word| word.len() >= 6)
        .find_map(word)
}

/// At most so many bytes, whole characters.
pub(super) fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

fn word(word: &str) -> Option<Finding> {
    if is_email(word) {
        return Some(Finding::new(SensitiveType::Email, Grade::Shape));
    }
    if is_address(word) {
        return Some(Finding::new(SensitiveType::IpAddress, Grade::Shape));
    }
    let is_upper = word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if word.len() == 17 && is_upper {
        let varies = word.bytes().any(|b| b.is_ascii_uppercase()) && word.bytes().any(|b| b.is_ascii_digit());
        return (varies && checksum::vin(word)).then_some(Finding::new(SensitiveType::Vin, Grade::Checksum));
    }
    (is_upper && is_nino(word)).then_some(Finding::new(SensitiveType::Nino, Grade::Shape))
}

/// An address of a network or a host in it.
fn is_address(word: &str) -> bool {
    let (address, prefix) = word
        .trim_end_matches(['.', ':'])
        .split_once('/')
        .unwrap_or((word, "0"));
    prefix.len() <= 3
        && prefix.bytes().all(|b| b.is_ascii_digit())
        && address.trim_end_matches(['.', ':']).parse::<IpAddr>().is_ok()
}

/// `local@domain.tld`, ASCII.
pub(super) fn is_email(text: &str) -> bool {
    let text = text
        .strip_prefix("mailto:")
        .unwrap_or(text)
        .trim_end_matches(['.', '!', '?']);
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let is_local = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    let label = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    (1..=64).contains(&local.len())
        && local.bytes().all(is_local)
        && !local.starts_with('.')
        && domain.len() <= 253
        && domain.split('.').all(label)
        && domain.rsplit_once('.').is_some_and(|(_, top)| {
            top.len() >= 2 && (top.starts_with("xn--") || top.bytes().all(|b| b.is_ascii_alphabetic()))
        })
}

/// `+`, country code and number: 8 to 15 digits (E.164), grouped.
fn is_phone(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('+') else {
        return false;
    };
    let is_part = |c: char| c.is_ascii_digit() || " -().".contains(c);
    let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
    let (number, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    (8..=15).contains(&digits)
        && rest.starts_with(|c: char| matches!(c, '1'..='9'))
        && !after.starts_with(|c: char| c.is_alphanumeric() || "+/=_%".contains(c))
}

/// Lengths of IBANs by country (SWIFT registry).
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SC", 31),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

/// An IBAN in a text, in one word or in groups of four.
fn account(text: &str) -> Option<Finding> {
    let bytes = text.as_bytes();
    let starts = bytes.windows(4).enumerate().filter(|(at, four)| {
        let [a, b, c, d] = four else { return false };
        let is_joined = at
            .checked_sub(1)
            .and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_alphanumeric);
        a.is_ascii_uppercase()
            && b.is_ascii_uppercase()
            && c.is_ascii_digit()
            && d.is_ascii_digit()
            && !is_joined
    });
    // An IBAN is 34 characters at most and a text is bounded: few candidates, each short.
    starts
        .filter_map(|(at, _)| text.get(at..))
        .any(is_iban)
        .then_some(Finding::new(SensitiveType::Iban, Grade::Checksum))
}

fn is_iban(text: &str) -> bool {
    let Some((_, length)) = IBAN_LENGTHS.iter().find(|(country, _)| text.starts_with(country)) else {
        return false;
    };
    let mut account = String::with_capacity(*length);
    let mut rest = text.chars();
    while account.len() < *length {
        match rest.next() {
            Some(' ' | '-') if account.len().is_multiple_of(4) => {}
            Some(c) if c.is_ascii_uppercase() || c.is_ascii_digit() => account.push(c),
            _ => return false,
        }
    }
    !rest.next().is_some_and(|c| c.is_ascii_alphanumeric()) && checksum::mod97(&account)
}

/// Two letters, six digits and a letter from A to D.
fn is_nino(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(([a, b], rest)) = bytes.split_first_chunk::<2>() else {
        return false;
    };
    let Some((digits, [last])) = rest.split_first_chunk::<6>() else {
        return false;
    };
    !b"DFIQUV".contains(a)
        && a.is_ascii_uppercase()
        && !b"DFIOQUV".contains(b)
        && b.is_ascii_uppercase()
        && digits.iter().all(u8::is_ascii_digit)
        && matches!(last, b'A'..=b'D')
        && !["BG", "GB", "NK", "KN", "TN", "NT", "ZZ"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
}

/// The exponent of a number such as `5.54563E+15`.
pub(super) fn exponent(text: &str) -> Option<i32> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    mantissa.parse::<f64>().ok()?;
    exponent.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(value: &str) -> Option<SensitiveType> {
        find(value).map(|found| found.kind)
    }

    #[test]
    fn shapes() {
        for (value, expected) in [
            ("ann@example.test", SensitiveType::Email),
            ("write to ann@example.test.", SensitiveType::Email),
            ("+1 (202) 555-0143", SensitiveType::Phone),
            ("IBAN: GB82WEST12345698765432", SensitiveType::Iban),
            ("2001:db8::1", SensitiveType::IpAddress),
            ("AB123456C", SensitiveType::Nino),
        ] {
            assert_eq!(kind(value), Some(expected), "{value}");
        }
        for other in [
            "ann@localhost",
            "@ann",
            "GB82WEST1234569876543",
            "GB82WEST123456987654321",
            "XX82WEST12345698765432",
            "+12",
            "1.2.3",
            "BG123456A",
            "user/repo@v1.2",
        ] {
            assert_eq!(kind(other), None, "{other}");
        }
        assert_eq!(exponent("5.54563E+15"), Some(15));
        assert_eq!(head("é", 1), "");
        assert!(IBAN_LENGTHS.is_sorted());
    }
}
