//! Which TLS a process brings, and why its plaintext cannot be read.
//!
//! In: what a process maps; an executable. Out: a name and a reason, for the coverage report. Only asked of processes that
//! use TLS and have no function to probe: an executable is searched from end to end for what such code leaves in it.

use std::io;

use super::elf::{BUFFER_BYTES, Source};

/// The TLS of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stack {
    /// Its library, if that is known.
    pub library: Option<&'static str>,
    /// Why its plaintext cannot be read; `None` when it can.
    pub unreadable: Option<&'static str>,
}

impl Stack {
    /// One whose functions are probed.
    pub fn read(library: &'static str) -> Self {
        Self {
            library: Some(library),
            unreadable: None,
        }
    }

    /// One that is let alone because somebody wants it so.
    pub const EXCLUDED: Self = Self {
        library: None,
        unreadable: Some("excluded"),
    };

    /// Java compiles its own TLS while it runs: there is no file with functions.
    const JAVA: Self = Self {
        library: Some("jsse"),
        unreadable: Some("compiled at run time"),
    };
}

/// What libraries leave in executables that they are linked into, the surest first.
const TRACES: [(&str, &str); 9] = [
    ("BoringSSL", "boringssl"),
    ("OpenSSL 3.", "openssl"),
    ("OpenSSL 1.", "openssl"),
    // The version is not linked into who does not ask for it; the names of the sources are.
    ("ssl/ssl_lib.c", "openssl"),
    ("/rustls-", "rustls"),
    ("wolfSSL", "wolfssl"),
    ("mbedtls", "mbedtls"),
    ("s2n_connection", "s2n"),
    ("crypto/tls.(*Conn)", "go"),
];

/// Bytes of one executable that are searched. Overflow policy: what lies behind is not.
const MAX_SEARCH_BYTES: u64 = 512 << 20;

/// By a file that the process maps.
pub fn of_mapped(name: &str) -> Option<Stack> {
    (name == "libjvm.so").then_some(Stack::JAVA)
}

/// By what an executable contains.
///
/// # Errors
/// When it cannot be read.
pub fn of_executable<S: Source + ?Sized>(source: &S) -> io::Result<Option<Stack>> {
    let finder = aho_corasick::AhoCorasick::new(TRACES.map(|(trace, _)| trace)).map_err(io::Error::other)?;
    let longest = TRACES.iter().map(|(trace, _)| trace.len()).max().unwrap_or(0);
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut start, mut best) = (0, None);
    while start < MAX_SEARCH_BYTES {
        let read = source.read_some_at(&mut buffer, start)?;
        let found = finder.find_iter(buffer.get(..read).unwrap_or_default());
        best = found.map(|hit| hit.pattern().as_usize()).chain(best).min();
        if read < buffer.len() || best == Some(0) {
            break;
        }
        start += (buffer.len() - longest) as u64;
    }
    let library = best
        .and_then(|number| TRACES.get(number))
        .map(|(_, library)| *library);
    Ok(library.map(|library| Stack {
        library: Some(library),
        unreadable: Some("no symbols"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linked_libraries_are_known_by_their_traces() {
        for at in [0, BUFFER_BYTES - 3, 2 * BUFFER_BYTES] {
            let mut file = vec![b'x'; 3 * BUFFER_BYTES];
            file[at..at + 10].copy_from_slice(b"OpenSSL 3.");
            let stack = of_executable(&file[..]).unwrap().unwrap();
            assert_eq!(stack.library, Some("openssl"), "{at}");
            assert_eq!(stack.unreadable, Some("no symbols"));
        }
        assert_eq!(of_executable(&b"#!/bin/sh"[..]).unwrap(), None);
    }

    #[test]
    fn java_is_known_by_its_machine() {
        assert_eq!(of_mapped("libjvm.so").unwrap().library, Some("jsse"));
        assert_eq!(of_mapped("libc.so.6"), None);
    }
}
