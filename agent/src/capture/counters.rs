//! The kernel programs' counters, summed over CPUs.

use apiarist_common::counter::{Counter, Kind};
use aya::maps::{MapData, PerCpuArray};

/// Values by [`Counter`] index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelCounters {
    values: [u64; Counter::COUNT as usize],
}

impl KernelCounters {
    /// Reads and sums the map. A value that cannot be read stays zero.
    pub(crate) fn read(map: &PerCpuArray<MapData, u64>) -> Self {
        let mut values = [0; Counter::COUNT as usize];
        for (index, value) in (0_u32..).zip(&mut values) {
            if let Ok(per_cpu) = map.get(&index, 0) {
                *value = per_cpu.iter().sum();
            }
        }
        Self { values }
    }

    /// One counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.values.get(counter as usize).copied().unwrap_or(0)
    }

    /// Name, kind and value of every counter.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Kind, u64)> + '_ {
        Counter::ALL
            .iter()
            .map(|(counter, name, kind)| (*name, *kind, self.get(*counter)))
    }
}
