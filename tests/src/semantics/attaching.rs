//! Coming and going of the programs themselves.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use apiarist::{capture::load::LoadOptions, clock::monotonic_ns};

use super::{
    kernel_memory::{own_maps, own_programs},
    observer::{OPTIONS, Observer, PATIENCE, deadline},
    pair::{Pair, Transport, receive, send},
    story::converse,
};

/// With four rings the events of a connection go through one of them; afterwards nothing is left in the kernel: every program and map that attaching made is gone, by id, whatever other processes
/// load meanwhile.
pub(super) fn four_rings_then_detach(_: &mut Observer) -> Result<()> {
    let before = [own_programs()?, own_maps()?];
    let mut observer = Observer::attach_with(LoadOptions { rings: 4, ..OPTIONS })?;
    for transport in [Transport::Tcp4, Transport::Tcp6, Transport::UnixPair] {
        for _ in 0..4 {
            converse(&mut observer, Pair::connect(transport)?, send, receive)?;
        }
    }
    let [programs, maps] = [
        own_programs()?
            .difference(&before[0])
            .copied()
            .collect::<BTreeSet<_>>(),
        own_maps()?
            .difference(&before[1])
            .copied()
            .collect::<BTreeSet<_>>(),
    ];
    ensure!(
        programs.len() >= 4 && maps.len() >= 4,
        "{} programs and {} maps were made",
        programs.len(),
        maps.len()
    );
    drop(observer);
    let until = deadline(PATIENCE);
    loop {
        let left = [
            programs.iter().filter(|id| exists(**id, Kind::Program)).count(),
            maps.iter().filter(|id| exists(**id, Kind::Map)).count(),
        ];
        if left == [0, 0] {
            return Ok(());
        }
        ensure!(monotonic_ns() < until, "{left:?} programs and maps are left");
        // The kernel frees them after a grace period.
        std::thread::yield_now();
    }
}

enum Kind {
    Program,
    Map,
}

fn exists(id: u64, kind: Kind) -> bool {
    let id = id as u32;
    match kind {
        Kind::Program => {
            aya::programs::loaded_programs().any(|program| program.is_ok_and(|program| program.id() == id))
        }
        Kind::Map => aya::maps::loaded_maps().any(|map| map.is_ok_and(|map| map.id() == id)),
    }
}
