//! The keys of the inventory, and what they come to.
//!
//! In: the values of the keys. Out: limits, templates and documents as the inventory takes them, or what is wrong with one.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    inventory::{
        Limits,
        template::{PinError, Pins},
    },
    spec::{Given, Matcher},
};

/// Bounds of the inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InventoryLimits {
    /// Workloads that are kept. Exchanges of further ones are counted, not filed.
    #[schemars(range(min = 1, max = 65536))]
    pub max_workloads: u32,
    /// Path templates of one workload. Exchanges beyond are filed together under /{*overflow}.
    #[schemars(range(min = 10, max = 100000))]
    pub max_templates: u32,
    /// Endpoints in all. Exchanges of further ones are counted, not filed.
    #[schemars(range(min = 10, max = 1000000))]
    pub max_endpoints: u32,
    /// Path templates that go before those that are learned, in order; the first that fits a path counts. {name}
    /// takes any segment, ^ any and keeps it, anything else only itself: ["/users/search", "/users/{id}"].
    pub templates: Vec<String>,
    /// OpenAPI documents (2.0 or 3, JSON or YAML) whose paths go before those that are learned, behind `templates`:
    /// ["/etc/shop/openapi.yaml"].
    pub specs: Vec<PathBuf>,
    /// Look for routes in the code of observed applications (Python, JavaScript, Ruby, PHP), as far as it can be read;
    /// they go before those that are learned, behind `specs`.
    pub harvest: bool,
}

impl InventoryLimits {
    /// The templates given.
    ///
    /// # Errors
    /// The first that cannot be used, and why.
    pub fn pins(&self) -> Result<Pins, PinError> {
        Pins::parse(self.templates.iter().map(String::as_str))
    }

    /// What the documents describe, `None` without any.
    ///
    /// # Errors
    /// One sentence: a file cannot be read, or is no OpenAPI document.
    pub fn documents(&self) -> Result<Option<Matcher>, String> {
        let mut documents = Vec::new();
        for path in &self.specs {
            let shown = path.display().to_string();
            let bytes = std::fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
            let given = Given::read(shown.as_str(), &bytes).map_err(|error| format!("{shown}: {error}"))?;
            documents.push(given);
        }
        Ok((!documents.is_empty()).then(|| Matcher::new(&documents)))
    }

    /// All limits of the inventory: these, and the fixed ones.
    pub fn limits(&self) -> Limits {
        Limits {
            workloads: self.max_workloads as usize,
            templates: self.max_templates as usize,
            endpoints: self.max_endpoints as usize,
            ..Limits::default()
        }
    }
}

impl Default for InventoryLimits {
    fn default() -> Self {
        Self {
            max_workloads: 4096,
            max_templates: 2000,
            max_endpoints: 50_000,
            templates: Vec::new(),
            specs: Vec::new(),
            harvest: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_inventory() {
        assert_eq!(InventoryLimits::default().limits(), Limits::default());
    }
}
