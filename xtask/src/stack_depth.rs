//! How deep do the stacks of kernel programs get, with all that they call?
//!
//! In: a built object. A kernel refuses a program whose frames, each rounded up, come to more than 512 bytes on any way
//! through its functions (kernel/bpf/verifier.c, `check_max_stack_depth`); later ones round less, so that only guests with
//! an older kernel would show it. Looks at all instructions, reached or not: never too little is found. Refuses to tell
//! loops from other calls: functions that call each other count once.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SymbolKind};

use crate::{
    elf::{self, Elf},
    instruction::{
        self, ADD, CALL, COPY, FRAME_POINTER, INSTRUCTION_BYTES, Instruction, LOAD_ADDRESS, TO_FUNCTION,
    },
};

/// Bytes that the frames of a program and of what it calls may have in all (`MAX_BPF_STACK`, include/linux/filter.h).
const MOST: usize = 512;

/// What each frame is rounded up to, at least one of these, by older kernels.
const ROUNDED: usize = 32;

/// Where a function is: its section, and its first byte there.
type Place = (usize, usize);

#[derive(Debug, Default)]
struct Function {
    name: String,
    frame_bytes: usize,
    calls: BTreeSet<Place>,
}

/// Fails for a program that an older kernel refuses.
pub(crate) fn required(bytes: &[u8]) -> Result<()> {
    let functions = functions(&elf::parse(bytes)?)?;
    for (place, function) in &functions {
        let (depth, way) = deepest(&functions, *place, &mut Vec::new());
        if depth > MOST {
            bail!(
                "{} takes {depth} bytes of stack of {MOST}: {}",
                function.name,
                way.join(", ")
            );
        }
    }
    match functions.is_empty() {
        true => bail!("the built object has no functions"),
        false => Ok(()),
    }
}

/// Bytes of the deepest way from a function on, and its frames.
fn deepest(
    functions: &BTreeMap<Place, Function>,
    place: Place,
    above: &mut Vec<Place>,
) -> (usize, Vec<String>) {
    let Some(function) = functions.get(&place).filter(|_| !above.contains(&place)) else {
        return (0, Vec::new());
    };
    above.push(place);
    let below = function.calls.iter().map(|call| deepest(functions, *call, above));
    let (depth, mut way) = below.max_by_key(|(depth, _)| *depth).unwrap_or_default();
    above.pop();
    way.insert(0, format!("{} {}", function.name, function.frame_bytes));
    (depth + function.frame_bytes.max(1).next_multiple_of(ROUNDED), way)
}

fn functions(elf: &Elf<'_>) -> Result<BTreeMap<Place, Function>> {
    let mut functions = BTreeMap::new();
    for found in instruction::functions(elf) {
        let instruction::Function {
            name,
            section,
            section_name: _,
            start,
            code,
        } = found?;
        let mut function = Function {
            name: name.to_owned(),
            frame_bytes: frame_bytes(code),
            calls: calls_within(section.0, start, code),
        };
        for (offset, relocation) in elf.section_by_index(section)?.relocations() {
            let offset = usize::try_from(offset)?;
            let RelocationTarget::Symbol(target) = relocation.target() else {
                continue;
            };
            let at = offset.checked_sub(start).and_then(|at| code.get(at..));
            let Some(instruction) = at.and_then(Instruction::decode) else {
                continue;
            };
            let target = elf.symbol_by_index(target)?;
            // Of a section: where in it is in the instruction.
            let within = match (target.kind(), instruction.opcode) {
                (SymbolKind::Text, _) => 0,
                (SymbolKind::Section, CALL) => (i64::from(instruction.number) + 1) * INSTRUCTION_BYTES as i64,
                (SymbolKind::Section, LOAD_ADDRESS) => i64::from(instruction.number),
                _ => continue,
            };
            let Some(index) = target.section_index() else {
                continue;
            };
            let start = usize::try_from(i64::try_from(target.address())? + within)?;
            // Addresses of data are of sections without functions.
            function.calls.insert((index.0, start));
        }
        functions.insert((section.0, start), function);
    }
    Ok(functions)
}

/// Calls that need no relocation: within a section.
fn calls_within(section: usize, start: usize, code: &[u8]) -> BTreeSet<Place> {
    let instructions = Instruction::all(code).enumerate();
    let calls = instructions.filter(|(_, found)| found.opcode == CALL && found.source == TO_FUNCTION);
    calls
        .filter_map(|(at, call)| {
            let next = i64::try_from(start / INSTRUCTION_BYTES + at + 1).ok()?;
            let target = usize::try_from(next + i64::from(call.number)).ok()?;
            // -1 stands for what a relocation tells.
            (call.number != -1).then_some((section, target * INSTRUCTION_BYTES))
        })
        .collect()
}

/// Bytes of stack that a function uses itself.
fn frame_bytes(code: &[u8]) -> usize {
    let mut most = 0;
    // The register that the frame pointer was copied to just now.
    let mut copied = None;
    for instruction in Instruction::all(code) {
        let used = match instruction.frame_offset() {
            Some(offset) => offset,
            None if instruction.opcode == ADD && copied == Some(instruction.destination) => {
                instruction.number
            }
            None => 0,
        };
        most = most.max(usize::try_from(-used).unwrap_or(0));
        let is_copy = instruction.opcode == COPY && instruction.source == FRAME_POINTER;
        copied = is_copy.then_some(instruction.destination);
    }
    most
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{manifest::object_path, workspace};

    #[test]
    fn committed_programs_are_not_too_deep() {
        let root = workspace::root().unwrap();
        for architecture in ["x86_64", "aarch64"] {
            required(&fs::read(object_path(&root, architecture)).unwrap()).unwrap();
        }
    }

    #[test]
    fn ways_lead_through_calls_and_through_functions_that_are_called_back() {
        let root = workspace::root().unwrap();
        let bytes = fs::read(object_path(&root, "x86_64")).unwrap();
        let functions = functions(&elf::parse(&bytes).unwrap()).unwrap();
        let by_name = |name: &str| {
            let mut functions = functions.iter();
            functions
                .find(|(_, function)| function.name.contains(name))
                .unwrap()
        };
        let (place, _) = by_name("on_go_return");
        let (depth, way) = deepest(&functions, *place, &mut Vec::new());
        assert!(depth > 256 && way.len() > 3, "{depth} {way:?}");
        let (called_back, _) = by_name("on_element");
        assert!(
            functions
                .values()
                .any(|function| function.calls.contains(called_back))
        );
    }

    #[test]
    fn frames_are_measured_by_what_touches_them() {
        let store = [0x7b, 0x1a, 0xf8, 0xff, 0, 0, 0, 0];
        let copy = [COPY, 0xa2, 0, 0, 0, 0, 0, 0];
        let add = [ADD, 0x02, 0, 0, 0xa0, 0xff, 0xff, 0xff];
        assert_eq!(frame_bytes(&store), 8);
        assert_eq!(frame_bytes(&[store, copy, add].concat()), 96);
        assert_eq!(frame_bytes(&[copy, store, add].concat()), 8);
    }
}
