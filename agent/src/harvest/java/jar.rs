//! Classes in archives of Java (ZIP, PKWARE APPNOTE 6.3), those of the application only.
//!
//! In: an open file. Out: what its classes say. Reads the directory at the end, then the classes that may have routes, each
//! by itself. Archives inside archives are libraries and passed over, as are packages that everybody uses.

use std::{fs::File, io::Read as _, os::unix::fs::FileExt as _};

use flate2::read::DeflateDecoder;

use super::{Findings, PACKAGES, Route, application, class, finish, routes};

/// Longest archive. Overflow policy: it is not read.
pub(in crate::harvest) const MAX_ARCHIVE_BYTES: u64 = 512 * 1024 * 1024;

/// Longest directory. Overflow policy: the archive is not read.
const MAX_DIRECTORY_BYTES: usize = 16 * 1024 * 1024;

/// Classes of one archive. Overflow policy: the first in its directory.
const MAX_CLASSES: usize = 8_192;

/// Longest class, packed or unpacked. Overflow policy: passed over.
const MAX_CLASS_BYTES: usize = 512 * 1024;

/// Bytes of all unpacked classes of one archive. Overflow policy: further ones are passed over.
const MAX_BYTES: usize = 48 * 1024 * 1024;

/// Routes of one archive. Overflow policy: the first so many.
const MAX_ROUTES: usize = 4_096;

/// Packages of frameworks and libraries, which come packed together with applications.
const FOREIGN: [&str; 16] = [
    "org/springframework/",
    "io/micronaut/",
    "com/fasterxml/",
    "org/apache/",
    "io/netty/",
    "jakarta/",
    "javax/",
    "java/",
    "kotlin/",
    "scala/",
    "org/glassfish/",
    "org/jboss/",
    "org/hibernate/",
    "com/google/",
    "META-INF/",
    "org/eclipse/jetty/",
];

/// Directories that hold the classes of the application in archives that have them.
const OWN: [&str; 2] = ["BOOT-INF/classes/", "WEB-INF/classes/"];

/// A file in the archive.
struct Entry {
    name: String,
    is_packed: bool,
    length: usize,
    offset: u64,
}

/// What the classes of an archive say.
pub(in crate::harvest) fn read(file: &File, length: u64) -> Findings {
    let mut found: Vec<Route> = Vec::new();
    let mut prefix = String::new();
    let mut bytes = 0;
    let (entries, base) = directory(file, length).unwrap_or_default();
    for entry in entries {
        if bytes >= MAX_BYTES || found.len() >= MAX_ROUTES {
            break;
        }
        let Some(content) = content(file, base, &entry) else {
            continue;
        };
        bytes += content.len();
        let has_routes = PACKAGES
            .iter()
            .any(|package| memchr::memmem::find(&content, package).is_some());
        let Some(class) = has_routes.then(|| class::read(&content)).flatten() else {
            continue;
        };
        if let Some(path) = application(&class) {
            prefix = path;
        }
        found.extend(routes(&class));
    }
    found.truncate(MAX_ROUTES);
    Findings {
        routes: finish(found, &prefix),
        ..Findings::default()
    }
}

/// The classes of an archive, and what its offsets count from: something may stand before it.
fn directory(file: &File, length: u64) -> Option<(Vec<Entry>, u64)> {
    // The last record, with a comment of up to 64 KiB behind it (APPNOTE §4.3.16).
    let tail_length = length.min(64 * 1024 + 22);
    let tail_at = length - tail_length;
    let mut tail = vec![0; usize::try_from(tail_length).ok()?];
    file.read_exact_at(&mut tail, tail_at).ok()?;
    let end = memchr::memmem::rfind(&tail, b"PK\x05\x06")?;
    let record = tail.get(end..)?;
    let size = number(record, 12, 4)?;
    let offset = number(record, 16, 4)?;
    let begins = (tail_at + end as u64).checked_sub(size)?;
    let base = begins.checked_sub(offset)?;
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size <= MAX_DIRECTORY_BYTES)?;
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, begins).ok()?;
    let mut rest = bytes.as_slice();
    let mut entries = Vec::new();
    while rest.starts_with(b"PK\x01\x02") {
        let [name, extra, comment] = [28, 30, 32].map(|at| number(rest, at, 2));
        let (name, extra, comment) = (name? as usize, extra? as usize, comment? as usize);
        let text = String::from_utf8_lossy(rest.get(46..46 + name)?).into_owned();
        let (packed, unpacked) = (number(rest, 20, 4)? as usize, number(rest, 24, 4)? as usize);
        let fits = packed <= MAX_CLASS_BYTES && unpacked <= MAX_CLASS_BYTES;
        let method = number(rest, 10, 2)?;
        if fits && text.ends_with(".class") && matches!(method, 0 | 8) {
            entries.push(Entry {
                name: text,
                is_packed: method == 8,
                length: packed,
                offset: number(rest, 42, 4)?,
            });
        }
        rest = rest.get(46 + name + extra + comment..)?;
    }
    let is_own = |entry: &Entry| OWN.iter().any(|own| entry.name.starts_with(own));
    if entries.iter().any(is_own) {
        entries.retain(is_own);
    } else {
        entries.retain(|entry| !FOREIGN.iter().any(|package| entry.name.starts_with(package)));
    }
    entries.truncate(MAX_CLASSES);
    Some((entries, base))
}

/// The bytes of a class.
fn content(file: &File, base: u64, entry: &Entry) -> Option<Vec<u8>> {
    let at = base.checked_add(entry.offset)?;
    let mut header = [0; 30];
    file.read_exact_at(&mut header, at).ok()?;
    if !header.starts_with(b"PK\x03\x04") {
        return None;
    }
    let behind = 30 + number(&header, 26, 2)? + number(&header, 28, 2)?;
    let mut bytes = vec![0; entry.length];
    file.read_exact_at(&mut bytes, at.checked_add(behind)?).ok()?;
    if !entry.is_packed {
        return Some(bytes);
    }
    let mut unpacked = Vec::new();
    let mut decoder = DeflateDecoder::new(bytes.as_slice()).take(MAX_CLASS_BYTES as u64);
    decoder.read_to_end(&mut unpacked).ok()?;
    Some(unpacked)
}

/// A number of so many bytes, least significant first.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}
