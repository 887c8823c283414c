//! Secrets and real persons' numbers in examples and defaults: documents are copied further than one thinks.

use serde_json::Value;

use super::Checked;
use crate::{
    inventory::sensitive::{self, Grade, SensitiveType},
    openapi::read::parse,
    verdict::Severity,
};

/// Nesting that is looked at. Overflow policy: what is deeper is not checked.
const MAX_DEPTH: usize = 64;

/// Values that are looked at. Overflow policy: the first so many.
const MAX_VALUES: usize = 200_000;

/// Members that hold example values.
const HOLDERS: [&str; 5] = ["example", "examples", "default", "x-example", "x-examples"];

pub(super) fn check(checked: &mut Checked<'_>) {
    let Ok(root) = parse(checked.given.text().as_bytes()) else {
        return;
    };
    let mut found = Found {
        left: MAX_VALUES,
        found: Vec::new(),
    };
    found.walk(&root, &mut Vec::new(), false);
    for (pointer, kind) in found.found {
        checked.document(
            "secret_in_example",
            Severity::Medium,
            &pointer,
            format!("an example holds what looks like {}", kind.as_str()),
            "Replace it by one that is made up, and replace the secret if it was real.",
        );
    }
}

struct Found {
    left: usize,
    found: Vec<(String, SensitiveType)>,
}

impl Found {
    fn walk<'a>(&mut self, value: &'a Value, path: &mut Vec<&'a str>, is_example: bool) {
        if path.len() > MAX_DEPTH || self.left == 0 {
            return;
        }
        self.left -= 1;
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    path.push(name);
                    self.walk(member, path, is_example || HOLDERS.contains(&name.as_str()));
                    path.pop();
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, path, is_example)),
            Value::String(text) if is_example => {
                // `example` stands inside the schema of the field that names it.
                let name = path.iter().rev().find(|name| !HOLDERS.contains(*name));
                let name = name.copied().unwrap_or_default();
                if let Some(kind) = secret(name, text) {
                    self.found.push((pointer(path), kind));
                }
            }
            _ => {}
        }
    }
}

/// Passwords by name are mostly made up; what a checksum or a maker's mark tells is not.
fn secret(name: &str, text: &str) -> Option<SensitiveType> {
    let found = sensitive::classify(name, text, false)?;
    let is_secret = matches!(
        found.kind,
        SensitiveType::Secret
            | SensitiveType::PrivateKey
            | SensitiveType::Jwt
            | SensitiveType::CardPan
            | SensitiveType::Iban
            | SensitiveType::Ssn
    );
    (is_secret && found.grade == Grade::Checksum).then_some(found.kind)
}

fn pointer(path: &[&str]) -> String {
    path.iter()
        .map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1")))
        .collect()
}
