//! The kernel programs' counters, summed over CPUs.

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    sync::OnceLock,
};

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

/// Places of the programs that see sends and receives: of the first, its spares, and those at functions (`Slot` in the
/// kernel programs).
const SENDERS: [u32; 7] = [0, 10, 12, 14, 15, 16, 20];
const RECEIVERS: [u32; 6] = [1, 11, 13, 17, 18, 19];

/// Operations that programs looked at, muted ones and those of this process among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Operations {
    /// Sends.
    pub sends: u64,
    /// Receives.
    pub receives: u64,
}

/// What one program counts on one CPU, as it lies in the map.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Values {
    values: [u64; Counter::COUNT as usize],
    /// Of use to the programs only.
    busy: u64,
}

// SAFETY: integers only.
unsafe impl Pod for Values {}

/// The programs' counters where they count.
pub struct CounterMap {
    map: PerCpuArray<MapData, Values>,
    programs: Vec<OwnedFd>,
    /// Those that were loaded later.
    later: OnceLock<Vec<OwnedFd>>,
}

impl CounterMap {
    pub(super) fn new(map: PerCpuArray<MapData, Values>, programs: Vec<OwnedFd>) -> Self {
        Self {
            map,
            programs,
            later: OnceLock::new(),
        }
    }

    /// Watches further programs; only the first ones that are named so.
    pub(super) fn watch(&self, programs: Vec<OwnedFd>) {
        self.later.get_or_init(|| programs);
    }

    /// Loss: operations at which the kernel left a program out, because the processor was within the same program
    /// already (`recursion_misses`, 5.12 and later), and no other stood in. The programs cannot count these themselves.
    pub fn left_out(&self) -> u64 {
        let misses = |program: &OwnedFd| -> Option<u64> {
            let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).ok()?;
            let line = info
                .lines()
                .find_map(|line| line.strip_prefix("recursion_misses:"))?;
            line.trim().parse().ok()
        };
        let later = self.later.get().into_iter().flatten();
        self.programs.iter().chain(later).filter_map(misses).sum()
    }

    /// Operations so far, by direction.
    pub fn operations(&self) -> Operations {
        Operations {
            sends: self.operations_of(&SENDERS),
            receives: self.operations_of(&RECEIVERS),
        }
    }

    fn operations_of(&self, slots: &[u32]) -> u64 {
        let counted = |values: &Values| values.values.get(Counter::Operations as usize).copied();
        slots
            .iter()
            .filter_map(|slot| self.map.get(slot, 0).ok())
            .map(|per_cpu| per_cpu.iter().filter_map(counted).sum::<u64>())
            .sum()
    }

    /// Reads and sums: a value per program and CPU. One that cannot be read counts as zero.
    pub fn read(&self) -> KernelCounters {
        let mut sums = KernelCounters::default();
        for slot in 0..self.map.len() {
            let Ok(per_cpu) = self.map.get(&slot, 0) else {
                continue;
            };
            for Values { values, busy: _ } in per_cpu.iter() {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Places of the slots whose names begin so, in the sources of the kernel programs.
    fn places(prefix: &str) -> Vec<u32> {
        let source = include_str!("../../../agent-ebpf/src/maps.rs");
        let (_, slots) = source.split_once("enum Slot {").unwrap();
        let (slots, _) = slots.split_once("\n}").unwrap();
        let names = slots
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("//"));
        names
            .zip(0..)
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(_, place)| place)
            .collect()
    }

    #[test]
    fn places_are_those_of_the_kernel_programs() {
        assert_eq!(places("Send"), SENDERS);
        assert_eq!(places("Receive"), RECEIVERS);
    }
}
