//! How many different names there were: HyperLogLog (Flajolet et al., AofA 2007) with the small-range correction by
//! linear counting.
//!
//! In: names as hashes. Out: an estimate with a standard error of 6.5 %, in 256 bytes.

use serde::{Deserialize, Serialize};

use super::super::hash::mix;

const BITS: u32 = 8;
const REGISTERS: usize = 1 << BITS;

/// A HyperLogLog of 256 registers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Distinct {
    /// Empty until the first name.
    registers: Vec<u8>,
}

impl Distinct {
    pub(crate) fn add(&mut self, name: u64) {
        if self.registers.is_empty() {
            self.registers = vec![0; REGISTERS];
        }
        let mixed = mix(name, 0x5eed);
        let rank = ((mixed << BITS).leading_zeros() + 1).min(64 - BITS + 1) as u8;
        if let Some(register) = self.registers.get_mut((mixed >> (64 - BITS)) as usize) {
            *register = (*register).max(rank);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if self.registers.is_empty() {
            self.registers.clone_from(&other.registers);
        }
        for (register, more) in self.registers.iter_mut().zip(&other.registers) {
            *register = (*register).max(*more);
        }
    }

    /// About how many different names were added.
    pub(crate) fn count(&self) -> u64 {
        if self.registers.is_empty() {
            return 0;
        }
        let size = REGISTERS as f64;
        // 2^-rank by its exponent: this is asked for with many exchanges.
        let power = |rank: &u8| f64::from_bits((1023 - u64::from((*rank).min(64))) << 52);
        let sum: f64 = self.registers.iter().map(power).sum();
        let zeros = self.registers.iter().filter(|rank| **rank == 0).count();
        let raw = 0.7213 / (1.0 + 1.079 / size) * size * size / sum;
        let estimate = if raw <= 2.5 * size && zeros > 0 {
            size * (size / zeros as f64).ln()
        } else {
            raw
        };
        estimate.round() as u64
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
            assert!(found.abs_diff(n) <= n / 5, "{n}: {found}");
        }
    }
}
