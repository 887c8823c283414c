//! A minimal initramfs: the test program, a console, directories, kernel modules, the tests' scripts.
//!
//! Format: cpio "newc", uncompressed (Documentation/driver-api/early-userspace/buffer-format.rst). Writing it
//! here needs neither `cpio` nor root, which device nodes would.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::kernel::Module;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;
const LINK: u32 = 0o120_777;

/// Where the test program mounts things and keeps files.
const DIRECTORIES: [&str; 8] = ["dev", "etc", "modules", "proc", "run", "sys", "tmp", "usr"];

/// Where it mounts the disk with programs; not there when there is none.
const DISK: &str = "programs";

/// Where the scripts lie that its programs run.
const SCRIPTS: &str = "fixtures";

/// Directories that systems with a merged `/usr` have as links, and the agent, which is in the test program.
const LINKS: [(&str, &str); 5] = [
    ("apiarist", "init"),
    ("bin", "usr/bin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("sbin", "usr/sbin"),
];

/// The archive with `init` as `/init`, each module as `/modules/NN-NAME.ko`, in their order, and the scripts in a
/// directory.
pub(super) fn pack(init: &Path, modules: &[Module], scripts: &Path, has_disk: bool) -> Result<Vec<u8>> {
    let program = fs::read(init).with_context(|| format!("cannot read {}", init.display()))?;
    let mut archive = Archive::default();
    for name in DIRECTORIES {
        archive.entry(name, DIRECTORY, (0, 0), b"")?;
    }
    // Without it the kernel starts init with no standard output.
    archive.entry("dev/console", CHARACTER_DEVICE, (5, 1), b"")?;
    archive.entry("init", PROGRAM, (0, 0), &program)?;
    for (number, module) in modules.iter().enumerate() {
        archive.entry(
            &format!("modules/{number:02}-{}.ko", module.name),
            FILE,
            (0, 0),
            &module.bytes,
        )?;
    }
    for (name, target) in LINKS {
        archive.entry(name, LINK, (0, 0), target.as_bytes())?;
    }
    if has_disk {
        archive.entry(DISK, DIRECTORY, (0, 0), b"")?;
    }
    archive.entry(SCRIPTS, DIRECTORY, (0, 0), b"")?;
    for entry in fs::read_dir(scripts).with_context(|| format!("cannot read {}", scripts.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = format!("{SCRIPTS}/{}", entry.file_name().to_string_lossy());
            archive.entry(&name, FILE, (0, 0), &fs::read(entry.path())?)?;
        }
    }
    archive.finish()
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    fn entry(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), data: &[u8]) -> Result<()> {
        self.inode += 1;
        let size = u32::try_from(data.len()).context("a file of the initramfs is over 4 GiB")?;
        let name_size = u32::try_from(name.len() + 1)?;
        // inode, mode, uid, gid, links, mtime, size, device, device of the node, name size, checksum.
        let fields = [
            self.inode, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name_size, 0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(data);
        self.align();
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        self.entry("TRAILER!!!", 0, (0, 0), b"")?;
        Ok(self.bytes)
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_aligned_and_says_its_sizes() {
        let mut archive = Archive::default();
        archive.entry("init", PROGRAM, (0, 0), b"hello").unwrap();
        let text = String::from_utf8(archive.bytes).unwrap();
        // 110 bytes of header, "init\0" and one byte of padding, "hello" and three.
        assert_eq!(text.len(), 124);
        assert_eq!(&text[..6], "070701");
        assert_eq!(&text[14..22], "000081ED");
        assert_eq!(&text[54..62], "00000005");
        assert_eq!(&text[94..102], "00000005");
        assert_eq!(&text[110..], "init\0\0hello\0\0\0");
    }

    #[test]
    fn a_device_carries_its_numbers() {
        let mut archive = Archive::default();
        archive
            .entry("dev/console", CHARACTER_DEVICE, (5, 1), b"")
            .unwrap();
        assert_eq!(&archive.bytes[78..94], b"0000000500000001");
    }
}
