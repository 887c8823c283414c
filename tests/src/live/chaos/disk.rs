//! A disk that is slow, and one that is full.

use std::{fs, io, time::Duration};

use anyhow::{Result, ensure};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::Signal,
};

use super::{Server, accounted, counter, kept};
use crate::live::{
    agent::{Agent, bare},
    binary, note,
    place::{Place, fixture},
    program::output,
    wait::until,
};

/// Builds the library of faults; its path.
pub(super) fn shim(place: &Place) -> Result<String> {
    let library = place.file("faults.so");
    let source = fixture("faults.c");
    output(
        "cc",
        &["-shared", "-fPIC", "-O1", "-o", &library, &source, "-ldl"],
        place,
    )?;
    Ok(library)
}

/// Each write and each sync of the store takes 50 ms longer: capture does not wait for it, or says what that cost.
pub(crate) fn a_slow_disk_is_waited_for_by_nobody(place: &Place) -> Result<()> {
    let config = place.write("config.toml", "[store]\nflush_seconds = 1\n")?;
    let mut command = bare(&binary::apiarist()?);
    command
        .env("LD_PRELOAD", shim(place)?)
        .env("FAULT_DISK_US", "50000");
    let agent = Agent::launch(place, command, &["--config", &config])?;
    let server = Server::start(place)?;
    for _ in 0..3 {
        server.ask(place, 1000)?;
    }
    let (hits, lost) = accounted(&agent, server.served()?)?;
    note(&format!("{hits} exchanges seen, {lost} events lost"));
    agent.stop(Signal::TERM).map(drop)
}

/// A file system in memory, unmounted when dropped.
struct Disk(String);

impl Disk {
    fn mount(path: String) -> Result<Self> {
        fs::create_dir(&path)?;
        mount("tmpfs", &path, "tmpfs", MountFlags::empty(), Some(c"size=4m"))?;
        Ok(Self(path))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Detached where it is still in use: the directory of the test goes with it.
        unmount(&self.0, UnmountFlags::DETACH).ok();
    }
}

/// A store whose disk is full costs counted tries to write, never capture; with room again all is written.
pub(crate) fn a_full_disk_costs_no_exchange(place: &Place) -> Result<()> {
    let disk = Disk::mount(place.file("store"))?;
    let config = place.write("config.toml", "[store]\nflush_seconds = 1\n")?;
    let agent = Agent::of(place, &["--config", &config])?;
    let server = Server::start(place)?;
    let filler = format!("{}/filler", disk.0);
    let full = io::copy(&mut io::repeat(b'x'), &mut fs::File::create(&filler)?);
    ensure!(full.is_err(), "the disk is not full");
    server.ask(place, 500)?;
    accounted(&agent, server.served()?)?;
    until(Duration::from_secs(30), || {
        ensure!(counter(&agent, "store_failures")? > 0, "no write has failed");
        Ok(())
    })?;
    fs::remove_file(filler)?;
    server.ask(place, 100)?;
    let (hits, _) = accounted(&agent, server.served()?)?;
    agent.stop(Signal::TERM)?;
    let kept = kept(place)?;
    ensure!(kept >= hits, "{kept} of {hits} exchanges are stored");
    drop(disk);
    Ok(())
}
