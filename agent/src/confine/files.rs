//! Files: nothing outside the agent's own directories can be written or executed (landlock(7)).
//!
//! Reading is not restricted: naming a process means to read in its root directory, which may be any container's.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use landlock::{
    ABI, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus,
};

/// The newest rights that are asked for; an older kernel knows fewer and the rest still holds.
const NEWEST: ABI = ABI::V5;

/// Devices that libraries write to.
const NULL: &str = "/dev/null";

/// Forbids to write outside `writable`, and to execute anything.
pub(super) fn restrict(writable: &[PathBuf]) -> Result<()> {
    let writing = AccessFs::from_write(NEWEST);
    let mut rules = Ruleset::default()
        .handle_access(writing | AccessFs::Execute)?
        .create()?;
    for directory in writable {
        let file = PathFd::new(directory)
            .with_context(|| format!("the directory {} cannot be opened", directory.display()))?;
        rules = rules.add_rule(PathBeneath::new(file, writing))?;
    }
    if let Ok(null) = PathFd::new(NULL) {
        rules = rules.add_rule(PathBeneath::new(null, AccessFs::WriteFile))?;
    }
    match rules.restrict_self()?.ruleset {
        RulesetStatus::NotEnforced => bail!("this kernel has no Landlock (5.13 and later can have it)"),
        RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => Ok(()),
    }
}
