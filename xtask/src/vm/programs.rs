//! Programs of this machine for a guest, with the libraries that they load.
//!
//! In: names of programs. Out: files for the initramfs, under the paths that they have here. Only for guests with the
//! processor of the host; elsewhere there are none, and the test that wants them says so.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    shell::{find_program, output_of, run},
    workspace,
};

/// A server and two clients: OpenSSL's library on either side, and GnuTLS's.
const PROGRAMS: [&str; 3] = ["nginx", "curl", "wget"];

/// Where the certificate of the server lies in the guest, and its key.
const CERTIFICATE: [&str; 2] = ["etc/certificate.pem", "etc/key.pem"];

/// A file for the guest.
pub(super) struct File {
    /// Path without the slash before it.
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
    pub(super) is_program: bool,
}

/// The programs, their libraries, the dynamic linker, and a certificate.
pub(super) fn collect() -> Result<Vec<File>> {
    if !cfg!(target_arch = "x86_64") {
        return Ok(Vec::new());
    }
    let mut paths = BTreeSet::new();
    for name in PROGRAMS {
        let program = find_program(name).with_context(|| format!("{name} is not installed"))?;
        let listed = output_of(Command::new("ldd").arg(&program))?;
        paths.extend(libraries(&listed));
        paths.insert(program);
    }
    let mut files = paths.iter().map(|path| file(path)).collect::<Result<Vec<_>>>()?;
    files.extend(certificate()?);
    Ok(files)
}

/// The paths in what ldd says: `libssl.so.3 => /lib/libssl.so.3 (0x7f…)`, `/lib64/ld-linux-x86-64.so.2 (0x7f…)`.
fn libraries(listed: &str) -> impl Iterator<Item = PathBuf> {
    listed
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
}

/// Under the name by which it is loaded, in the directory that is meant: `/lib` is a link where `/usr` has been merged.
fn file(path: &Path) -> Result<File> {
    let name = path.file_name().context("a file without a name")?;
    let directory = path
        .parent()
        .context("a file without a directory")?
        .canonicalize()?;
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let path = directory.join(name);
    Ok(File {
        path: path.to_string_lossy().trim_start_matches('/').to_owned(),
        bytes,
        is_program: true,
    })
}

fn certificate() -> Result<Vec<File>> {
    let directory = workspace::cache("vm")?;
    let made = CERTIFICATE.map(|path| directory.join(Path::new(path).file_name().unwrap_or_default()));
    let [certificate, key] = &made;
    run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-days", "3650", "-subj", "/CN=localhost", "-out"])
        .arg(certificate)
        .arg("-keyout")
        .arg(key)
        .stderr(std::process::Stdio::null()))?;
    CERTIFICATE
        .iter()
        .zip(&made)
        .map(|(path, made)| {
            Ok(File {
                path: (*path).to_owned(),
                bytes: fs::read(made)?,
                is_program: false,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_those_that_are_found() {
        let listed = "\tlinux-vdso.so.1 (0x00007f)\n\tlibssl.so.3 => /lib/libssl.so.3 (0x00007f)\n\
                      \tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let found: Vec<PathBuf> = libraries(listed).collect();
        assert_eq!(
            found,
            ["/lib/libssl.so.3", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from)
        );
    }
}
