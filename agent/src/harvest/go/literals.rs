//! The strings that a Go executable holds.
//!
//! In: an ELF file. Out: strings that are routes, or prefixes of some, in order. Go's strings have no end: the compiler writes address and
//! length side by side, into two registers that follow each other in its calling convention, into memory, or into the data.
//! Read in pieces: an executable may be large. On x86-64 all of these are looked for, elsewhere the data alone; in
//! position-independent executables the code alone, because addresses in their data are written by the loader.
//!
//! Sources: Go's internal ABI (`abi-internal.md`, integer registers of amd64), Intel's manual for LEA and MOV.

use std::{collections::BTreeSet, fs::File, os::unix::fs::FileExt as _};

use memchr::memmem;
use object::Endianness;
use object::elf::{EM_X86_64, FileHeader64};
use object::read::elf::{FileHeader as _, SectionHeader as _};

use super::{headers, route};

/// Longest literal that is looked at, and shortest, in bytes.
const LENGTHS: std::ops::RangeInclusive<u64> = 2..=256;

/// Bytes of one section that are looked at; the code of the largest known programs takes half of it. Overflow policy: the
/// first.
const MAX_SECTION_BYTES: u64 = 128 << 20;

/// Places and lengths of one executable. Overflow policy: the first in the code.
const MAX_PLACES: usize = 1 << 20;

/// Routes and prefixes of one executable. Overflow policy: the first in the data.
const MAX_LITERALS: usize = 8192;

/// Bytes read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Bytes of code after an address in which its length is looked for, and bytes before it.
const AFTER: usize = 24;
const BEFORE: usize = 6;

/// Bytes of `LEA r64, [rip + disp32]`.
const LEA_BYTES: usize = 7;

/// The register of the length, by that of the address: RAX, RBX, RCX, RDI, RSI, R8, R9, R10, R11 follow each other.
const NEXT: [Option<u8>; 16] = [
    Some(3),
    Some(7),
    None,
    Some(1),
    None,
    None,
    Some(8),
    Some(6),
    Some(9),
    Some(10),
    Some(11),
    None,
    None,
    None,
    None,
    None,
];

/// A section in the file.
#[derive(Debug, Clone, Copy)]
struct Part {
    address: u64,
    offset: u64,
    bytes: u64,
}

impl Part {
    fn has(&self, address: u64, bytes: u64) -> bool {
        address
            .checked_sub(self.address)
            .and_then(|from| from.checked_add(bytes))
            .is_some_and(|end| end <= self.bytes)
    }
}

/// The literals that are routes, or prefixes of some, in order; `None` if Go's linker did not make the file.
pub(super) fn of(file: &File) -> Option<BTreeSet<String>> {
    let cache = headers::Cache::new(file);
    let headers = cache.headers();
    let elf = FileHeader64::<Endianness>::parse(headers).ok()?;
    let endian = elf.endian().ok()?;
    let sections = elf.sections(endian, headers).ok()?;
    let named = |name: &str| {
        sections
            .section_by_name(endian, name.as_bytes())
            .map(|(_, section)| section)
    };
    named(".go.buildinfo").or_else(|| named(".gopclntab"))?;
    let part = |name: &str| {
        let section = named(name)?;
        let (offset, bytes) = section.file_range(endian)?;
        Some(Part {
            address: section.sh_addr(endian),
            offset,
            bytes: bytes.min(MAX_SECTION_BYTES),
        })
    };
    let strings = part(".rodata")?;
    let mut places = Vec::new();
    if elf.e_machine(endian) == EM_X86_64
        && let Some(code) = part(".text")
    {
        pieces(file, code, AFTER + LEA_BYTES, |address, piece| {
            in_code(address, piece, strings, &mut places);
        });
    }
    for data in [".data", ".noptrdata", ".data.rel.ro"]
        .into_iter()
        .filter_map(part)
    {
        pieces(file, data, 8, |_, piece| in_data(piece, strings, &mut places));
    }
    places.sort_unstable();
    places.dedup();
    Some(texts(file, strings, &places))
}

/// Gives a section piece by piece, each with its address; pieces overlap.
fn pieces(file: &File, part: Part, overlap: usize, mut look: impl FnMut(u64, &[u8])) {
    let mut buffer = vec![0; PIECE_BYTES + overlap];
    let mut at = 0;
    while at < part.bytes {
        let wanted = usize::try_from(part.bytes - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(piece) = buffer.get_mut(..wanted) else {
            return;
        };
        if file.read_exact_at(piece, part.offset.saturating_add(at)).is_err() {
            return;
        }
        // Addresses are the file's word: they may end anywhere.
        look(part.address.wrapping_add(at), piece);
        at += PIECE_BYTES as u64;
    }
}

/// Addresses that code loads, with the length beside them.
fn in_code(address: u64, code: &[u8], strings: Part, places: &mut Vec<(u64, u64)>) {
    for at in memchr::memchr_iter(0x8d, code) {
        let Some(start) = at.checked_sub(1) else { continue };
        let Some(&[rex @ (0x48 | 0x4c), _, form, a, b, c, d]) = code.get(start..start + LEA_BYTES) else {
            continue;
        };
        if form & 0xc7 != 0x05 || places.len() >= MAX_PLACES {
            continue;
        }
        let next = address.wrapping_add((start + LEA_BYTES) as u64);
        let target = next.wrapping_add_signed(i64::from(i32::from_le_bytes([a, b, c, d])));
        if !strings.has(target, *LENGTHS.start()) {
            continue;
        }
        let register = (form >> 3 & 7) | (rex & 4) << 1;
        let after = code.get(start + LEA_BYTES..).unwrap_or_default();
        let after = after.get(..AFTER).unwrap_or(after);
        let before = code.get(start.saturating_sub(BEFORE)..start).unwrap_or_default();
        let length = length_in_register(register, before, after).or_else(|| length_in_memory(after));
        if let Some(length) = length.filter(|length| strings.has(target, *length)) {
            places.push((target, length));
        }
    }
}

/// `MOV r32, imm32` into the register that follows: right before or after the address, or soon after.
fn length_in_register(address: u8, before: &[u8], after: &[u8]) -> Option<u64> {
    let register = NEXT.get(usize::from(address)).copied().flatten()?;
    let load: &[u8] = &[0x41, 0xb8 + (register & 7)];
    let load = if register < 8 { load.get(1..)? } else { load };
    let end = before.len().checked_sub(load.len() + 4);
    let right_before = end.and_then(|end| before.get(end..)?.strip_prefix(load));
    let soon_after = || {
        let at = memmem::find(after, load)?;
        after.get(at + load.len()..)
    };
    right_before
        .and_then(number)
        .or_else(|| soon_after().and_then(number))
}

/// `MOV qword [r64 + disp8], imm32`: the length of a string in a structure.
fn length_in_memory(after: &[u8]) -> Option<u64> {
    let at = memmem::find(after, &[0x48, 0xc7])?;
    let (form, rest) = after.get(at + 2..)?.split_first()?;
    // With a stack pointer for base a byte more.
    let skipped = match form {
        0x44 => 2,
        0x40..=0x47 => 1,
        _ => return None,
    };
    number(rest.get(skipped..)?)
}

fn number(bytes: &[u8]) -> Option<u64> {
    let number = u64::from(u32::from_le_bytes(*bytes.first_chunk()?));
    LENGTHS.contains(&number).then_some(number)
}

/// Addresses in tables, with the length after them.
fn in_data(data: &[u8], strings: Part, places: &mut Vec<(u64, u64)>) {
    let words: Vec<u64> = data
        .chunks_exact(8)
        .map(|word| {
            word.iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u64::from(*byte))
        })
        .collect();
    for pair in words.windows(2) {
        let &[address, length] = pair else { continue };
        if LENGTHS.contains(&length) && strings.has(address, length) && places.len() < MAX_PLACES {
            places.push((address, length));
        }
    }
}

/// What lies at the places, which are in order.
fn texts(file: &File, strings: Part, places: &[(u64, u64)]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = places;
    let overlap = usize::try_from(*LENGTHS.end()).unwrap_or_default();
    pieces(file, strings, overlap, |start, piece| {
        let end = start.saturating_add(PIECE_BYTES as u64);
        let here = rest.partition_point(|(address, _)| *address < end);
        let (now, later) = rest.split_at(here);
        rest = later;
        for (address, length) in now {
            let from = usize::try_from(address.saturating_sub(start)).unwrap_or(usize::MAX);
            let to = from.saturating_add(usize::try_from(*length).unwrap_or(usize::MAX));
            let Some(text) = piece.get(from..to) else { continue };
            if let Ok(text) = std::str::from_utf8(text)
                && found.len() < MAX_LITERALS
                && (route::read(text, "").is_some() || route::is_prefix(text))
            {
                found.insert(text.to_owned());
            }
        }
    });
    found
}
