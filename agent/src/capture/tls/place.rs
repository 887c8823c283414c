//! Where a function is cheap to probe.
//!
//! In: the first instructions of functions. Out: offsets of instructions that the kernel emulates under a probe. It steps
//! over all others out of line, with two more exceptions, and these cost most on virtual machines: 4.5 µs for entry and
//! return of a function that starts with `sub`, 0.7 µs where it starts with `push` (Linux 6.18, one of them).
//!
//! Refuses to leave the straight line from the start of a function, and to pass an instruction that changes what the
//! programs read there: arguments, and where the return address lies.
//!
//! Source: Linux, arch/x86/kernel/uprobes.c (`branch_setup_xol_ops`, `push_setup_xol_ops`); System V ABI for x86-64, 3.2.3;
//! Go's ABIInternal.

use std::{collections::BTreeMap, io};

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, OpKind,
    Register,
};

use super::{elf::Source, returns::Machine};

/// Bytes of a function that are looked at. Overflow policy: what comes later is no place for a probe.
const HEAD_BYTES: usize = 96;

/// Arguments of functions in C, in order.
const ARGUMENTS: [Register; 6] = [
    Register::RDI,
    Register::RSI,
    Register::RDX,
    Register::RCX,
    Register::R8,
    Register::R9,
];

/// Where a goroutine keeps how far its stack may grow (`stackguard0` of `runtime.g`).
const STACK_GUARD: u8 = 16;

/// Arguments of functions in Go that programs read, and its goroutine.
const GO: [Register; 4] = [Register::RAX, Register::RBX, Register::RCX, Register::R14];

/// The first instructions of functions, and of those that they call first, by file offset. `same` says whether two offsets
/// lie in one piece of the file that is mapped as a whole.
///
/// # Errors
/// When the file cannot be read.
pub fn heads<S: Source + ?Sized>(
    source: &S,
    functions: impl Iterator<Item = u64>,
    same: impl Fn(u64, u64) -> bool,
) -> io::Result<BTreeMap<u64, Vec<u8>>> {
    let mut heads = BTreeMap::new();
    let head = |offset| {
        let mut code = vec![0; HEAD_BYTES];
        let length = source.read_some_at(&mut code, offset)?;
        code.truncate(length);
        io::Result::Ok(code)
    };
    for offset in functions {
        let code = head(offset)?;
        if let Some(call) = first_call(&code)
            && let Some(target) = offset.checked_add_signed(call.target)
            && same(offset, target)
        {
            heads.insert(target, head(target)?);
        }
        heads.insert(offset, code);
    }
    Ok(heads)
}

/// The first emulated instruction of a function in C with so many arguments, as an offset into it. There the return
/// address is where it was at the start.
pub fn of_c(code: &[u8], arguments: usize) -> Option<u64> {
    first_emulated(code, ARGUMENTS.get(..arguments)?)
}

/// The first emulated instruction of a function in Go.
pub fn of_go(code: &[u8]) -> Option<u64> {
    first_emulated(code, &GO)
}

/// The jump of a function in Go that looks after its stack: taken, it leads to where the stack grows, or others run, and the
/// function starts again. It is emulated everywhere.
pub fn of_stack_check(machine: Machine, code: &[u8]) -> Option<u64> {
    match machine {
        Machine::X86_64 => stack_check(code),
        Machine::Aarch64 => stack_check_of_aarch64(code),
    }
}

/// `cmp r, [r14+0x10]; jbe`, where a large frame has a `jb` before it.
fn stack_check(code: &[u8]) -> Option<u64> {
    let mut writes = Writes::new();
    let mut is_compared = false;
    for instruction in Decoder::new(64, code, DecoderOptions::NONE) {
        match instruction.code() {
            Code::Jbe_rel8_64 | Code::Jbe_rel32_64 if is_compared => return Some(instruction.ip()),
            Code::Jb_rel8_64 | Code::Jb_rel32_64 => {}
            _ if instruction.flow_control() != FlowControl::Next => return None,
            _ => {}
        }
        is_compared = instruction.code() == Code::Cmp_r64_rm64
            && instruction.memory_base() == Register::R14
            && instruction.memory_displacement64() == u64::from(STACK_GUARD);
        let kept = [Register::RSP].iter().chain(&GO);
        if kept.copied().any(|one| writes.to(&instruction, one)) {
            return None;
        }
    }
    None
}

/// `ldr x16, [x28, #16]`, `cmp` with it, `b.ls`, where a large frame has a `b.lo` before it.
fn stack_check_of_aarch64(code: &[u8]) -> Option<u64> {
    const LOAD: u32 = 0xf940_0b90;
    const B_LS: u32 = 0x5400_0009;
    const B_LO: u32 = 0x5400_0003;
    let words = code
        .chunks_exact(4)
        .filter_map(|word| word.first_chunk().copied().map(u32::from_le_bytes));
    let mut words = (0..).step_by(4).zip(words).take(HEAD_BYTES / 4);
    words.find(|(_, word)| *word == LOAD)?;
    for (offset, word) in words {
        match (word & 0xff00_001f, word & 0x1c00_0000) {
            (B_LS, _) => return Some(offset),
            (B_LO, _) => {}
            // Any other branch.
            (_, 0x1400_0000) => return None,
            _ => {}
        }
    }
    None
}

fn first_emulated(code: &[u8], kept: &[Register]) -> Option<u64> {
    let mut writes = Writes::new();
    for instruction in Decoder::new(64, code, DecoderOptions::NONE) {
        let at = instruction.ip() as usize;
        let bytes = code.get(at..at + instruction.len())?;
        if instruction.is_invalid() {
            return None;
        }
        if is_emulated(bytes) {
            return Some(instruction.ip());
        }
        let kept = [Register::RSP].iter().chain(kept);
        if instruction.flow_control() != FlowControl::Next
            || kept.copied().any(|one| writes.to(&instruction, one))
        {
            return None;
        }
    }
    None
}

/// Whether every kernel since 5.10 emulates an instruction: jumps, calls, `push` and `nop`, without prefixes but the one of
/// the upper registers.
fn is_emulated(bytes: &[u8]) -> bool {
    match bytes {
        [0x90 | 0x50..=0x57] | [0x41, 0x50..=0x57] => true,
        [0xeb | 0xe8 | 0xe9 | 0x70..=0x7f, ..] => true,
        [0x0f, second, ..] => (0x80..=0x8f).contains(second),
        _ => false,
    }
}

/// What a register holds, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// What this argument was at the start.
    Argument(usize),
    /// An address of the stack.
    Stack,
    Other,
}

/// A call, with what its arguments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Where the called function starts, counted from the start of the caller.
    pub target: i64,
    held: [Held; ARGUMENTS.len()],
}

/// Which argument of an inner function says where it leaves how much it moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LengthAt {
    /// `f(session, buffer, length, &moved)`
    Fourth,
    /// `f(session, buffer, length, flags, &moved)`
    Fifth,
}

impl Call {
    /// For a function that hands on all of its three arguments, and a place of its own for the length.
    pub fn with_own_length(&self) -> Option<LengthAt> {
        self.length_at(Held::Stack)
    }

    /// For a function that hands on its first three arguments, and this one, which is a place for the length.
    pub fn with_given_length(&self, given: LengthAt) -> Option<LengthAt> {
        self.length_at(Held::Argument(match given {
            LengthAt::Fourth => 3,
            LengthAt::Fifth => 4,
        }))
    }

    fn length_at(&self, place: Held) -> Option<LengthAt> {
        let [session, buffer, length, fourth, fifth, _] = self.held;
        if [session, buffer, length] != [Held::Argument(0), Held::Argument(1), Held::Argument(2)] {
            return None;
        }
        match (fourth == place, fifth == place) {
            (true, false) => Some(LengthAt::Fourth),
            (false, true) => Some(LengthAt::Fifth),
            _ => None,
        }
    }
}

/// The first call of a function in C, if nothing but conditional jumps comes before.
pub fn first_call(code: &[u8]) -> Option<Call> {
    let mut held: [Held; ARGUMENTS.len()] = std::array::from_fn(Held::Argument);
    let mut writes = Writes::new();
    for instruction in Decoder::new(64, code, DecoderOptions::NONE) {
        match instruction.flow_control() {
            FlowControl::Next | FlowControl::ConditionalBranch => {}
            FlowControl::Call if instruction.is_call_near() => {
                let target = instruction.near_branch_target().cast_signed();
                return Some(Call { target, held });
            }
            _ => return None,
        }
        let before = held;
        for (register, now) in ARGUMENTS.into_iter().zip(&mut held) {
            if writes.to(&instruction, register) {
                *now = result(&instruction, &before);
            }
        }
    }
    None
}

/// What an instruction leaves in the register that it writes.
fn result(instruction: &Instruction, held: &[Held]) -> Held {
    let of = |register: Register| {
        let known = ARGUMENTS
            .iter()
            .position(|argument| *argument == register.full_register());
        known.and_then(|number| held.get(number).copied())
    };
    match instruction.code() {
        Code::Mov_rm64_r64 | Code::Mov_r64_rm64 if instruction.op1_kind() == OpKind::Register => {
            match instruction.op1_register() {
                Register::RSP => Held::Stack,
                register => of(register).unwrap_or(Held::Other),
            }
        }
        // A length that is widened, or known to be positive.
        Code::Movsxd_r64_rm32 | Code::Mov_r32_rm32 | Code::Mov_rm32_r32
            if instruction.op1_kind() == OpKind::Register =>
        {
            of(instruction.op1_register()).unwrap_or(Held::Other)
        }
        Code::Lea_r64_m if matches!(instruction.memory_base(), Register::RSP | Register::RBP) => Held::Stack,
        _ => Held::Other,
    }
}

/// Which registers instructions change.
struct Writes(InstructionInfoFactory);

impl Writes {
    fn new() -> Self {
        Self(InstructionInfoFactory::new())
    }

    fn to(&mut self, instruction: &Instruction, register: Register) -> bool {
        let used = self.0.info(instruction).used_registers();
        used.iter().any(|used| {
            used.register().full_register() == register
                && !matches!(
                    used.access(),
                    OpAccess::Read | OpAccess::CondRead | OpAccess::None
                )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sub rsp, 0x18; mov rax, fs:[0x28]; mov [rsp+8], rax; xor eax, eax; test edx, edx; js +0x2f`
    const FRAME: &[u8] =
        b"\x48\x83\xec\x18\x64\x48\x8b\x04\x25\x28\0\0\0\x48\x89\x44\x24\x08\x31\xc0\x85\xd2\x78\x2f";

    /// `mov rcx, rsp; movsxd rdx, edx; call` 0x100 bytes before the function.
    fn function(handing_on: &[u8]) -> Vec<u8> {
        let mut code = [FRAME, handing_on, b"\x48\x63\xd2\xe8"].concat();
        let end = code.len() as i32 + 4;
        code.extend_from_slice(&(-0x100 - end).to_le_bytes());
        code
    }

    #[test]
    fn the_first_instruction_that_is_emulated_is_the_place() {
        // push rbx
        assert_eq!(of_c(b"\x53\x90", 3), Some(0));
        // endbr64; push r14
        assert_eq!(of_c(b"\xf3\x0f\x1e\xfa\x41\x56", 3), Some(4));
        // xor r8d, r8d; xor ecx, ecx; jmp: three arguments are untouched, four are not
        let jump = b"\x45\x31\xc0\x31\xc9\xe9\0\0\0\0";
        assert_eq!((of_c(jump, 3), of_c(jump, 4)), (Some(5), None));
        // What moves the stack first is no place.
        assert_eq!(of_c(FRAME, 3), None);
        // mov rdi, rsi; push rbx
        assert_eq!(of_c(b"\x48\x89\xf7\x53", 3), None);
        // mov rax, [rdi]; jmp [rax+0x10]: a jump that is not emulated
        assert_eq!(of_c(b"\x48\x8b\x07\xff\x60\x10\x53", 3), None);
        // ret; push rbx
        assert_eq!(of_c(b"\xc3\x53", 1), None);
        assert_eq!(of_c(b"\x48", 1), None);
        assert_eq!(of_c(b"", 1), None);
    }

    #[test]
    fn functions_of_go_are_probed_where_they_look_at_their_stack() {
        // cmp rsp, [r14+0x10]; jbe
        assert_eq!(of_go(b"\x49\x3b\x66\x10\x0f\x86\0\0\0\0"), Some(4));
        // lea r12, [rsp-0x40]; cmp r12, [r14+0x10]; jbe
        assert_eq!(of_go(b"\x4c\x8d\x64\x24\xc0\x4d\x3b\x66\x10\x76\0"), Some(9));
        // mov rbx, rcx; jbe
        assert_eq!(of_go(b"\x48\x89\xcb\x76\0"), None);
    }

    #[test]
    fn the_check_of_the_stack_is_found_whatever_the_frame() {
        let found = |code: &[u8]| of_stack_check(Machine::X86_64, code);
        // cmp rsp, [r14+0x10]; jbe, short and long
        assert_eq!(found(b"\x49\x3b\x66\x10\x76\0"), Some(4));
        assert_eq!(found(b"\x49\x3b\x66\x10\x0f\x86\0\0\0\0"), Some(4));
        // lea r12, [rsp-0x40]; cmp r12, [r14+0x10]; jbe
        assert_eq!(found(b"\x4c\x8d\x64\x24\xc0\x4d\x3b\x66\x10\x76\0"), Some(9));
        // mov r12, rsp; sub r12, 0x2000; jb; cmp r12, [r14+0x10]; jbe
        let large = b"\x49\x89\xe4\x49\x81\xec\0\x20\0\0\x72\0\x4d\x3b\x66\x10\x76\0";
        assert_eq!(found(large), Some(16));
        // Another comparison, another jump, one that is changed before, another register, none.
        for code in [
            &b"\x49\x3b\x66\x18\x76\0"[..],
            b"\x49\x3b\x66\x10\x77\0",
            b"\x49\x3b\x66\x10\x90\x76\0",
            b"\x48\x31\xc0\x49\x3b\x66\x10\x76\0",
            b"\x48\x3b\x63\x10\x76\0",
            b"\xc3\x49\x3b\x66\x10\x76\0",
            b"",
        ] {
            assert_eq!(found(code), None, "{code:x?}");
        }
    }

    #[test]
    fn the_check_of_the_stack_is_found_on_aarch64() {
        let found = |words: &[u32]| {
            let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            of_stack_check(Machine::Aarch64, &code)
        };
        // ldr x16, [x28, #16]; cmp sp, x16; b.ls
        assert_eq!(found(&[0xf940_0b90, 0xeb30_63ff, 0x5400_0429]), Some(8));
        // ...; sub x17, sp, #0x40; cmp x17, x16; b.ls
        assert_eq!(
            found(&[0xf940_0b90, 0xd101_03f1, 0xeb10_023f, 0x5400_0a49]),
            Some(12)
        );
        // ...; subs x17, sp, #..; b.lo; cmp x17, x16; b.ls
        assert_eq!(
            found(&[0xf940_0b90, 0xf140_0bf1, 0x5400_04a3, 0xeb10_023f, 0x5400_0469]),
            Some(16)
        );
        // b.hi, ret, b, and no load
        assert_eq!(found(&[0xf940_0b90, 0xeb30_63ff, 0x5400_0428]), None);
        assert_eq!(found(&[0xf940_0b90, 0xd65f_03c0, 0x5400_0429]), None);
        assert_eq!(found(&[0xf940_0b90, 0x1400_0002, 0x5400_0429]), None);
        assert_eq!(found(&[0xeb30_63ff, 0x5400_0429]), None);
    }

    #[test]
    fn what_an_inner_function_is_given_is_known() {
        let call = first_call(&function(b"\x48\x89\xe1")).expect("a call");
        assert_eq!(call.target, -0x100);
        assert_eq!(
            (call.with_own_length(), call.with_given_length(LengthAt::Fourth)),
            (Some(LengthAt::Fourth), None)
        );
        // mov r8, rsp; xor ecx, ecx
        let call = first_call(&function(b"\x49\x89\xe0\x31\xc9")).expect("a call");
        assert_eq!(call.with_own_length(), Some(LengthAt::Fifth));
        // lea rcx, [rsp+8]
        let call = first_call(&function(b"\x48\x8d\x4c\x24\x08")).expect("a call");
        assert_eq!(call.with_own_length(), Some(LengthAt::Fourth));
        // Of the flags' kind, which hands on all five.
        let call = first_call(b"\x48\x83\xec\x08\xe8\0\0\0\0").expect("a call");
        assert_eq!(call.with_given_length(LengthAt::Fifth), Some(LengthAt::Fifth));
        // mov rsi, rsp: another buffer than the caller's
        let call = first_call(&function(b"\x48\x89\xe6\x48\x89\xe1")).expect("a call");
        assert_eq!(call.with_own_length(), None);
        // sub rsp, 8; call
        let call = first_call(b"\x48\x83\xec\x08\xe8\0\0\0\0").expect("a call");
        assert_eq!(
            (call.with_own_length(), call.with_given_length(LengthAt::Fourth)),
            (None, Some(LengthAt::Fourth))
        );
        // mov r8, rcx; xor ecx, ecx; call
        let call = first_call(b"\x49\x89\xc8\x31\xc9\xe8\0\0\0\0").expect("a call");
        assert_eq!(call.with_given_length(LengthAt::Fourth), Some(LengthAt::Fifth));
        // A jump, a call through memory, a return, and nothing.
        for code in [&b"\xeb\0\xe8\0\0\0\0"[..], b"\xff\x50\x10", b"\xc3", b""] {
            assert_eq!(first_call(code), None);
        }
    }
}
