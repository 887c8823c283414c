//! One guest: started, listened to, and stopped at the latest at its deadline.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::instructions::{self, Counts};
use crate::{shell::say, workspace};

/// What the test program prints last, before the two counts.
const VERDICT: &str = "apiarist-vm: ";

/// What it prints first.
const STARTED: &str = "apiarist-vm: init";

/// Lines kept for the report of a guest that ended without a verdict, and lines in flight to the terminal.
const LINES: usize = 256;

/// What to boot.
pub(super) struct Boot<'a> {
    /// Name of the kernel, with its version.
    pub(super) label: &'a str,
    pub(super) image: &'a Path,
    pub(super) initramfs: &'a [u8],
    /// Image of a file system with programs.
    pub(super) programs: Option<&'a Path>,
    pub(super) arguments: &'a [String],
    pub(super) timeout_seconds: u64,
}

/// What a guest did.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) verdict: Verdict,
    /// The kernel's release, major and minor.
    pub(super) release: String,
    /// What its verifier made of each program.
    pub(super) instructions: Counts,
    /// From power-on to the first line of the test program.
    pub(super) init_seconds: f64,
    /// From power-on to power-off.
    pub(super) total_seconds: f64,
}

/// Counts of the test program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) passed: u32,
    pub(super) failed: u32,
}

impl Verdict {
    /// Something passed and nothing failed.
    pub(super) fn is_success(self) -> bool {
        self.passed > 0 && self.failed == 0
    }

    /// Reads `apiarist-vm: 12 passed, 0 failed`, wherever it stands in a line of the console.
    fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.split_once(VERDICT)?;
        let (passed, rest) = counts.split_once(" passed, ")?;
        let (failed, _) = rest.split_once(" failed")?;
        Some(Self {
            passed: passed.parse().ok()?,
            failed: failed.parse().ok()?,
        })
    }
}

/// Boots a guest and waits for it to power off.
pub(super) fn boot(boot: &Boot<'_>) -> Result<Report> {
    let initramfs = workspace::cache("vm")?.join(format!("initramfs-{}", std::process::id()));
    fs::write(&initramfs, boot.initramfs).context("cannot write the initramfs")?;
    let started = now();
    let guest = Guest::start(boot, &initramfs);
    let report = guest.and_then(|guest| guest.listen(started, Duration::from_secs(boot.timeout_seconds)));
    fs::remove_file(&initramfs).context("cannot remove the initramfs")?;
    report
}

/// A running QEMU; dropping it stops it.
struct Guest {
    qemu: Child,
    lines: Receiver<String>,
}

impl Guest {
    fn start(boot: &Boot<'_>, initramfs: &Path) -> Result<Self> {
        // `panic=-1` restarts at once, `-no-reboot` makes that the end: a dead init ends the guest.
        let mut command_line = format!("console=ttyS0 panic=-1 quiet{}", limits(boot.label));
        if !boot.arguments.is_empty() {
            command_line = format!("{command_line} -- {}", boot.arguments.join(" "));
        }
        let mut qemu = Command::new("qemu-system-x86_64");
        if let Some(image) = boot.programs {
            // A disk that all of Debian's cloud kernels know without a module.
            qemu.arg("-drive")
                .arg(format!(
                    "id=programs,if=none,format=raw,readonly=on,file={}",
                    image.display()
                ))
                .args(["-device", "nvme,drive=programs,serial=programs"]);
        }
        let mut qemu = qemu
            .args([
                "-machine",
                "q35,accel=tcg",
                "-cpu",
                "max",
                "-m",
                "1024",
                "-smp",
                "2",
                "-nic",
                "none",
            ])
            .args([
                "-display",
                "none",
                "-monitor",
                "none",
                "-serial",
                "stdio",
                "-no-reboot",
            ])
            .arg("-kernel")
            .arg(boot.image)
            .arg("-initrd")
            .arg(initramfs)
            .args(["-append", &command_line])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start qemu-system-x86_64")?;
        let console = qemu.stdout.take().context("QEMU has no console")?;
        let (sender, lines) = sync_channel(LINES);
        thread::spawn(move || {
            let mut console = BufReader::new(console);
            let mut line = Vec::new();
            // The console may carry any bytes, so lines are not taken as UTF-8.
            while console.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if sender.send(text).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Ok(Self { qemu, lines })
    }

    fn listen(mut self, started: Instant, timeout: Duration) -> Result<Report> {
        let mut verdict = None;
        let mut init_seconds = None;
        let mut release = String::new();
        let mut instructions = Counts::new();
        loop {
            let left = timeout.saturating_sub(started.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if line.contains(STARTED) {
                        init_seconds.get_or_insert(started.elapsed().as_secs_f64());
                    }
                    verdict = Verdict::parse(&line).or(verdict);
                    release = instructions::release(&line).unwrap_or(release);
                    instructions.extend(instructions::parse(&line));
                    say(format!("  {line}"));
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!(
                        "the guest was stopped after {} s without powering off",
                        timeout.as_secs()
                    )
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.qemu.wait().context("cannot wait for QEMU")?;
        let Some(verdict) = verdict else {
            bail!("the guest ended without a verdict: its last lines say why")
        };
        Ok(Report {
            verdict,
            release,
            instructions,
            init_seconds: init_seconds.unwrap_or_default(),
            total_seconds: started.elapsed().as_secs_f64(),
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        self.qemu.kill().ok();
        self.qemu.wait().ok();
    }
}

/// What an older kernel has to be told of the emulated processor: that it has no CMPXCHG16B (feature 4 × 32 + 13; names came
/// later). The instruction leaves garbage in the flags (QEMU 7.2.22), of which Linux 6.12 dies in its allocator. Linux 7.2 keeps
/// going with it, and without it sees no socket at all: its allocator for programs needs it (`kmalloc_nolock`, 6.18). Programs
/// may use it on all: HAProxy does not ask.
fn limits(label: &str) -> &'static str {
    let version = label.trim_start_matches(|c: char| !c.is_ascii_digit());
    let mut numbers = version
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version > (0, 0) && version < (6, 18) {
        " clearcpuid=141"
    } else {
        ""
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the deadline of another program, at the edge"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_read_from_a_noisy_line() {
        let verdict = Verdict::parse("[    1.2] apiarist-vm: 12 passed, 3 failed");
        assert_eq!(
            verdict,
            Some(Verdict {
                passed: 12,
                failed: 3
            })
        );
        assert_eq!(Verdict::parse("apiarist-vm: init, Linux 6.1.0"), None);
        assert_eq!(Verdict::parse("apiarist-vm: many passed, 0 failed"), None);
    }

    #[test]
    fn old_kernels_do_without_cmpxchg16b() {
        for old in [
            "linux-image-6.12.107+deb13-cloud-amd64",
            "linux-image-5.10.0-32-cloud-amd64",
        ] {
            assert_eq!(limits(old), " clearcpuid=141");
        }
        assert_eq!(limits("linux-image-7.2.13+deb14-cloud-amd64"), "");
        assert_eq!(limits("/boot/bzImage"), "");
    }

    #[test]
    fn nothing_run_is_no_success() {
        assert!(!Verdict { passed: 0, failed: 0 }.is_success());
        assert!(!Verdict { passed: 9, failed: 1 }.is_success());
        assert!(Verdict { passed: 1, failed: 0 }.is_success());
    }
}
