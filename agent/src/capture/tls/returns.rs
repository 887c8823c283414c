//! Where a function returns.
//!
//! In: the machine code of one function. Out: the offsets of its return instructions. Code that does not decode from end
//! to end has none: a probe in the middle of an instruction would break the process.

/// Instruction sets, by their number in an ELF header (`e_machine`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// 62
    X86_64,
    /// 183
    Aarch64,
}

impl Machine {
    /// From an ELF header; `None` for those that are not known here.
    pub fn from_number(number: u16) -> Option<Self> {
        match number {
            62 => Some(Self::X86_64),
            183 => Some(Self::Aarch64),
            _ => None,
        }
    }
}

/// `RET`, through the link register (Arm Architecture Reference Manual, C6.2).
const AARCH64_RET: u32 = 0xd65f_03c0;

/// Offsets within `code` of the instructions that return, in order.
pub fn returns(machine: Machine, code: &[u8]) -> Vec<u64> {
    match machine {
        Machine::X86_64 => x86_64(code).unwrap_or_default(),
        Machine::Aarch64 => code
            .chunks_exact(4)
            .zip((0..).step_by(4))
            .filter(|(word, _)| word.first_chunk().copied().map(u32::from_le_bytes) == Some(AARCH64_RET))
            .map(|(_, offset)| offset)
            .collect(),
    }
}

fn x86_64(code: &[u8]) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    for instruction in iced_x86::Decoder::new(64, code, iced_x86::DecoderOptions::NONE) {
        if instruction.is_invalid() {
            return None;
        }
        if instruction.mnemonic() == iced_x86::Mnemonic::Ret {
            found.push(instruction.ip());
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_instructions_return() {
        // mov eax, 0xc3; ret; int3; add rsp, 0x58; ret
        let code = [0xb8, 0xc3, 0, 0, 0, 0xc3, 0xcc, 0x48, 0x83, 0xc4, 0x58, 0xc3];
        assert_eq!(returns(Machine::X86_64, &code), [5, 11]);
        // What does not decode is let alone.
        assert!(returns(Machine::X86_64, &[0xc3, 0x48, 0x83]).is_empty());
    }

    #[test]
    fn aarch64_returns_are_words() {
        let words: [u32; 4] = [0xd503_201f, AARCH64_RET, 0xd65f_0140, AARCH64_RET];
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(returns(Machine::Aarch64, &code), [4, 12]);
    }
}
