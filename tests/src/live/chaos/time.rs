//! The wall clock jumps while the agent runs: by a library in front of its own that answers for the clock.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::{Server, accounted, disk::shim, kept};
use crate::live::{
    agent::{Agent, bare},
    binary, note,
    place::Place,
    wait::until,
};

/// A day ahead, then two days back: everything is still seen, and still written.
pub(crate) fn the_clock_may_jump(place: &Place) -> Result<()> {
    let clock = place.write("clock", "0")?;
    let config = place.write("config.toml", "[store]\nflush_seconds = 1\n")?;
    let mut command = bare(&binary::apiarist()?);
    command.env("LD_PRELOAD", shim(place)?).env("FAULT_CLOCK", &clock);
    let agent = Agent::launch(place, command, &["--config", &config])?;
    let server = Server::start(place)?;
    for jump in ["0", "86400", "-86400", "0"] {
        // At once: a clock that is read from half a file would be another jump.
        let next = place.write("clock.next", jump)?;
        std::fs::rename(next, &clock)?;
        server.ask(place, 200)?;
        let served = server.served()?;
        accounted(&agent, served)?;
        until(Duration::from_secs(15), || {
            let kept = kept(place)?;
            ensure!(
                kept + agent.lost_events()? >= served,
                "{kept} of {served} are stored"
            );
            Ok(())
        })?;
    }
    note("jumps of +1, -2 and +1 days: all seen or counted, and written within 15 s");
    agent.stop(Signal::TERM).map(drop)
}
