//! Packages of Debian, unpacked and not installed: programs that would get in the way of the machine's own, or that its release
//! does not have yet.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

/// What these packages hold, in a directory below `target`; of another release than the machine's, if one is named.
///
/// # Errors
/// The packages cannot be had: what was said about it.
pub(super) fn unpacked(
    target: &Path,
    name: &str,
    release: Option<&str>,
    packages: &[&str],
) -> Result<PathBuf> {
    let directory = target.join(name);
    let root = directory.join("root");
    if root.join("complete").is_file() {
        return Ok(root);
    }
    fs::create_dir_all(&root)?;
    let options = match release {
        Some(release) => lists_of(release, &directory)?,
        None => Vec::new(),
    };
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        run(command.args(&options).args(words), &directory)
    };
    let download = || apt(&[&["download"], packages].concat());
    // Package lists may be missing or older than the mirror.
    download().or_else(|_| apt(&["update"]).and_then(|()| download()))?;
    for entry in fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            run(
                Command::new("dpkg-deb").arg("-x").arg(&path).arg(&root),
                &directory,
            )?;
        }
    }
    // Last: one that was interrupted is made again.
    fs::write(root.join("complete"), "")?;
    Ok(root)
}

/// What makes `apt-get` use another release, without touching what the machine knows of its own.
fn lists_of(release: &str, directory: &Path) -> Result<Vec<String>> {
    let at = directory.display();
    for needed in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(directory.join(needed))?;
    }
    fs::write(
        directory.join("sources"),
        format!(
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian {release} main\n"
        ),
    )?;
    let settings = [
        format!("Dir::Etc::sourcelist={at}/sources"),
        "Dir::Etc::sourceparts=-".to_owned(),
        format!("Dir::State::lists={at}/lists"),
        "Dir::State::status=/dev/null".to_owned(),
        format!("Dir::Cache={at}/cache"),
        "Acquire::Languages=none".to_owned(),
    ];
    Ok(settings
        .into_iter()
        .flat_map(|setting| ["-o".to_owned(), setting])
        .collect())
}

fn run(command: &mut Command, directory: &Path) -> Result<()> {
    let output = command.current_dir(directory).output();
    let output = output.with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
