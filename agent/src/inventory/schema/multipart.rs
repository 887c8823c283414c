//! Parts of a `multipart/form-data` body (RFC 7578).
//!
//! In: the sample of a body, perhaps cut, and the value of its `content-type`. Out: the name of each part with its
//! text, or that it is a file. The contents of files are passed over. A part that is cut is left out.

/// Parts of one body. Overflow policy: the first so many.
const MAX_PARTS: usize = 64;

/// Longest head of a part. Overflow policy: such a part is passed over.
const MAX_HEAD_BYTES: usize = 1024;

/// Longest text of a part. Overflow policy: it counts as a file.
const MAX_TEXT_BYTES: usize = 4096;

/// One part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    /// `None` for a file.
    pub(super) text: Option<&'a str>,
}

/// The boundary that a media type names; `None` if it is no form.
pub(super) fn boundary(content_type: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(content_type).ok()?;
    let mut parts = text.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parts.find_map(|part| parameter(part, "boundary"))?;
    // RFC 2046 §5.1.1.
    (1..=70).contains(&boundary.len()).then_some(boundary)
}

/// All parts that are whole.
pub(super) fn parts<'a>(body: &'a [u8], boundary: &str) -> impl Iterator<Item = Part<'a>> {
    let mark = format!("--{boundary}");
    let mut rest = memchr::memmem::find(body, mark.as_bytes())
        .and_then(|at| body.get(at + mark.len()..))
        .unwrap_or_default();
    let close = format!("\r\n{mark}");
    std::iter::from_fn(move || {
        loop {
            // After the last boundary stands `--`, after the others the end of the line.
            let after = rest.strip_prefix(b"\r\n")?;
            let end = memchr::memmem::find(after, close.as_bytes())?;
            let (content, next) = after.split_at_checked(end)?;
            rest = next.get(close.len()..).unwrap_or_default();
            if let Some(part) = part(content) {
                return Some(part);
            }
        }
    })
    .take(MAX_PARTS)
}

fn part(content: &[u8]) -> Option<Part<'_>> {
    let window = content.get(..MAX_HEAD_BYTES).unwrap_or(content);
    let end = memchr::memmem::find(window, b"\r\n\r\n")?;
    let head = std::str::from_utf8(content.get(..end)?).ok()?;
    let value = content.get(end + 4..)?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim()
            .eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    })?;
    let mut parameters = disposition.split(';').map(str::trim);
    let name = parameters.clone().find_map(|part| parameter(part, "name"))?;
    let is_file = parameters.any(|part| parameter(part, "filename").is_some());
    let text = std::str::from_utf8(value)
        .ok()
        .filter(|text| !is_file && text.len() <= MAX_TEXT_BYTES);
    Some(Part { name, text })
}

/// The value of `name=value` or `name="value"`.
fn parameter<'a>(part: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = part.split_once('=')?;
    key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "--x1\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nHello\r\n\
        --x1\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\
        \u{1}\u{2}\r\n--x1\r\nContent-Type: text/plain\r\n\r\nno name\r\n--x1--\r\n";

    #[test]
    fn texts_and_files() {
        let boundary = boundary(b"multipart/form-data; charset=utf-8; boundary=\"x1\"").expect("boundary");
        let found: Vec<_> = parts(BODY.as_bytes(), boundary).collect();
        let title = Part {
            name: "title",
            text: Some("Hello"),
        };
        let photo = Part {
            name: "photo",
            text: None,
        };
        assert_eq!(found, [title, photo]);
        assert_eq!(super::boundary(b"multipart/mixed; boundary=x"), None);
        assert_eq!(super::boundary(b"multipart/form-data"), None);
    }

    #[test]
    fn a_cut_body_ends_with_its_last_whole_part() {
        let whole = BODY.match_indices("--x1").map(|(at, mark)| at + mark.len());
        let ends: Vec<usize> = whole.skip(1).take(2).collect();
        for end in 0..BODY.len() {
            let expected = ends.iter().filter(|whole| end >= **whole).count();
            assert_eq!(parts(&BODY.as_bytes()[..end], "x1").count(), expected, "{end}");
        }
    }
}
