//! Header compression (RFC 7541): a decoder that can join in the middle.
//!
//! In: whole header blocks of one direction, in order, and word of blocks that were not seen. Out: fields. From the
//! start of a connection every field is exact. After a loss, fields that refer to entries from before it are
//! unknown, and said to be; all others are exact. Refuses to guess a name or a value.

mod huffman;
mod primitive;
mod static_table;
mod table;

#[cfg(test)]
mod stories;

use primitive::Reader;
use table::{Lookup, Table};

/// A field; what is `None` was told before the decoder joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) name: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

/// Why a block ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Error {
    /// It goes on behind its last byte. Fields before that were exact.
    Truncated,
    /// It cannot come from a conforming encoder.
    Malformed,
}

/// The decoder of one direction.
#[derive(Debug)]
pub(super) struct Decoder {
    table: Table,
    /// Decoded name and value of the field at hand.
    name: Vec<u8>,
    value: Vec<u8>,
}

/// Memory kept for decoding between blocks, in bytes.
const KEPT_BYTES: usize = 1024;

impl Decoder {
    /// At the start of a connection.
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(),
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Blocks may have passed unseen.
    pub(super) fn lose(&mut self) {
        self.table.lose();
    }

    /// Decodes a block. After an error the table counts as lost.
    pub(super) fn decode(&mut self, block: &[u8], mut each: impl FnMut(Field<'_>)) -> Result<(), Error> {
        let mut reader = Reader::new(block);
        let mut result = Ok(());
        while let (Some(first), Ok(())) = (reader.peek(), result) {
            result = self.representation(first, &mut reader, &mut each);
        }
        for scratch in [&mut self.name, &mut self.value] {
            if scratch.capacity() > KEPT_BYTES {
                *scratch = Vec::new();
            }
        }
        if result.is_err() {
            self.lose();
        }
        result
    }

    fn representation(
        &mut self,
        first: u8,
        reader: &mut Reader<'_>,
        each: &mut impl FnMut(Field<'_>),
    ) -> Result<(), Error> {
        // RFC 7541 §6: the first bits say which representation it is.
        match first {
            0x80.. => {
                let index = reader.integer(7)?;
                each(lookup(&self.table, index)?);
                Ok(())
            }
            0x40.. => self.literal(reader, 6, Indexing::Added, each),
            0x20.. => {
                self.table.resize(reader.integer(5)? as usize);
                Ok(())
            }
            _ => self.literal(reader, 4, Indexing::None, each),
        }
    }

    fn literal(
        &mut self,
        reader: &mut Reader<'_>,
        bits: u32,
        indexing: Indexing,
        each: &mut impl FnMut(Field<'_>),
    ) -> Result<(), Error> {
        let index = reader.integer(bits)?;
        if index == 0 {
            let name = reader.string(&mut self.name)?;
            let value = reader.string(&mut self.value)?;
            each(Field {
                name: Some(name),
                value: Some(value),
            });
            if indexing == Indexing::Added {
                self.table.insert(Some(name), value);
            }
            return Ok(());
        }
        let Field { name, .. } = lookup(&self.table, index)?;
        let value = reader.string(&mut self.value)?;
        each(Field {
            name,
            value: Some(value),
        });
        if indexing == Indexing::Added {
            // The name may stand in the table, which is about to change.
            let name = name.map(<[u8]>::to_vec);
            self.table.insert(name.as_deref(), value);
        }
        Ok(())
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.table.memory() + self.name.capacity() + self.value.capacity()
    }
}

/// Whether a literal field is added to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Indexing {
    None,
    Added,
}

fn lookup(table: &Table, index: u32) -> Result<Field<'_>, Error> {
    let index = (index as usize).checked_sub(1).ok_or(Error::Malformed)?;
    if let Some((name, value)) = static_table::FIELDS.get(index) {
        return Ok(Field {
            name: Some(name),
            value: Some(value),
        });
    }
    match table.get(index - static_table::FIELDS.len()) {
        Lookup::Known(name, value) => Ok(Field {
            name,
            value: Some(value),
        }),
        Lookup::Unknown => Ok(Field {
            name: None,
            value: None,
        }),
        Lookup::Missing => Err(Error::Malformed),
    }
}
