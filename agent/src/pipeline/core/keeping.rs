//! When the core writes the store: in parts, with exchanges and answers between them.
//!
//! Decides nothing about what is written: that is the keeper's.

use std::sync::mpsc::Receiver;

use super::Core;
use crate::{
    capture::memory,
    clock::Timestamp,
    control::Request,
    pipeline::keeper::{Keeper, Known},
};

impl Core {
    /// Begins to write the store. A write of little ends at once, and is the state of one moment.
    pub(super) fn begin_keeping(&mut self, now: Timestamp, questions: &Receiver<Request>) {
        let status = self.status();
        if let Err(error) = self.marker.beat(now) {
            tracing::debug!(%error, "that this run is there cannot be noted");
        }
        let (keeper, mut known) = self.known();
        keeper.begin(now, &mut known, &status);
        if keeper.writes_little() {
            self.finish_keeping(now, questions);
        }
    }

    /// Writes a part of it, and answers. Exchanges come between two parts: during a long write the ring would fill up.
    pub(super) fn keep_part(&mut self, now: Timestamp, questions: &Receiver<Request>) {
        let (keeper, mut known) = self.known();
        if !keeper.go_on(now, &mut known) {
            memory::release();
        }
        questions.try_iter().for_each(|request| self.answer(request));
    }

    /// Writes what is left of it.
    pub(super) fn finish_keeping(&mut self, now: Timestamp, questions: &Receiver<Request>) {
        while self.keeper.is_writing() {
            self.keep_part(now, questions);
        }
    }

    /// Who keeps, and what is known.
    fn known(&mut self) -> (&mut Keeper, Known<'_>) {
        let known = Known {
            inventory: &mut self.inventory,
            analysis: &mut self.analysis,
            assessor: &mut self.assessor,
        };
        (&mut self.keeper, known)
    }
}
