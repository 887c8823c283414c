//! What reading one message leaves for the next, whichever endpoint it is of.

use super::{
    super::sensitive::SensitiveType,
    FieldRoom,
    paths::Paths,
    walk::{Event, walk},
};

/// Places that are remembered from one JSON text to the next. Overflow policy: all are forgotten, and worked out again.
const MAX_PLACES: usize = 1_024;

/// Reads messages.
#[derive(Debug, Default)]
pub(in crate::inventory) struct Reader {
    /// Room for new fields.
    pub(in crate::inventory) room: FieldRoom,
    /// Of texts before: names are much the same again and again.
    paths: Paths,
    /// Types of sensitive data in the answer that was read last, one for each value that has one.
    pub(super) found: Vec<SensitiveType>,
}

impl Reader {
    /// With room for so many fields.
    pub(in crate::inventory) fn of(fields: usize) -> Self {
        Self {
            room: FieldRoom::of(fields),
            ..Self::default()
        }
    }

    /// Types of sensitive data in the answer that was read last, one for each value that has one.
    pub(in crate::inventory) fn found(&self) -> &[SensitiveType] {
        &self.found
    }

    /// Walks a JSON text. Whether a bound was reached.
    pub(super) fn walk(&mut self, text: &[u8], mut visit: impl FnMut(&mut Self, Event<'_>)) -> bool {
        let mut paths = std::mem::take(&mut self.paths);
        let is_cut = walk(text, &mut paths, |event| visit(self, event)).is_cut;
        if paths.len() <= MAX_PLACES {
            self.paths = paths;
        }
        is_cut
    }
}
