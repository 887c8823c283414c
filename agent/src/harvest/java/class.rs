//! What a class file says in its annotations (Java Virtual Machine Specification, chapter 4).
//!
//! In: the bytes of one class. Out: the annotations of the class and of its methods that are kept at run time, strings and
//! names of enumerations in them. Code, fields and everything else is passed over. Hostile bytes end the reading.

/// Annotations of one class or method, values of one annotation. Overflow policy: the class is not read.
const MAX_VALUES: u16 = 256;

/// Annotations inside annotations. Overflow policy: the class is not read.
const MAX_DEPTH: u8 = 4;

/// An annotation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Annotation {
    /// Descriptor of its type: `Lorg/example/Get;`.
    pub(super) kind: String,
    /// Names of elements with the strings in them.
    pub(super) texts: Vec<(String, String)>,
    /// Names of constants of enumerations in it.
    pub(super) choices: Vec<String>,
}

impl Annotation {
    /// The name of its type, if that is right in a package (as descriptors begin).
    pub(super) fn named(&self, package: &str) -> Option<&str> {
        let name = self.kind.strip_prefix(package)?.strip_suffix(';')?;
        (!name.contains('/')).then_some(name)
    }

    /// The strings of elements with these names; one that is empty where there are none.
    pub(super) fn paths(&self, names: &[&str]) -> Vec<String> {
        let texts = self.texts.iter();
        let found: Vec<String> = texts
            .filter(|(name, _)| names.contains(&name.as_str()))
            .map(|(_, text)| text.clone())
            .collect();
        if found.is_empty() {
            vec![String::new()]
        } else {
            found
        }
    }
}

/// The annotations of a class.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Class {
    pub(super) annotations: Vec<Annotation>,
    /// Of each method that has some.
    pub(super) methods: Vec<Vec<Annotation>>,
}

/// Reads a class; `None` if it is none.
pub(super) fn read(bytes: &[u8]) -> Option<Class> {
    let mut reader = Reader {
        rest: bytes,
        pool: Vec::new(),
    };
    if reader.long()? != 0xcafe_babe {
        return None;
    }
    reader.skip(4)?;
    reader.read_pool()?;
    reader.skip(6)?;
    let interfaces = reader.short()?;
    reader.skip(2 * usize::from(interfaces))?;
    let fields = reader.short()?;
    for _ in 0..fields {
        reader.skip(6)?;
        reader.attributes()?;
    }
    let mut class = Class::default();
    let methods = reader.short()?;
    for _ in 0..methods {
        reader.skip(6)?;
        let annotations = reader.attributes()?;
        if !annotations.is_empty() {
            class.methods.push(annotations);
        }
    }
    class.annotations = reader.attributes()?;
    Some(class)
}

struct Reader<'a> {
    rest: &'a [u8],
    /// Texts of the constant pool; other constants have none.
    pool: Vec<Option<&'a [u8]>>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(|_| ())
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn short(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn long(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn read_pool(&mut self) -> Option<()> {
        let count = usize::from(self.short()?);
        self.pool.push(None);
        while self.pool.len() < count {
            let mut text = None;
            match self.byte()? {
                1 => {
                    let length = self.short()?;
                    text = Some(self.take(usize::from(length))?);
                }
                3 | 4 | 9 | 10 | 11 | 12 | 17 | 18 => self.skip(4)?,
                5 | 6 => {
                    self.skip(8)?;
                    // These take two places.
                    self.pool.push(None);
                }
                7 | 8 | 16 | 19 | 20 => self.skip(2)?,
                15 => self.skip(3)?,
                _ => return None,
            }
            self.pool.push(text);
        }
        Some(())
    }

    fn text(&self, at: u16) -> Option<String> {
        let bytes = (*self.pool.get(usize::from(at))?)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The annotations among the attributes that follow.
    fn attributes(&mut self) -> Option<Vec<Annotation>> {
        let mut found = Vec::new();
        let count = self.short()?;
        for _ in 0..count {
            let name = self.short()?;
            let length = usize::try_from(self.long()?).ok()?;
            let content = self.take(length)?;
            let is_annotations = self.pool.get(usize::from(name)).copied().flatten()
                == Some(b"RuntimeVisibleAnnotations".as_slice());
            if !is_annotations {
                continue;
            }
            let behind = std::mem::replace(&mut self.rest, content);
            let annotations = self.short()?;
            if annotations > MAX_VALUES {
                return None;
            }
            for _ in 0..annotations {
                found.push(self.annotation(0)?);
            }
            self.rest = behind;
        }
        Some(found)
    }

    fn annotation(&mut self, depth: u8) -> Option<Annotation> {
        let mut annotation = Annotation::default();
        let kind = self.short()?;
        annotation.kind = self.text(kind)?;
        let count = self.short()?;
        if count > MAX_VALUES || depth > MAX_DEPTH {
            return None;
        }
        for _ in 0..count {
            let name = self.short()?;
            let name = self.text(name)?;
            self.value(&name, &mut annotation, depth)?;
        }
        Some(annotation)
    }

    fn value(&mut self, name: &str, annotation: &mut Annotation, depth: u8) -> Option<()> {
        match self.byte()? {
            b's' => {
                let at = self.short()?;
                annotation.texts.push((name.to_owned(), self.text(at)?));
            }
            b'e' => {
                self.skip(2)?;
                let at = self.short()?;
                annotation.choices.push(self.text(at)?);
            }
            b'B' | b'C' | b'D' | b'F' | b'I' | b'J' | b'S' | b'Z' | b'c' => self.skip(2)?,
            b'@' => drop(self.annotation(depth + 1)?),
            b'[' => {
                let count = self.short()?;
                if count > MAX_VALUES || depth > MAX_DEPTH {
                    return None;
                }
                for _ in 0..count {
                    self.value(name, annotation, depth + 1)?;
                }
            }
            _ => return None,
        }
        Some(())
    }
}
