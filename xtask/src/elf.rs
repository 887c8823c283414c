//! Looking into object files: is BTF there, and in which section do two differ.

use anyhow::{Context as _, Result, bail};
use object::{Object as _, ObjectSection as _, elf::FileHeader64, read::elf::ElfFile};

/// A parsed object.
pub(crate) type Elf<'data> = ElfFile<'data, FileHeader64<object::Endianness>>;

/// Fails unless `bytes` is an object with type information, which the loader needs for maps and functions.
pub(crate) fn require_btf(bytes: &[u8]) -> Result<()> {
    let elf = parse(bytes)?;
    for name in [".BTF", ".BTF.ext"] {
        if elf
            .section_by_name(name)
            .is_none_or(|section| section.size() == 0)
        {
            bail!("the built object has no {name} section");
        }
    }
    Ok(())
}

/// What the first difference between two objects is, in words; `None` when their bytes are the same.
pub(crate) fn first_difference(committed: &[u8], rebuilt: &[u8]) -> Result<Option<String>> {
    if committed == rebuilt {
        return Ok(None);
    }
    let (old, new) = (parse(committed)?, parse(rebuilt)?);
    // Tables of names differ with everything else: they say least.
    let (tables, sections): (Vec<_>, Vec<_>) = old
        .sections()
        .partition(|section| matches!(section.name(), Ok(".strtab" | ".symtab")));
    for section in sections.into_iter().chain(tables) {
        let name = section.name()?;
        let Some(other) = new.section_by_name(name) else {
            return Ok(Some(format!("section {name} is missing in the rebuilt one")));
        };
        if section.data()? != other.data()? {
            return Ok(Some(format!(
                "section {name} differs ({} and {} bytes)",
                section.size(),
                other.size()
            )));
        }
    }
    let is_new = |name: &str| old.section_by_name(name).is_none();
    if let Some(name) = new
        .sections()
        .filter_map(|section| section.name().ok())
        .find(|name| is_new(name))
    {
        return Ok(Some(format!("section {name} is only in the rebuilt one")));
    }
    let sizes = (committed.len(), rebuilt.len());
    Ok(Some(format!(
        "the sections are the same, the rest differs ({} and {} bytes)",
        sizes.0, sizes.1
    )))
}

/// Reads the tables of an object.
pub(crate) fn parse(bytes: &[u8]) -> Result<Elf<'_>> {
    ElfFile::parse(bytes).context("not a 64-bit ELF object")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_need_no_parsing() {
        assert_eq!(first_difference(b"same", b"same").unwrap(), None);
    }

    #[test]
    fn other_files_are_refused() {
        assert!(require_btf(b"#!/bin/sh\n").is_err());
        assert!(first_difference(b"a", b"b").is_err());
    }
}
