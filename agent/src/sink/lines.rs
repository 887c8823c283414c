//! Events as lines: standard output, and a file that is rotated by size.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use anyhow::{Context as _, Result};

use super::{Event, deliver::Deliver, format::Format};

/// Standard output.
pub(super) struct Stdout {
    format: Format,
}

impl Stdout {
    pub(super) fn new(format: Format) -> Self {
        Self { format }
    }
}

impl Deliver for Stdout {
    fn deliver(&mut self, events: &[Event]) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(&lines(self.format, events))?;
        Ok(out.flush()?)
    }
}

fn lines(format: Format, events: &[Event]) -> Vec<u8> {
    let mut text = Vec::new();
    for event in events {
        text.extend_from_slice(format.render(event).as_bytes());
        text.push(b'\n');
    }
    text
}

/// A file, mode 0640, that becomes `.1` when it has its size, while older ones move on by one.
pub(super) struct RotatingFile {
    path: PathBuf,
    rotate_bytes: u64,
    keep: u32,
    format: Format,
    file: Option<File>,
}

impl RotatingFile {
    pub(super) fn new(path: PathBuf, rotate_bytes: u64, keep: u32, format: Format) -> Self {
        Self {
            path,
            rotate_bytes,
            keep,
            format,
            file: None,
        }
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        for number in (1..self.keep).rev() {
            absent_is_fine(fs::rename(self.numbered(number), self.numbered(number + 1)))?;
        }
        match self.keep {
            0 => fs::remove_file(&self.path),
            _ => fs::rename(&self.path, self.numbered(1)),
        }
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o640).open(&self.path)
    }
}

impl Deliver for RotatingFile {
    fn deliver(&mut self, events: &[Event]) -> Result<()> {
        let at = || self.path.display().to_string();
        // Opened for each batch: a file that logrotate or a person moved away is made anew.
        let mut file = self.open().with_context(|| format!("cannot open {}", at()))?;
        let size = file.metadata()?.len();
        if size > 0 && size >= self.rotate_bytes {
            drop(file);
            self.rotate()?;
            file = self.open()?;
        }
        let text = lines(self.format, events);
        let written = file.write_all(&text).and_then(|()| file.sync_data());
        if written.is_err() {
            // Half a line would spoil the next one: back to where it was, as far as that is possible.
            file.set_len(size).ok();
        }
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
