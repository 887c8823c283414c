//! What the connections of one shard leave to each other, so that an exchange costs few blocks of memory.
//!
//! In: blocks of exchanges that are over, heads that were parsed. Out: the same, to those that come. Nothing of an
//! exchange is left in its block. Bounded: by numbers here, and by those of [`Heads`].

use super::{known::Heads, pending::Pending};

/// Blocks that are kept, of some 900 bytes each. Overflow policy: further ones are given back to the C library.
const MAX_BLOCKS: usize = 64;

/// Blocks and heads.
#[derive(Debug, Default)]
pub(crate) struct Reuse {
    pub(super) heads: Heads,
    // Boxed, as those under way are: what is kept are the boxes.
    #[expect(clippy::vec_box, reason = "the boxes themselves are kept")]
    blocks: Vec<Box<Pending>>,
}

impl Reuse {
    /// A block for an exchange, if one was left.
    pub(super) fn take_block(&mut self) -> Option<Box<Pending>> {
        self.blocks.pop()
    }

    /// Keeps the block of an exchange that is over.
    pub(super) fn leave_block(&mut self, block: Box<Pending>) {
        if self.blocks.len() < MAX_BLOCKS {
            self.blocks.push(block);
        }
    }
}
