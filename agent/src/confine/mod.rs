//! What the agent gives up once it is attached, so that whoever takes it over gains little.
//!
//! In: what is left to do ([`Needs`]). Out: a process without the other capabilities, that cannot start programs, signal or trace
//! processes, mount, load modules or change the clock ([`syscalls`]), and of which no core dump is written. Landlock is not
//! used: it forbids to look into processes outside its domain, whatever the capabilities, and naming them takes that. Applies to the calling thread and all it starts: call it before
//! the first. What a kernel lacks is said and left out; the agent runs with the rest.

mod capabilities;
mod syscalls;

use rustix::{process::DumpableBehavior, thread::CapabilitySet};

/// What the agent still has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// It attaches further programs, or reads maps on kernels before 5.19, where that is for who may load programs.
    pub programs: bool,
    /// It names processes of other users, and reads their executables.
    pub processes: bool,
    /// It probes functions of other programs. Perf events take SYS_ADMIN for that, on kernels that let PERFMON do the
    /// rest: for one thread, which does nothing else.
    pub probes: bool,
}

/// What could not be given up, a sentence each; empty when all was.
pub fn confine(needs: &Needs) -> Vec<String> {
    let mut kept = Vec::new();
    let mut note = |what: &str, result: anyhow::Result<()>| {
        if let Err(error) = result {
            kept.push(format!("{what}: {error:#}"));
        }
    };
    note("core dumps are not disabled", no_core_dumps());
    note("capabilities are kept", capabilities::keep_only(wanted(needs)));
    note(
        "new privileges are not refused",
        rustix::thread::set_no_new_privs(true).map_err(Into::into),
    );
    note("no system call is refused", syscalls::refuse());
    kept
}

/// The capabilities that `needs` come to.
fn wanted(needs: &Needs) -> CapabilitySet {
    let mut wanted = CapabilitySet::empty();
    if needs.programs {
        wanted |= CapabilitySet::BPF | CapabilitySet::PERFMON;
    }
    if needs.probes {
        wanted |= CapabilitySet::SYS_ADMIN;
    }
    if needs.processes {
        // The last is for `/proc/<pid>/map_files`: libraries that were deleted or replaced while in use.
        wanted |=
            CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_READ_SEARCH | CapabilitySet::CHECKPOINT_RESTORE;
    }
    wanted
}

/// A core dump would hold what passes through.
fn no_core_dumps() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    Ok(rustix::process::set_dumpable_behavior(
        DumpableBehavior::NotDumpable,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_follow_from_what_is_left_to_do() {
        let needs = |programs, processes| Needs {
            programs,
            processes,
            probes: false,
        };
        assert_eq!(wanted(&needs(false, false)), CapabilitySet::empty());
        let probing = Needs {
            probes: true,
            ..needs(false, false)
        };
        assert_eq!(wanted(&probing), CapabilitySet::SYS_ADMIN);
        assert_eq!(
            wanted(&needs(true, false)),
            CapabilitySet::BPF | CapabilitySet::PERFMON
        );
        assert_eq!(
            wanted(&needs(false, true)),
            CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_READ_SEARCH | CapabilitySet::CHECKPOINT_RESTORE
        );
    }
}
