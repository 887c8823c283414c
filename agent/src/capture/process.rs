//! The ring of processes: who starts, as which program, and who ends.
//!
//! In: records as the kernel programs wrote them. Out: [`ProcessEvent`]s, in the order in which things happened on each
//! processor. Checks every length; trusts no number. A record that is none is skipped and counted.

use apiarist_common::process::{
    PROCESS_ARGUMENTS_BYTES, PROCESS_EXEC, PROCESS_EXIT, PROCESS_FORK, PROCESS_PATH_BYTES,
    PROCESS_PATH_UNKNOWN, ProcessExec, ProcessHeader,
};
use compact_str::CompactString;

use crate::{
    event::ProcessRef,
    workload::{ProcessEvent, Program},
};

/// Bytes of a `PROCESS_EXEC` record before the arguments.
const FIXED_BYTES: usize = size_of::<ProcessExec>() - PROCESS_ARGUMENTS_BYTES;

/// Decodes one record; `None` when it is too short for its kind, or of an unknown kind.
pub fn decode(record: &[u8]) -> Option<ProcessEvent> {
    let header: ProcessHeader = read(record)?;
    let process = ProcessRef {
        pid: header.pid,
        start_ns: header.start_ns,
        cgroup: header.cgroup,
        comm: CompactString::from_utf8_lossy(until_nul(&header.comm)),
    };
    match header.kind {
        PROCESS_FORK => Some(ProcessEvent::Forked {
            process,
            parent: (header.parent, header.parent_start_ns),
        }),
        PROCESS_EXEC => Some(ProcessEvent::Executed {
            process,
            program: program(record)?,
        }),
        PROCESS_EXIT => Some(ProcessEvent::Exited { process }),
        _ => None,
    }
}

fn program(record: &[u8]) -> Option<Program> {
    // The arguments may be cut off: the rest is read as far as it is there.
    let lens = record.get(size_of::<ProcessHeader>()..)?;
    let [executable, directory, arguments] = [0, 4, 8].map(|at| {
        let bytes = lens.get(at..at + 4).and_then(<[u8]>::first_chunk);
        bytes.map_or(PROCESS_PATH_UNKNOWN, |bytes| u32::from_ne_bytes(*bytes))
    });
    let paths = record.get(FIXED_BYTES - 2 * PROCESS_PATH_BYTES..FIXED_BYTES)?;
    let (first, second) = paths.split_at_checked(PROCESS_PATH_BYTES)?;
    let arguments = record.get(FIXED_BYTES..)?.get(..arguments as usize)?;
    Some(Program {
        executable: path(first, executable),
        directory: path(second, directory),
        arguments: String::from_utf8_lossy(arguments).trim_end_matches('\0').into(),
    })
}

/// A path from its names, last one first.
fn path(names: &[u8], len: u32) -> Option<Box<str>> {
    if len == PROCESS_PATH_UNKNOWN {
        return None;
    }
    let names = names.get(..len as usize)?;
    if names.is_empty() {
        return Some("/".into());
    }
    let names = String::from_utf8_lossy(names.strip_suffix(b"\0")?).into_owned();
    let mut path = String::with_capacity(names.len() + 1);
    for name in names.rsplit('\0') {
        path.push('/');
        path.push_str(name);
    }
    Some(path.into_boxed_str())
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn read(record: &[u8]) -> Option<ProcessHeader> {
    if record.len() < size_of::<ProcessHeader>() {
        return None;
    }
    // SAFETY: long enough, made of integers only, and the read needs no alignment.
    Some(unsafe { record.as_ptr().cast::<ProcessHeader>().read_unaligned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u32) -> Vec<u8> {
        let mut comm = [0; 16];
        comm[..4].copy_from_slice(b"shop");
        let mut bytes = Vec::new();
        for word in [kind, 42] {
            bytes.extend(word.to_ne_bytes());
        }
        for word in [7_u64, 5, 11] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend([3_u32, 0].map(u32::to_ne_bytes).concat());
        bytes.extend(comm);
        bytes
    }

    fn exec(executable: &[u8], directory: &[u8], arguments: &[u8]) -> Vec<u8> {
        let mut bytes = record(PROCESS_EXEC);
        for len in [executable.len(), directory.len(), arguments.len(), 0] {
            bytes.extend((len as u32).to_ne_bytes());
        }
        for path in [executable, directory] {
            let mut room = [0; PROCESS_PATH_BYTES];
            room[..path.len()].copy_from_slice(path);
            bytes.extend(room);
        }
        bytes.extend(arguments);
        bytes
    }

    #[test]
    fn paths_come_name_by_name() {
        let record = exec(b"python3.11\0bin\0usr\0", b"", b"python3\0app.py\0");
        let Some(ProcessEvent::Executed { process, program }) = decode(&record) else {
            panic!()
        };
        assert_eq!((process.pid, process.start_ns, process.cgroup), (42, 7, 11));
        assert_eq!(process.comm, "shop");
        assert_eq!(program.executable.as_deref(), Some("/usr/bin/python3.11"));
        assert_eq!(program.directory.as_deref(), Some("/"));
        assert_eq!(&*program.arguments, "python3\0app.py");
    }

    #[test]
    fn forks_name_the_parent() {
        let fork = decode(&record(PROCESS_FORK));
        assert!(matches!(fork, Some(ProcessEvent::Forked { parent: (3, 5), .. })));
        let exit = decode(&record(PROCESS_EXIT));
        assert!(matches!(exit, Some(ProcessEvent::Exited { process }) if process.pid == 42));
    }

    #[test]
    fn a_short_or_odd_record_is_refused() {
        let whole = exec(b"a\0", b"b\0", b"a\0");
        for cut in 0..whole.len() {
            assert!(decode(&whole[..cut]).is_none(), "{cut}");
        }
        assert!(decode(&record(9)).is_none());
        let mut unknown = exec(b"a\0", b"b\0", b"a\0");
        let at = size_of::<ProcessHeader>();
        unknown[at..at + 4].copy_from_slice(&PROCESS_PATH_UNKNOWN.to_ne_bytes());
        let Some(ProcessEvent::Executed { program, .. }) = decode(&unknown) else {
            panic!()
        };
        assert_eq!(program.executable, None);
    }
}
