//! Lays rows out for people: aligned columns without borders, so that a line can be copied and cut.
//!
//! On a terminal the flexible column is shortened in the middle until the line fits; in a pipe nothing is
//! shortened. Text comes from the network: control and direction characters are shown escaped, never sent.

use std::{borrow::Cow, io::Write};

use unicode_width::UnicodeWidthStr as _;

use super::{Failure, Terminal};
use crate::select::each;
pub(super) use crate::visible::visible;

/// A column: its heading and how it behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) heading: &'static str,
    pub(super) kind: Kind,
}

impl Column {
    /// Text of limited length.
    pub(super) const fn text(heading: &'static str) -> Self {
        Self {
            heading,
            kind: Kind::Text,
        }
    }

    /// Aligned to the right.
    pub(super) const fn number(heading: &'static str) -> Self {
        Self {
            heading,
            kind: Kind::Number,
        }
    }

    /// Text that is shortened when the terminal is narrow. One per table.
    pub(super) const fn flexible(heading: &'static str) -> Self {
        Self {
            heading,
            kind: Kind::Flexible,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text of limited length.
    Text,
    /// Aligned to the right.
    Number,
    /// Text that is shortened when the terminal is narrow. One per table.
    Flexible,
}

/// Spaces between two columns.
const GAP: usize = 2;
/// The flexible column is not made narrower than this.
const NARROWEST: usize = 16;

/// Writes headings and rows; `empty` instead of them when there are no rows.
pub(super) fn write(
    out: &mut dyn Write,
    terminal: Terminal,
    columns: &[Column],
    rows: &[Vec<String>],
    empty: &str,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(writeln!(out, "{empty}")?);
    }
    let room = terminal
        .width
        .map(|width| room_for_flexible(width, columns, rows));
    let rows: Vec<Vec<Cell<'_>>> = each(rows, |row| {
        let cells = columns.iter().zip(row);
        cells
            .map(|(column, text)| match column.kind {
                Kind::Flexible => Cell::of(text).within(room),
                _ => Cell::of(text),
            })
            .collect()
    });
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows.iter().filter_map(|row| row.get(index));
            let widest = cells.map(|cell| cell.width).max();
            widest.unwrap_or(0).max(column.heading.len())
        })
        .collect();
    let headings: Vec<Cell<'_>> = columns.iter().map(|column| Cell::of(column.heading)).collect();
    let heading = line(&headings, columns, &widths);
    match terminal.colour {
        true => writeln!(out, "\x1b[1m{heading}\x1b[0m")?,
        false => writeln!(out, "{heading}")?,
    }
    for line in each(&rows, |row| line(row, columns, &widths)) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// What is shown of a text, and the columns of a terminal that it takes.
struct Cell<'a> {
    shown: Cow<'a, str>,
    width: usize,
}

impl<'a> Cell<'a> {
    fn of(text: &'a str) -> Self {
        let shown = visible(text);
        // Nearly all text is ASCII, one column a character once nothing in it is a control character.
        let width = match shown.is_ascii() {
            true => shown.len(),
            false => shown.width(),
        };
        Self { shown, width }
    }

    /// Shortened to this room, if there is a limit.
    fn within(self, room: Option<usize>) -> Self {
        match room {
            Some(room) if self.width > room => {
                let shown = shorten(&self.shown, room);
                let width = shown.width();
                Self {
                    shown: Cow::Owned(shown),
                    width,
                }
            }
            _ => self,
        }
    }
}

/// Cells side by side, without spaces at the end.
fn line(cells: &[Cell<'_>], columns: &[Column], widths: &[usize]) -> String {
    let mut line = String::with_capacity(widths.iter().map(|width| width + GAP).sum());
    let mut behind = 0;
    for ((cell, column), width) in cells.iter().zip(columns).zip(widths) {
        let missing = width.saturating_sub(cell.width);
        let (before, after) = match column.kind {
            Kind::Number => (missing, 0),
            _ => (0, missing),
        };
        line.extend(std::iter::repeat_n(' ', behind + before));
        line.push_str(&cell.shown);
        behind = after + GAP;
    }
    line.truncate(line.trim_end().len());
    line
}

fn room_for_flexible(width: usize, columns: &[Column], rows: &[Vec<String>]) -> usize {
    let mut taken = 0;
    for (index, column) in columns.iter().enumerate() {
        if column.kind != Kind::Flexible {
            let cells = rows.iter().filter_map(|row| row.get(index));
            let widest = cells.map(|cell| Cell::of(cell).width).max();
            taken += GAP + widest.unwrap_or(0).max(column.heading.len());
        }
    }
    width.saturating_sub(taken).max(NARROWEST)
}

/// Cuts the middle out of a text that is longer than `room` characters: both ends of a path say most.
pub(super) fn shorten(text: &str, room: usize) -> String {
    let length = text.chars().count();
    if length <= room || room < 3 {
        return text.to_owned();
    }
    let head = (room - 1) / 2;
    let tail = room - 1 - head;
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column::text("METHOD"),
        Column::flexible("PATH"),
        Column::number("HITS"),
    ];

    fn lay_out(terminal: Terminal, path: &str) -> String {
        let rows = [
            vec!["GET".into(), path.into(), "7".into()],
            vec!["POST".into(), "/".into(), "1234".into()],
        ];
        let mut out = Vec::new();
        write(&mut out, terminal, &COLUMNS, &rows, "none").unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_without_borders_or_colour() {
        assert_eq!(
            lay_out(Terminal::PLAIN, "/v1/users"),
            "METHOD  PATH       HITS\nGET     /v1/users     7\nPOST    /          1234\n"
        );
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let text = lay_out(Terminal::PLAIN, "/\u{5546}\u{54c1}");
        assert_eq!(
            text,
            "METHOD  PATH   HITS\nGET     /\u{5546}\u{54c1}     7\nPOST    /      1234\n"
        );
    }

    #[test]
    fn long_paths_are_cut_in_the_middle_on_a_terminal_only() {
        let long = format!("/v1/{}/end", "x".repeat(100));
        let narrow = Terminal {
            width: Some(40),
            colour: false,
        };
        let text = lay_out(narrow, &long);
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(
            text.contains('…') && text.contains("/v1/xx") && text.contains("/end"),
            "{text}"
        );
        assert!(lay_out(Terminal::PLAIN, &long).contains(&long));
    }

    #[test]
    fn hostile_text_cannot_drive_the_terminal() {
        let text = lay_out(Terminal::PLAIN, "/\x1b[31m\u{202e}\u{9b}a\nb");
        assert!(text.contains(r"/\u{1b}[31m\u{202e}\u{9b}a\u{a}b"), "{text}");
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn nothing_to_show_is_said() {
        let mut out = Vec::new();
        write(&mut out, Terminal::PLAIN, &COLUMNS, &[], "No endpoint yet.").unwrap();
        assert_eq!(out, b"No endpoint yet.\n");
    }
}
