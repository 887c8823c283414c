//! `cargo xtask fuzz`: bytes of chance and cunning to every parser.
//!
//! Builds one program for all targets, with libFuzzer and the coverage counters that stable rustc can put in, and runs it on
//! one target after the other at the lowest priority. Corpora and what is found lie below `target/fuzz`; seeds are read from a
//! collection beside the workspace where there is one.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    shell::{cargo, output_of, run, say},
    workspace,
};

/// Options of `cargo xtask fuzz`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Targets to run; all of them if none is given
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Seconds for each target
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

/// What cargo-fuzz passes too: LLVM's own instrumentation, which needs no unstable option.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Longest input, in bytes.
const MAX_LENGTH: u32 = 16_384;

/// Runs the targets; fails when one of them found something.
pub(crate) fn main(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let place = workspace::target_directory(&root).join("fuzz");
    let program = build(&root, &place)?;
    let known = targets(&program)?;
    if let Some(unknown) = options
        .targets
        .iter()
        .find(|name| !known.iter().any(|(known, _)| known == *name))
    {
        let names: Vec<&str> = known.iter().map(|(name, _)| &**name).collect();
        bail!("there is no target {unknown}: use one of {}", names.join(", "));
    }
    let seeds = seeds(&root, &place)?;
    let mut found = Vec::new();
    for (name, folders) in &known {
        if !options.targets.is_empty() && !options.targets.contains(name) {
            continue;
        }
        let folders: Vec<PathBuf> = seeds
            .iter()
            .flat_map(|seeds| folders.iter().map(|folder| seeds.join(folder)))
            .filter(|folder| folder.is_dir())
            .collect();
        if !fuzz(&program, &place, name, &folders, options.seconds)? {
            found.push(name.as_str());
        }
    }
    if !found.is_empty() {
        bail!(
            "inputs that should not be were found for {}: see {}",
            found.join(", "),
            place.display()
        );
    }
    Ok(())
}

fn build(root: &Path, place: &Path) -> Result<PathBuf> {
    say("building the fuzz targets");
    let target = output_of(Command::new("rustc").arg("--print=host-tuple"))?;
    run(cargo(root)
        .args(["build", "--quiet", "--profile", "fuzz", "--package", "apiarist-fuzz"])
        // With a target named, build scripts and macros are spared the flags.
        .args(["--target", &target, "--target-dir"])
        .arg(place)
        .env("RUSTFLAGS", COVERAGE))?;
    Ok(place.join(target).join("fuzz/apiarist-fuzz"))
}

/// Name and seed folders of each target, as the program lists them.
fn targets(program: &Path) -> Result<Vec<(String, Vec<String>)>> {
    let list = output_of(
        Command::new(program)
            .env("APIARIST_FUZZ_TARGET", "?")
            .arg("-runs=0"),
    )?;
    let rows = list.lines().filter_map(|line| line.strip_prefix("target "));
    Ok(rows
        .filter_map(|row| {
            let mut words = row.split(' ').map(str::to_owned);
            Some((words.next()?, words.collect()))
        })
        .collect())
}

/// The seed collection, unpacked.
fn seeds(root: &Path, place: &Path) -> Result<Option<PathBuf>> {
    let data = env::var_os("APIARIST_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let archive = data.join("fuzz-seeds.tar.gz");
    if !archive.exists() {
        say("no seeds: set APIARIST_DATA to where fuzz-seeds.tar.gz is");
        return Ok(None);
    }
    let seeds = place.join("seeds");
    fs::create_dir_all(&seeds).with_context(|| format!("cannot create {}", seeds.display()))?;
    run(Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(&seeds))?;
    Ok(Some(seeds))
}

/// Runs one target; whether nothing was found.
fn fuzz(program: &Path, place: &Path, name: &str, seeds: &[PathBuf], seconds: u32) -> Result<bool> {
    let corpus = place.join("corpus").join(name);
    let findings = place.join("findings").join(name);
    for directory in [&corpus, &findings] {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    }
    let output = Command::new("nice")
        .args(["-n", "19"])
        .arg(program)
        .arg(&corpus)
        .args(seeds)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MAX_LENGTH}"))
        .args([
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            "-verbosity=0",
        ])
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .env("APIARIST_FUZZ_TARGET", name)
        .stdin(Stdio::null())
        .output()
        .context("cannot start the fuzzer")?;
    let report = String::from_utf8_lossy(&output.stderr);
    let executions = report
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .unwrap_or("?");
    if output.status.success() {
        say(format!(
            "{name}: {} executions in {seconds} s, nothing found",
            executions.trim()
        ));
        return Ok(true);
    }
    say(format!(
        "{name}: after {} executions, {}:",
        executions.trim(),
        output.status
    ));
    let start = report.lines().count().saturating_sub(40);
    report
        .lines()
        .skip(start)
        .for_each(|line| say(format!("  {line}")));
    Ok(false)
}
