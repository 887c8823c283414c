//! Splits a filter expression into tokens, each with its column.

use super::FilterError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Field path: its members from the outside in.
    Path(Vec<String>),
    Text(String),
    Number(f64),
    True,
    False,
    Null,
    And,
    Or,
    Not,
    Open,
    Close,
    Operator(Operator),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
    MatchesNot,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    /// Column in characters, from 1.
    pub(super) column: usize,
    pub(super) kind: Kind,
}

/// All tokens of the text; the last one is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut lexer = Lexer {
        rest: text,
        column: 1,
    };
    let mut tokens = Vec::new();
    loop {
        lexer.take_while(char::is_whitespace);
        let column = lexer.column;
        let kind = lexer.next()?;
        let ended = kind == Kind::End;
        tokens.push(Token { column, kind });
        if ended {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    rest: &'t str,
    column: usize,
}

impl<'t> Lexer<'t> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        self.column += 1;
        Some(next)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let before = self.rest;
        while self.peek().is_some_and(&wanted) {
            self.bump();
        }
        before.get(..before.len() - self.rest.len()).unwrap_or_default()
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                self.column += text.len();
                true
            }
            None => false,
        }
    }

    fn next(&mut self) -> Result<Kind, FilterError> {
        // Longer operators first.
        const SYMBOLS: [(&str, Kind); 12] = [
            ("==", Kind::Operator(Operator::Equal)),
            ("!=", Kind::Operator(Operator::NotEqual)),
            ("<=", Kind::Operator(Operator::LessOrEqual)),
            (">=", Kind::Operator(Operator::GreaterOrEqual)),
            ("!~", Kind::Operator(Operator::MatchesNot)),
            ("&&", Kind::And),
            ("||", Kind::Or),
            ("<", Kind::Operator(Operator::Less)),
            (">", Kind::Operator(Operator::Greater)),
            ("~", Kind::Operator(Operator::Matches)),
            ("(", Kind::Open),
            (")", Kind::Close),
        ];
        let column = self.column;
        for (symbol, kind) in SYMBOLS {
            if self.take(symbol) {
                return Ok(kind);
            }
        }
        if self.take("!") {
            return Ok(Kind::Not);
        }
        match self.peek() {
            None => Ok(Kind::End),
            Some('=') => Err(error(column, "use `==` to compare")),
            Some('"' | '\'') => self.quoted().map(Kind::Text),
            Some(c) if c.is_ascii_digit() || c == '-' => self.number(column),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => self.word(),
            Some(c) => Err(error(
                column,
                format!("`{}` is not expected here", c.escape_debug()),
            )),
        }
    }

    fn quoted(&mut self) -> Result<String, FilterError> {
        let start = self.column;
        let quote = self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return Err(error(start, "this quote is not closed")),
                end if end == quote => return Ok(text),
                // Only what must be escaped is: everything else keeps its backslash, for regular expressions.
                Some('\\') if self.peek() == quote || self.peek() == Some('\\') => {
                    text.extend(self.bump());
                }
                Some(c) => text.push(c),
            }
        }
    }

    fn number(&mut self, column: usize) -> Result<Kind, FilterError> {
        let digits = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        match digits.replace('_', "").parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Kind::Number(number)),
            _ => Err(error(column, format!("`{digits}` is not a number"))),
        }
    }

    fn word(&mut self) -> Result<Kind, FilterError> {
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let mut path = vec![self.take_while(name).to_owned()];
        while self.take(".") {
            let column = self.column;
            let member = match self.peek() {
                Some('"' | '\'') => self.quoted()?,
                _ => self.take_while(name).to_owned(),
            };
            if member.is_empty() {
                return Err(error(column, "expected the name of a member after the dot"));
            }
            path.push(member);
        }
        Ok(match path.as_slice() {
            [only] => match only.as_str() {
                "and" => Kind::And,
                "or" => Kind::Or,
                "not" => Kind::Not,
                "true" => Kind::True,
                "false" => Kind::False,
                "null" => Kind::Null,
                _ => Kind::Path(path),
            },
            _ => Kind::Path(path),
        })
    }
}

pub(super) fn error(column: usize, message: impl Into<String>) -> FilterError {
    FilterError {
        column,
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let found = tokens("a ~ \"é\" and b").unwrap();
        let columns: Vec<_> = found.iter().map(|token| token.column).collect();
        assert_eq!(columns, [1, 3, 5, 9, 13, 14]);
    }

    #[test]
    fn a_backslash_survives_for_regular_expressions() {
        assert_eq!(
            tokens(r#""\d+\"\\""#).unwrap()[0].kind,
            Kind::Text(r#"\d+"\"#.into())
        );
    }
}
