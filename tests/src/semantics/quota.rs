//! More control groups than a ring's quota is kept of.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use apiarist::{capture::load::LoadOptions, event::Direction};
use apiarist_common::{control::MAX_QUOTA_GROUPS, counter::Counter};

use super::{
    observer::{OPTIONS, Observer},
    pair::{Pair, Transport, receive, send},
    skip,
    story::{carry, get, ok},
};

/// Looks at a ring that others on this machine fill, too.
const TRIES: usize = 200;

/// Control groups of the test, and the way back.
struct Groups {
    root: PathBuf,
    home: PathBuf,
    made: Vec<PathBuf>,
}

impl Groups {
    fn new() -> Result<Self> {
        let none = || skip("no control groups of version 2");
        let mounts = fs::read_to_string("/proc/mounts")?;
        let root = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let place = words.next()?;
            (words.next() == Some("cgroup2")).then(|| PathBuf::from(place))
        });
        let root = root.ok_or_else(none)?;
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let own = groups.lines().find_map(|line| line.strip_prefix("0::/"));
        let home = root.join(own.ok_or_else(none)?);
        Ok(Self {
            root,
            home,
            made: Vec::new(),
        })
    }

    /// Makes another one, and moves this process there.
    fn move_on(&mut self) -> Result<()> {
        let name = format!("apiarist-quota-{}-{}", std::process::id(), self.made.len());
        let group = self.root.join(name);
        fs::create_dir(&group).with_context(|| format!("cannot make {}", group.display()))?;
        self.made.push(group.clone());
        enter(&group)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        // What cannot be undone here is left behind.
        enter(&self.home).ok();
        for group in &self.made {
            fs::remove_dir(group).ok();
        }
    }
}

fn enter(group: &Path) -> Result<()> {
    fs::write(group.join("cgroup.procs"), "0").with_context(|| format!("cannot enter {}", group.display()))
}

/// Nobody empties a ring, so each group that sends is counted against its quota; there are four times as many as there is
/// room for. Those that have sent least of late are forgotten, and counted anew when they come back; what does not fit the ring is
/// counted as ever, and once there is room again everything is seen.
pub(super) fn more_groups_than_are_counted(_: &mut Observer) -> Result<()> {
    const PAGE: u32 = 4_096;
    /// Exchanges of the first group.
    const USED_UP: u64 = 100;
    const GROUPS: u64 = 4 * MAX_QUOTA_GROUPS as u64;
    let mut groups = Groups::new()?;
    let mut observer = Observer::attach_with(LoadOptions {
        ring_bytes: PAGE,
        ..OPTIONS
    })?;
    let pair = Pair::connect(Transport::Tcp4)?;
    let exchange = |number| -> Result<()> {
        carry(&pair, Direction::Egress, &get(number), send, receive)?;
        carry(&pair, Direction::Ingress, &ok(16), send, receive)
    };
    groups.move_on()?;
    for number in 0..USED_UP {
        exchange(number as usize)?;
    }
    let counted = |observer: &Observer| observer.counter(Counter::QuotaGroups);
    ensure!(observer.counter(Counter::QuotaEvents) > 0, "no quota was used up");
    let before = counted(&observer);
    for number in 0..GROUPS {
        groups.move_on()?;
        exchange(number as usize)?;
    }
    let new = counted(&observer) - before;
    ensure!(new >= GROUPS, "{new} of {GROUPS} groups were counted");
    // Which ones were forgotten is up to the kernel; but there is no room for all of these.
    let again = groups.made.iter().take(MAX_QUOTA_GROUPS as usize + 1);
    let before = counted(&observer);
    for (number, group) in again.enumerate() {
        enter(group)?;
        exchange(number)?;
    }
    ensure!(counted(&observer) > before, "no group was forgotten");
    observer.drain()?;
    let ids = pair.ids;
    let chunks = |id| observer.socket(id).map_or(0, |log| log.chunks.len() as u64);
    let seen = chunks(ids.client) + chunks(ids.server);
    let lost = observer.counter(Counter::RingFullEvents) + observer.counter(Counter::QuotaEvents);
    // Each exchange is sent and received, in both directions.
    let made = 4 * (USED_UP + GROUPS + u64::from(MAX_QUOTA_GROUPS) + 1);
    ensure!(
        seen + lost >= made,
        "of {made} events {seen} were seen, and {lost} counted as lost"
    );
    let mut seen = false;
    for number in 0..TRIES {
        let bytes = |observer: &Observer| {
            let log = observer.socket(ids.client).ok();
            log.map_or(0, |log| {
                log.chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>()
            })
        };
        observer.drain()?;
        let before = bytes(&observer);
        exchange(number)?;
        observer.drain()?;
        let whole = get(number).len() + ok(16).len();
        seen = seen || bytes(&observer) == before + whole;
    }
    ensure!(seen, "with room again nothing is seen");
    pair.close();
    Ok(())
}
