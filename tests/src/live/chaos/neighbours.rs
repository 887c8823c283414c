//! What happens to others: a server that is frozen, one that the kernel kills for its memory.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{Server, accounted};
use crate::live::{
    agent::Agent,
    note,
    place::{Place, fixture},
    program::{Program, command},
    wait::until,
};

/// A control group for one test, removed when dropped.
pub(crate) struct Group(PathBuf);

impl Group {
    /// Below the first of these that there is: version 2, or a controller of version 1.
    pub(crate) fn make(roots: &[&str]) -> Result<Self> {
        let root = roots.iter().find(|root| PathBuf::from(root).is_dir());
        let root = root.context("no control groups")?;
        let path = PathBuf::from(root).join(format!("apiarist-chaos-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, files: &[(&str, &str)]) -> Result<()> {
        let file = files.iter().find(|(name, _)| self.0.join(name).exists());
        let (name, value) = file.context("this group cannot do that")?;
        fs::write(self.0.join(name), value).with_context(|| format!("cannot write {name}"))
    }

    fn add(&self, pid: u32) -> Result<()> {
        self.write(&[("cgroup.procs", &pid.to_string())])
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Only after all that was in it has ended.
        until(Duration::from_secs(5), || Ok(fs::remove_dir(&self.0)?)).ok();
    }
}

/// A server is frozen in the middle of its requests and thawed again: all of them are told, none twice.
pub(crate) fn a_frozen_server_goes_on(place: &Place) -> Result<()> {
    let agent = Agent::start(place)?;
    let group = Group::make(&[
        "/sys/fs/cgroup/freezer",
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup",
    ])?;
    let server = Server::start(place)?;
    for pid in server.processes()? {
        group.add(pid)?;
    }
    let mut wrk = command("wrk")?;
    wrk.args([
        "-t1",
        "-c4",
        "-d120s",
        "-s",
        &fixture("count.lua"),
        &server.url(),
        "--",
        "3000",
    ]);
    let wrk = Program::start(&mut wrk, place)?;
    until(Duration::from_secs(30), || {
        ensure!(server.served()? > 100, "nothing was served");
        Ok(())
    })?;
    group.write(&[("cgroup.freeze", "1"), ("freezer.state", "FROZEN")])?;
    rest(Duration::from_secs(3))?;
    group.write(&[("cgroup.freeze", "0"), ("freezer.state", "THAWED")])?;
    until(Duration::from_secs(60), || {
        let served = server.served()?;
        ensure!(served >= 3000, "{served} requests were served");
        Ok(())
    })?;
    wrk.signal(Signal::INT)?;
    wrk.end(Duration::from_secs(20))?;
    accounted(&agent, server.served()?)?;
    drop(server);
    drop(group);
    agent.stop(Signal::TERM).map(drop)
}

/// What eats memory in a group of its own until the kernel ends it.
const HOG: &str = "
import time
time.sleep(0.5)
held = []
while True:
    held.append(bytearray(1 << 20))
";

/// A neighbour is ended for its memory: the agent and the server do not notice.
pub(crate) fn a_neighbour_out_of_memory(place: &Place) -> Result<()> {
    let agent = Agent::start(place)?;
    let server = Server::start(place)?;
    let group = Group::make(&["/sys/fs/cgroup/memory", "/sys/fs/cgroup"])?;
    group.write(&[("memory.max", "33554432"), ("memory.limit_in_bytes", "33554432")])?;
    let script = place.write("hog.py", HOG)?;
    let hog = Program::start(command("python3")?.arg(&script), place)?;
    group.add(hog.pid())?;
    server.ask(place, 500)?;
    let ended = hog.end(Duration::from_secs(60))?;
    ensure!(!ended.status.success(), "it ended well");
    note(&format!("the neighbour ended with {}", ended.status));
    server.ask(place, 500)?;
    accounted(&agent, server.served()?)?;
    drop(group);
    agent.stop(Signal::TERM).map(drop)
}

/// Lets time pass: being frozen has no event to wait for.
pub(super) fn rest(time: Duration) -> Result<()> {
    let begin = apiarist::clock::monotonic_ns();
    until(2 * time, || {
        let passed = apiarist::clock::monotonic_ns() - begin;
        ensure!(u128::from(passed) > time.as_nanos(), "not yet");
        Ok(())
    })
}
