//! How long somebody waits for `apiarist top`: for the first screen, for all of it, and after a key.
//!
//! `top` runs in a pseudo-terminal of 80 by 24. A screen is there when its text is; a key is answered when anything is drawn.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use apiarist::clock::monotonic_ns;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// Down, a page, to the end and back, the details and out of them, another order, a search of two letters.
const KEYS: [&str; 12] = [
    "j", "\x1b[6~", "G", "g", "\r", "\x1b", "s", "s", "/", "u", "s", "\x1b",
];

/// The longest wait for anything.
const PATIENCE_S: i64 = 60;

/// Watches `top` over a store or an agent, and prints what was waited for.
pub(crate) fn measure(source: [&str; 2]) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&controller, size).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    let mut screen = Screen {
        controller: File::from(controller),
        shown: String::new(),
    };
    let start = monotonic_ns();
    let mut child = Command::new(super::BINARY)
        .arg("top")
        .args(source)
        .env("TERM", "xterm-256color")
        .stdin(Stdio::from(terminal.try_clone().unwrap()))
        .stdout(Stdio::from(terminal.try_clone().unwrap()))
        .stderr(Stdio::from(terminal))
        .spawn()
        .unwrap();
    let milliseconds = |from: u64| (monotonic_ns() - from) as f64 / 1e6;
    screen.shows("GET");
    let first = milliseconds(start);
    // Nothing stood where this is drawn: no part of it is left out as being there already.
    screen.shows("workloads");
    let all = milliseconds(start);
    let mut waits: Vec<f64> = KEYS
        .iter()
        .map(|key| {
            // What is drawn for an earlier reason is no answer.
            while screen.is_drawn(0) {
                screen.read();
            }
            let pressed = monotonic_ns();
            screen.controller.write_all(key.as_bytes()).unwrap();
            screen.shown.clear();
            screen.more();
            milliseconds(pressed)
        })
        .collect();
    waits.sort_by(f64::total_cmp);
    let (median, worst) = (waits.get(waits.len() / 2).unwrap(), waits.last().unwrap());
    println!(
        "top: first screen {first:.0} ms, all endpoints {all:.0} ms, a key {median:.0} ms, {worst:.0} ms at most"
    );
    // Right after an escape a letter is another key, as terminals send them, and a letter more of a search: this one is not.
    let status = loop {
        screen.controller.write_all(b"\x03").unwrap();
        if screen.is_drawn(1) {
            screen.read();
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
    };
    assert!(status.success());
}

struct Screen {
    controller: File,
    /// All that was drawn, escape sequences included.
    shown: String,
}

impl Screen {
    fn shows(&mut self, text: &str) {
        while !self.shown.contains(text) {
            self.more();
        }
    }

    /// Waits for something to be drawn.
    fn more(&mut self) {
        assert!(self.is_drawn(PATIENCE_S), "nothing is drawn: {}", self.shown);
        self.read();
    }

    fn is_drawn(&self, seconds: i64) -> bool {
        let patience = Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        };
        let mut wanted = [PollFd::new(&self.controller, PollFlags::IN)];
        poll(&mut wanted, Some(&patience)).unwrap() > 0
    }

    /// Takes what was drawn. Whether there was anything: nobody draws any more when there was not.
    fn read(&mut self) -> bool {
        let mut part = [0; 65536];
        let read = self.controller.read(&mut part).unwrap_or(0);
        self.shown
            .push_str(&String::from_utf8_lossy(part.get(..read).unwrap()));
        read > 0
    }
}
