//! The types of a kernel, where they lie in its BTF.
//!
//! In: the bytes of a BTF section. Out: types by name and by number, members, enumerators. One pass notes where each type
//! begins and what has a name; nothing else is parsed before somebody asks, since a kernel has 100,000 types and the agent
//! wants 30. Refuses to believe the bytes: what does not lie within them is not there.
//!
//! The format: the kernel's `Documentation/bpf/btf.rst`.

use std::{collections::HashMap, hash::BuildHasher as _};

use anyhow::{Result, ensure};
use foldhash::fast::FixedState;
use smallvec::SmallVec;

/// Magic, version, flags, then five numbers of four bytes: its own length, and place and length of types and of strings.
const HEADER_BYTES: usize = 24;
const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
/// Name, `info`, and size or type.
const TYPE_BYTES: usize = 12;
/// Name, type, offset.
const MEMBER_BYTES: usize = 12;
/// Name, value.
const ENUMERATOR_BYTES: usize = 8;
/// `kind_flag`: offsets of members carry the width of a bit field in their first byte.
const KIND_FLAG: u32 = 1 << 31;
const BIT_OFFSET: u32 = 0x00ff_ffff;

/// A type's number. The first of the section is 1; 0 is `void`.
pub(super) type Id = u32;

/// What a type is, as far as somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A structure or union.
    Structure,
    Enumeration,
    /// Another name or a qualifier of the type with this number.
    Alias(Id),
    Other,
}

/// A member of a structure or union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member<'a> {
    /// Empty for an anonymous one.
    pub(super) name: &'a [u8],
    pub(super) bits: u32,
    pub(super) of: Id,
}

/// The types of a kernel.
pub(super) struct Types {
    bytes: Vec<u8>,
    /// Where the names begin and end in `bytes`.
    names: (usize, usize),
    /// Where the types begin in `bytes`, the one with number 1 first.
    places: Vec<u32>,
    /// Numbers of types, by the hash of their name: it may be another's, too.
    named: HashMap<u64, SmallVec<[Id; 2]>, FixedState>,
}

/// The first three numbers of a type.
#[derive(Clone, Copy)]
struct Record {
    at: usize,
    name: u32,
    info: u32,
    other: u32,
}

impl Record {
    fn kind(self) -> u32 {
        self.info >> 24 & 0x1f
    }

    fn count(self) -> usize {
        (self.info & 0xffff) as usize
    }

    /// Bytes that follow the first three numbers; `None` for a kind that this has not heard of.
    fn more(self) -> Option<usize> {
        Some(match self.kind() {
            // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
            2 | 7..=12 | 16 | 18 => 0,
            // INT, VAR, DECL_TAG
            1 | 14 | 17 => 4,
            // ARRAY
            3 => 12,
            // STRUCT, UNION, DATASEC, ENUM64
            4 | 5 | 15 | 19 => self.count() * MEMBER_BYTES,
            // ENUM, FUNC_PROTO
            6 | 13 => self.count() * ENUMERATOR_BYTES,
            _ => return None,
        })
    }

    fn meaning(self) -> Kind {
        match self.kind() {
            4 | 5 => Kind::Structure,
            6 => Kind::Enumeration,
            8..=11 | 18 => Kind::Alias(self.other),
            _ => Kind::Other,
        }
    }
}

impl Types {
    /// Notes where the types begin.
    ///
    /// # Errors
    /// When the bytes are not BTF, of another byte order, or have a type of a kind that is not known: what follows it could not
    /// be found.
    pub(super) fn new(bytes: Vec<u8>) -> Result<Self> {
        ensure!(bytes.len() >= HEADER_BYTES, "{} bytes are no BTF", bytes.len());
        let magic = bytes.first_chunk().map(|magic| u16::from_ne_bytes(*magic));
        ensure!(
            magic == Some(MAGIC),
            "these bytes are no BTF of this machine's byte order"
        );
        ensure!(bytes.get(2) == Some(&VERSION), "BTF of an unknown version");
        let number = |at| read(&bytes, at).map_or(usize::MAX, |number| number as usize);
        let part = |offset_at, length_at| {
            let start = number(4).checked_add(number(offset_at))?;
            let end = start.checked_add(number(length_at))?;
            (end <= bytes.len()).then_some((start, end))
        };
        let (Some(types), Some(names)) = (part(8, 12), part(16, 20)) else {
            anyhow::bail!("BTF that ends early");
        };
        let mut all = Self {
            // A type takes some 30 bytes.
            places: Vec::with_capacity((types.1 - types.0) / 30),
            named: HashMap::with_capacity_and_hasher((types.1 - types.0) / 60, FixedState::default()),
            names,
            bytes,
        };
        all.note(types)?;
        Ok(all)
    }

    fn note(&mut self, (start, end): (usize, usize)) -> Result<()> {
        let mut at = start;
        while at < end {
            let record = self.record(at);
            let next = record.and_then(|record| Some(at + TYPE_BYTES + record.more()?));
            let (Some(record), Some(next)) = (record, next.filter(|next| *next <= end)) else {
                anyhow::bail!("type {} of the BTF does not parse", self.places.len() + 1);
            };
            self.places.push(at as u32);
            if record.name != 0 {
                let hash = hash(self.name(record.name));
                self.named.entry(hash).or_default().push(self.places.len() as Id);
            }
            at = next;
        }
        Ok(())
    }

    /// Numbers of the types of this name.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Id> + 'a {
        let ids = self.named.get(&hash(name.as_bytes()));
        let is_meant = |id: &Id| {
            self.by_id(*id)
                .is_some_and(|record| self.name(record.name) == name.as_bytes())
        };
        ids.into_iter().flatten().copied().filter(is_meant)
    }

    /// What a type is.
    pub(super) fn kind(&self, id: Id) -> Kind {
        self.by_id(id).map_or(Kind::Other, Record::meaning)
    }

    /// Members of a structure or union, in order; none of anything else.
    pub(super) fn members(&self, id: Id) -> impl Iterator<Item = Member<'_>> {
        let record = self
            .by_id(id)
            .filter(|record| record.meaning() == Kind::Structure);
        let mask = match record.is_some_and(|record| record.info & KIND_FLAG != 0) {
            true => BIT_OFFSET,
            false => u32::MAX,
        };
        entries(record, MEMBER_BYTES).filter_map(move |at| {
            Some(Member {
                name: self.name(read(&self.bytes, at)?),
                of: read(&self.bytes, at + 4)?,
                bits: read(&self.bytes, at + 8)? & mask,
            })
        })
    }

    /// Names and values of an enumeration, in order; none of anything else.
    pub(super) fn enumerators(&self, id: Id) -> impl Iterator<Item = (&[u8], u32)> {
        let record = self
            .by_id(id)
            .filter(|record| record.meaning() == Kind::Enumeration);
        entries(record, ENUMERATOR_BYTES)
            .filter_map(|at| Some((self.name(read(&self.bytes, at)?), read(&self.bytes, at + 4)?)))
    }

    fn by_id(&self, id: Id) -> Option<Record> {
        let place = (id as usize).checked_sub(1)?;
        self.record(*self.places.get(place)? as usize)
    }

    fn record(&self, at: usize) -> Option<Record> {
        Some(Record {
            at,
            name: read(&self.bytes, at)?,
            info: read(&self.bytes, at + 4)?,
            other: read(&self.bytes, at + 8)?,
        })
    }

    /// The string that begins there; empty for one that does not lie within the names.
    fn name(&self, offset: u32) -> &[u8] {
        let (start, end) = self.names;
        let rest = self.bytes.get(start + offset as usize..end).unwrap_or_default();
        let length = memchr::memchr(0, rest).unwrap_or_default();
        rest.get(..length).unwrap_or_default()
    }
}

/// Where the entries behind a type's first three numbers begin.
fn entries(record: Option<Record>, bytes: usize) -> impl Iterator<Item = usize> {
    let range = record.map_or(0..0, |record| {
        let first = record.at + TYPE_BYTES;
        first..first + record.count() * bytes
    });
    range.step_by(bytes)
}

fn read(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

fn hash(name: &[u8]) -> u64 {
    FixedState::default().hash_one(name)
}
