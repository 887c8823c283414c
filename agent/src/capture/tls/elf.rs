//! Functions and identity of an ELF file, without reading it whole.
//!
//! In: anything that can be read at an offset, and names. Out: [`Image`]: the build id and the file offsets of those
//! functions. The tables of symbols of a large executable take tens of megabytes: they are streamed through one
//! buffer, strings first (where do the wanted names end?), then symbols (which of them is named there?). Files are
//! anybody's: every count and offset is checked, and what is read is bounded.
//!
//! Source: System V ABI, chapters 4 and 5; 64-bit little-endian files only.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::FileExt,
};

use super::{golang, place, returns::Machine, rust};

/// Bytes of the buffer that tables are streamed through.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

/// Section and program headers that are looked at. Overflow policy: further ones are not.
const MAX_HEADERS: usize = 1024;

/// Bytes of one table of symbols or strings. Overflow policy: a larger table is not read.
const MAX_TABLE_BYTES: u64 = 256 << 20;

/// Bytes of notes that are looked at for a build id.
const MAX_NOTE_BYTES: u64 = 64 * 1024;

/// Functions of Rust that are used: each is compiled once for every kind of connection, and for some twice. Overflow policy:
/// further ones are not.
const MAX_RUST: usize = 64;

/// Occurrences of wanted names in one table of strings. Overflow policy: further ones are not used.
const MAX_NAMES: usize = 4096;

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHF_EXECINSTR: u64 = 4;
const SHT_DYNSYM: u32 = 11;
const STT_FUNC: u8 = 2;
const STT_GNU_IFUNC: u8 = 10;
const NT_GNU_BUILD_ID: u32 = 3;
const NT_GO_BUILD_ID: u32 = 4;
const PF_X: u32 = 1;

/// What can be read at an offset.
pub trait Source {
    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// As reading does, and when the source ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Fills `buffer` from `offset` on as far as the source goes, and gives how far.
    ///
    /// # Errors
    /// As reading does.
    fn read_some_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl Source for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn read_some_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match FileExt::read_at(self, rest, offset.saturating_add(filled as u64))? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }
}

impl Source for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut rest = self.get(start..).unwrap_or_default();
        rest.read_exact(buffer)
    }

    fn read_some_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut rest = self.get(start..).unwrap_or_default();
        rest.read(buffer)
    }
}

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// The build id, empty when the file has none.
    pub build_id: Vec<u8>,
    /// File offsets of functions by name.
    pub functions: BTreeMap<String, u64>,
    /// Functions of Go by name.
    pub go: BTreeMap<String, golang::Function>,
    /// File offsets of functions of Rust by name; of generic ones, those of each type.
    pub rust: BTreeMap<&'static str, Vec<u64>>,
    /// First instructions of functions, and of those that they call first, by file offset. None but for x86-64.
    pub code: BTreeMap<u64, Vec<u8>>,
}

/// Names of functions to look for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'n> {
    /// Among symbols. No name may end with another one.
    pub symbols: &'n [&'n str],
    /// Among the functions of Go executables. Likewise.
    pub go: &'n [&'n str],
}

/// What the headers of a file say.
#[derive(Debug)]
pub struct Layout {
    pub(super) machine: Option<Machine>,
    segments: Vec<Segment>,
    sections: Vec<Section>,
    /// Address of the first section of code.
    pub(super) text: u64,
    /// Whether a note says that Go's linker was at work.
    pub(super) is_go: bool,
}

impl Layout {
    /// Sections with data of the program, in order.
    pub(super) fn data_sections(&self) -> impl Iterator<Item = &Section> {
        self.sections
            .iter()
            .filter(|section| section.kind == SHT_PROGBITS && section.flags & SHF_EXECINSTR == 0)
    }

    /// Where in the file an address of executable code lies.
    pub(super) fn file_offset(&self, address: u64) -> Option<u64> {
        file_offset(&self.segments, address)
    }
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_bytes: u64,
}

impl Segment {
    fn has_code(&self, offset: u64) -> bool {
        let inside = offset.checked_sub(self.offset);
        self.flags & PF_X != 0 && inside.is_some_and(|inside| inside < self.file_bytes)
    }
}

/// A part of a file.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    kind: u32,
    flags: u64,
    address: u64,
    pub(super) offset: u64,
    bytes: u64,
    link: u32,
}

impl Section {
    /// A part that no header names.
    pub(super) fn of(offset: u64, bytes: u64) -> Self {
        Self {
            kind: 0,
            flags: 0,
            address: 0,
            offset,
            bytes,
            link: 0,
        }
    }

    /// File offset of what follows it.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes)
    }
}

/// Reads build id and the functions that are `wanted`, until they are `enough`; `None` when this is no 64-bit little-endian
/// ELF file.
///
/// # Errors
/// When the file cannot be read where its headers point.
pub fn read<S: Source + ?Sized>(
    source: &S,
    wanted: Wanted<'_>,
    enough: impl Fn(&Image) -> bool,
) -> io::Result<Option<Image>> {
    let mut header = [0; 64];
    if source.read_at(&mut header, 0).is_err() || !header.starts_with(b"\x7fELF\x02\x01") {
        return Ok(None);
    }
    let segments = segments(source, &header)?;
    let sections = sections(source, &header)?;
    let notes = notes(source, &segments);
    let code = sections
        .iter()
        .find(|section| section.kind == SHT_PROGBITS && section.flags & SHF_EXECINSTR != 0);
    let layout = Layout {
        machine: Machine::from_number(u16_at(&header, 18)),
        text: code.map_or(0, |section| section.address),
        is_go: notes
            .iter()
            .any(|notes| find_note(notes, b"Go\0\0", NT_GO_BUILD_ID).is_some()),
        segments,
        sections,
    };
    let mut image = Image {
        build_id: build_id_of(&notes),
        functions: BTreeMap::new(),
        go: golang::functions(source, &layout, wanted.go)?,
        rust: BTreeMap::new(),
        code: BTreeMap::new(),
    };
    let Layout {
        machine,
        segments,
        sections,
        ..
    } = &layout;
    // What is linked dynamically first: it is the smaller table by far.
    for symbols in [SHT_DYNSYM, SHT_SYMTAB]
        .iter()
        .flat_map(|kind| sections.iter().filter(move |section| section.kind == *kind))
    {
        if enough(&image) {
            break;
        }
        if let Some(strings) = sections.get(symbols.link as usize) {
            functions(source, symbols, strings, wanted.symbols, segments, &mut image)?;
        }
    }
    if *machine == Some(Machine::X86_64) {
        let rust = image.rust.values().flatten();
        let offsets = image.functions.values().chain(rust).copied();
        let one_piece = |a, b| {
            segments
                .iter()
                .any(|segment| segment.has_code(a) && segment.has_code(b))
        };
        image.code = place::heads(source, offsets, one_piece)?;
    }
    Ok(Some(image))
}

/// The build id alone, empty when the file has none.
///
/// # Errors
/// As [`read`].
pub fn build_id<S: Source + ?Sized>(source: &S) -> io::Result<Vec<u8>> {
    let mut header = [0; 64];
    source.read_at(&mut header, 0)?;
    Ok(build_id_of(&notes(source, &segments(source, &header)?)))
}

fn segments<S: Source + ?Sized>(source: &S, header: &[u8]) -> io::Result<Vec<Segment>> {
    let (offset, size, count) = (u64_at(header, 32), u16_at(header, 54), u16_at(header, 56));
    entries(source, offset, size, count, |entry| Segment {
        kind: u32_at(entry, 0),
        flags: u32_at(entry, 4),
        offset: u64_at(entry, 8),
        address: u64_at(entry, 16),
        file_bytes: u64_at(entry, 32),
    })
}

fn sections<S: Source + ?Sized>(source: &S, header: &[u8]) -> io::Result<Vec<Section>> {
    let (offset, size, count) = (u64_at(header, 40), u16_at(header, 58), u16_at(header, 60));
    entries(source, offset, size, count, |entry| Section {
        kind: u32_at(entry, 4),
        flags: u64_at(entry, 8),
        address: u64_at(entry, 16),
        offset: u64_at(entry, 24),
        bytes: u64_at(entry, 32),
        link: u32_at(entry, 40),
    })
}

fn entries<S: Source + ?Sized, T>(
    source: &S,
    offset: u64,
    size: u16,
    count: u16,
    entry: impl Fn(&[u8]) -> T,
) -> io::Result<Vec<T>> {
    let count = usize::from(count).min(MAX_HEADERS);
    if !(56..=256).contains(&size) || offset == 0 {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; count * usize::from(size)];
    source.read_at(&mut bytes, offset)?;
    Ok(bytes.chunks_exact(usize::from(size)).map(entry).collect())
}

/// The segments with notes, as far as they can be read.
fn notes<S: Source + ?Sized>(source: &S, segments: &[Segment]) -> Vec<Vec<u8>> {
    segments
        .iter()
        .filter(|segment| segment.kind == PT_NOTE && segment.file_bytes <= MAX_NOTE_BYTES)
        .filter_map(|segment| {
            let mut notes = vec![0; segment.file_bytes as usize];
            source.read_at(&mut notes, segment.offset).ok()?;
            Some(notes)
        })
        .collect()
}

/// GNU's build id, else the one of Go's linker.
fn build_id_of(notes: &[Vec<u8>]) -> Vec<u8> {
    let kinds: [(&[u8], u32); 2] = [(b"GNU\0", NT_GNU_BUILD_ID), (b"Go\0\0", NT_GO_BUILD_ID)];
    kinds
        .iter()
        .find_map(|(name, kind)| notes.iter().find_map(|notes| find_note(notes, name, *kind)))
        .unwrap_or_default()
}

/// What one note says.
fn find_note(mut notes: &[u8], wanted: &[u8], wanted_kind: u32) -> Option<Vec<u8>> {
    let padded = |bytes: u32| (bytes as usize).next_multiple_of(4);
    while notes.len() >= 12 {
        let (name_bytes, id_bytes, kind) = (u32_at(notes, 0), u32_at(notes, 4), u32_at(notes, 8));
        let rest = notes.get(12..)?;
        let (name, rest) = rest.split_at_checked(padded(name_bytes))?;
        if kind == wanted_kind && name.starts_with(wanted) {
            return rest.get(..id_bytes as usize).map(<[u8]>::to_vec);
        }
        notes = rest.get(padded(id_bytes)..)?;
    }
    None
}

/// Adds the wanted functions of one table of symbols.
fn functions<S: Source + ?Sized>(
    source: &S,
    symbols: &Section,
    strings: &Section,
    names: &[&str],
    segments: &[Segment],
    image: &mut Image,
) -> io::Result<()> {
    if symbols.bytes > MAX_TABLE_BYTES || strings.bytes > MAX_TABLE_BYTES {
        return Ok(());
    }
    let named = positions(source, strings, names)?;
    let rust = rust_positions(source, strings)?;
    if named.is_empty() && rust.is_empty() {
        return Ok(());
    }
    stream(source, symbols, 24, 0, |_, symbols| {
        for symbol in symbols.chunks_exact(24) {
            let kind = symbol.get(4).map_or(0, |info| info & 15);
            let defined = u16_at(symbol, 6) != 0;
            let place = || {
                let is_function = matches!(kind, STT_FUNC | STT_GNU_IFUNC) && defined;
                let offset = is_function.then(|| file_offset(segments, u64_at(symbol, 8)));
                offset.flatten()
            };
            if let Some(name) = named.get(&u32_at(symbol, 0))
                && let Some(offset) = place()
            {
                image.functions.entry((*name).to_owned()).or_insert(offset);
            }
            if let Some(name) = rust.get(&u32_at(symbol, 0))
                && let Some(offset) = place()
            {
                let offsets = image.rust.entry(name).or_default();
                // The linker folds functions with the same code: they share one place.
                if offsets.len() < MAX_RUST && !offsets.contains(&offset) {
                    offsets.push(offset);
                }
            }
        }
    })
}

/// Where the wanted names stand in a table of strings. Linkers let names share their ends: what precedes one does not
/// matter.
pub(super) fn positions<'n, S: Source + ?Sized>(
    source: &S,
    strings: &Section,
    names: &[&'n str],
) -> io::Result<BTreeMap<u32, &'n str>> {
    let ended: Vec<Vec<u8>> = names
        .iter()
        .map(|name| [name.as_bytes(), b"\0"].concat())
        .collect();
    let longest = ended.iter().map(Vec::len).max().unwrap_or(0);
    let finder = aho_corasick::AhoCorasick::builder()
        .build(&ended)
        .map_err(io::Error::other)?;
    let mut found = BTreeMap::new();
    stream(source, strings, 1, longest, |start, bytes| {
        for hit in finder.find_iter(bytes) {
            if let (Some(name), Ok(at)) = (names.get(hit.pattern().as_usize()), u32::try_from(hit.start()))
                && found.len() < MAX_NAMES
            {
                found.insert(start as u32 + at, *name);
            }
        }
    })?;
    Ok(found)
}

/// Where names of wanted functions of Rust stand in a table of strings.
fn rust_positions<S: Source + ?Sized>(
    source: &S,
    strings: &Section,
) -> io::Result<BTreeMap<u32, &'static str>> {
    let finder = aho_corasick::AhoCorasick::new(rust::TRACES).map_err(io::Error::other)?;
    let mut found = BTreeMap::new();
    // A symbol that the pieces before and after cut is whole in one of them.
    stream(source, strings, 1, 2 * rust::MAX_SYMBOL_BYTES, |start, bytes| {
        for hit in finder.find_iter(bytes) {
            let Some((at, symbol)) = whole(bytes, hit.start(), start == 0) else {
                continue;
            };
            if let Some(name) = rust::method(symbol)
                && let Ok(at) = u32::try_from(start + at as u64)
                && found.len() < MAX_RUST
            {
                found.insert(at, name);
            }
        }
    })?;
    Ok(found)
}

/// The string around a place, with where it starts, if all of it is there. `is_first`: what stands before is its start, too.
fn whole(bytes: &[u8], place: usize, is_first: bool) -> Option<(usize, &str)> {
    let (before, after) = bytes.split_at_checked(place)?;
    let near = before.len().saturating_sub(rust::MAX_SYMBOL_BYTES);
    let start = match before.get(near..)?.iter().rposition(|byte| *byte == 0) {
        Some(end) => near + end + 1,
        None if is_first && near == 0 => 0,
        None => return None,
    };
    let length = after
        .iter()
        .take(rust::MAX_SYMBOL_BYTES)
        .position(|byte| *byte == 0)?;
    let symbol = std::str::from_utf8(bytes.get(start..place + length)?).ok()?;
    Some((start, symbol))
}

/// Hands a section on in pieces of whole `entry`s, each with its offset; pieces overlap by `overlap` bytes.
fn stream<S: Source + ?Sized>(
    source: &S,
    section: &Section,
    entry: usize,
    overlap: usize,
    mut piece: impl FnMut(u64, &[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES / entry * entry];
    let step = (buffer.len() - overlap.min(buffer.len() / 2)) as u64;
    let mut start = 0;
    while start < section.bytes {
        let length = (section.bytes - start).min(buffer.len() as u64) as usize;
        let Some(bytes) = buffer.get_mut(..length) else {
            break;
        };
        source.read_at(bytes, section.offset.saturating_add(start))?;
        piece(start, bytes);
        start += step;
    }
    Ok(())
}

/// Where in the file an address of executable code lies.
fn file_offset(segments: &[Segment], address: u64) -> Option<u64> {
    segments.iter().find_map(|segment| {
        let inside = address.checked_sub(segment.address)?;
        (segment.kind == PT_LOAD && segment.flags & PF_X != 0 && inside < segment.file_bytes)
            .then(|| segment.offset.saturating_add(inside))
    })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .unwrap_or([0; N])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

#[cfg(test)]
#[path = "elf_tests.rs"]
mod tests;
