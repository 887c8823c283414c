//! What standard output is: decides width and colour, and nothing about content.

use std::io::IsTerminal as _;

/// Standard output as far as layout needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Columns, if it is a terminal: lines are fitted to it. A pipe or file has no width: nothing is shortened.
    pub width: Option<usize>,
    /// Whether colour codes may be written: a terminal, and `NO_COLOR` (no-color.org) is unset or empty.
    pub colour: bool,
}

impl Terminal {
    /// A pipe or file.
    pub const PLAIN: Self = Self {
        width: None,
        colour: false,
    };

    /// Looks at standard output and the environment.
    pub fn detect() -> Self {
        let stdout = std::io::stdout();
        if !stdout.is_terminal() {
            return Self::PLAIN;
        }
        let columns = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| size.ws_col);
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            width: Some(match columns {
                0 => 80,
                columns => usize::from(columns),
            }),
            colour: !plain,
        }
    }
}
