//! Which fields carry data that must be protected.
//!
//! In: one value with the name of its field. Out: a [`Finding`]: the type, and whether a checksum, the name or the
//! shape alone says so. Whether a field *has* the type is decided by [`Votes`] over many values. Looks at a bounded
//! part of each value, in one pass for most of them, and keeps none.

mod assignment;
mod checksum;
#[cfg(test)]
mod corpus_tests;
mod keys;
mod numbers;
mod secrets;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Bytes of one value that are looked at. Overflow policy: what is behind them does not count.
const MAX_VALUE_BYTES: usize = 2048;

/// A type of sensitive data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SensitiveType {
    /// Number of a payment card (ISO/IEC 7812).
    CardPan,
    /// Bank account (ISO 13616).
    Iban,
    /// US social security number.
    Ssn,
    /// Indian identity number.
    Aadhaar,
    /// Brazilian tax number of a person.
    Cpf,
    /// Brazilian tax number of a company.
    Cnpj,
    /// Number of the British health service.
    NhsNumber,
    /// British national insurance number.
    Nino,
    /// Canadian social insurance number.
    Sin,
    /// US bank routing number.
    AbaRouting,
    /// Vehicle identification number (ISO 3779).
    Vin,
    /// Passport number.
    Passport,
    /// Driver's licence number.
    DriverLicence,
    /// Telephone number.
    Phone,
    /// E-mail address.
    Email,
    /// Postal address.
    PostalAddress,
    /// Date of birth.
    DateOfBirth,
    /// IP address.
    IpAddress,
    /// Latitude or longitude.
    Coordinates,
    /// Health data.
    Health,
    /// Bank account that is no IBAN.
    BankAccount,
    /// JSON web token (RFC 7519).
    Jwt,
    /// API key, token or other secret.
    Secret,
    /// Private key.
    PrivateKey,
    /// Password.
    Password,
}

impl SensitiveType {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            SensitiveType::CardPan => "card_pan",
            SensitiveType::Iban => "iban",
            SensitiveType::Ssn => "ssn",
            SensitiveType::Aadhaar => "aadhaar",
            SensitiveType::Cpf => "cpf",
            SensitiveType::Cnpj => "cnpj",
            SensitiveType::NhsNumber => "nhs_number",
            SensitiveType::Nino => "nino",
            SensitiveType::Sin => "sin",
            SensitiveType::AbaRouting => "aba_routing",
            SensitiveType::Vin => "vin",
            SensitiveType::Passport => "passport",
            SensitiveType::DriverLicence => "driver_licence",
            SensitiveType::Phone => "phone",
            SensitiveType::Email => "email",
            SensitiveType::PostalAddress => "postal_address",
            SensitiveType::DateOfBirth => "date_of_birth",
            SensitiveType::IpAddress => "ip_address",
            SensitiveType::Coordinates => "coordinates",
            SensitiveType::Health => "health",
            SensitiveType::BankAccount => "bank_account",
            SensitiveType::Jwt => "jwt",
            SensitiveType::Secret => "secret",
            SensitiveType::PrivateKey => "private_key",
            SensitiveType::Password => "password",
        }
    }
}

/// What says that a value is of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Published for tests: no one's data.
    Test,
    /// A check digit that one in ten numbers has by chance.
    Digits,
    /// Its shape alone.
    Shape,
    /// The name of the field, and a shape that fits.
    Key,
    /// A checksum, or a marker that nothing else has.
    Checksum,
}

/// What one value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Type.
    pub kind: SensitiveType,
    /// What says so.
    pub grade: Grade,
}

impl Finding {
    const fn new(kind: SensitiveType, grade: Grade) -> Self {
        Self { kind, grade }
    }
}

/// What a value is, by itself and by the name of its field. `is_number` tells numbers from text.
pub fn classify(key: &str, value: &str, is_number: bool) -> Option<Finding> {
    let value = text::head(value.trim(), MAX_VALUE_BYTES);
    if value.is_empty() || keys::is_masked(value) {
        return None;
    }
    let context = keys::context(key);
    let by_value = if is_number {
        None
    } else {
        secrets::find(value)
            .or_else(|| assignment::find(value))
            .or_else(|| text::find(value))
    };
    by_value
        .or_else(|| numbers::find(value, context, is_number))
        .or_else(|| keys::find(context?, value, is_number))
}

/// Hits of a checksum, or a marker that nothing else has, from which a field has the type.
const CHECKSUM_HITS: u32 = 2;

/// Other hits from which a field has the type, of [`MIN_SAMPLES`] values or more.
const HITS: u32 = 5;

/// Values below which nothing but a checksum decides.
const MIN_SAMPLES: u32 = 20;

/// Hits of one type, by what said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hits {
    checksum: u32,
    other: u32,
    test: u32,
    #[serde(default)]
    digits: u32,
}

/// How often values of one field were of which type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Votes(BTreeMap<SensitiveType, Hits>);

/// What the votes of a field say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Type.
    pub kind: SensitiveType,
    /// Values that were of it.
    pub count: u32,
    /// Too few to be sure.
    pub suspected: bool,
}

impl Votes {
    /// Counts one value.
    pub fn add(&mut self, finding: Finding) {
        let hits = self.0.entry(finding.kind).or_default();
        *match finding.grade {
            Grade::Checksum => &mut hits.checksum,
            Grade::Key | Grade::Shape => &mut hits.other,
            Grade::Test => &mut hits.test,
            Grade::Digits => &mut hits.digits,
        } += 1;
    }

    /// Adds the votes of other values.
    pub fn merge(&mut self, other: &Self) {
        for (kind, more) in &other.0 {
            let hits = self.0.entry(*kind).or_default();
            hits.checksum += more.checksum;
            hits.other += more.other;
            hits.test += more.test;
            hits.digits += more.digits;
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The types that any value was of, and whether no more than a check digit or a number published for tests says so.
    pub fn kinds(&self) -> impl Iterator<Item = (SensitiveType, bool)> {
        self.0
            .iter()
            .map(|(kind, hits)| (*kind, hits.checksum + hits.other == 0))
    }

    /// What a field is whose values these are, `samples` in all.
    pub fn verdicts(&self, samples: u32) -> impl Iterator<Item = Verdict> {
        self.0.iter().filter_map(move |(kind, hits)| {
            let all = hits.checksum + hits.other;
            let often = all >= HITS && samples >= MIN_SAMPLES && all.saturating_mul(5) >= samples;
            // By chance one in ten has the check digit: only nearly all of many say something.
            let nearly_all =
                hits.digits >= HITS && hits.digits.saturating_mul(10) >= samples.saturating_mul(9);
            let count = all + hits.test + if nearly_all { hits.digits } else { 0 };
            (count > 0).then_some(Verdict {
                kind: *kind,
                count,
                suspected: hits.checksum < CHECKSUM_HITS && !often && !(nearly_all && samples >= MIN_SAMPLES),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_kind(key: &str, value: &str, kind: Option<SensitiveType>) {
        assert_eq!(
            classify(key, value, false).map(|found| found.kind),
            kind,
            "{key}: {value}"
        );
    }

    #[test]
    fn values_by_themselves() {
        use SensitiveType::*;
        for (value, kind) in [
            ("4539 1488 0343 6467", CardPan),
            ("paid with 4539148803436467.", CardPan),
            ("DE89 3704 0044 0532 0130 00", Iban),
            ("Ann <ann.b@mail.example.test>", Email),
            ("+44 20 7946 0958", Phone),
            ("123.456.789-09", Cpf),
            ("1HGBH41JXMN109186", Vin),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", PrivateKey),
            (
                "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlMTIzNDU2",
                Jwt,
            ),
            ("203.0.113.9", IpAddress),
        ] {
            assert_kind("x", value, Some(kind));
        }
    }

    #[test]
    fn names_of_fields_decide() {
        use SensitiveType::*;
        for (key, value, kind) in [
            ("ssn", "536-90-4399", Ssn),
            ("pan", "5.54563E+15", CardPan),
            ("dateOfBirth", "3/29/1982", DateOfBirth),
            ("tel", "0660 475 13 89", Phone),
            ("password", "hunter2", Password),
            ("client_secret", "s3cr3t-9sKxYz12ab", Secret),
            ("street_address", "12 High Street", PostalAddress),
            ("latitude", "48.8566", Coordinates),
            ("passportNumber", "C01X00T47", Passport),
        ] {
            assert_kind(key, value, Some(kind));
        }
    }

    #[test]
    fn other_values_are_nothing() {
        for (key, value) in [
            ("id", "41182c4f"),
            ("note", "order 536593475"),
            ("id", "4539148803436468"),
            ("sha", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("created_at", "2024-01-31T10:00:00Z"),
            ("version", "1.2.3"),
            ("password", "********"),
            ("password", "[redacted]"),
            ("url", "https://api.example.test/users/42"),
            ("passwordResetUrl", "https://api.example.test"),
            ("first", "Marie"),
        ] {
            assert_kind(key, value, None);
        }
    }

    #[test]
    fn votes_need_enough_values() {
        let mut votes = Votes::default();
        let email = Finding::new(SensitiveType::Email, Grade::Shape);
        (0..5).for_each(|_| votes.add(email));
        let suspected = |votes: &Votes, samples| votes.verdicts(samples).all(|verdict| verdict.suspected);
        assert!(suspected(&votes, 5) && !suspected(&votes, 20) && suspected(&votes, 1000));
        let mut digits = Votes::default();
        let number = Finding::new(SensitiveType::NhsNumber, Grade::Digits);
        (0..20).for_each(|_| digits.add(number));
        assert_eq!(digits.verdicts(100).count(), 0);
        assert!(!suspected(&digits, 20) && suspected(&digits, 19));
        let mut cards = Votes::default();
        cards.add(Finding::new(SensitiveType::CardPan, Grade::Test));
        cards.add(Finding::new(SensitiveType::CardPan, Grade::Checksum));
        assert!(suspected(&cards, 100));
        cards.merge(&cards.clone());
        assert!(!suspected(&cards, 1000));
    }
}
