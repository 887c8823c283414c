//! Where a result is written: a file that is named, or standard output.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::Failure;

/// Where a result is written.
pub(super) enum Target {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf, File),
}

impl Target {
    /// `-` is standard output; a file is made or emptied.
    pub(super) fn create(path: PathBuf) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        let file = File::create(&path)
            .map_err(|error| Failure::usage(format!("cannot create {}: {error}", path.display())))?;
        Ok(Self::File(path, file))
    }

    /// Standard output unless a file is named.
    pub(super) fn of(path: Option<&Path>) -> Result<Self, Failure> {
        path.map_or(Ok(Self::Stdout), |path| Self::create(path.to_owned()))
    }

    /// Writes the result.
    pub(super) fn write(
        self,
        stdout: &mut dyn Write,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        match self {
            Self::Stdout => Ok(write(stdout)?),
            Self::File(path, file) => {
                let mut out = BufWriter::with_capacity(256 * 1024, file);
                write(&mut out)
                    .and_then(|()| out.flush())
                    .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: Option<&Path>) -> String {
        let mut stdout = Vec::new();
        let target = Target::of(path).unwrap();
        target.write(&mut stdout, |out| write!(out, "new")).unwrap();
        String::from_utf8(stdout).unwrap()
    }

    #[test]
    fn a_file_is_emptied_first_and_without_one_it_is_standard_output() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("result");
        std::fs::write(&path, "what was there").unwrap();
        assert_eq!(written(Some(&path)), "");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(written(None), "new");
        assert_eq!(written(Some(Path::new("-"))), "new");
    }

    #[test]
    fn a_file_that_cannot_be_made_is_told_by_name() {
        let failure = Target::of(Some(Path::new("/proc/result"))).err().unwrap();
        assert!(
            failure
                .sentence()
                .unwrap()
                .starts_with("cannot create /proc/result: ")
        );
    }
}
