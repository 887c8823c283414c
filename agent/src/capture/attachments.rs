//! Loading and attaching programs, each as its kind wants it.
//!
//! In: the object, which is loaded but for its programs, and attachments. Out: for each, that it is loaded; then what
//! holds it in its place. Refuses to decide what a program that failed means: `load` does.

use std::{any::Any, collections::BTreeMap, io::BufReader, sync::Mutex};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, FEntry, FExit, Iter, Program},
};

use super::plan::{AttachKind, Attachment};

/// Programs that the kernel verifies at the same time. It takes tens of megabytes for each of the large ones: all at once do
/// not fit into a machine of 1 GiB.
const VERIFIED_TOGETHER: usize = 2;

/// Loads the programs that are to be attached, a few at a time: verifying the large ones takes the kernel a tenth of a second
/// each. The results are in the order of the attachments.
pub(super) fn load_all(ebpf: &mut Ebpf, attachments: &[Attachment], btf: &Btf) -> Vec<Result<()>> {
    let mut programs: BTreeMap<&str, &mut Program> = ebpf.programs_mut().collect();
    let jobs = attachments
        .iter()
        .enumerate()
        .map(|(place, attachment)| (place, programs.remove(&*attachment.program), attachment));
    let waiting = Mutex::new(jobs.collect::<Vec<_>>().into_iter());
    let next = || waiting.lock().ok()?.next();
    let work = || {
        let mut done = Vec::new();
        while let Some((place, program, attachment)) = next() {
            done.push((place, load_one(program, attachment, btf)));
        }
        done
    };
    let mut results: Vec<Result<()>> = attachments
        .iter()
        .map(|attachment| Err(anyhow!("loading program {} panicked", attachment.program)))
        .collect();
    std::thread::scope(|scope| {
        let lanes = [(); VERIFIED_TOGETHER].map(|()| scope.spawn(work));
        for (place, result) in lanes.into_iter().flat_map(|lane| lane.join().unwrap_or_default()) {
            if let Some(slot) = results.get_mut(place) {
                *slot = result;
            }
        }
    });
    results
}

fn load_one(program: Option<&mut Program>, attachment: &Attachment, btf: &Btf) -> Result<()> {
    let Attachment {
        program: name,
        kind,
        target,
        without: _,
    } = attachment;
    let program = program.ok_or_else(|| anyhow!("the kernel object has no program {name}"))?;
    let refused = || format!("the kernel refused program {name} on {target}");
    match kind {
        AttachKind::TracepointBtf => {
            let program: &mut BtfTracePoint = program.try_into().with_context(refused)?;
            program.load(target, btf).with_context(refused)
        }
        AttachKind::Fentry => {
            let program: &mut FEntry = program.try_into().with_context(refused)?;
            program.load(target, btf).with_context(refused)
        }
        AttachKind::Fexit => {
            let program: &mut FExit = program.try_into().with_context(refused)?;
            program.load(target, btf).with_context(refused)
        }
        AttachKind::Iterator => {
            let program: &mut Iter = program.try_into().with_context(refused)?;
            program.load(target, btf).with_context(refused)
        }
    }
}

/// Attaches a program that is loaded. What holds it in its place, if it stays there.
pub(super) fn attach_one(ebpf: &mut Ebpf, attachment: &Attachment) -> Result<Option<Box<dyn Any + Send>>> {
    let Attachment {
        program: name,
        kind,
        target,
        without: _,
    } = attachment;
    let program: &mut Program = ebpf
        .program_mut(name)
        .ok_or_else(|| anyhow!("the kernel object has no program {name}"))?;
    let refused = || format!("the kernel refused program {name} on {target}");
    Ok(match kind {
        AttachKind::TracepointBtf => {
            let program: &mut BtfTracePoint = program.try_into().with_context(refused)?;
            let link = program.attach().with_context(refused)?;
            Some(Box::new(program.take_link(link).with_context(refused)?))
        }
        AttachKind::Fentry => {
            let program: &mut FEntry = program.try_into().with_context(refused)?;
            let link = program.attach().with_context(refused)?;
            Some(Box::new(program.take_link(link).with_context(refused)?))
        }
        AttachKind::Fexit => {
            let program: &mut FExit = program.try_into().with_context(refused)?;
            let link = program.attach().with_context(refused)?;
            Some(Box::new(program.take_link(link).with_context(refused)?))
        }
        AttachKind::Iterator => {
            let program: &mut Iter = program.try_into().with_context(refused)?;
            let link = program.attach().with_context(refused)?;
            let file = program
                .take_link(link)
                .with_context(refused)?
                .into_file()
                .with_context(refused)?;
            // Reading drives the walk; it writes nothing.
            std::io::copy(&mut BufReader::new(file), &mut std::io::sink()).with_context(refused)?;
            None
        }
    })
}
