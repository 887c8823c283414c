//! Path templates: the name of an endpoint's path with its parameters left out.
//!
//! In: a [`CanonicalPath`]. Out: a [`Template`]. [`lexical`] decides by the shape of each segment alone, so the same
//! path always gives the same template, whatever came before; what only observation can tell, [`trie`] learns from
//! the paths that a server has accepted.

#[cfg(test)]
mod corpus;
pub mod lexical;
mod name;
pub mod pins;
mod random;
pub mod routes;
pub mod segment;
pub mod trie;
pub(super) mod words;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::path::CanonicalPath;
pub use pins::{PinError, Pins};
pub use routes::Routes;
pub use segment::SegmentType;

/// The template of everything beyond a workload's bound of templates.
pub const OVERFLOW: &str = "/{*overflow}";

/// A path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The path with `{name}` for each parameter. Literal braces do not occur in canonical paths.
    pub text: Arc<str>,
    /// The parameters, in order.
    pub parameters: Vec<Parameter>,
}

impl Template {
    /// A template without parameters.
    pub fn literal(path: &CanonicalPath) -> Self {
        Self {
            text: Arc::from(path.as_str()),
            parameters: Vec::new(),
        }
    }
}

/// Who says that a template is one. The first has the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateSource {
    /// The operator, in the configuration.
    Pinned,
    /// An OpenAPI document that the operator has given.
    Documented,
    /// The code of the application.
    Harvested,
    /// What was observed.
    #[default]
    Learned,
}

/// A parameter of a path template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Name, unique in its template.
    pub name: String,
    /// What its values look like.
    pub kind: SegmentType,
}
