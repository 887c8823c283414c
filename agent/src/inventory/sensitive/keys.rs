//! What the name of a field says about its values.
//!
//! In: the name, and a value. Out: the type that the name announces, and whether the value fits. Names are compared
//! without case and separators.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::{Finding, Grade, SensitiveType, secrets, text};

/// How a name must relate to a term.
#[derive(Debug, Clone, Copy)]
enum Term {
    /// Equal to it.
    Is(&'static str),
    /// Ends with it.
    Ends(&'static str),
    /// Contains it.
    Has(&'static str),
}

use Term::{Ends, Has, Is};

/// Terms by type; the first that fits decides.
const TERMS: &[(SensitiveType, &[Term])] = &[
    (
        SensitiveType::Password,
        &[
            Ends("password"),
            Ends("passwd"),
            Ends("pwd"),
            Ends("passphrase"),
            Is("pass"),
            Is("pin"),
            Is("pincode"),
            Is("currentpassword"),
        ],
    ),
    (SensitiveType::PrivateKey, &[Ends("privatekey")]),
    (
        SensitiveType::Secret,
        &[
            Ends("secret"),
            Ends("apikey"),
            Ends("accesstoken"),
            Ends("refreshtoken"),
            Ends("authtoken"),
            Ends("secretkey"),
            Ends("sessiontoken"),
            Ends("clientsecret"),
            Ends("accesskey"),
            Ends("apitoken"),
            Ends("bearertoken"),
            Is("token"),
            Is("idtoken"),
            Ends("securitytoken"),
            Ends("credential"),
        ],
    ),
    (
        SensitiveType::CardPan,
        &[
            Is("pan"),
            Has("cardnumber"),
            Has("creditcard"),
            Is("ccnumber"),
            Is("ccnum"),
            Is("cardno"),
            Is("cardnum"),
            Ends("cardpan"),
        ],
    ),
    (SensitiveType::Iban, &[Ends("iban")]),
    (
        SensitiveType::Ssn,
        &[Is("ssn"), Has("socialsecurity"), Ends("ssn")],
    ),
    (SensitiveType::Aadhaar, &[Has("aadhaar"), Has("aadhar")]),
    (SensitiveType::Cpf, &[Is("cpf"), Ends("cpf")]),
    (SensitiveType::Cnpj, &[Is("cnpj")]),
    (
        SensitiveType::NhsNumber,
        &[Has("nhsnumber"), Is("nhs"), Is("nhsno")],
    ),
    (SensitiveType::Nino, &[Is("nino"), Has("nationalinsurance")]),
    (SensitiveType::Sin, &[Is("sin"), Has("socialinsurance")]),
    (
        SensitiveType::AbaRouting,
        &[
            Has("routingnumber"),
            Is("aba"),
            Is("abarouting"),
            Is("routing"),
            Is("routingno"),
        ],
    ),
    (
        SensitiveType::Vin,
        &[Is("vin"), Is("vinnumber"), Has("vehicleidentification")],
    ),
    (
        SensitiveType::Passport,
        &[
            Is("passport"),
            Has("passportnumber"),
            Has("passportno"),
            Ends("passport"),
        ],
    ),
    (
        SensitiveType::DriverLicence,
        &[
            Has("driverlicen"),
            Has("driverslicen"),
            Has("drivinglicen"),
            Is("dlnumber"),
        ],
    ),
    (
        SensitiveType::DateOfBirth,
        &[
            Is("dob"),
            Has("dateofbirth"),
            Has("birthdate"),
            Has("birthday"),
            Is("birth"),
            Is("born"),
            Is("bornon"),
        ],
    ),
    (
        SensitiveType::Phone,
        &[
            Ends("phone"),
            Has("phonenumber"),
            Is("tel"),
            Has("telephone"),
            Is("mobile"),
            Ends("mobilenumber"),
            Is("msisdn"),
            Is("fax"),
            Is("cell"),
            Is("cellphone"),
            Is("phoneno"),
            Is("mobileno"),
            Ends("faxnumber"),
        ],
    ),
    (
        SensitiveType::Email,
        &[Ends("email"), Ends("emailaddress"), Is("mail")],
    ),
    (
        SensitiveType::PostalAddress,
        &[
            Has("streetaddress"),
            Has("postaladdress"),
            Is("street"),
            Has("addressline"),
            Is("address"),
            Is("address1"),
            Is("address2"),
            Ends("homeaddress"),
            Ends("billingaddress"),
            Ends("shippingaddress"),
            Is("street1"),
            Is("streetname"),
            Has("mailingaddress"),
        ],
    ),
    (
        SensitiveType::Coordinates,
        &[
            Is("lat"),
            Is("lon"),
            Is("lng"),
            Is("latitude"),
            Is("longitude"),
            Ends("latitude"),
            Ends("longitude"),
        ],
    ),
    (
        SensitiveType::Health,
        &[
            Has("diagnosis"),
            Has("medicalrecord"),
            Has("bloodtype"),
            Has("bloodgroup"),
            Is("allergies"),
            Is("medications"),
            Has("healthinsurance"),
            Is("mrn"),
            Is("icd10"),
        ],
    ),
    (
        SensitiveType::BankAccount,
        &[
            Has("accountnumber"),
            Has("bankaccount"),
            Is("sortcode"),
            Is("bic"),
            Is("swift"),
            Is("accountno"),
            Is("swiftcode"),
        ],
    ),
];

/// Longest name that is compared. Overflow policy: a longer one says nothing.
const MAX_NAME_BYTES: usize = 64;

/// The type that a name announces.
pub(super) fn context(name: &str) -> Option<SensitiveType> {
    if name.len() > MAX_NAME_BYTES {
        return None;
    }
    let mut plain = [0_u8; MAX_NAME_BYTES];
    let mut length = 0;
    for byte in name.bytes().filter(u8::is_ascii_alphanumeric) {
        if let Some(slot) = plain.get_mut(length) {
            *slot = byte.to_ascii_lowercase();
            length += 1;
        }
    }
    NAMES.as_ref()?.find(plain.get(..length)?)
}

/// All terms, looked for at once: a name is met with every value of its field.
static NAMES: LazyLock<Option<Names>> = LazyLock::new(Names::new);

struct Names {
    finder: AhoCorasick,
    /// Type and term of each pattern; the first that fits decides.
    terms: Vec<(SensitiveType, Term)>,
}

impl Names {
    fn new() -> Option<Self> {
        let terms: Vec<_> = TERMS
            .iter()
            .flat_map(|(kind, terms)| terms.iter().map(|term| (*kind, *term)))
            .collect();
        let texts = terms.iter().map(|(_, Is(text) | Ends(text) | Has(text))| text);
        let finder = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::DFA))
            .build(texts)
            .ok()?;
        Some(Self { finder, terms })
    }

    fn find(&self, name: &[u8]) -> Option<SensitiveType> {
        let found = self.finder.try_find_overlapping_iter(name).ok()?;
        let fitting = found.filter(|found| {
            let is_last = found.end() == name.len();
            match self.terms.get(found.pattern().as_usize()) {
                Some((_, Is(_))) => found.start() == 0 && is_last,
                Some((_, Ends(_))) => is_last,
                Some((_, Has(_))) => true,
                None => false,
            }
        });
        let first = fitting.map(|found| found.pattern().as_usize()).min()?;
        self.terms.get(first).map(|(kind, _)| *kind)
    }
}

/// Whether a value was made unreadable, or stands for one that is not there.
pub(super) fn is_masked(value: &str) -> bool {
    let marks = value.bytes().filter(|b| b"*#.xX-".contains(b)).count();
    let lower = text::head(value, 16).to_ascii_lowercase();
    marks * 2 > value.len()
        || [
            "[redacted",
            "<redacted",
            "redacted",
            "null",
            "none",
            "undefined",
            "[filtered",
            "<hidden",
            "changeme",
        ]
        .iter()
        .any(|word| lower.starts_with(word))
        || (value.starts_with(['<', '{', '$']) && value.ends_with(['>', '}']))
}

/// What a value is by the name of its field, if it fits.
pub(super) fn find(kind: SensitiveType, value: &str, is_number: bool) -> Option<Finding> {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    let has_space = value.contains(char::is_whitespace);
    let is_link = value.contains("://");
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b' ';
    let fits = match kind {
        SensitiveType::Password => !is_number && (4..=128).contains(&value.len()) && !is_link && !has_space,
        SensitiveType::Secret => {
            !is_number
                && value.len() >= 12
                && !has_space
                && !is_link
                && secrets::is_varied(value)
                && digits > 0
        }
        SensitiveType::PrivateKey => value.len() >= 32 && !is_link && secrets::is_varied(value),
        SensitiveType::DateOfBirth => is_date(value),
        SensitiveType::Phone => {
            (7..=15).contains(&digits)
                && value
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b" +-()./x".contains(&b))
        }
        SensitiveType::PostalAddress => {
            digits > 0 && letters > 2 && has_space && !is_link && !text::is_email(value)
        }
        SensitiveType::Coordinates => {
            value.contains('.') && value.parse::<f64>().is_ok_and(|degrees| degrees.abs() <= 180.0)
        }
        SensitiveType::Passport | SensitiveType::DriverLicence => {
            digits >= 4 && (6..=20).contains(&value.len()) && value.bytes().all(plain)
        }
        SensitiveType::Health => letters + digits > 1 && !is_link,
        SensitiveType::BankAccount => {
            digits >= 4 && value.len() <= 34 && value.bytes().all(plain)
                || (matches!(value.len(), 8 | 11)
                    && value
                        .bytes()
                        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()))
        }
        SensitiveType::Vin => value.len() == 17 && value.bytes().all(|b| b.is_ascii_alphanumeric()),
        // The others are told by their values; a name alone is not enough.
        _ => false,
    };
    fits.then_some(Finding::new(kind, Grade::Key))
}

/// Three numbers, one of them a year, or a number and the name of a month; a time may follow.
fn is_date(value: &str) -> bool {
    let date = value.split(['T', ' ']).next().unwrap_or_default();
    let parts: Vec<&str> = date.split(['-', '/', '.']).collect();
    let number = |part: &&str| part.parse::<u32>().ok();
    match parts.as_slice() {
        [_, _, _] => {
            let numbers: Vec<u32> = parts.iter().filter_map(number).collect();
            numbers.len() == 3
                && numbers.iter().filter(|number| **number <= 31).count() >= 2
                && numbers
                    .iter()
                    .all(|number| (1..=2100).contains(number) || *number == 0)
        }
        [day] if day.len() == 8 => day.starts_with("19") || day.starts_with("20"),
        _ => {
            let words: Vec<&str> = value.split([' ', ',']).filter(|word| !word.is_empty()).collect();
            let has_year = words.iter().any(|word| word.len() == 4 && number(word).is_some());
            words.len() == 3
                && has_year
                && words
                    .iter()
                    .any(|word| word.bytes().all(|b| b.is_ascii_alphabetic()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_case_and_separators() {
        assert_eq!(context("Date-Of_Birth"), Some(SensitiveType::DateOfBirth));
        assert_eq!(context("userEmail"), Some(SensitiveType::Email));
        assert_eq!(context("cardNumber"), Some(SensitiveType::CardPan));
        for nothing in ["company", "spinner", "status", "expand", "tokens_used", ""] {
            assert_eq!(context(nothing), None, "{nothing}");
        }
        assert_eq!(context(&"password".repeat(20)), None);
    }

    #[test]
    fn dates() {
        for date in [
            "3/29/1982",
            "1982-03-29",
            "29.3.82",
            "1982-03-29T00:00:00Z",
            "March 29, 1982",
            "19820329",
        ] {
            assert!(is_date(date), "{date}");
        }
        for other in ["1982", "1.2.3.4", "yesterday", "a/b/c", "99/99/99"] {
            assert!(!is_date(other), "{other}");
        }
    }

    #[test]
    fn masked_values() {
        for masked in [
            "****",
            "xxxx-1234",
            "[REDACTED]",
            "${PASSWORD}",
            "<password>",
            "null",
        ] {
            assert!(is_masked(masked), "{masked}");
        }
        assert!(!is_masked("hunter2"));
    }
}
