//! Functions of Go executables, stripped or not.
//!
//! In: an ELF file. Out: entries and returns of the wanted functions, as file offsets. Go's runtime walks stacks with a
//! table of all functions, which therefore is in every executable. It is streamed: names first, then one pass over the
//! functions. Returns are needed one by one because a return probe replaces an address on the stack, which Go does not
//! survive.
//!
//! Refuses executables of Go before 1.18, whose table and calls are of other shapes.
//! Source: Go, `src/debug/gosym/pclntab.go`, `src/runtime/symtab.go`.

use std::{collections::BTreeMap, io};

use super::{
    elf::{BUFFER_BYTES, Layout, Section, Source, positions, u32_at, u64_at},
    place,
    returns::{Machine, returns},
};

/// How the table starts: Go 1.18 and 1.20. Two zeros, the instruction size and the pointer size follow.
const MAGICS: [u32; 2] = [0xffff_fff0, 0xffff_fff1];

/// Words of the header, after those eight bytes.
const HEADER_WORDS: usize = 8;

/// Functions of one executable. Overflow policy: further ones are not looked at. (Kubernetes has 100,000.)
const MAX_FUNCTIONS: u64 = 1 << 22;

/// Bytes of one function. Overflow policy: a longer one is not probed.
const MAX_CODE_BYTES: u64 = 64 * 1024;

/// Bytes that are searched for a table that is no section of its own.
const MAX_SEARCH_BYTES: u64 = 128 << 20;

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// File offset of its first instruction, or of one soon after it that is cheaper to probe.
    pub entry: u64,
    /// File offset of the jump after which it either starts again or does its work.
    pub stack_check: Option<u64>,
    /// File offsets of the instructions that return from it.
    pub returns: Vec<u64>,
}

/// Finds functions by their full names; empty when this is no Go executable of a known shape.
///
/// # Errors
/// When the file cannot be read where its headers point.
pub fn functions<S: Source + ?Sized>(
    source: &S,
    layout: &Layout,
    names: &[&str],
) -> io::Result<BTreeMap<String, Function>> {
    let mut found = BTreeMap::new();
    let Some(table) = Table::find(source, layout)? else {
        return Ok(found);
    };
    let named = positions(source, &table.names, names)?;
    if named.is_empty() {
        return Ok(found);
    }
    let (mut index, mut details) = (Window::new(source), Window::new(source));
    for number in 0..table.count {
        let entry = index.get(table.functions.saturating_add(8 * number), 12)?;
        let (start, detail, end) = (u32_at(entry, 0), u32_at(entry, 4), u32_at(entry, 8));
        let detail = details.get(table.functions.saturating_add(u64::from(detail)), 8)?;
        let Some(name) = named.get(&u32_at(detail, 4)) else {
            continue;
        };
        let bytes = u64::from(end.saturating_sub(start));
        let address = table.text.saturating_add(u64::from(start));
        if let (Some(entry), Some(machine)) = (layout.file_offset(address), layout.machine)
            && bytes <= MAX_CODE_BYTES
        {
            let mut code = vec![0; bytes as usize];
            source.read_at(&mut code, entry)?;
            let returns = returns(machine, &code).into_iter().map(|at| entry + at);
            let returns = returns.collect();
            let place = match machine {
                Machine::X86_64 => place::of_go(&code),
                Machine::Aarch64 => None,
            };
            let function = Function {
                entry: entry + place.unwrap_or(0),
                stack_check: place::of_stack_check(machine, &code).map(|at| entry + at),
                returns,
            };
            found.insert((*name).to_owned(), function);
        }
    }
    Ok(found)
}

/// The table of functions.
#[derive(Debug)]
struct Table {
    /// Address that functions count from.
    text: u64,
    /// Functions in the table.
    count: u64,
    names: Section,
    /// File offset of pairs of (start, details), sorted, with a last start that is the end of the last function.
    functions: u64,
}

impl Table {
    fn find<S: Source + ?Sized>(source: &S, layout: &Layout) -> io::Result<Option<Self>> {
        // Mostly a section of its own; when a C linker joined it with others, it is searched for.
        for section in layout.data_sections() {
            if let Some(table) = Self::at(source, layout, section.offset)? {
                return Ok(Some(table));
            }
        }
        if !layout.is_go {
            return Ok(None);
        }
        for section in layout.data_sections() {
            for at in candidates(source, section)? {
                if let Some(table) = Self::at(source, layout, at)? {
                    return Ok(Some(table));
                }
            }
        }
        Ok(None)
    }

    fn at<S: Source + ?Sized>(source: &S, layout: &Layout, at: u64) -> io::Result<Option<Self>> {
        let mut header = [0; 8 * (1 + HEADER_WORDS)];
        if source.read_at(&mut header, at).is_err() || !is_start(&header) {
            return Ok(None);
        }
        let word = |number: usize| u64_at(&header, 8 * (1 + number));
        let (count, text, names, units, functions) = (word(0), word(2), word(3), word(4), word(7));
        if count > MAX_FUNCTIONS || names > units {
            return Ok(None);
        }
        // Later versions leave the address to the runtime: code starts with its section.
        let text = if text == 0 { layout.text } else { text };
        Ok(Some(Self {
            text,
            count,
            names: Section::of(at.saturating_add(names), units - names),
            functions: at.saturating_add(functions),
        }))
    }
}

fn is_start(bytes: &[u8]) -> bool {
    MAGICS.contains(&u32_at(bytes, 0)) && matches!(bytes.get(4..8), Some([0, 0, 1 | 4, 8]))
}

/// Where in a section a table may start: it is aligned to 32 bytes of memory, and so of the file.
fn candidates<S: Source + ?Sized>(source: &S, section: &Section) -> io::Result<Vec<u64>> {
    let (first, end) = (section.offset.next_multiple_of(32), section.end());
    let mut found = Vec::new();
    let mut window = Window::new(source);
    for at in (first..end.min(first.saturating_add(MAX_SEARCH_BYTES))).step_by(32) {
        if is_start(window.get(at, 8)?) {
            found.push(at);
        }
    }
    Ok(found)
}

/// Reads mostly onwards, through one buffer.
struct Window<'s, S: ?Sized> {
    source: &'s S,
    start: u64,
    buffer: Vec<u8>,
}

impl<'s, S: Source + ?Sized> Window<'s, S> {
    fn new(source: &'s S) -> Self {
        Self {
            source,
            start: 0,
            buffer: Vec::new(),
        }
    }

    /// `len` bytes at a file offset; fewer only at the end of the file.
    fn get(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        let inside = |start: u64, bytes: usize| {
            let skip = at.checked_sub(start)?;
            (skip + len as u64 <= bytes as u64).then_some(skip as usize)
        };
        let skip = match inside(self.start, self.buffer.len()) {
            Some(skip) => skip,
            None => {
                self.buffer.resize(BUFFER_BYTES, 0);
                let read = self.source.read_some_at(&mut self.buffer, at)?;
                self.buffer.truncate(read);
                self.start = at;
                0
            }
        };
        self.buffer
            .get(skip..skip + len)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::tls::elf::{Wanted, read};

    /// Address of the code.
    const TEXT: u64 = 0x40_1000;

    /// Code of a function: so many instructions of one byte, then a return.
    fn code(instructions: usize) -> Vec<u8> {
        [vec![0x90; instructions], vec![0xc3]].concat()
    }

    /// A table of functions in the order of their code.
    fn table(functions: &[(&str, &[u8])], text: u64) -> Vec<u8> {
        let (mut names, mut index, mut details) = (vec![0], Vec::new(), Vec::new());
        let mut start = 0_u32;
        let detail = 8 * functions.len() as u32 + 4;
        for (number, (name, code)) in functions.iter().enumerate() {
            index.extend([start, detail + 8 * number as u32]);
            details.extend([start, names.len() as u32]);
            names.extend_from_slice(name.as_bytes());
            names.push(0);
            start += code.len() as u32;
        }
        index.push(start);
        let names_at = 72;
        let functions_at = names_at + names.len() as u64;
        let mut table = 0xffff_fff1_u32.to_le_bytes().to_vec();
        table.extend([0, 0, 1, 8]);
        let header = [
            functions.len() as u64,
            0,
            text,
            names_at,
            functions_at,
            0,
            0,
            functions_at,
        ];
        table.extend(header.iter().flat_map(|word| word.to_le_bytes()));
        table.extend(names);
        table.extend(index.iter().chain(&details).flat_map(|word| word.to_le_bytes()));
        table
    }

    /// An executable: code, then a section that holds `data`.
    fn file(functions: &[(&str, &[u8])], data: &[u8]) -> Vec<u8> {
        let code = functions
            .iter()
            .map(|(_, code)| *code)
            .collect::<Vec<_>>()
            .concat();
        let note = b"\x04\0\0\0\x04\0\0\0\x04\0\0\0Go\0\0\x01\x02\x03\x04";
        let (code_at, headers) = (64, 64 + code.len() + data.len() + note.len());
        let data_at = code_at + code.len();
        let mut out = vec![0_u8; 64];
        out[..6].copy_from_slice(b"\x7fELF\x02\x01");
        out[18] = 62;
        out[32..40].copy_from_slice(&(headers as u64).to_le_bytes());
        out[40..48].copy_from_slice(&(headers as u64 + 112).to_le_bytes());
        out[54..58].copy_from_slice(&[56, 0, 2, 0]);
        out[58..62].copy_from_slice(&[64, 0, 2, 0]);
        out.extend_from_slice(&code);
        out.extend_from_slice(data);
        out.extend_from_slice(note);
        for (kind, flags, offset, address, bytes) in [
            (1_u32, 5_u32, code_at, TEXT, code.len()),
            (4, 4, data_at + data.len(), 0, note.len()),
        ] {
            let mut segment = [0_u8; 56];
            segment[..4].copy_from_slice(&kind.to_le_bytes());
            segment[4..8].copy_from_slice(&flags.to_le_bytes());
            segment[8..16].copy_from_slice(&(offset as u64).to_le_bytes());
            segment[16..24].copy_from_slice(&address.to_le_bytes());
            segment[32..40].copy_from_slice(&(bytes as u64).to_le_bytes());
            out.extend_from_slice(&segment);
        }
        for (flags, address, offset, bytes) in
            [(6_u64, TEXT, code_at, code.len()), (2, 0, data_at, data.len())]
        {
            let mut section = [0_u8; 64];
            section[4] = 1;
            section[8..16].copy_from_slice(&flags.to_le_bytes());
            section[16..24].copy_from_slice(&address.to_le_bytes());
            section[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
            section[32..40].copy_from_slice(&(bytes as u64).to_le_bytes());
            out.extend_from_slice(&section);
        }
        out
    }

    fn found(file: &[u8]) -> BTreeMap<String, Function> {
        let wanted = Wanted {
            symbols: &["SSL_read"],
            go: &["crypto/tls.(*Conn).Read", "crypto/tls.(*Conn).Write"],
        };
        let image = read(file, wanted, |_| false).unwrap();
        image.map(|image| image.go).unwrap_or_default()
    }

    #[test]
    fn functions_are_found_by_name_with_their_returns() {
        // cmp rsp, [r14+0x10]; jbe
        let check = b"\x49\x3b\x66\x10\x76\0";
        let [first, read, write] = [code(3), code(10), [&check[..], &code(14)].concat()];
        let functions: [(&str, &[u8]); 3] = [
            ("my.crypto/tls.(*Conn).Read", &first),
            ("crypto/tls.(*Conn).Read", &read),
            ("crypto/tls.(*Conn).Write", &write),
        ];
        let expected = [
            (
                "crypto/tls.(*Conn).Read".to_owned(),
                Function {
                    entry: 68,
                    stack_check: None,
                    returns: vec![78],
                },
            ),
            (
                "crypto/tls.(*Conn).Write".to_owned(),
                Function {
                    entry: 83,
                    stack_check: Some(83),
                    returns: vec![99],
                },
            ),
        ]
        .into();
        // With the address of the code in the table, or left to the runtime.
        for text in [TEXT, 0] {
            assert_eq!(found(&file(&functions, &table(&functions, text))), expected);
        }
    }

    #[test]
    fn a_table_amid_other_data_is_found() {
        let read = code(4);
        let functions: [(&str, &[u8]); 1] = [("crypto/tls.(*Conn).Read", &read)];
        // The section starts at 69: 27 bytes further is a multiple of 32.
        let data = [vec![7; 27 + 32], table(&functions, TEXT)].concat();
        let found = found(&file(&functions, &data));
        assert_eq!(found["crypto/tls.(*Conn).Read"].returns, [68]);
    }

    #[test]
    fn damaged_tables_do_no_harm() {
        let read = code(9);
        let functions: [(&str, &[u8]); 1] = [("crypto/tls.(*Conn).Read", &read)];
        let whole = file(&functions, &table(&functions, TEXT));
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            let wanted = Wanted {
                symbols: &[],
                go: &["crypto/tls.(*Conn).Read"],
            };
            if let Ok(Some(image)) = crate::capture::tls::elf::read(&damaged[..], wanted, |_| false) {
                assert!(image.go.len() <= 1, "{at}");
            }
        }
    }
}
