//! The bytes of a document as one tree.
//!
//! In: JSON or YAML. Out: JSON values, names of members as text whatever YAML takes them for (`200:` is a number
//! there), merge keys applied. Nesting is bounded by both parsers (128), aliases by the YAML parser's own limit on
//! repetition.

use serde_json::{Map, Value};

use super::{MAX_DOCUMENT_BYTES, ReadError};

/// The tree.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, ReadError> {
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(ReadError::TooLong);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        return serde_json::from_slice(bytes).map_err(ReadError::Json);
    }
    let mut value: serde_norway::Value = serde_norway::from_slice(bytes).map_err(ReadError::Yaml)?;
    value.apply_merge().map_err(ReadError::Yaml)?;
    Ok(to_json(value))
}

fn to_json(value: serde_norway::Value) -> Value {
    use serde_norway::Value as Yaml;
    match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(bool) => Value::Bool(bool),
        Yaml::Number(number) => to_number(&number),
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(to_json).collect()),
        Yaml::Mapping(members) => {
            let members = members
                .into_iter()
                .filter_map(|(name, value)| Some((to_name(name)?, to_json(value))));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Yaml::Tagged(tagged) => to_json(tagged.value),
    }
}

/// Infinities and the like, which JSON has no word for, become null.
fn to_number(number: &serde_norway::Number) -> Value {
    if let Some(whole) = number.as_i64() {
        return whole.into();
    }
    match number.as_u64() {
        Some(whole) => whole.into(),
        None => number.as_f64().map_or(Value::Null, Value::from),
    }
}

/// The name of a member; lists and objects name nothing.
fn to_name(name: serde_norway::Value) -> Option<String> {
    match to_json(name) {
        Value::String(text) => Some(text),
        Value::Array(_) | Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}
