//! Directives of server-side includes and edge-side includes.

use super::{
    Hit,
    class::Class,
    scan::Bits,
    text::{Text, from},
};

/// A directive in this value.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    if text.is_content() || !text.bits.any(Bits::ANGLE) || !text.has("<!--#") && !text.has("<esi:") {
        return None;
    }
    let directive = memchr::memmem::find_iter(text.lower, b"<!--#").any(|place| {
        let rest = from(text.lower, place + 5).trim_ascii_start();
        [
            &b"exec"[..],
            b"include",
            b"echo",
            b"printenv",
            b"config",
            b"set",
            b"fsize",
            b"flastmod",
            b"if ",
        ]
        .iter()
        .any(|known| rest.starts_with(known))
    });
    let edge = ["<esi:include", "<esi:inline", "<esi:vars", "<esi:debug"]
        .iter()
        .any(|known| text.has(known));
    (directive || edge).then(|| {
        Hit::new(
            Class::SsiInjection,
            0.95,
            "a directive that the server would follow",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::signature::text::Source;

    #[test]
    fn directives_are_found_and_comments_are_not() {
        let is_ssi = |value: &str| {
            let lower = value.to_ascii_lowercase();
            detect(&Text::new(value.as_bytes(), lower.as_bytes(), Source::Query)).is_some()
        };
        assert!(is_ssi("<!--#exec cmd=\"ls\" -->"));
        assert!(is_ssi("<esi:include src=http://x.test/>"));
        assert!(!is_ssi("<!-- a comment -->"));
        assert!(!is_ssi("<!--#1 priority -->"));
    }
}
