//! Numbers that identify people, cards and accounts.
//!
//! In: a value and what the name of its field says. Out: the type of the first number in it that is consistent.
//! Without a fitting name what is written in its usual groups counts, and cards do; other digits in a row may be
//! anything: where their check digit fits they are graded as such, which decides nothing until nearly all values do.

use super::{Finding, Grade, SensitiveType, checksum};

/// Digits of one number and how they are written.
struct Number {
    digits: Vec<u8>,
    /// Lengths of the groups between separators.
    groups: Vec<usize>,
    /// The separators, without repetition.
    separators: Vec<u8>,
}

/// Card numbers that are published for tests.
const TEST_CARDS: &[&str] = &[
    "30569309025904",
    "3530111333300000",
    "3566002020360505",
    "371449635398431",
    "378282246310005",
    "378734493671000",
    "38520000023237",
    "4000000000000002",
    "4000056655665556",
    "4012888888881881",
    "4111111111111111",
    "4222222222222",
    "4242424242424242",
    "5105105105105100",
    "5200828282828210",
    "5555555555554444",
    "6011000990139424",
    "6011111111111117",
];

/// Words of a text that may say what a number in it is. Overflow policy: the first so many.
const MAX_WORDS: usize = 16;

/// The type of the first number that is one.
pub(super) fn find(value: &str, context: Option<SensitiveType>, is_number: bool) -> Option<Finding> {
    if value.bytes().filter(u8::is_ascii_digit).take(9).count() < 9 {
        return rounded_card(value, context);
    }
    // In a text, the words before a number may say what it is.
    let context = context.or_else(|| {
        let words = value.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| word.len() > 2).take(MAX_WORDS).collect();
        let pairs = words.windows(2).map(<[&str]>::concat);
        let said = pairs.filter_map(|pair| super::keys::context(&pair)).next();
        said.or_else(|| words.iter().find_map(|word| super::keys::context(word)))
    });
    numbers(value).find_map(|number| number.kind(context, is_number))
}

/// A card number that a spreadsheet has rounded: `5.54563E+15`.
fn rounded_card(value: &str, context: Option<SensitiveType>) -> Option<Finding> {
    let is_rounded = super::text::exponent(value).is_some_and(|exponent| (12..=18).contains(&exponent));
    (context == Some(SensitiveType::CardPan) && is_rounded)
        .then_some(Finding::new(SensitiveType::CardPan, Grade::Key))
}

/// Runs of digits with single separators between them, that stand alone.
fn numbers(value: &str) -> impl Iterator<Item = Number> {
    let bytes = value.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            while bytes.get(at).is_some_and(|b| !b.is_ascii_digit()) {
                at += 1;
            }
            let start = at;
            bytes.get(start)?;
            let mut number = Number {
                digits: Vec::new(),
                groups: vec![0],
                separators: Vec::new(),
            };
            while let Some(&byte) = bytes.get(at) {
                let next_is_digit = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
                if byte.is_ascii_digit() {
                    number.digits.push(byte - b'0');
                    if let Some(group) = number.groups.last_mut() {
                        *group += 1;
                    }
                } else if b" -./:".contains(&byte) && next_is_digit && number.groups.len() < 8 {
                    number.groups.push(0);
                    if !number.separators.contains(&byte) {
                        number.separators.push(byte);
                    }
                } else {
                    break;
                }
                at += 1;
            }
            let before = start.checked_sub(1).and_then(|at| bytes.get(at));
            let is_part = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
            let joined =
                before.is_some_and(|b| b"-.=&%".contains(b)) || matches!(bytes.get(at), Some(b'-' | b'%'));
            if !is_part(before) && !is_part(bytes.get(at)) && !joined {
                return Some(number);
            }
        }
    })
}

impl Number {
    fn is_written(&self, groups: &[usize], separators: &[u8]) -> bool {
        self.groups == groups && self.separators == separators
    }

    fn starts_with(&self, digits: &[u8]) -> bool {
        self.digits.starts_with(digits)
    }

    fn kind(&self, context: Option<SensitiveType>, is_number: bool) -> Option<Finding> {
        use SensitiveType::{Aadhaar, AbaRouting, CardPan, Cnpj, Cpf, NhsNumber, Sin, Ssn};
        let named = |kind| context == Some(kind);
        let in_a_row = self.groups.len() == 1;
        // Nothing says what it is but its check digit.
        let bare = in_a_row && context.is_none() && !is_number;
        let digits = &*self.digits;
        let checked = |kind| Some(Finding::new(kind, Grade::Checksum));
        match digits.len() {
            12..=19 if named(CardPan) && self.is_grouped_as_card() && checksum::luhn(digits) => {
                Some(Finding::new(CardPan, self.grade_of_card()))
            }
            13..=19 if self.is_card() && !is_number => Some(Finding::new(CardPan, self.grade_of_card())),
            14 if (named(Cnpj) || self.is_written(&[2, 3, 3, 4, 2], b"./-")) && checksum::cnpj(digits) => {
                checked(Cnpj)
            }
            12 if (named(Aadhaar)
                || [b" ", b"-", b":"]
                    .iter()
                    .any(|by| self.is_written(&[4, 4, 4], *by)))
                && digits.first().is_some_and(|first| *first > 1)
                && checksum::verhoeff(digits) =>
            {
                checked(Aadhaar)
            }
            11 if (named(Cpf) || self.is_written(&[3, 3, 3, 2], b".-")) && checksum::cpf(digits) => {
                checked(Cpf)
            }
            10 if (named(NhsNumber) || self.is_written(&[3, 3, 4], b" ")) && checksum::nhs(digits) => {
                checked(NhsNumber)
            }
            12 if bare && !self.is_time() && digits.first().is_some_and(|first| *first > 1) => {
                checksum::verhoeff(digits).then_some(Finding::new(Aadhaar, Grade::Digits))
            }
            // Ten digits that begin with 1 are seconds since 1970 more often than anything else.
            10 if bare && !self.starts_with(&[1]) && checksum::nhs(digits) => {
                Some(Finding::new(NhsNumber, Grade::Digits))
            }
            9 if named(Sin) || self.is_written(&[3, 3, 3], b" ") || self.is_written(&[3, 3, 3], b"-") => {
                let is_issued = digits.first().is_some_and(|first| !matches!(first, 0 | 8));
                (is_issued && checksum::luhn(digits)).then_some(Finding::new(Sin, Grade::Checksum))
            }
            9 if (named(AbaRouting) || self.is_written(&[4, 4, 1], b"-"))
                && digits.first().is_some_and(|first| matches!(first, 0..=3 | 6..=8))
                && checksum::aba(digits) =>
            {
                checked(AbaRouting)
            }
            9 if self.is_ssn() && (named(Ssn) && (in_a_row || self.is_ssn_written())) => {
                Some(Finding::new(Ssn, Grade::Key))
            }
            9 if self.is_ssn() && self.is_written(&[3, 2, 4], b"-") => Some(Finding::new(Ssn, Grade::Shape)),
            _ => None,
        }
    }

    /// Issuer range, length and check digit. Groups as on a card, or none.
    fn is_card(&self) -> bool {
        let length = self.digits.len();
        let prefix = self
            .digits
            .iter()
            .take(4)
            .fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
        let is_issued = match prefix {
            4000..=4999 => matches!(length, 13 | 16 | 19),
            5100..=5599 | 2221..=2720 => length == 16,
            3400..=3499 | 3700..=3799 => length == 15,
            3000..=3059 | 3600..=3699 | 3800..=3999 => length == 14,
            3528..=3589 => length == 16,
            6011 | 6440..=6599 => matches!(length, 16 | 19),
            5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 => (13..=19).contains(&length),
            6200..=6299 => (16..=19).contains(&length),
            _ => false,
        };
        is_issued && self.is_grouped_as_card() && checksum::luhn(&self.digits)
    }

    fn is_grouped_as_card(&self) -> bool {
        let groups = &*self.groups;
        let varies = self.digits.iter().any(|digit| Some(digit) != self.digits.first());
        let on_a_card = groups.len() == 1
            || (self.separators == b" " || self.separators == b"-")
                && (groups.iter().rev().skip(1).all(|group| *group == 4)
                    || groups == [4, 6, 5]
                    || groups == [4, 6, 4]);
        on_a_card && varies
    }

    fn grade_of_card(&self) -> Grade {
        let text: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        match TEST_CARDS.binary_search(&text.as_str()) {
            Ok(_) => Grade::Test,
            Err(_) => Grade::Checksum,
        }
    }

    /// Whether the digits begin with year and month, as time stamps do.
    fn is_time(&self) -> bool {
        matches!(self.digits.as_slice(), [1, 9, _, _, m, n, ..] | [2, 0, _, _, m, n, ..]
            if (1..=12).contains(&(m * 10 + n)))
    }

    fn is_ssn_written(&self) -> bool {
        self.groups == [3, 2, 4] && self.separators.len() == 1
    }

    /// No area 000, 666 or 9xx, no group 00, no serial 0000, and none that is known from advertisements.
    fn is_ssn(&self) -> bool {
        let [a, b, c, d, e, rest @ ..] = &*self.digits else {
            return false;
        };
        let area = u32::from(*a) * 100 + u32::from(*b) * 10 + u32::from(*c);
        let varies = self.digits.iter().any(|digit| Some(digit) != self.digits.first());
        area != 0
            && area != 666
            && area < 900
            && (*d, *e) != (0, 0)
            && rest.iter().any(|digit| *digit != 0)
            && varies
            && !self.starts_with(&[0, 7, 8, 0, 5, 1, 1, 2, 0])
            && !self.starts_with(&[1, 2, 3, 4, 5, 6, 7, 8, 9])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(value: &str, context: Option<SensitiveType>) -> Option<SensitiveType> {
        find(value, context, false).map(|found| found.kind)
    }

    #[test]
    fn cards() {
        for card in [
            "4539148803436467",
            "4539-1488-0343-6467",
            "x: 374245455400126,",
            "3742 454554 00126",
        ] {
            assert_eq!(kind(card, None), Some(SensitiveType::CardPan), "{card}");
        }
        for other in [
            "4539148803436468",
            "a4539148803436467",
            "45 39148803436467",
            "1539148803436467",
            "453914880343-6467",
        ] {
            assert_eq!(kind(other, None), None, "{other}");
        }
        assert!(TEST_CARDS.is_sorted());
        assert_eq!(
            find("4111 1111 1111 1111", None, false).map(|found| found.grade),
            Some(Grade::Test)
        );
        assert_eq!(find("4539148803436467", None, true), None);
        assert!(find("4539148803436467", Some(SensitiveType::CardPan), true).is_some());
        // Of an issuer that is not known, but said to be one.
        assert_eq!(kind("122000000000003", None), None);
        assert_eq!(
            kind("my credit card: 122000000000003", None),
            Some(SensitiveType::CardPan)
        );
    }

    #[test]
    fn numbers_of_people_need_their_form_or_name() {
        assert_eq!(kind("536-90-4399", None), Some(SensitiveType::Ssn));
        assert_eq!(kind("536904399", None), None);
        assert_eq!(
            kind("536904399", Some(SensitiveType::Ssn)),
            Some(SensitiveType::Ssn)
        );
        for wrong in [
            "000-12-3456",
            "666-12-3456",
            "912-12-3456",
            "123-00-4567",
            "123-45-0000",
            "123-45-6789",
        ] {
            assert_eq!(kind(wrong, Some(SensitiveType::Ssn)), None, "{wrong}");
        }
        assert_eq!(kind("2341 2341 2346", None), Some(SensitiveType::Aadhaar));
        let bare = |value: &str| find(value, None, false).map(|found| (found.kind, found.grade));
        assert_eq!(
            bare("234123412346"),
            Some((SensitiveType::Aadhaar, Grade::Digits))
        );
        assert_eq!(
            bare("9434765919"),
            Some((SensitiveType::NhsNumber, Grade::Digits))
        );
        for other in ["234123412347", "9434765918", "1434765917", "202401010014"] {
            assert_eq!(bare(other), None, "{other}");
        }
        assert_eq!(find("9434765919", Some(SensitiveType::Phone), false), None);
        assert_eq!(kind("943 476 5919", None), Some(SensitiveType::NhsNumber));
        assert_eq!(kind("046 454 286", None), None);
        assert_eq!(kind("130 692 544", None), Some(SensitiveType::Sin));
        assert_eq!(
            kind("021000021", Some(SensitiveType::AbaRouting)),
            Some(SensitiveType::AbaRouting)
        );
    }
}
