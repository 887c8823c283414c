//! How an invocation ends: exit codes, and the one sentence that explains a failure.

use std::{
    fmt, io,
    process::{ExitCode, Termination},
};

use std::io::Write;

use super::Terminal;
use crate::select::SelectError;

/// Exit code of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command did what was asked.
    Ok,
    /// The command is a check, it ran, and something did not pass.
    CheckFailed,
    /// Bad usage or input, or this host lacks what the command needs.
    Usage,
    /// No agent could be reached.
    Unreachable,
    /// What another command that was run ended with.
    Command(u8),
}

impl Exit {
    /// The code for the system.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::CheckFailed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Command(code) => code,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

/// Why a command stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    sentence: Option<String>,
}

impl Failure {
    /// A check found something; its report is already written.
    pub(crate) fn check() -> Self {
        Self {
            exit: Exit::CheckFailed,
            sentence: None,
        }
    }

    /// A command that was run ended with this code; it has said why.
    pub(crate) fn command(code: u8) -> Self {
        Self {
            exit: Exit::Command(code),
            sentence: None,
        }
    }

    /// Bad usage or input: what is wrong, and what to do.
    pub(crate) fn usage(sentence: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Usage,
            sentence: Some(sentence.to_string()),
        }
    }

    /// The agent cannot be reached: why, and what to do.
    pub(crate) fn unreachable(sentence: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Unreachable,
            sentence: Some(sentence.to_string()),
        }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The sentence for standard error, if there is anything to say.
    pub fn sentence(&self) -> Option<&str> {
        self.sentence.as_deref()
    }
}

/// Failures to select rows: options are named as they are typed.
impl From<SelectError> for Failure {
    fn from(error: SelectError) -> Self {
        match error.is_usage() {
            true => Self::usage(format!("--{error}")),
            false => Self::usage(error),
        }
    }
}

/// Failures to write results. A reader that has gone away (`| head`) is no failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self {
                exit: Exit::Ok,
                sentence: None,
            },
            _ => Self::usage(format!("cannot write the output: {error}")),
        }
    }
}

/// Turns what the argument parser says into help on `out`, or one sentence.
pub(super) fn explain(error: &clap::Error, out: &mut dyn Write, terminal: Terminal) -> Result<(), Failure> {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render();
            match terminal.colour {
                true => write!(out, "{}", text.ansi())?,
                false => write!(out, "{text}")?,
            }
            Ok(())
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Failure::usage(
            "a command is missing: `apiarist --help` lists them",
        )),
        _ => Err(Failure::usage(sentence(&error.render().to_string()))),
    }
}

/// The parser's paragraphs as one line: what is wrong, its tips, where to read on.
fn sentence(rendered: &str) -> String {
    let mut parts = Vec::new();
    let mut usage = None;
    for paragraph in rendered.split("\n\n") {
        let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(rest) = line.strip_prefix("Usage: ") {
            let words = rest
                .split(' ')
                .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase()));
            usage = Some(words.collect::<Vec<_>>().join(" "));
        } else if !line.is_empty() && !line.starts_with("For more information") {
            parts.push(
                line.trim_start_matches("error: ")
                    .trim_start_matches("tip: ")
                    .to_owned(),
            );
        }
    }
    let command = usage.unwrap_or_else(|| "apiarist".to_owned());
    format!("{} (see `{command} --help`)", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_errors_are_one_line_with_a_hint() {
        let rendered = "error: unexpected argument '--sokcet' found\n\n  tip: a similar argument exists: '--socket'\n\nUsage: apiarist endpoints --socket <PATH>\n\nFor more information, try '--help'.\n";
        assert_eq!(
            sentence(rendered),
            "unexpected argument '--sokcet' found; a similar argument exists: '--socket' (see `apiarist endpoints --help`)"
        );
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit(), failure.sentence()), (Exit::Ok, None));
    }
}
