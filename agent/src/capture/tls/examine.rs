//! Reads executables, on a thread of its own: those of some programs take seconds, and the names of everybody else's libraries
//! would wait for them.
//!
//! In: open files and what is asked of them. Out: what is in them. Attaches nothing, and follows no path: who asks has
//! opened the file, and gets it back.

use std::{fs::File, path::PathBuf, sync::mpsc::Receiver};

use super::{
    elf::{self, Image},
    library,
    maps::FileId,
    stack::{self, Stack},
};

/// Files that wait. Overflow policy: further ones are not read now, but when their processes are looked at again.
pub const MAX_WAITING: usize = 64;

/// What is asked of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question {
    /// Where are the functions of a library?
    Functions,
    /// What was linked in without any?
    Traces,
}

/// A file to be read.
#[derive(Debug)]
pub struct Job {
    /// Which it is.
    pub id: FileId,
    /// The same, open.
    pub file: File,
    /// Its name, for the log.
    pub path: PathBuf,
    /// What is asked.
    pub question: Question,
}

/// What a file holds.
#[derive(Debug)]
pub enum Found {
    /// Of [`Question::Functions`]; empty when it cannot be read.
    Functions(Image),
    /// Of [`Question::Traces`].
    Traces(Option<Stack>),
}

/// A file that was read.
#[derive(Debug)]
pub struct Examined {
    /// As it was asked.
    pub job: Job,
    /// What is in it.
    pub found: Found,
}

/// Answers until nobody asks any more, or `answer` says that nobody listens.
pub fn run(jobs: &Receiver<Job>, mut answer: impl FnMut(Examined) -> bool) {
    for job in jobs {
        let found = match job.question {
            Question::Functions => Found::Functions(functions(&job.file)),
            // What cannot be read holds nothing that is known.
            Question::Traces => Found::Traces(stack::of_executable(&job.file).unwrap_or_default()),
        };
        if !answer(Examined { job, found }) {
            return;
        }
    }
}

/// The functions of all libraries in a file. One that cannot be read is as one without any: what is in it does not change.
pub fn functions(file: &File) -> Image {
    let image = elf::read(file, library::Names::all().wanted(), library::suffices);
    image.ok().flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn job(content: &[u8], question: Question) -> Job {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        Job {
            id: FileId { device: 1, inode: 2 },
            file: file.reopen().unwrap(),
            path: file.path().to_owned(),
            question,
        }
    }

    #[test]
    fn each_question_is_answered_in_its_turn() {
        let (jobs, asked) = sync_channel(MAX_WAITING);
        for question in [Question::Traces, Question::Functions] {
            jobs.send(job(b"linked with OpenSSL 3.0.1", question)).unwrap();
        }
        drop(jobs);
        let mut answers = Vec::new();
        run(&asked, |examined| {
            answers.push((examined.job.question, examined.found));
            true
        });
        let [
            (Question::Traces, Found::Traces(stack)),
            (Question::Functions, Found::Functions(image)),
        ] = &answers[..]
        else {
            panic!("{answers:?}");
        };
        assert_eq!(stack.unwrap().library, Some("openssl"));
        assert_eq!(image, &Image::default());
    }

    #[test]
    fn nobody_listens_and_nothing_more_is_read() {
        let (jobs, asked) = sync_channel(MAX_WAITING);
        for _ in 0..3 {
            jobs.send(job(b"", Question::Functions)).unwrap();
        }
        let mut answered = 0;
        run(&asked, |_| {
            answered += 1;
            false
        });
        assert_eq!((answered, asked.try_iter().count()), (1, 2));
    }
}
