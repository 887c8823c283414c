//! `apiarist top`: what happens, on a terminal.
//!
//! [`state`] decides (keys and data in, what to show out), [`draw`] shows it, [`feed`] fetches in a thread of its own so
//! that a slow agent never holds the keys up. Here: the terminal, and nothing else. Works in 80x24, over ssh, and
//! follows the window's size.

mod draw;
mod feed;
mod state;

use std::{io, time::Duration};

use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyEventKind},
};

pub(crate) use self::feed::{Answer, Endpoint, Feed};
use self::state::{Outcome, State};

/// How long a key is waited for before new data is looked at.
const PATIENCE: Duration = Duration::from_millis(100);

/// Shows what the feed brings until the user leaves.
///
/// # Errors
/// The terminal cannot be used.
pub(crate) fn run(feed: &Feed) -> io::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let result = show(&mut terminal, feed);
    ratatui::try_restore()?;
    result
}

fn show(terminal: &mut DefaultTerminal, feed: &Feed) -> io::Result<()> {
    let mut state = State::default();
    let mut is_stale = true;
    loop {
        if let Some(answer) = feed.latest() {
            state.take(answer);
            is_stale = true;
        }
        if is_stale {
            terminal.draw(|frame| draw::draw(frame, &mut state))?;
            is_stale = false;
        }
        if !event::poll(PATIENCE)? {
            continue;
        }
        match event::read()? {
            Event::Key(key) if key.kind == KeyEventKind::Press => {
                if state.key(key) == Outcome::Leave {
                    return Ok(());
                }
                is_stale = true;
            }
            Event::Resize(..) => is_stale = true,
            _ => {}
        }
    }
}
