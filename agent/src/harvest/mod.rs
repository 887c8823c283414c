//! Which routes an application has, by its own code.
//!
//! In: a process, as /proc shows it. Out: a table of [`Routes`]. [`source`] finds the files of the program that an
//! interpreter runs, through `/proc/PID/root`, and reads a bounded part of them once per version; one module per
//! language finds what is registered where; [`assemble`] puts routers under the paths they are mounted at. Reads code
//! as text, of Java the annotations in its classes, of Go the literals in its executable: nothing of the application is run, and what that does not tell is
//! left to be learned. A route too many does
//! no harm: no request ever takes it.

pub mod assemble;
mod go;
mod java;
mod javascript;
mod language;
mod php;
mod python;
mod ruby;
pub mod source;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::inventory::template::Routes;
pub use language::Language;
pub use source::Cache;

/// A route as one file registers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In upper case; `None` for any.
    pub method: Option<String>,
    /// With `{name}` for parameters and `{*name}` for all that is left; without what it is mounted at.
    pub path: String,
    /// The variable of the router it was registered with; empty for the application itself.
    pub router: String,
}

/// A router that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The variable, or the module that it comes from.
    pub router: String,
    /// The path it is mounted at; empty for none.
    pub path: String,
}

/// What one file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// Routes.
    pub routes: Vec<Found>,
    /// Mounts of routers, here or of other files.
    pub mounts: Vec<Mount>,
    /// Names of variables, and the modules they were imported from.
    pub imports: Vec<(String, String)>,
}

/// The routes of the program that a process runs; none if nothing is known of how it is written. `proc_root` is the
/// root of a proc file system.
pub fn routes(proc_root: &Path, pid: u32, cache: &mut Cache) -> Routes {
    source::Program::of(proc_root, pid).map_or_else(Routes::default, |program| {
        let files = program.files(cache);
        assemble::routes(files.iter().map(|(path, findings)| (path.as_path(), &**findings)))
    })
}
