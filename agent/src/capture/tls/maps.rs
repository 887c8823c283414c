//! Files that a process maps to execute, from `/proc/<pid>/maps`.
//!
//! In: the text of the file. Out: one [`Mapped`] per file. Lines that do not parse are left out: the kernel's format is
//! stable, the names in it are anybody's.

use std::collections::BTreeMap;

/// A file, for as long as it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// Device, as `major << 32 | minor`.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

/// A file that a process maps to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// Which file.
    pub file: FileId,
    /// Its first executable mapping, as in `/proc/<pid>/map_files`.
    pub range: String,
    /// Its path as the process sees it, with ` (deleted)` behind it when it has none any more.
    pub path: String,
}

impl Mapped {
    /// The last part of the path, without what the kernel adds.
    pub fn name(&self) -> &str {
        let path = self.path.strip_suffix(" (deleted)").unwrap_or(&self.path);
        path.rsplit('/').next().unwrap_or(path)
    }
}

/// Files of one process at the most. Overflow policy: further ones are not looked at.
pub const MAX_MAPPED: usize = 4096;

/// The files that are mapped to execute, each once.
pub fn executable_files(maps: &str) -> Vec<Mapped> {
    let mut files = BTreeMap::new();
    for mapped in maps.lines().filter_map(line) {
        if files.len() >= MAX_MAPPED {
            break;
        }
        files.entry(mapped.file).or_insert(mapped);
    }
    files.into_values().collect()
}

/// `7f1c2000-7f1c3000 r-xp 00001000 fe:00 1234  /usr/lib/libssl.so.3`
fn line(line: &str) -> Option<Mapped> {
    let mut fields = line.splitn(6, ' ');
    let (range, mode, _offset) = (fields.next()?, fields.next()?, fields.next()?);
    let (device, inode) = (fields.next()?, fields.next()?);
    let path = fields.next()?.trim_start();
    if mode.as_bytes().get(2) != Some(&b'x') || !path.starts_with('/') {
        return None;
    }
    let (major, minor) = device.split_once(':')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    // The names in `map_files` have no leading zeros.
    let (start, end) = range.split_once('-')?;
    let range = format!("{:x}-{:x}", hex(start)?, hex(end)?);
    Some(Mapped {
        file: FileId {
            device: hex(major)? << 32 | hex(minor)?,
            inode: inode.parse().ok()?,
        },
        range,
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_mappings_of_files_are_listed_once() {
        let maps = "\
00d0c000-00d0d000 r--p 00000000 fe:00 11                                 /usr/bin/curl
00d0d000-55d10000 r-xp 00001000 fe:00 11                                 /usr/bin/curl
7f1c2000-7f1c3000 r-xp 00001000 fe:00 4294967296123                      /a dir/libssl.so.3 (deleted)
7f1c5000-7f1c6000 r-xp 00004000 fe:00 4294967296123                      /a dir/libssl.so.3 (deleted)
7f1c8000-7f1c9000 rwxp 00000000 00:00 0
7ffd1000-7ffd3000 r-xp 00000000 00:00 0                                  [vdso]
nonsense
";
        let files = executable_files(maps);
        assert_eq!(files.len(), 2);
        assert_eq!(files[0].range, "d0d000-55d10000");
        assert_eq!(files[0].file.device, 0xfe << 32);
        assert_eq!(files[1].name(), "libssl.so.3");
        assert_eq!(files[1].file.inode, 4_294_967_296_123);
    }
}
