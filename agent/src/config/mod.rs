//! The configuration file: its keys, their documentation, and what is wrong with a given file.
//!
//! In: TOML text. Out: a [`Config`], or every [`Problem`] of the text at once, each with its line. The structures
//! in [`sections`], [`detection`] and [`inventory`] are the only description of the keys: their doc comments, defaults and ranges become the JSON
//! Schema ([`schema`]), the schema becomes the documented file ([`template`]) and the checker ([`check`]).
//! Refuses to guess: an unknown key is a problem, never ignored.

mod check;
mod conflicts;
mod detection;
mod difference;
mod inventory;
mod options;
mod print;
mod sections;

use std::{fmt, io, path::Path};

use crate::risk::Criteria;

pub use check::{Problem, check};
pub use detection::{AllowEntry, Detection};
pub use difference::{Difference, RELOADABLE};
pub use inventory::InventoryLimits;
pub use options::{AlertTarget, Observed, RunOptions, Source, default_store};
pub use print::template;
pub use sections::{Capture, Config, Control, Kubernetes, Log, LogFormat, Scope, Store, Tls};

/// Where the configuration is looked for when no path is given. It need not exist.
pub const DEFAULT_PATH: &str = "/etc/apiarist/apiarist.toml";

/// Longest configuration file, in bytes. Overflow policy: a longer file is refused.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Why a configuration could not be used.
#[derive(Debug)]
pub enum ConfigError {
    /// The file could not be read.
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file was read and is wrong.
    Wrong {
        /// The file.
        path: String,
        /// Everything that is wrong with it, in order of position; never empty.
        problems: Vec<Problem>,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => {
                write!(f, "cannot read the configuration {path}: {source}")
            }
            Self::Wrong { path, problems } => {
                let Some(first) = problems.first() else {
                    return write!(f, "{path} cannot be used");
                };
                write!(f, "{path}:{first}")?;
                match problems.len() {
                    0 | 1 => Ok(()),
                    count => write!(f, " (and {} more: see `apiarist config check {path}`)", count - 1),
                }
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// What endpoints are judged by.
    ///
    /// # Errors
    /// One sentence: a document cannot be read, or is no OpenAPI document.
    pub fn criteria(&self) -> Result<Criteria, String> {
        Ok(Criteria {
            risk: self.risk.clone(),
            documents: self.inventory.documents()?,
        })
    }
}

/// Reads the file at `path`, or the one at [`DEFAULT_PATH`] if that exists, or takes the defaults.
///
/// # Errors
/// The file cannot be read (a missing file is an error only if it was named), or has problems.
pub fn load(path: Option<&Path>) -> Result<Config, ConfigError> {
    match path {
        Some(path) => read(path),
        None => match read(Path::new(DEFAULT_PATH)) {
            Err(ConfigError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Config::default())
            }
            other => other,
        },
    }
}

/// The text of a configuration file, bounded by [`MAX_FILE_BYTES`].
///
/// # Errors
/// What the system says, text that is not UTF-8, or a file that is too long.
pub fn read_text(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is longer than {MAX_FILE_BYTES} bytes"),
        ));
    }
    Ok(text)
}

fn read(path: &Path) -> Result<Config, ConfigError> {
    let shown = path.display().to_string();
    let text = read_text(path).map_err(|source| ConfigError::Unreadable {
        path: shown.clone(),
        source,
    })?;
    check(&text).map_err(|problems| ConfigError::Wrong {
        path: shown,
        problems,
    })
}

/// The JSON Schema of the configuration (draft 2020-12), without references.
pub fn schema() -> serde_json::Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_valid_file_that_changes_nothing() {
        assert_eq!(check(&template()).unwrap(), Config::default());
    }

    #[test]
    fn a_named_file_must_exist_and_the_default_one_need_not() {
        let error = load(Some(Path::new("/nonexistent/apiarist.toml"))).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot read the configuration /nonexistent")
        );
    }

    #[test]
    fn the_first_problem_and_the_number_of_others_are_one_sentence() {
        let error = ConfigError::Wrong {
            path: "a.toml".into(),
            problems: check("x = 1\ny = 2\n").unwrap_err(),
        };
        let text = error.to_string();
        assert!(text.starts_with("a.toml:1:1: unknown key `x`"), "{text}");
        assert!(
            text.ends_with("(and 1 more: see `apiarist config check a.toml`)"),
            "{text}"
        );
    }
}
