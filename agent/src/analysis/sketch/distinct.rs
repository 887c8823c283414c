//! How many different names there were: HyperLogLog (Flajolet et al., AofA 2007) with the small-range correction by
//! linear counting.
//!
//! In: names as hashes. Out: an estimate with a standard error of 6.5 %, in 256 bytes. What it needs of the
//! registers is kept up to date: it is asked for with every exchange.

use serde::{Deserialize, Serialize};

use super::super::hash::mix;

const BITS: u32 = 8;
const REGISTERS: usize = 1 << BITS;

/// A HyperLogLog of 256 registers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<u8>", into = "Vec<u8>")]
pub(crate) struct Distinct {
    /// Empty until the first name.
    registers: Vec<u8>,
    /// Registers that are not 0.
    filled: u16,
    /// The sum of 2^-rank over those, in units of 2^-64.
    sum: u128,
}

impl From<Vec<u8>> for Distinct {
    fn from(registers: Vec<u8>) -> Self {
        let ranks = registers.iter().copied().filter(|rank| *rank > 0);
        Self {
            filled: ranks.clone().count() as u16,
            sum: ranks.map(weight).sum(),
            registers,
        }
    }
}

impl From<Distinct> for Vec<u8> {
    fn from(distinct: Distinct) -> Self {
        distinct.registers
    }
}

impl Distinct {
    pub(crate) fn add(&mut self, name: u64) {
        if self.registers.is_empty() {
            self.registers = vec![0; REGISTERS];
        }
        let mixed = mix(name, 0x5eed);
        let rank = ((mixed << BITS).leading_zeros() + 1).min(64 - BITS + 1) as u8;
        if let Some(register) = self.registers.get_mut((mixed >> (64 - BITS)) as usize)
            && *register < rank
        {
            self.filled += u16::from(*register == 0);
            self.sum = self.sum + weight(rank) - weight(*register);
            *register = rank;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if self.registers.is_empty() {
            self.registers.clone_from(&other.registers);
        }
        for (register, more) in self.registers.iter_mut().zip(&other.registers) {
            *register = (*register).max(*more);
        }
        *self = Self::from(std::mem::take(&mut self.registers));
    }

    /// About how many different names were added.
    pub(crate) fn count(&self) -> u64 {
        if self.registers.is_empty() {
            return 0;
        }
        let size = REGISTERS as f64;
        let zeros = size - f64::from(self.filled);
        let sum = zeros + self.sum as f64 / 2_f64.powi(64);
        let raw = 0.7213 / (1.0 + 1.079 / size) * size * size / sum;
        let estimate = if raw <= 2.5 * size && zeros > 0.0 {
            size * (size / zeros).ln()
        } else {
            raw
        };
        estimate.round() as u64
    }
}

/// 2^-rank in units of 2^-64; nothing for an empty register.
fn weight(rank: u8) -> u128 {
    match rank {
        0 => 0,
        _ => 1 << (64 - rank.min(64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_near_and_merge() {
        for n in [0_u64, 1, 3, 20, 100, 1_000, 100_000] {
            let (mut even, mut odd) = (Distinct::default(), Distinct::default());
            for name in 0..n {
                if name % 2 == 0 { &mut even } else { &mut odd }.add(name);
                even.add(0);
            }
            even.merge(&odd);
            let found = even.count();
            assert_eq!(Distinct::from(Vec::from(even)).count(), found);
            assert!(found.abs_diff(n) <= n / 5, "{n}: {found}");
        }
    }
}
