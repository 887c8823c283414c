//! Debian packages of any suite, without touching the system: private lists, the machine's own mirror,
//! apt's own verification of signatures.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    shell::{output_of, run},
    workspace,
};

/// Signs every suite this task knows.
pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Package lists younger than this are not fetched again.
const LISTS_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// One suite of the machine's mirror.
pub(super) struct Suite {
    directory: PathBuf,
}

impl Suite {
    /// Makes the package lists of suite `name` available.
    pub(super) fn open(name: &str) -> Result<Self> {
        let suite = Self {
            directory: workspace::cache(&format!("suites/{name}"))?,
        };
        fs::create_dir_all(suite.directory.join("lists/partial"))?;
        if !Path::new(KEYRING).exists() {
            bail!("{KEYRING} is missing: install the package debian-archive-keyring");
        }
        let source = format!("deb [signed-by={KEYRING} arch=amd64] {} {name} main\n", mirror()?);
        fs::write(suite.directory.join("sources.list"), source)?;
        let stamp = suite.directory.join("updated");
        let age = stamp
            .metadata()
            .and_then(|file| file.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        if age.is_none_or(|age| age > LISTS_MAX_AGE) {
            run(suite.apt("apt-get").args(["-qq", "update"])).with_context(|| {
                format!(
                    "cannot read suite {name}; if its signing key is unknown, upgrade debian-archive-keyring"
                )
            })?;
            fs::write(stamp, "")?;
        }
        Ok(suite)
    }

    /// The control record of a package; `None` when the suite has none of that name.
    pub(super) fn record(&self, package: &str) -> Option<String> {
        let show = output_of(self.apt("apt-cache").args(["show", "--no-all-versions", package])).ok()?;
        (!show.is_empty()).then_some(show)
    }

    /// Downloads a package and unpacks its files under `into`.
    pub(super) fn unpack(&self, package: &str, into: &Path) -> Result<()> {
        let download = self.directory.join("download");
        if download.exists() {
            fs::remove_dir_all(&download)?;
        }
        fs::create_dir_all(&download)?;
        run(self
            .apt("apt-get")
            .current_dir(&download)
            .args(["-qq", "download", package]))?;
        let file = fs::read_dir(&download)?
            .next()
            .context("apt-get download left no file")??
            .path();
        run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(into))?;
        fs::remove_dir_all(&download).context("cannot remove the downloaded package")
    }

    /// An apt program that sees this suite only.
    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let mut set = |option: &str, value: &Path| {
            command.arg("-o").arg(format!("{option}={}", value.display()));
        };
        set("Dir::State::Lists", &self.directory.join("lists"));
        set("Dir::State::Status", Path::new("/dev/null"));
        set("Dir::Cache", &self.directory.join("cache"));
        set("Dir::Etc::SourceList", &self.directory.join("sources.list"));
        set("Dir::Etc::SourceParts", Path::new("/dev/null"));
        set("APT::Architecture", Path::new("amd64"));
        set("APT::Architectures", Path::new("amd64"));
        set("APT::Sandbox::User", Path::new("root"));
        set("Acquire::Languages", Path::new("none"));
        // A mirror may be frozen on purpose. Signatures are checked all the same.
        set("Acquire::Check-Valid-Until", Path::new("false"));
        command
    }
}

/// The address of the Debian mirror this machine uses.
///
/// # Errors
/// No file of apt names one.
pub(crate) fn mirror() -> Result<String> {
    let parts = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten();
    let mut files: Vec<PathBuf> = parts.map(|entry| entry.path()).collect();
    files.sort();
    files.insert(0, "/etc/apt/sources.list".into());
    files
        .iter()
        .filter(|file| {
            file.extension()
                .is_some_and(|ending| ending == "list" || ending == "sources")
        })
        .filter_map(|file| fs::read_to_string(file).ok())
        .find_map(|text| mirror_in(&text))
        .context("no Debian mirror stands in /etc/apt/sources.list or /etc/apt/sources.list.d")
}

/// The first address in an apt source file, of either format, that serves whole suites.
fn mirror_in(text: &str) -> Option<String> {
    let uris = |line: &str| -> Vec<String> {
        let words = match line.trim().split_once(char::is_whitespace) {
            Some(("deb", rest)) => rest.split_once(']').map_or(rest, |(_, after)| after),
            Some(("URIs:", rest)) => rest,
            _ => return Vec::new(),
        };
        words
            .split_whitespace()
            .filter(|word| word.contains("://"))
            .map(str::to_owned)
            .collect()
    };
    // The archives for updates and third parties are named differently.
    text.lines()
        .flat_map(uris)
        .find(|uri| uri.trim_end_matches('/').ends_with("/debian"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_name_the_mirror() {
        let deb822 = "Types: deb\n# URIs: http://old.example/debian\nURIs: http://a.example/debian-security http://b.example/debian\n";
        assert_eq!(mirror_in(deb822).as_deref(), Some("http://b.example/debian"));
        let line = "# deb http://old.example/debian sid main\ndeb [arch=amd64] https://c.example/debian/ trixie main\n";
        assert_eq!(mirror_in(line).as_deref(), Some("https://c.example/debian/"));
    }

    #[test]
    fn other_archives_are_no_mirror() {
        assert_eq!(mirror_in("deb https://d.example/node_20.x nodistro main\n"), None);
    }
}
