//! The journal's own protocol: one datagram of `FIELD=value` lines each (systemd.io, "Native Journal Protocol").

use std::{os::unix::net::UnixDatagram, path::PathBuf};

use anyhow::{Context as _, Result};

use super::{
    Event,
    deliver::{Deliver, PATIENCE},
    format::{Format, about},
    syslog::severity,
};

/// Longest message, in bytes: what fits into a datagram with the socket's default buffer. Overflow policy: it is cut.
const MAX_MESSAGE: usize = 96 * 1024;

/// A way to the journal.
pub(super) struct Journald {
    path: PathBuf,
    format: Format,
}

impl Journald {
    pub(super) fn new(path: PathBuf, format: Format) -> Self {
        Self { path, format }
    }
}

impl Deliver for Journald {
    fn deliver(&mut self, events: &[Event]) -> Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket
            .connect(&self.path)
            .with_context(|| format!("no journal listens on {}", self.path.display()))?;
        for event in events {
            socket.send(&entry(self.format, event))?;
        }
        Ok(())
    }
}

fn entry(format: Format, event: &Event) -> Vec<u8> {
    let about = about(event);
    let rendered = format.render(event);
    let message = rendered
        .get(..rendered.floor_char_boundary(MAX_MESSAGE))
        .unwrap_or_default();
    let priority = severity(about.severity).to_string();
    let mut out = Vec::new();
    for (name, value) in [
        ("MESSAGE", message),
        ("PRIORITY", &priority),
        ("SYSLOG_IDENTIFIER", "apiarist"),
        ("APIARIST_ID", about.id),
        ("APIARIST_CLASS", about.class),
        ("APIARIST_WORKLOAD", about.workload),
    ] {
        out.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            // A value with line breaks comes with its length.
            out.push(b'\n');
            out.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            out.push(b'=');
        }
        out.extend_from_slice(value.as_bytes());
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{super::format::fixture, *};

    #[test]
    fn an_entry_has_one_field_a_line() {
        let text = String::from_utf8(entry(Format::Cef, &fixture::incident())).unwrap();
        let names: Vec<&str> = text
            .lines()
            .filter_map(|line| Some(line.split_once('=')?.0))
            .collect();
        assert_eq!(
            names,
            [
                "MESSAGE",
                "PRIORITY",
                "SYSLOG_IDENTIFIER",
                "APIARIST_ID",
                "APIARIST_CLASS",
                "APIARIST_WORKLOAD"
            ]
        );
    }

    #[test]
    fn a_name_with_a_line_break_cannot_forge_a_field() {
        let mut event = fixture::incident();
        if let Event::Alert(alert) = &mut event {
            alert.workload = "a\nPRIORITY=7".into();
        }
        let text = entry(Format::Cef, &event);
        let at = text
            .windows(18)
            .position(|w| w == b"APIARIST_WORKLOAD\n")
            .unwrap();
        assert_eq!(text[at + 18..at + 26], 12_u64.to_le_bytes());
    }
}
