//! `cargo xtask api-server`: the API server of Kubernetes, built from Debian's source package.
//!
//! Debian ships the client only, but the source of both. Nothing on the machine changes beside packages: the list of sources and
//! everything that is unpacked and built lies below `target/`, and the server ends up as `target/kube-apiserver`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    packages,
    shell::{run, say},
    vm::mirror::{KEYRING, mirror},
    workspace,
};

/// The release whose source Debian's Go builds.
const SUITE: &str = "bookworm";

const PACKAGE: &str = "kubernetes";

const NEEDS: &[&str] = &[
    "golang-go",
    "rsync",
    "make",
    "golang-github-modern-go-reflect2-dev",
];

/// The copy of this library in the source crashes when it is built by Go 1.18 or later; Debian's own does not
/// (github.com/modern-go/reflect2, v1.0.2).
const REPLACED: &str = "github.com/modern-go/reflect2";

/// Builds it, unless it is there.
pub(crate) fn main() -> Result<()> {
    let target = workspace::root()?.join("target");
    let server = target.join("kube-apiserver");
    if server.is_file() {
        say(format!("{} is there", server.display()));
        return Ok(());
    }
    packages::install(NEEDS)?;
    let place = target.join("kubernetes");
    let source = unpack(&place)?;
    say("building the API server of Kubernetes: this takes a while");
    replace(
        &Path::new("/usr/share/gocode/src").join(REPLACED),
        &source.join("vendor").join(REPLACED),
    )?;
    let gopath = source.join(".go");
    fs::create_dir_all(gopath.join("src/k8s.io"))?;
    let link = gopath.join("src/k8s.io/kubernetes");
    if !link.exists() {
        std::os::unix::fs::symlink("../../..", &link)?;
    }
    run(Command::new("make")
        .arg("WHAT=cmd/kube-apiserver")
        .current_dir(&source)
        .env("CGO_ENABLED", "0")
        .env("GOPATH", &gopath)
        .env("GOCACHE", place.join("cache"))
        .env("GOFLAGS", "")
        .env("HOME", &place))?;
    fs::copy(source.join("_output/local/go/bin/kube-apiserver"), &server)
        .context("the build left no server")?;
    fs::remove_dir_all(&place).context("cannot remove what was built on the way")
}

/// Puts the files of one directory in the place of those of another.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let files = |directory: &Path| -> Result<Vec<PathBuf>> {
        let entries =
            fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
        let paths = entries.flatten().map(|entry| entry.path());
        Ok(paths
            .filter(|path| path.extension().is_some_and(|end| end == "go" || end == "s"))
            .collect())
    };
    for old in files(to)? {
        fs::remove_file(old)?;
    }
    for new in files(from)? {
        fs::copy(&new, to.join(new.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// Downloads the source and gives where it was unpacked.
fn unpack(place: &Path) -> Result<PathBuf> {
    let lists = place.join("lists");
    fs::create_dir_all(lists.join("partial"))?;
    let sources = place.join("sources.list");
    let line = format!("deb-src [signed-by={KEYRING}] {} {SUITE} main\n", mirror()?);
    fs::write(&sources, line)?;
    let option = |name: &str, path: &Path| ["-o".to_owned(), format!("{name}={}", path.display())];
    let options = [
        option("Dir::Etc::sourcelist", &sources),
        option("Dir::Etc::sourceparts", Path::new("-")),
        option("Dir::State::lists", &lists),
    ]
    .concat();
    run(Command::new("apt-get").args(&options).args(["-q", "update"]))?;
    let mut download = Command::new("apt-get");
    download
        .args(&options)
        .args(["-q", "source", "--download-only", PACKAGE]);
    run(download.current_dir(place))?;
    let find = |starts: &str, ends: &str| -> Result<PathBuf> {
        let mut entries = fs::read_dir(place)?.flatten().map(|entry| entry.path());
        let fits = |path: &PathBuf| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            name.starts_with(starts) && name.ends_with(ends)
        };
        entries
            .find(fits)
            .with_context(|| format!("no {starts}…{ends} was downloaded"))
    };
    let archive = find(&format!("{PACKAGE}_"), ".orig.tar.gz")?;
    let source = place.join("source");
    fs::create_dir_all(&source)?;
    let mut tar = Command::new("tar");
    tar.args(["--strip-components=1", "-xf"])
        .arg(archive)
        .arg("-C")
        .arg(&source);
    run(&mut tar)?;
    Ok(source)
}
