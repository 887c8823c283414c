//! Check digits.
//!
//! In: digits. Out: whether they are consistent. The length is the caller's to check.

/// Luhn, ISO/IEC 7812-1 annex B.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let value = u32::from(*digit) << (at % 2);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Sum of digits times weights.
fn weighted(digits: &[u8], weights: impl IntoIterator<Item = u32>) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .sum()
}

/// Modulo 97 of ISO 7064, as in ISO 13616: the first four characters at the end, letters as 10 to 35.
pub(super) fn mod97(account: &str) -> bool {
    let (head, rest) = account.split_at_checked(4).unwrap_or_default();
    let remainder = rest.chars().chain(head.chars()).try_fold(0_u32, |sum, c| {
        let value = c.to_digit(36)?;
        Some(if value > 9 {
            (sum * 100 + value) % 97
        } else {
            (sum * 10 + value) % 97
        })
    });
    remainder == Some(1)
}

/// Verhoeff's check of the dihedral group D5.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTATION: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let check = digits
        .iter()
        .rev()
        .enumerate()
        .try_fold(0_u8, |check, (at, digit)| {
            let value = *PERMUTATION.get(at % 8)?.get(usize::from(*digit))?;
            Some(multiply(check, value))
        });
    check == Some(0)
}

/// Multiplication in D5: 0 to 4 are rotations, 5 to 9 reflections.
fn multiply(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b) % 5 + 5,
        (false, true) => (a + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// Two check digits, each modulo 11 of the digits before it: CPF with weights from 10 and 11.
pub(super) fn cpf(digits: &[u8]) -> bool {
    two_digits(digits, |count| (2..=count + 1).rev().collect())
}

/// As [`cpf`], with weights from 2 to 9 over and over from the right.
pub(super) fn cnpj(digits: &[u8]) -> bool {
    two_digits(digits, |count| (0..count).rev().map(|at| at % 8 + 2).collect())
}

fn two_digits(digits: &[u8], weights: impl Fn(u32) -> Vec<u32>) -> bool {
    let Some((body, _)) = digits.split_at_checked(digits.len().saturating_sub(2)) else {
        return false;
    };
    let mut length = body.len();
    let differs = digits.iter().any(|digit| Some(digit) != digits.first());
    differs
        && digits.iter().skip(length).all(|check| {
            let count = u32::try_from(length).unwrap_or(0);
            let sum = weighted(digits.get(..length).unwrap_or_default(), weights(count));
            length += 1;
            let expected = match sum % 11 {
                0 | 1 => 0,
                rest => 11 - rest,
            };
            u32::from(*check) == expected
        })
}

/// Modulo 11 of the NHS number.
pub(super) fn nhs(digits: &[u8]) -> bool {
    weighted(digits, (1..=10).rev()).is_multiple_of(11) && digits.iter().any(|digit| *digit != 0)
}

/// Weights 3, 7 and 1 of a US routing number.
pub(super) fn aba(digits: &[u8]) -> bool {
    weighted(digits, [3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

/// The check digit of a VIN (49 CFR 565.15).
pub(super) fn vin(text: &str) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let values: Option<Vec<u8>> = text.bytes().map(vin_value).collect();
    let Some(values) = values.filter(|values| values.len() == 17) else {
        return false;
    };
    let expected = match weighted(&values, WEIGHTS) % 11 {
        10 => b'X',
        digit => b'0' + u8::try_from(digit).unwrap_or(0),
    };
    text.as_bytes().get(8) == Some(&expected)
}

fn vin_value(byte: u8) -> Option<u8> {
    Some(match byte {
        b'0'..=b'9' => byte - b'0',
        b'A'..=b'H' => byte - b'A' + 1,
        b'J'..=b'N' => byte - b'J' + 1,
        b'P' => 7,
        b'R' => 9,
        b'S'..=b'Z' => byte - b'S' + 2,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes()
            .filter(u8::is_ascii_digit)
            .map(|b| b - b'0')
            .collect()
    }

    #[test]
    fn consistent_and_one_off() {
        type Check = fn(&[u8]) -> bool;
        let checks: [(Check, &str); 6] = [
            (luhn, "4539148803436467"),
            (verhoeff, "234123412346"),
            (cpf, "12345678909"),
            (cnpj, "11222333000181"),
            (nhs, "9434765919"),
            (aba, "021000021"),
        ];
        for (check, number) in checks {
            let mut digits = digits(number);
            assert!(check(&digits), "{number}");
            if let Some(last) = digits.last_mut() {
                *last = (*last + 1) % 10;
            }
            assert!(!check(&digits), "{number}");
        }
        assert!(mod97("GB82WEST12345698765432") && !mod97("GB83WEST12345698765432"));
        assert!(!mod97("é") && !mod97(""));
        assert!(vin("1HGBH41JXMN109186") && !vin("1HGBH41J0MN109186") && !vin("short"));
        assert!(!cpf(&[1; 11]));
    }
}
