//! Programs of this machine for the guests, in an image of a file system that all of them read.
//!
//! In: the programs that `setup` installs for it. Out: an image (ext2 with extents, which every kernel's ext4 reads) with
//! `/usr` and `/etc` of the Debian packages that they belong to and of all that these depend on. Made once and kept until a
//! package changes. Only for guests with the processor of the host; elsewhere there is none, and the tests that want it
//! say so. Refuses programs that no package brought: nobody knows what they load.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    packages,
    setup::TLS,
    shell::{find_program, output_of, say},
    workspace,
};

/// Changes when the same packages give another image.
const RECIPE: &str = "1";

/// Not read by any program.
const LEFT_OUT: [&str; 9] = [
    "/usr/include/",
    "/usr/share/bash-completion/",
    "/usr/share/bug/",
    "/usr/share/doc/",
    "/usr/share/info/",
    "/usr/share/lintian/",
    "/usr/share/locale/",
    "/usr/share/man/",
    "/var/",
];

/// What the scripts of packages wrote when they were installed: which program a name means, where libraries lie, which
/// modules PHP loads.
const CONFIGURATION: [&str; 3] = ["/etc/alternatives", "/etc/ld.so.cache", "/etc/php"];

/// By what programs find out who they run as: nobody else has an entry.
const ACCOUNTS: [(&str, &str); 2] = [("passwd", "root:x:0:0::/:/\n"), ("group", "root:x:0:\n")];

/// Room for what a file system keeps beside files, in blocks.
const SPARE_BLOCKS: u64 = 8192;

const BLOCK_BYTES: u64 = 4096;

/// The image, made now if it is not there or is of other packages.
pub(super) fn image() -> Result<Option<PathBuf>> {
    if !cfg!(target_arch = "x86_64") {
        return Ok(None);
    }
    let programs = programs()?;
    let packages = closure(&programs)?;
    let versions = output_of(
        Command::new("dpkg-query")
            .args(["--show", "--showformat", "${Package} ${Version}\n"])
            .args(&packages),
    )?;
    let made_of = format!("{RECIPE}\n{versions}\n");
    let directory = workspace::cache("vm")?;
    let (image, list) = (directory.join("programs.img"), directory.join("programs.list"));
    if image.is_file() && fs::read_to_string(&list).is_ok_and(|text| text == made_of) {
        return Ok(Some(image));
    }
    say(format!("making the guests' image of {} packages", packages.len()));
    // Another run may make the same, and guests may still read the one before.
    let staging = directory.join(format!("programs-{}", std::process::id()));
    let fresh = staging.with_extension("img");
    let made = stage(&staging, &programs, &packages).and_then(|blocks| format(&staging, &fresh, blocks));
    if staging.exists() {
        fs::remove_dir_all(&staging)?;
    }
    made?;
    fs::rename(&fresh, &image)?;
    fs::write(&list, made_of)?;
    Ok(Some(image))
}

/// Where Debian keeps those programs among [`TLS`] that are programs: others of their name, first in somebody's `PATH`,
/// are not meant.
fn programs() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for (name, package) in TLS {
        let usual = ["/usr/bin", "/usr/sbin"].map(|directory| Path::new(directory).join(name));
        match usual.into_iter().find(|path| path.is_file()) {
            Some(path) => found.push(path),
            None if packages::is_installed(package) => {}
            None => bail!("the guests take {name} from Debian's package {package}: install it"),
        }
    }
    Ok(found)
}

/// The packages of these programs, those of [`TLS`] that are no programs, and all that they depend on.
fn closure(programs: &[PathBuf]) -> Result<BTreeSet<String>> {
    let meant = programs
        .iter()
        .map(|path| path.canonicalize())
        .collect::<std::io::Result<Vec<_>>>()?;
    let said = meant.iter().map(|path| owner(path)).collect::<Result<String>>()?;
    let others = TLS
        .iter()
        .map(|(_, package)| *package)
        .filter(|package| packages::is_installed(package));
    let wanted: BTreeSet<&str> = owners(&said).chain(others).collect();
    let said = output_of(
        Command::new("apt-cache")
            .args(["depends", "--recurse", "--installed", "--no-recommends"])
            .args(["--no-suggests", "--no-conflicts", "--no-breaks"])
            .args(["--no-replaces", "--no-enhances"])
            .args(wanted),
    )?;
    let named: BTreeSet<String> = named(&said).map(str::to_owned).collect();
    Ok(named
        .into_iter()
        .filter(|package| packages::is_installed(package))
        .collect())
}

/// What `dpkg` says of a program: some packages still list theirs where it lay before `/usr` was merged, as `/bin/dash`.
fn owner(path: &Path) -> Result<String> {
    let search = |path: &Path| output_of(Command::new("dpkg-query").arg("--search").arg(path));
    let said = search(path).or_else(|problem| match path.strip_prefix("/usr") {
        Ok(before) => search(&Path::new("/").join(before)),
        Err(_) => Err(problem),
    });
    Ok(said.with_context(|| format!("{} is of no Debian package", path.display()))? + "\n")
}

/// The packages in `nginx: /usr/sbin/nginx`, `libssl3:amd64, x: /usr/lib/…`.
fn owners(said: &str) -> impl Iterator<Item = &str> {
    said.lines()
        .filter_map(|line| line.split_once(": "))
        .flat_map(|(packages, _)| packages.split(", "))
}

/// The packages in an indented tree, whose names start a line.
fn named(said: &str) -> impl Iterator<Item = &str> {
    said.lines().filter(|line| !line.starts_with([' ', '<', '|']))
}

/// Copies the files of the packages to a directory; the blocks that they take.
fn stage(staging: &Path, programs: &[PathBuf], packages: &BTreeSet<String>) -> Result<u64> {
    let said = output_of(Command::new("dpkg-query").arg("--listfiles").args(packages))?;
    let mut paths: BTreeSet<PathBuf> = said
        .lines()
        .filter(|line| is_wanted(line))
        .map(PathBuf::from)
        .collect();
    paths.extend(programs.iter().cloned());
    for tree in CONFIGURATION {
        below(Path::new(tree), &mut paths)?;
    }
    let compiled: Vec<PathBuf> = paths.iter().flat_map(|path| compiled(path)).collect();
    paths.extend(compiled);
    let mut blocks = 0;
    for path in &paths {
        // Packages list what their scripts have moved away since.
        if let Ok(found) = path.symlink_metadata() {
            copy(path, &found, staging)?;
            blocks += found.len().div_ceil(BLOCK_BYTES) + 1;
        }
    }
    let etc = staging.join("etc");
    fs::create_dir_all(&etc)?;
    for (name, text) in ACCOUNTS {
        fs::write(etc.join(name), text)?;
    }
    Ok(blocks)
}

fn is_wanted(path: &str) -> bool {
    path.starts_with('/') && !LEFT_OUT.iter().any(|prefix| path.starts_with(prefix))
}

/// Adds a file, or all files below a directory.
fn below(path: &Path, into: &mut BTreeSet<PathBuf>) -> Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => {
            for entry in fs::read_dir(path)? {
                below(&entry?.path(), into)?;
            }
        }
        Ok(_) => {
            into.insert(path.to_owned());
        }
        Err(_) => {}
    }
    Ok(())
}

/// What Python has made of a module when its package was installed: an emulated processor takes long for it.
fn compiled(path: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
    else {
        return Vec::new();
    };
    let Some(stem) = name.strip_suffix(".py") else {
        return Vec::new();
    };
    let start = format!("{stem}.cpython-");
    let entries = fs::read_dir(directory.join("__pycache__"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&start))
        .map(|entry| entry.path())
        .collect()
}

/// Copies a file or a link into the directory that is meant: `/lib` is a link where `/usr` has been merged.
fn copy(path: &Path, found: &fs::Metadata, staging: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    if found.is_dir() {
        return Ok(());
    }
    let directory = staging.join(parent.canonicalize()?.strip_prefix("/")?);
    fs::create_dir_all(&directory)?;
    let to = directory.join(name);
    if to.symlink_metadata().is_ok() {
        return Ok(());
    }
    if found.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(path)?, to)?;
    } else if found.is_file() {
        fs::copy(path, to).with_context(|| format!("cannot copy {}", path.display()))?;
    }
    Ok(())
}

/// A file system of this directory. Without a journal: nobody writes to it.
fn format(staging: &Path, image: &Path, blocks: u64) -> Result<()> {
    let mke2fs = find_program("mke2fs").context("mke2fs is not installed")?;
    output_of(
        Command::new(mke2fs)
            .args(["-q", "-F", "-t", "ext2", "-O", "extent", "-m", "0"])
            .args(["-b", &BLOCK_BYTES.to_string(), "-d"])
            .arg(staging)
            .arg(image)
            .arg((blocks + blocks / 16 + SPARE_BLOCKS).to_string()),
    )
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_found_in_what_dpkg_and_apt_say() {
        let said = "nginx: /usr/sbin/nginx\nlibssl3:amd64, other: /usr/lib/libssl.so.3";
        assert_eq!(
            owners(said).collect::<Vec<_>>(),
            ["nginx", "libssl3:amd64", "other"]
        );
        let said = "curl\n  Depends: libc6\n |Depends: <virtual>\n    libcurl4\nlibc6\n<virtual>\n";
        assert_eq!(named(said).collect::<Vec<_>>(), ["curl", "libc6"]);
    }

    #[test]
    fn documents_and_remarks_are_left_out() {
        assert!(is_wanted("/usr/bin/curl"));
        assert!(!is_wanted("/usr/share/doc/curl/copyright"));
        assert!(!is_wanted("diverted by dash to: /bin/sh.distrib"));
    }
}
