//! Script for the server's own interpreter: JavaScript of Node.js, Python, Perl, Ruby; and the prototype of all objects.

use std::sync::LazyLock;

use super::{
    Hit,
    class::Class,
    hints::Hints,
    needles::{self, Needles},
    scan::Bits,
    text::{Shape, Source, Text, at, from, is_word},
};

/// What leads out of an interpreter.
pub(super) const WAYS_OUT: &[&str] = &[
    "child_process",
    "require('",
    "require(\"",
    "require(`",
    "require.main",
    "process.mainmodule",
    "process.binding(",
    "global.process",
    "process.env",
    "process.exit",
    "process.kill",
    "constructor._load",
    "module._load",
    "import('fs",
    "import(\"fs",
    "global.require",
    "constructor.constructor(",
    "['constructor']",
    "[\"constructor\"]",
    "__import__(",
    "os.system(",
    "os.popen(",
    "subprocess.",
    "__subclasses__",
    "__globals__",
    "__builtins__",
    "eval(compile",
    "exec(compile",
    "@{[",
    "io.popen(",
    "kernel.exec",
    "kernel.system",
    "kernel.spawn",
    "kernel.fork",
    "kernel.open",
    "process.spawn",
    "process.fork",
    "process.clock",
    "process.exec",
    "process.wait",
    "process.detach",
    "%x(",
    "%x{",
    "io.readlines",
    "io.foreach",
    "io.binread",
    "io.binwrite",
    "io.write(",
    "file.read(",
    "file.open(",
    "dir.glob",
    "this.constructor",
    "string.fromcharcode",
    "readfilesync(",
    "execsync(",
    "spawnsync(",
    ".writefile(",
    "console.debug(",
    "console.log(process",
    "_$$nd_func$$_",
];

static REACHES: Needles = LazyLock::new(|| needles::build(WAYS_OUT));

/// Script in this value, or a name that reaches the prototype.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    let hit = |class, confidence, why| Some(Hit::new(class, confidence, why));
    if text.is_content() || !text.hints.any(Hints::CODE) {
        return None;
    }
    let lower = text.lower;
    let names = |word: &[u8]| memchr::memmem::find(lower, word).is_some();
    if lower.len() >= 9
        && (names(b"__proto__") || names(b"constructor.prototype") || names(b"constructor[prototype]"))
    {
        let place = text.source == Source::Name
            || names(b"__proto__.")
            || names(b"__proto__[")
            || names(b"\"__proto__\"")
            || names(b"constructor");
        if place {
            return hit(
                Class::PrototypePollution,
                0.85,
                "a name that reaches the prototype of all objects",
            );
        }
    }
    let bits = Bits::PAREN.or(Bits::SQUARE).or(Bits::DOT).or(Bits::BRACE);
    if text.shape == Shape::Prose || !text.bits.any(bits) || text.source == Source::FreeHeader {
        return None;
    }
    for (_, start, end) in needles::find_all(&REACHES, lower).take(8) {
        let joined = start > 0
            && (is_word(at(lower, start - 1)) || at(lower, start - 1) == b'/')
            && is_word(at(lower, start));
        // A file of that name, or a sentence about it, is none.
        let used = is_word(at(lower, end))
            || at(lower, end) == b' ' && !is_word(at(lower, end - 1))
            || matches!(
                at(lower, end),
                0 | b'('
                    | b')'
                    | b'['
                    | b']'
                    | b'.'
                    | b'\''
                    | b'"'
                    | b'`'
                    | b'\\'
                    | b'|'
                    | b';'
                    | b','
                    | b'$'
                    | b'/'
            );
        if !joined && used && !begins_prose(lower, start) {
            return hit(
                Class::CodeInjection,
                0.85,
                "script that leads out of its interpreter",
            );
        }
    }
    None
}

/// Two words of a sentence before.
fn begins_prose(lower: &[u8], start: usize) -> bool {
    super::text::prose_words(lower.get(..start).unwrap_or_default(), 2) >= 2
        || from(lower, start).starts_with(b"subprocess. ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_out_are_found_and_talk_is_not() {
        let class = |value: &str, source| {
            let lower = value.to_ascii_lowercase();
            detect(&Text::new(value.as_bytes(), lower.as_bytes(), source)).map(|hit| hit.class)
        };
        for value in [
            "require('child_process').exec('id')",
            "process.mainModule.require('fs')",
            "__import__('os').system('id')",
            "@{[system 'id']}",
            "this.constructor.constructor('return process')()",
        ] {
            assert_eq!(class(value, Source::Query), Some(Class::CodeInjection), "{value}");
        }
        for name in ["__proto__", "a[__proto__][x]", "constructor.prototype.x"] {
            assert_eq!(
                class(name, Source::Name),
                Some(Class::PrototypePollution),
                "{name}"
            );
        }
        for value in [
            "please require('x') in the module header",
            "requirements (all)",
            "subprocess count",
            "the constructor of the bridge",
            "process environment",
        ] {
            assert_eq!(class(value, Source::Query), None, "{value}");
        }
    }
}
