//! How far each reader came: one small file each, replaced in one step.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// File name of a reader: its own name may hold anything.
pub(super) fn name(reader: &str) -> String {
    let digest = Sha256::digest(reader.as_bytes());
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}.position")
}

/// The positions of all readers, by file name. One that cannot be read counts as absent.
pub(super) fn read_all(directory: &Path) -> io::Result<BTreeMap<String, u64>> {
    let mut positions = BTreeMap::new();
    for path in files(directory)? {
        let number = fs::read_to_string(&path)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        if let (Some(name), Some(number)) = (path.file_name(), number) {
            positions.insert(name.to_string_lossy().into_owned(), number);
        }
    }
    Ok(positions)
}

/// Notes the line that a reader wants next.
pub(super) fn write(directory: &Path, reader: &str, next: u64) -> io::Result<()> {
    let path = directory.join(name(reader));
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, format!("{next}\n"))?;
    fs::rename(fresh, path)
}

/// Forgets readers that are not among these.
pub(super) fn keep_only(directory: &Path, readers: &[&str]) -> io::Result<()> {
    let known: Vec<String> = readers.iter().map(|reader| name(reader)).collect();
    for path in files(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !known.iter().any(|known| *known == name) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
    let paths = entries.collect::<io::Result<Vec<_>>>()?;
    let is_position = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "position");
    Ok(paths.into_iter().filter(is_position).collect())
}
