//! What this process holds in the kernel: programs and maps by their file descriptors, and the slabs that socket state
//! comes from.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};

/// The values of a field in the `fdinfo` of every descriptor of this process that has it.
fn fields(name: &str) -> Result<Vec<u64>> {
    let mut values = Vec::new();
    for entry in fs::read_dir("/proc/self/fdinfo")? {
        // A descriptor may have been closed since.
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        let field = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        if let Some(value) = field {
            values.push(
                value
                    .trim()
                    .parse()
                    .with_context(|| format!("{name} is {value}"))?,
            );
        }
    }
    Ok(values)
}

/// Ids of the programs this process holds.
pub(crate) fn own_programs() -> Result<BTreeSet<u64>> {
    Ok(fields("prog_id")?.into_iter().collect())
}

/// Ids of the maps this process holds.
pub(crate) fn own_maps() -> Result<BTreeSet<u64>> {
    Ok(fields("map_id")?.into_iter().collect())
}

/// Bytes of all maps and programs that this process holds.
pub(crate) fn of_own_maps() -> Result<u64> {
    Ok(fields("memlock")?.into_iter().sum())
}

/// How often the kernel left a program of this process out because the processor was within the same one.
pub(crate) fn missed_runs() -> Result<u64> {
    Ok(fields("recursion_misses")?.into_iter().sum())
}

/// Bytes of kernel memory that cannot be reclaimed, where state of sockets lies.
pub(crate) fn socket_state() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("SUnreclaim:"));
    let kib: u64 = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .context("/proc/meminfo has no SUnreclaim")?
        .parse()?;
    Ok(kib * 1_024)
}
