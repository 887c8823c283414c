//! Small pieces of HTML.

use std::{
    fmt,
    io::{self, Write},
};

use crate::{verdict::Severity, visible::visible};

/// Text that is shown as it is, wherever it stands: in an element or in a quoted attribute.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = visible(self.0);
        let mut rest = &*text;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (plain, special) = rest.split_at(at);
            f.write_str(plain)?;
            f.write_str(match special.as_bytes().first() {
                Some(b'&') => "&amp;",
                Some(b'<') => "&lt;",
                Some(b'>') => "&gt;",
                Some(b'"') => "&quot;",
                _ => "&#39;",
            })?;
            rest = special.get(1..).unwrap_or_default();
        }
        f.write_str(rest)
    }
}

/// Opens a section with its heading and an explanation.
pub(super) fn section(out: &mut dyn Write, id: &str, heading: &str, about: &str) -> io::Result<()> {
    write!(
        out,
        "<section id=\"{id}\" aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">{heading}</h2>\n<p class=\"about\">{about}</p>\n"
    )
}

/// Closes a section.
pub(super) fn end(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"</section>\n")
}

/// What stands in a section without content.
pub(super) fn nothing(out: &mut dyn Write, text: &str) -> io::Result<()> {
    writeln!(out, "<p class=\"nothing\">{text}</p>")
}

/// A severity as a coloured word.
pub(super) struct Badge(pub(super) Severity);

impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_str();
        write!(f, "<span class=\"badge {name}\">{name}</span>")
    }
}

/// A table's head: one heading for each column; those that begin with `#` hold numbers.
pub(super) fn head(out: &mut dyn Write, caption: &str, columns: &[&str]) -> io::Result<()> {
    write!(
        out,
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">\n<table><caption>{caption}</caption><thead><tr>"
    )?;
    for column in columns {
        match column.strip_prefix('#') {
            Some(column) => write!(out, "<th scope=\"col\" class=\"n\">{column}</th>")?,
            None => write!(out, "<th scope=\"col\">{column}</th>")?,
        }
    }
    out.write_all(b"</tr></thead><tbody>\n")
}

/// A table's end.
pub(super) fn foot(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"</tbody></table></div>\n")
}

/// A number with thin spaces between its thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push('\u{2009}');
        }
        shown.push(digit);
    }
    shown
}

/// A time as a person reads it: `2026-01-31 08:00:00`; what is no RFC 3339 text stays as it is.
pub(super) fn time(rfc3339: &str) -> String {
    rfc3339.get(..19).unwrap_or(rfc3339).replace('T', " ")
}

/// Milliseconds with as many digits as they deserve.
pub(super) fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!(grouped(1_234_567), "1\u{2009}234\u{2009}567");
        assert_eq!(grouped(12), "12");
        assert_eq!(time("2026-01-31T08:00:00.000Z"), "2026-01-31 08:00:00");
        assert_eq!(
            [0.25, 12.3, 61_000.0].map(milliseconds),
            ["0.2 ms", "12 ms", "61.0 s"]
        );
    }
}
