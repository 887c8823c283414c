//! A document as it was given: its name, its text, and what it says.

use crate::openapi::read::{self, Document, Operation, ReadError};

/// A line of a text, from 1.
pub type Line = u32;

/// A document as it was given.
#[derive(Debug, Clone)]
pub struct Given {
    /// Name of the file, as the caller knows it.
    pub name: String,
    /// What it says.
    pub document: Document,
    text: String,
}

impl Given {
    /// Reads a document.
    ///
    /// # Errors
    /// When the bytes are no OpenAPI document.
    pub fn read(name: impl Into<String>, bytes: &[u8]) -> Result<Self, ReadError> {
        Ok(Self {
            name: name.into(),
            document: read::read(bytes)?,
            text: String::from_utf8_lossy(bytes).into_owned(),
        })
    }

    /// The text as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line at which an operation is most likely described: its method after its path. 1 when it is not found, as
    /// behind a reference.
    pub fn line_of(&self, operation: &Operation) -> Line {
        let mut lines = (1..).zip(self.text.lines());
        let is_key = |line: &str, key: &str| {
            let line = line.trim_start().trim_start_matches(['"', '\'']);
            line.strip_prefix(key)
                .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
        };
        let Some((path, _)) = lines.find(|(_, line)| is_key(line, &operation.path)) else {
            return 1;
        };
        let method = operation.method.to_ascii_lowercase();
        let next_path = |line: &str| line.trim_start().trim_start_matches(['"', '\'']).starts_with('/');
        lines
            .take_while(|(_, line)| !next_path(line))
            .find(|(_, line)| is_key(line, &method))
            .map_or(path, |(number, _)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_operations() {
        let text = "openapi: 3.0.0\npaths:\n  /a:\n    get: {}\n  '/a/{id}':\n    put: {}\n    get: {}\n  /b: {get: {}}\n";
        let given = Given::read("a.yml", text.as_bytes()).expect("a document");
        let lines: Vec<Line> = given
            .document
            .operations
            .iter()
            .map(|operation| given.line_of(operation))
            .collect();
        assert_eq!(lines, [4, 7, 6, 8]);
    }
}
