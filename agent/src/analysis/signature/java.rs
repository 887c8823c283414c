//! Classes and expressions of the Java platform that lead to its runtime: OGNL, SpEL, class loaders, gadget classes.
//!
//! Names of exceptions and of plain types are data: stack traces and schemas are full of them.

use std::sync::LazyLock;

use super::{
    Hit,
    class::Class,
    hints::Hints,
    needles::{self, Needles},
    scan::Bits,
    text::{Shape, Text, at, from, is_word, take_while},
};

/// What leads to the runtime wherever it stands.
pub(super) const CLASSES: &[&str] = &[
    "java.lang.runtime",
    "java.lang.processbuilder",
    "java.lang.class",
    "java.lang.system",
    "java.lang.process",
    "java.lang.reflect",
    "java.lang.thread",
    "java.lang.object",
    "java.lang.math",
    "getruntime(",
    "runtime.exec",
    "runtime().exec",
    "getclass()",
    "getclass(",
    "class.forname",
    "classloader",
    "class.module.",
    "class['",
    "class[\"",
    "#_memberaccess",
    "@ognl",
    "ognl.",
    "#context",
    "#_classresolver",
    "@java.",
    "%{(#",
    "%{#",
    "#cmd=",
    "javax.script",
    "scriptengine",
    "org.apache.commons.collections",
    "org.apache.commons.beanutils",
    "org.apache.struts",
    "org.codehaus.groovy",
    "org.springframework.expression",
    "com.opensymphony.xwork2",
    "com.sun.org.apache",
    "freemarker.template",
    "bsh.",
    "java.net.url",
    "java.net.socket",
    "java.io.file",
    "java.io.objectinputstream",
    "java.nio.file",
    "java.util.scanner",
    "java.beans.",
    "$class",
    "javax.el.",
    "unsafe.getunsafe",
    "processimpl",
    "unixprocess",
    "new java.",
    "t(java.",
    "xmldecoder",
];

static REACHES: Needles = LazyLock::new(|| needles::build(CLASSES));

/// Names of gadgets of deserialisation and of what they end in; they come as pairs.
pub(super) const GADGET_CLASSES: &[&str] = &[
    "clonetransformer",
    "forclosure",
    "instantiatefactory",
    "instantiatetransformer",
    "invokertransformer",
    "prototypeclonefactory",
    "prototypeserializationfactory",
    "whileclosure",
    "getproperty",
    "filewriter",
    "xmldecoder",
    "processbuilder",
    "chainedtransformer",
    "lazymap",
    "templatesimpl",
    "badattributevalueexpexception",
];

static GADGETS: Needles = LazyLock::new(|| needles::build(GADGET_CLASSES));

/// Java in this value.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    let hit = |confidence, why| Some(Hit::new(Class::JavaInjection, confidence, why));
    if text.is_content()
        || !text.hints.any(Hints::JAVA)
        || text.shape == Shape::Prose
        || !text
            .bits
            .any(Bits::DOT.or(Bits::PAREN).or(Bits::BRACE).or(Bits::SQUARE))
    {
        return None;
    }
    let lower = text.lower;
    for (_, start, end) in needles::find_all(&REACHES, lower).take(8) {
        let joined = start > 0 && is_word(at(lower, start - 1)) && is_word(at(lower, start));
        let tail = take_while(from(lower, end), |byte| is_word(byte) || byte == b'.');
        let harmless = tail.ends_with(b"exception") || tail.ends_with(b"error");
        if !joined && !harmless {
            return hit(0.85, "a class that leads to the Java runtime");
        }
    }
    let gadgets = needles::find_all(&GADGETS, lower).take(3).count();
    if gadgets >= 2 {
        return hit(0.85, "gadget classes of Java");
    }
    let names = |word: &[u8]| {
        memchr::memmem::find(lower, word).is_some_and(|place| place == 0 || !is_word(at(lower, place - 1)))
    };
    let runs = names(b"processbuilder")
        || memchr::memmem::find(lower, b"runtime")
            .is_some_and(|place| !is_word(at(lower, place + 7)) && place > 0 && at(lower, place - 1) == b'.');
    (runs && names(b"java.")).then(|| {
        Hit::new(
            Class::JavaInjection,
            0.8,
            "a class that leads to the Java runtime",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::signature::text::Source;

    #[test]
    fn the_runtime_is_found_and_types_are_not() {
        let is_java = |value: &str| {
            let lower = value.to_ascii_lowercase();
            detect(&Text::new(value.as_bytes(), lower.as_bytes(), Source::Query)).is_some()
        };
        for value in [
            "java.lang.Runtime.getRuntime().exec('id')",
            "%{(#_memberAccess['x']=true)}",
            "class.module.classLoader.resources",
            "java.evil.runtime",
            "ProcessBuilder.evil.clonetransformer",
            "''.getClass().forName('x')",
        ] {
            assert!(is_java(value), "{value}");
        }
        for value in [
            "java.lang.String",
            "java.lang.NullPointerException: x",
            "java.util.List",
            "java developer (senior)",
            "runtime.goos",
            "node.runtime: 18",
            "com.example.Order",
        ] {
            assert!(!is_java(value), "{value}");
        }
    }
}
