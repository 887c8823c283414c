//! One object for people: a line for each member, blocks for what is nested.

use std::io::Write;

use serde_json::Value;

use super::{Failure, table::visible};

/// Writes an object as indented lines: `name: value`, nested objects and lists below their name.
pub(super) fn describe(out: &mut dyn Write, value: &Value, depth: usize) -> Result<(), Failure> {
    let indent = "  ".repeat(depth);
    for (name, member) in value.as_object().into_iter().flatten() {
        let name = visible(name);
        match member {
            Value::Object(inner) if inner.is_empty() => {}
            Value::Array(items) if items.is_empty() => {}
            Value::Null => {}
            Value::Object(_) => {
                writeln!(out, "{indent}{name}:")?;
                describe(out, member, depth + 1)?;
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                writeln!(out, "{indent}{name}:")?;
                for item in items {
                    writeln!(out, "{indent}  - {}", line(item))?;
                }
            }
            other => writeln!(out, "{indent}{name}: {}", line(other))?,
        }
    }
    Ok(())
}

/// A value in one line.
fn line(value: &Value) -> String {
    match value {
        Value::String(text) => visible(text).into_owned(),
        Value::Array(items) => items.iter().map(line).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let shown = members.iter().filter(|(_, member)| !member.is_null());
            shown
                .map(|(name, member)| format!("{}={}", visible(name), line(member)))
                .collect::<Vec<_>>()
                .join(" ")
        }
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_lines_and_lists_of_objects_are_blocks() {
        let row = json!({"id": "a", "hosts": ["x", "y"], "auth": {"verdict": "mixed"}, "owner": null, "callers": [],
            "sensitive": [{"type": "email", "path": "$.e\u{1b}"}]});
        let mut out = Vec::new();
        describe(&mut out, &row, 0).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "id: a\nhosts: x, y\nauth:\n  verdict: mixed\nsensitive:\n  - type=email path=$.e\\u{1b}\n"
        );
    }
}
