//! How many fields may still be kept: the memory of all endpoints is bounded, not only that of each.

/// Room for fields that are new, of all endpoints together.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::inventory) struct FieldRoom {
    /// So many fit.
    left: usize,
    /// Values of fields that did not.
    pub(in crate::inventory) refused: u64,
}

impl FieldRoom {
    /// For so many.
    pub(in crate::inventory) fn of(fields: usize) -> Self {
        Self {
            left: fields,
            refused: 0,
        }
    }

    /// Takes the room for one, if there is any.
    pub(super) fn take(&mut self) -> bool {
        self.refused += u64::from(self.left == 0);
        let is_there = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_there
    }
}
