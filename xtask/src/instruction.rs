//! The functions of a built kernel object, and their instructions.
//!
//! In: an object that was parsed. Out: its functions with their code, and what an instruction says, field by field
//! (include/uapi/linux/bpf.h, `struct bpf_insn`). Refuses to follow calls, and to say what instructions do together.

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionIndex, SymbolKind};

use crate::elf::Elf;

/// Bytes of an instruction.
pub(crate) const INSTRUCTION_BYTES: usize = 8;

pub(crate) const CALL: u8 = 0x85;
pub(crate) const COPY: u8 = 0xbf;
/// Adds a number to a register: how the address of something on the stack is made.
pub(crate) const ADD: u8 = 0x07;
/// Takes the place of two instructions.
pub(crate) const LOAD_ADDRESS: u8 = 0x18;
/// Source of a call to another function of the object.
pub(crate) const TO_FUNCTION: u8 = 1;
pub(crate) const FRAME_POINTER: u8 = 10;

/// A function as its symbol tells it.
#[derive(Debug)]
pub(crate) struct Function<'data> {
    pub(crate) name: &'data str,
    pub(crate) section: SectionIndex,
    pub(crate) section_name: &'data str,
    /// Its first byte in the section.
    pub(crate) start: usize,
    pub(crate) code: &'data [u8],
}

/// All functions of an object, in the order of its symbols.
///
/// # Errors
/// In place of one that lies outside its section, or whose name cannot be read.
pub(crate) fn functions<'data>(elf: &Elf<'data>) -> impl Iterator<Item = Result<Function<'data>>> {
    let symbols = elf.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
    symbols.filter_map(|symbol| {
        let index = symbol.section_index()?;
        Some(function(elf, index, &symbol))
    })
}

fn function<'data>(
    elf: &Elf<'data>,
    index: SectionIndex,
    symbol: &impl object::ObjectSymbol<'data>,
) -> Result<Function<'data>> {
    let section = elf.section_by_index(index)?;
    let start = usize::try_from(symbol.address())?;
    let end = start + usize::try_from(symbol.size())?;
    let name = symbol.name()?;
    let code = section.data()?.get(start..end);
    Ok(Function {
        name,
        section: index,
        section_name: section.name()?,
        start,
        code: code.with_context(|| format!("{name} lies outside its section"))?,
    })
}

/// One instruction; of [`LOAD_ADDRESS`] the first half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) opcode: u8,
    pub(crate) destination: u8,
    pub(crate) source: u8,
    pub(crate) offset: i16,
    /// The field named `imm`.
    pub(crate) number: i32,
}

impl Instruction {
    /// The first one of `code`, `None` when that is too short.
    pub(crate) fn decode(code: &[u8]) -> Option<Self> {
        let &[opcode, registers, low, high, a, b, c, d, ..] = code else {
            return None;
        };
        Some(Self {
            opcode,
            destination: registers & 15,
            source: registers >> 4,
            offset: i16::from_le_bytes([low, high]),
            number: i32::from_le_bytes([a, b, c, d]),
        })
    }

    /// Those of a function, in order.
    pub(crate) fn all(code: &[u8]) -> impl Iterator<Item = Self> {
        code.chunks_exact(INSTRUCTION_BYTES).filter_map(Self::decode)
    }

    /// Bytes from the frame pointer to what it loads or stores, if it does that there.
    pub(crate) fn frame_offset(&self) -> Option<i32> {
        let base = match self.opcode & 7 {
            // Loads and stores, by their class.
            1 => self.source,
            2 | 3 => self.destination,
            _ => return None,
        };
        (base == FRAME_POINTER).then_some(self.offset.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_kernel_has_them() {
        // *(u64 *)(r10 - 8) = r1
        let store = [0x7b, 0x1a, 0xf8, 0xff, 0, 0, 0, 0];
        // r2 += -96
        let add = [ADD, 0x02, 0, 0, 0xa0, 0xff, 0xff, 0xff];
        let code = [store, add].concat();
        let found: Vec<_> = Instruction::all(&code).collect();
        let [store, add] = found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(
            (store.destination, store.source, store.offset),
            (FRAME_POINTER, 1, -8)
        );
        assert_eq!((add.opcode, add.destination, add.number), (ADD, 2, -96));
        assert_eq!([store, add].map(|found| found.frame_offset()), [Some(-8), None]);
        // r1 = *(u64 *)(r10 - 8), and the same of r1
        let load = |registers| Instruction::decode(&[0x79, registers, 0xf8, 0xff, 0, 0, 0, 0]).unwrap();
        assert_eq!(
            [0xa1, 0x11].map(|registers| load(registers).frame_offset()),
            [Some(-8), None]
        );
        assert_eq!(Instruction::decode(&code[..7]), None);
    }
}
