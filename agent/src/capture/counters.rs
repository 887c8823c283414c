//! The kernel programs' counters, summed over CPUs.

use apiarist_common::counter::{Counter, Kind};
use aya::{
    Pod,
    maps::{MapData, PerCpuArray},
};

/// Values by [`Counter`] index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelCounters {
    values: [u64; Counter::COUNT as usize],
}

/// What one program counts on one CPU, as it lies in the map.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Values([u64; Counter::COUNT as usize]);

// SAFETY: an array of integers.
unsafe impl Pod for Values {}

/// The programs' counters where they count.
pub struct CounterMap {
    map: PerCpuArray<MapData, Values>,
}

impl CounterMap {
    pub(super) fn new(map: PerCpuArray<MapData, Values>) -> Self {
        Self { map }
    }

    /// Reads and sums: a value per program and CPU. One that cannot be read counts as zero.
    pub fn read(&self) -> KernelCounters {
        let mut sums = KernelCounters::default();
        for slot in 0..self.map.len() {
            let Ok(per_cpu) = self.map.get(&slot, 0) else {
                continue;
            };
            for Values(values) in per_cpu.iter() {
                for (sum, value) in sums.values.iter_mut().zip(values) {
                    *sum = sum.wrapping_add(*value);
                }
            }
        }
        sums
    }
}

impl KernelCounters {
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
