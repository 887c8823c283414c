//! The whole user space of a test guest: `cargo xtask vm` packs it as `/init` of an initramfs.
//!
//! Prepares what a running system has (file systems, programs, loopback, modules), attaches to the kernel, acts out the
//! semantics of sockets, and prints `apiarist-vm: N passed, M failed` as its last line. Arguments, which come from the
//! kernel's command line, are parts of the names to run. Called `apiarist` it is the agent, for the tests among real
//! programs. Refuses to run otherwise as anything but process 1.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{ExitCode, Termination as _},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use apiarist::clock::monotonic_ns;
use apiarist_tests::{
    live::{self, until},
    semantics::{Netlink, Observer, Outcome, SEMANTICS},
};
use rustix::{mount::MountFlags, system::RebootCommand};

/// Type and mount point.
const FILE_SYSTEMS: [(&str, &str); 7] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("bpf", "/sys/fs/bpf"),
    ("tracefs", "/sys/kernel/tracing"),
    ("cgroup2", "/sys/fs/cgroup"),
];

/// The disk with programs, and the longest wait for the kernel to find it.
const DISK: &str = "/dev/nvme0n1";
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let called = std::env::args_os().next().map(PathBuf::from);
    if called.is_some_and(|path| path.ends_with("apiarist")) {
        return apiarist::cli::main(std::env::args_os()).report();
    }
    if std::process::id() != 1 {
        say("vm_init: start it with `cargo xtask vm`; outside a guest it would power the machine off");
        return ExitCode::from(2);
    }
    say(&format!(
        "apiarist-vm: init, Linux {}",
        rustix::system::uname().release().to_string_lossy()
    ));
    let mut tally = Tally::default();
    if tally.check("the guest is prepared", prepare()).is_some()
        && tally.check("the kernel has BTF", has_btf()).is_some()
        && let Some(observer) = tally.check("the capture plane attaches", Observer::attach())
    {
        semantics(&mut tally, observer);
        among_programs(&mut tally);
    }
    say(&format!(
        "apiarist-vm: {} passed, {} failed",
        tally.passed, tally.failed
    ));
    // Only when this fails does process 1 end, which restarts the guest and so ends it too.
    match rustix::system::reboot(RebootCommand::PowerOff) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What came of the checks so far.
#[derive(Default)]
struct Tally {
    passed: u32,
    failed: u32,
}

impl Tally {
    /// Counts and prints an outcome.
    fn check<T>(&mut self, name: &str, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.passed += 1;
                say(&format!("ok: {name}"));
                Some(value)
            }
            Err(problem) => {
                self.failed += 1;
                say(&format!("FAILED: {name}: {problem:#}"));
                None
            }
        }
    }
}

/// Every promise whose name contains an argument, or all.
fn semantics(tally: &mut Tally, mut observer: Observer) {
    say(&format!("tier {}", observer.tier()));
    for refusal in observer.refused() {
        say(&format!("refused: {refusal}"));
    }
    for (program, instructions) in observer.verified_instructions() {
        say(&format!("verified: {program}: {instructions} instructions"));
    }
    for semantic in SEMANTICS.iter().filter(|semantic| is_wanted(semantic.name)) {
        let started = monotonic_ns();
        let outcome = semantic.run(&mut observer);
        let milliseconds = (monotonic_ns() - started) / 1_000_000;
        match outcome {
            Outcome::Skipped(reason) => say(&format!("skipped: {}: {reason}", semantic.name)),
            Outcome::Passed => {
                tally.check(&format!("{} ({milliseconds} ms)", semantic.name), Ok(()));
            }
            Outcome::Failed(reason) => {
                tally.check::<()>(semantic.name, Err(anyhow::anyhow!(reason)));
            }
        }
    }
}

/// The agent among the programs that were packed.
fn among_programs(tally: &mut Tally) {
    let always = live::GUEST.iter().filter(|test| is_wanted(test.name));
    let named = live::GUEST_NAMED.iter().filter(|test| is_named(test.name));
    for test in always.chain(named) {
        let started = monotonic_ns();
        let outcome = test.run();
        let milliseconds = (monotonic_ns() - started) / 1_000_000;
        match outcome {
            Ok(Some(reason)) => say(&format!("skipped: {}: {reason}", test.name)),
            Ok(None) => {
                tally.check(&format!("{} ({milliseconds} ms)", test.name), Ok(()));
            }
            Err(problem) => {
                tally.check::<()>(test.name, Err(problem));
            }
        }
    }
}

/// Whether an argument is a part of this name, or there are none.
fn is_wanted(name: &str) -> bool {
    std::env::args().len() <= 1 || is_named(name)
}

/// Whether an argument is a part of this name.
fn is_named(name: &str) -> bool {
    std::env::args().skip(1).any(|part| name.contains(&part))
}

/// Mounts the usual file systems, loads the modules that were packed, brings loopback up.
fn prepare() -> Result<()> {
    for (kind, target) in FILE_SYSTEMS {
        rustix::mount::mount(kind, target, kind, MountFlags::empty(), None)
            // The kernel mounts devtmpfs by itself when it is configured to.
            .or_else(|error| if error == rustix::io::Errno::BUSY { Ok(()) } else { Err(error) })
            .with_context(|| format!("cannot mount {kind} on {target}"))?;
    }
    if Path::new("/modules").exists() {
        let entries = fs::read_dir("/modules")?.map(|entry| Ok(entry?.path()));
        let mut paths: Vec<PathBuf> = entries.collect::<io::Result<_>>()?;
        paths.sort();
        for path in paths {
            rustix::system::init_module(&fs::read(&path)?, c"")
                .with_context(|| format!("cannot load {}", path.display()))?;
        }
    }
    if Path::new(live::GUEST_PROGRAMS).exists() {
        programs().context("cannot mount the disk with programs")?;
    }
    Netlink::open()?.up(Netlink::LOOPBACK)
}

/// The programs of the host in the places that they have there.
fn programs() -> Result<()> {
    until(PATIENCE, || Ok(fs::metadata(DISK)?))?;
    rustix::mount::mount(DISK, live::GUEST_PROGRAMS, "ext4", MountFlags::RDONLY, None)?;
    for directory in ["etc", "usr"] {
        let from = Path::new(live::GUEST_PROGRAMS).join(directory);
        rustix::mount::mount_bind(from, Path::new("/").join(directory))?;
    }
    Ok(())
}

fn has_btf() -> Result<()> {
    let size = fs::metadata("/sys/kernel/btf/vmlinux").context("no BTF")?.len();
    ensure!(size > 0, "/sys/kernel/btf/vmlinux is empty");
    Ok(())
}

/// Writes a line to the console. Nothing can be done when that fails, and the verdict is then missing.
fn say(line: &str) {
    writeln!(io::stdout(), "{line}").ok();
}
