//! A head on its way from the [`super::reader`] to its exchange.

use std::sync::Arc;

use super::{
    head::{Fields, Kind, Parsed},
    known::{Heads, Known, Place},
};
use crate::exchange::Head;

/// A head that was found.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    /// It came before.
    Known(Arc<Known>),
    /// It came in one piece, and belongs to this place among the heads that are known.
    InPlace(Box<Parsed>, &'a [u8], Place),
    /// It was put together.
    Joined(Box<Parsed>, Vec<u8>),
}

impl Incoming<'_> {
    /// What it says.
    pub(super) fn parsed(&self) -> &Parsed {
        match self {
            Incoming::Known(known) => &known.parsed,
            Incoming::InPlace(parsed, ..) | Incoming::Joined(parsed, _) => parsed,
        }
    }

    /// Bytes of it, the empty line included.
    pub(super) fn len(&self) -> usize {
        match self {
            Incoming::Known(known) => known.bytes().len(),
            Incoming::InPlace(_, bytes, _) => bytes.len(),
            Incoming::Joined(_, bytes) => bytes.len(),
        }
    }

    /// The head of a message, its secrets masked by `mask`, which says whether there were none.
    pub(super) fn mask(
        self,
        kind: Kind,
        heads: &mut Heads,
        mask: impl FnOnce(&mut [u8], &Fields) -> bool,
    ) -> Head {
        let (parsed, buffer) = match self {
            // One with secrets is not known.
            Incoming::Known(known) => return known.head(),
            Incoming::InPlace(parsed, bytes, place) => {
                let buffer = heads.mask(place, kind, &parsed, bytes.to_vec(), |bytes| {
                    mask(bytes, &parsed.fields)
                });
                (parsed, buffer)
            }
            Incoming::Joined(parsed, mut bytes) => {
                mask(&mut bytes, &parsed.fields);
                (parsed, bytes.into())
            }
        };
        Head {
            buffer,
            fields: parsed.fields,
            cut: parsed.cut,
        }
    }
}
