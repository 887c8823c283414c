//! `cargo xtask package`: a Debian package of the agent.
//!
//! In: a built binary and the files of `deploy/`. Out: one `.deb`, the same bytes for the same binary: times are fixed, files are
//! root's, names are in order. Refuses nothing of policy itself: lintian judges it in the tests.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    packages,
    shell::{agent, output_of, run, say},
    supply, workspace,
};

/// Time of all files, in seconds since the epoch, where the environment gives none
/// (reproducible-builds.org, SOURCE_DATE_EPOCH).
const EPOCH: &str = "1767225600";

/// Options of `cargo xtask package`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Pack this binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Directory for the package [default: target/package]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Builds the agent unless a binary is given, packs it, and prints where the package is.
pub(crate) fn main(options: &Options) -> Result<()> {
    packages::install(&["dpkg"])?;
    let root = workspace::root()?;
    let target = workspace::target_directory(&root);
    let binary = agent(&root, options.binary.as_deref())?;
    let out = options.out.clone().unwrap_or_else(|| target.join("package"));
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let package = Package::stage(&root, &binary, &out.join("staging"))?;
    let file = package.build(&out)?;
    say(format!("wrote {}", file.display()));
    Ok(())
}

/// The tree of a package before it is packed.
struct Package {
    tree: PathBuf,
    version: String,
    architecture: String,
}

impl Package {
    /// Lays out what the package installs, and its control files.
    fn stage(root: &Path, binary: &Path, tree: &Path) -> Result<Self> {
        if tree.exists() {
            fs::remove_dir_all(tree).context("cannot remove the last staging directory")?;
        }
        let deploy = root.join("deploy");
        let package = Self {
            tree: tree.to_owned(),
            version: version_of(binary)?,
            architecture: output_of(Command::new("dpkg").arg("--print-architecture"))?,
        };
        package.copy(binary, "usr/bin/apiarist", 0o755)?;
        run(Command::new("strip").arg(tree.join("usr/bin/apiarist")))?;
        let unit = "usr/lib/systemd/system/apiarist.service";
        package.copy(&deploy.join("systemd/apiarist.service"), unit, 0o644)?;
        let debian = deploy.join("debian");
        let users = "usr/lib/sysusers.d/apiarist.conf";
        package.copy(&debian.join("apiarist.sysusers"), users, 0o644)?;
        package.copy(&debian.join("apiarist.toml"), "etc/apiarist/apiarist.toml", 0o644)?;
        let doc = |name: &str| format!("usr/share/doc/apiarist/{name}");
        package.copy(&debian.join("copyright"), &doc("copyright"), 0o644)?;
        package.copy(&root.join("LICENSE-MIT"), &doc("LICENSE-MIT"), 0o644)?;
        package.write(&doc("changelog"), &package.changelog(), 0o644)?;
        package.compress(&doc("changelog"))?;
        let bill = serde_json::to_string_pretty(&supply::bill(root)?)?;
        package.write(&doc("sbom.cdx.json"), &format!("{bill}\n"), 0o644)?;
        let overrides = "usr/share/lintian/overrides/apiarist";
        package.copy(&debian.join("lintian-overrides"), overrides, 0o644)?;
        package.manual(binary)?;
        package.completions(binary)?;
        for script in ["postinst", "prerm", "postrm"] {
            package.copy(&debian.join(script), &format!("DEBIAN/{script}"), 0o755)?;
        }
        package.write("DEBIAN/conffiles", "/etc/apiarist/apiarist.toml\n", 0o644)?;
        package.control(&debian.join("control"))?;
        Ok(package)
    }

    /// Packs the tree.
    fn build(&self, out: &Path) -> Result<PathBuf> {
        let file = out.join(format!("apiarist_{}_{}.deb", self.version, self.architecture));
        run(Command::new("dpkg-deb")
            .env("SOURCE_DATE_EPOCH", epoch())
            .args(["--root-owner-group", "--build"])
            .args([&self.tree, &file]))?;
        fs::remove_dir_all(&self.tree).context("cannot remove the staging directory")?;
        Ok(file)
    }

    fn manual(&self, binary: &Path) -> Result<()> {
        let directory = self.tree.join("usr/share/man/man1");
        run(Command::new(binary).args(["man", "--out"]).arg(&directory))?;
        for entry in fs::read_dir(&directory)? {
            let name = entry?.file_name();
            self.compress(&format!("usr/share/man/man1/{}", name.to_string_lossy()))?;
        }
        Ok(())
    }

    fn completions(&self, binary: &Path) -> Result<()> {
        for (shell, place) in [
            ("bash", "usr/share/bash-completion/completions/apiarist"),
            ("zsh", "usr/share/zsh/vendor-completions/_apiarist"),
            ("fish", "usr/share/fish/vendor_completions.d/apiarist.fish"),
        ] {
            let script = output_of(Command::new(binary).args(["completions", shell]))?;
            self.write(place, &format!("{script}\n"), 0o644)?;
        }
        Ok(())
    }

    fn control(&self, template: &Path) -> Result<()> {
        let size = output_of(
            Command::new("du")
                .args(["-sk", "--apparent-size"])
                .arg(&self.tree),
        )?;
        let size = size.split_whitespace().next().unwrap_or_default();
        let text = fs::read_to_string(template)?
            .replace("@VERSION@", &self.version)
            .replace("@ARCHITECTURE@", &self.architecture)
            .replace("@SIZE@", size);
        self.write("DEBIAN/control", &text, 0o644)
    }

    fn changelog(&self) -> String {
        format!(
            "apiarist ({}) unstable; urgency=medium\n\n  * Release of this version.\n\n \
             -- The Apiarist developers <maintainers@apiarist.invalid>  Thu, 01 Jan 2026 00:00:00 +0000\n",
            self.version
        )
    }

    fn copy(&self, from: &Path, to: &str, mode: u32) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.put(to, &content, mode)
    }

    fn write(&self, to: &str, content: &str, mode: u32) -> Result<()> {
        self.put(to, content.as_bytes(), mode)
    }

    fn put(&self, to: &str, content: &[u8], mode: u32) -> Result<()> {
        let path = self.tree.join(to);
        let directory = path.parent().context("a file needs a directory")?;
        fs::create_dir_all(directory)?;
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(fs::set_permissions(&path, fs::Permissions::from_mode(mode))?)
    }

    fn compress(&self, file: &str) -> Result<()> {
        let path = self.tree.join(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        run(Command::new("gzip").args(["-9n"]).arg(path))
    }
}

fn version_of(binary: &Path) -> Result<String> {
    let line = output_of(Command::new(binary).arg("--version"))?;
    let version = line.split_whitespace().nth(1);
    Ok(version.context("the binary tells no version")?.to_owned())
}

fn epoch() -> String {
    std::env::var("SOURCE_DATE_EPOCH").unwrap_or_else(|_| EPOCH.to_owned())
}
