//! Declarations by which an XML document makes its parser read files, call hosts, or grow without end.

use super::{Hit, class::Class, scan::Bits, text::Text};

/// Such a declaration in a document, or in a value that is one.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    if !text.bits.any(Bits::ANGLE) || !text.has("<!") && !text.has(":include") {
        return None;
    }
    let hit = |confidence, why| Some(Hit::new(Class::Xxe, confidence, why));
    let lower = text.lower;
    let has = |needle: &str| text.has(needle);
    if has("<!entity") {
        if has("system") || has("public") || has("<!entity %") {
            return hit(0.95, "an external entity");
        }
        let entities = memchr::memmem::find_iter(lower, b"<!entity").take(3).count();
        return (entities >= 3).then(|| Hit::new(Class::Xxe, 0.85, "entities made of entities"));
    }
    if has("<!doctype") && has("system") && (has("://") || has("file:")) && !has("<!doctype html") {
        return hit(0.8, "an external document type");
    }
    (has(":include") && has("href=") && has("xinclude"))
        .then(|| Hit::new(Class::Xxe, 0.85, "an inclusion of another document"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::signature::text::Source;

    #[test]
    fn declarations_are_told_from_documents() {
        let is_xxe = |value: &str| {
            let lower = value.to_ascii_lowercase();
            detect(&Text::new(value.as_bytes(), lower.as_bytes(), Source::Body)).is_some()
        };
        for value in [
            "<?xml version=\"1.0\"?><!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><r>&x;</r>",
            "<!DOCTYPE r [<!ENTITY % p SYSTEM 'http://x.test/e.dtd'> %p;]>",
            "<!DOCTYPE r SYSTEM \"http://x.test/e.dtd\"><r/>",
            "<r xmlns:xi=\"http://www.w3.org/2001/XInclude\"><xi:include parse=\"text\" href=\"file:///x\"/></r>",
            "<!DOCTYPE z [<!ENTITY a \"x\"><!ENTITY b \"&a;&a;\"><!ENTITY c \"&b;&b;\">]>",
        ] {
            assert!(is_xxe(value), "{value}");
        }
        for value in [
            "<?xml version=\"1.0\"?><order system=\"public\"/>",
            "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0\" \"http://www.w3.org/TR/xhtml1.dtd\">",
            "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/a.dtd\">",
            "<!DOCTYPE r [<!ENTITY copy \"(c)\">]><r>&copy;</r>",
        ] {
            assert!(!is_xxe(value), "{value}");
        }
    }
}
