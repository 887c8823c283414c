//! Writes the documented configuration file from the schema.
//!
//! In: nothing. Out: TOML with every key, its description, its range and its default. Keys whose default depends
//! on the host are commented out, so the file as printed changes nothing.

use serde_json::{Map, Value};

use super::{check::choices, schema};

/// Columns of a comment.
const WIDTH: usize = 96;

/// The whole configuration with its defaults, documented: what `apiarist config print` shows.
pub fn template() -> String {
    let schema = schema();
    let mut out = String::new();
    comment(&mut out, description(&schema));
    table(&mut out, &schema, "", schema.get("properties"));
    out
}

fn table(out: &mut String, schema: &Value, path: &str, properties: Option<&Value>) {
    let empty = Map::new();
    let properties = properties.and_then(Value::as_object).unwrap_or(&empty);
    let (tables, keys): (Vec<_>, Vec<_>) = properties
        .iter()
        .partition(|(_, property)| property.get("properties").is_some());
    for (name, property) in keys {
        out.push('\n');
        key(out, name, property, schema);
    }
    for (name, property) in tables {
        let full = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        out.push('\n');
        comment(out, description(property));
        out.push_str(&format!("[{full}]\n"));
        table(out, property, &full, property.get("properties"));
    }
}

fn key(out: &mut String, name: &str, property: &Value, parent: &Value) {
    let mut text = description(property).to_owned();
    let choices = choices(property);
    if !choices.is_empty() {
        text.push_str(&format!(" One of {}.", choices.join(", ")));
    }
    let bound = |name: &str| {
        property
            .get(name)
            .filter(|bound| property.get("items").is_none() && bound.is_number())
    };
    match (bound("minimum"), bound("maximum")) {
        (Some(low), Some(high)) => text.push_str(&format!(" From {low} to {high}.")),
        (Some(low), None) => text.push_str(&format!(" At least {low}.")),
        _ => {}
    }
    comment(out, &text);
    let default = property
        .get("default")
        .or_else(|| parent.get("default").and_then(|defaults| defaults.get(name)));
    match default {
        Some(value) if !value.is_null() => out.push_str(&format!("{name} = {}\n", literal(value))),
        _ => {
            let example = property.pointer("/examples/0").unwrap_or(&Value::Null);
            out.push_str(&format!("# {name} = {}\n", literal(example)));
        }
    }
}

fn description(schema: &Value) -> &str {
    schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// JSON and TOML agree on how the scalars and lists used here are written.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".to_owned(),
        other => other.to_string(),
    }
}

fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH && line.len() > 1 {
            out.push_str(&line);
            out.push('\n');
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > 1 {
        out.push_str(&line);
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_description_and_a_line() {
        fn walk(schema: &Value, seen: &mut Vec<String>) {
            for (name, property) in schema
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                assert!(!description(property).is_empty(), "{name} is not documented");
                seen.push(name.clone());
                walk(property, seen);
            }
        }
        let mut keys = Vec::new();
        walk(&schema(), &mut keys);
        assert!(keys.len() > 15, "{keys:?}");
        let text = template();
        for key in keys {
            assert!(
                text.contains(&format!("{key} = ")) || text.contains(&format!("{key}]")),
                "{key}\n{text}"
            );
        }
    }

    #[test]
    fn ranges_and_choices_are_told() {
        let text = template();
        assert!(text.contains("From 256 to 65536."), "{text}");
        assert!(text.contains("One of text, json."), "{text}");
        assert!(text.contains("# path = \"/var/lib/apiarist\""), "{text}");
    }
}
