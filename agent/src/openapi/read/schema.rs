//! Schemas, from the dialects of all versions to one shape.
//!
//! In: schema objects. Out: [`Schema`]s. References stay references, and what they lead to is read once, so that a
//! document of recursive or much-used schemas costs no more than its length. Swagger's `type: file` is a binary
//! string, `nullable` is the type null, `const` an enumeration of one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Reader, is_true, members,
    reference::{inside, local, target},
    strings, text,
};

/// Schema objects of one document. Overflow policy: those behind say nothing, with a problem told.
const MAX_SCHEMAS: usize = 500_000;

/// Nesting of schemas without a reference between. Overflow policy: what is deeper says nothing.
const MAX_DEPTH: usize = 48;

/// A JSON type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number without a fraction.
    Integer,
    /// Any number.
    Number,
    /// Text.
    String,
    /// A list.
    Array,
    /// An object.
    Object,
}

/// What a schema says of members that it does not name.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Additional {
    /// Nothing: they are allowed.
    #[default]
    Unspecified,
    /// Allowed, explicitly.
    Allowed,
    /// Forbidden.
    Forbidden,
    /// Allowed when they are of this kind.
    Of(Box<Schema>),
}

/// A schema. Empty members say nothing; the empty schema allows everything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schema {
    /// JSON pointer of the schema that this one stands for; see [`Document::resolve`](super::Document::resolve).
    pub reference: Option<String>,
    /// Allowed types; empty allows all.
    pub types: BTreeSet<Type>,
    /// `format`, as written.
    pub format: Option<String>,
    /// Allowed values.
    pub enumeration: Vec<Value>,
    /// `pattern`, as written.
    pub pattern: Option<String>,
    /// Members of an object by name.
    pub properties: BTreeMap<String, Schema>,
    /// Members that must be there.
    pub required: BTreeSet<String>,
    /// Members that are not named.
    pub additional: Additional,
    /// Elements of a list.
    pub items: Option<Box<Schema>>,
    /// All of these hold.
    pub all_of: Vec<Schema>,
    /// At least one of these holds.
    pub any_of: Vec<Schema>,
    /// Exactly one of these holds.
    pub one_of: Vec<Schema>,
    /// Fewest characters of a string.
    pub min_length: Option<u64>,
    /// Most characters of a string.
    pub max_length: Option<u64>,
    /// Fewest elements of a list.
    pub min_items: Option<u64>,
    /// Most elements of a list.
    pub max_items: Option<u64>,
    /// Smallest number, itself allowed or not.
    pub minimum: Option<f64>,
    /// Greatest number, itself allowed or not.
    pub maximum: Option<f64>,
    /// Only in answers.
    pub read_only: bool,
    /// Only in requests.
    pub write_only: bool,
    /// Better not used any more.
    pub deprecated: bool,
    /// What the author says about it; empty if nothing.
    pub description: String,
}

/// Schemas that something referred to and that are still to be read.
#[derive(Debug, Default)]
pub(super) struct Pending {
    known: BTreeSet<String>,
    queue: Vec<String>,
    read: usize,
}

impl Reader<'_> {
    /// The schema at a place; the empty one for `true`, nothing and nonsense.
    pub(super) fn schema(&mut self, value: Option<&Value>, pointer: &str) -> Schema {
        value.map_or_else(Schema::default, |value| self.schema_at(value, pointer, 0))
    }

    /// All schemas that were referred to, and those that they refer to.
    pub(super) fn shared_schemas(&mut self) -> BTreeMap<String, Schema> {
        let mut schemas = BTreeMap::new();
        while let Some(pointer) = self.schemas.queue.pop() {
            match self.root.pointer(&pointer) {
                Some(value) => {
                    let schema = self.schema_at(value, &pointer, 0);
                    schemas.insert(pointer, schema);
                }
                None => self.problem(&pointer, "is referred to and is not there"),
            }
        }
        schemas
    }

    fn schema_at(&mut self, value: &Value, pointer: &str, depth: usize) -> Schema {
        self.schemas.read += 1;
        if self.schemas.read == MAX_SCHEMAS {
            self.problem(
                pointer,
                "the document has too many schemas: the rest says nothing",
            );
        }
        if self.schemas.read >= MAX_SCHEMAS || depth >= MAX_DEPTH || !value.is_object() {
            return Schema::default();
        }
        let mut schema = Schema {
            reference: self.reference_of(value, pointer),
            ..scalars(value)
        };
        schema.properties = members(value.get("properties"))
            .map(|(name, property)| {
                let at = inside(&inside(pointer, "properties"), name);
                (name.clone(), self.schema_at(property, &at, depth + 1))
            })
            .collect();
        schema.additional = match value.get("additionalProperties") {
            None => Additional::Unspecified,
            Some(Value::Bool(false)) => Additional::Forbidden,
            Some(other @ Value::Object(members)) if !members.is_empty() => {
                let at = inside(pointer, "additionalProperties");
                Additional::Of(Box::new(self.schema_at(other, &at, depth + 1)))
            }
            Some(_) => Additional::Allowed,
        };
        schema.items = value.get("items").map(|items| {
            let at = inside(pointer, "items");
            Box::new(self.schema_at(items, &at, depth + 1))
        });
        schema.all_of = self.list(value, "allOf", pointer, depth);
        schema.any_of = self.list(value, "anyOf", pointer, depth);
        schema.one_of = self.list(value, "oneOf", pointer, depth);
        schema
    }

    fn list(&mut self, value: &Value, name: &str, pointer: &str, depth: usize) -> Vec<Schema> {
        let list = value.get(name).and_then(Value::as_array).map(Vec::as_slice);
        let at = inside(pointer, name);
        let each = list.unwrap_or_default().iter().enumerate();
        each.map(|(index, part)| self.schema_at(part, &format!("{at}/{index}"), depth + 1))
            .collect()
    }

    fn reference_of(&mut self, value: &Value, pointer: &str) -> Option<String> {
        let reference = target(value)?;
        let Some(local) = local(reference) else {
            self.problem(pointer, format!("refers to another document: {reference}"));
            return None;
        };
        if self.schemas.known.insert(local.clone()) {
            self.schemas.queue.push(local.clone());
        }
        Some(local)
    }
}

/// All that is said without other schemas.
fn scalars(value: &Value) -> Schema {
    let count = |name: &str| value.get(name).and_then(Value::as_u64);
    // Numbers in 3.1, where the bound itself is not allowed; flags beside `minimum` before.
    let bound = |name: &str, exclusive: &str| {
        let number = |name: &str| value.get(name).and_then(Value::as_f64);
        number(name).or_else(|| number(exclusive))
    };
    let mut types = types(value);
    let mut format = value.get("format").and_then(Value::as_str).map(str::to_owned);
    if value.get("type").and_then(Value::as_str) == Some("file") {
        types.insert(Type::String);
        format.get_or_insert_with(|| "binary".to_owned());
    }
    let listed = value.get("enum").and_then(Value::as_array).cloned();
    let constant = || value.get("const").map(|only| vec![only.clone()]);
    Schema {
        types,
        format,
        enumeration: listed.or_else(constant).unwrap_or_default(),
        pattern: value.get("pattern").and_then(Value::as_str).map(str::to_owned),
        required: strings(value.get("required")).into_iter().collect(),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        minimum: bound("minimum", "exclusiveMinimum"),
        maximum: bound("maximum", "exclusiveMaximum"),
        read_only: is_true(value.get("readOnly")),
        write_only: is_true(value.get("writeOnly")),
        deprecated: is_true(value.get("deprecated")),
        description: text(value.get("description")),
        ..Schema::default()
    }
}

fn types(value: &Value) -> BTreeSet<Type> {
    let names = match value.get("type") {
        Some(Value::String(name)) => vec![name.clone()],
        list => strings(list),
    };
    let mut types: BTreeSet<Type> = names.iter().filter_map(|name| Type::from_name(name)).collect();
    if is_true(value.get("nullable")) && !types.is_empty() {
        types.insert(Type::Null);
    }
    types
}

impl Type {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "integer" => Type::Integer,
            "number" => Type::Number,
            "string" => Type::String,
            "array" => Type::Array,
            "object" => Type::Object,
            _ => return None,
        })
    }

    /// The name that schemas use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Type::Null => "null",
            Type::Boolean => "boolean",
            Type::Integer => "integer",
            Type::Number => "number",
            Type::String => "string",
            Type::Array => "array",
            Type::Object => "object",
        }
    }
}
