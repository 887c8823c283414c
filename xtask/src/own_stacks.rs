//! Do the programs at library functions keep to the task's own stack?
//!
//! In: a built object. From 6.13 on the kernel gives a program that uses 64 bytes of stack or calls others a stack for each
//! processor, unless it holds a tail call; at probes of user space two tasks then write over each other
//! (docs/decisions/0017). Looks at instructions only; refuses to say what a kernel makes of them.

use anyhow::{Result, bail};

use crate::{
    elf,
    instruction::{self, ADD, CALL, Instruction, TO_FUNCTION},
};

/// From so many bytes on a program gets a stack of its own per processor (`BPF_PRIV_STACK_MIN_SIZE`, include/linux/bpf.h).
const SMALLEST: i32 = 64;

/// Bytes of stack that a program may have.
const MOST: i32 = 512;
/// Number of the helper `bpf_tail_call`.
const TAIL_CALL: i32 = 12;

/// What one program does with its stack.
#[derive(Debug, Default)]
struct Uses {
    tail_call: bool,
    functions: bool,
    stack_bytes: i32,
}

/// Fails for a program at a function of user space that would not run on the stack of its task.
pub(crate) fn required(bytes: &[u8]) -> Result<()> {
    let elf = elf::parse(bytes)?;
    let mut programs = 0;
    for function in instruction::functions(&elf) {
        let function = function?;
        if !matches!(function.section_name, "uprobe" | "uretprobe") {
            continue;
        }
        programs += 1;
        let (name, uses) = (function.name, uses(function.code));
        if !uses.tail_call && (uses.functions || uses.stack_bytes >= SMALLEST) {
            bail!("{name} gets a stack per processor ({uses:?}): call `own_stack` in it");
        }
    }
    if programs == 0 {
        bail!("the built object has no program at a library function");
    }
    Ok(())
}

fn uses(code: &[u8]) -> Uses {
    let mut uses = Uses::default();
    for instruction in Instruction::all(code) {
        let Instruction {
            opcode,
            source,
            number,
            ..
        } = instruction;
        if let Some(offset) = instruction.frame_offset() {
            uses.touches(offset);
        }
        if opcode == ADD && (-MOST..0).contains(&number) {
            // Maybe another register than the frame pointer's copy: then too much is asked for, never too little.
            uses.touches(number);
        }
        if opcode == CALL {
            uses.functions |= source == TO_FUNCTION;
            uses.tail_call |= source == 0 && number == TAIL_CALL;
        }
    }
    uses
}

impl Uses {
    fn touches(&mut self, offset: i32) {
        self.stack_bytes = self.stack_bytes.max(-offset);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{instruction::INSTRUCTION_BYTES, manifest::object_path, workspace};

    #[test]
    fn committed_programs_keep_to_their_tasks_stacks() {
        let root = workspace::root().unwrap();
        for architecture in ["x86_64", "aarch64"] {
            required(&fs::read(object_path(&root, architecture)).unwrap()).unwrap();
        }
    }

    #[test]
    fn one_without_its_tail_call_is_named() {
        let root = workspace::root().unwrap();
        let mut bytes = fs::read(object_path(&root, "x86_64")).unwrap();
        let tail_call = [CALL, 0, 0, 0, 12, 0, 0, 0];
        let calls: Vec<usize> = (0..bytes.len() - INSTRUCTION_BYTES)
            .filter(|at| bytes[*at..].starts_with(&tail_call))
            .collect();
        assert!(!calls.is_empty());
        for at in calls {
            // Another helper.
            bytes[at + 4] = 5;
        }
        let error = required(&bytes).unwrap_err().to_string();
        assert!(error.contains("gets a stack per processor"), "{error}");
    }
}
