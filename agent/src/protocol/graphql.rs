//! GraphQL over HTTP: which operation, on which fields.
//!
//! In: the body or the query of a request. Out: a [`GraphQlCall`] and a name for it. Reads as much of a document as
//! there is; each byte once. Arguments and variables are skipped: they hold values of callers. Sources: the GraphQL
//! specification (October 2021, §2), GraphQL over HTTP, and Apollo's persisted queries.

use super::{
    json::{self, Value},
    operation::{GraphQlCall, MAX_NAME_BYTES},
};

/// Names of root fields kept. Overflow policy: later ones are left out.
const MAX_ROOTS: usize = 32;

/// Root fields in the name of an operation that has none of its own.
const NAMED_ROOTS: usize = 3;

/// Operations of a batch that are looked at; all are counted.
const MAX_BATCH: usize = 16;

/// What a body in JSON asks for, if it is GraphQL.
pub(super) fn of_json(body: &[u8]) -> Option<(Option<String>, GraphQlCall)> {
    if body.trim_ascii_start().starts_with(b"[") {
        let mut elements = json::elements(body);
        let Value::Object(first) = elements.next()? else {
            return None;
        };
        let (mut name, mut call) = of_object(first)?;
        for (place, element) in elements.enumerate() {
            call.batch += 1;
            if let Value::Object(object) = element
                && place < MAX_BATCH
                && let Some((_, other)) = of_object(object)
            {
                call.is_introspection |= other.is_introspection;
                call.is_persisted |= other.is_persisted;
                let room = MAX_ROOTS.saturating_sub(call.roots.len());
                call.roots.extend(other.roots.into_iter().take(room));
            }
        }
        if call.batch > 1 {
            name = Some("batch".to_owned());
        }
        return Some((name, call));
    }
    of_object(body)
}

/// What the query of a target asks for, if it is GraphQL.
pub(super) fn of_query(query: &str) -> Option<(Option<String>, GraphQlCall)> {
    // Most queries of most APIs have neither: they cost a search.
    let has = |name: &str| memchr::memmem::find(query.as_bytes(), name.as_bytes()).is_some();
    if !has("query=") && !has("extensions=") {
        return None;
    }
    let mut request = Request::default();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "query" => request.document = Some(value.into_owned().into_bytes()),
            "operationName" => request.name = Some(value.into_owned()),
            "extensions" => request.is_persisted = is_persisted(value.as_bytes()),
            _ => {}
        }
    }
    request.call()
}

/// What a body of type `application/graphql` asks for.
pub(super) fn of_document(document: &[u8]) -> Option<(Option<String>, GraphQlCall)> {
    let request = Request {
        document: Some(document.to_vec()),
        ..Request::default()
    };
    request.call()
}

fn of_object(object: &[u8]) -> Option<(Option<String>, GraphQlCall)> {
    let mut request = Request::default();
    for (key, value) in json::members(object) {
        match (key, value) {
            (b"query", Value::String(text) | Value::Other(text)) => {
                request.document = Some(json::unescape(text.strip_prefix(b"\"").unwrap_or(text)));
            }
            (b"operationName", value) => request.name = value.text().map(str::to_owned),
            (b"extensions", Value::Object(extensions)) => request.is_persisted = is_persisted(extensions),
            (b"documentId", Value::String(_)) => request.is_persisted = true,
            _ => {}
        }
    }
    request.call()
}

fn is_persisted(extensions: &[u8]) -> bool {
    json::members(extensions).any(|(key, _)| key == b"persistedQuery")
}

/// The members of one request.
#[derive(Debug, Default)]
struct Request {
    document: Option<Vec<u8>>,
    name: Option<String>,
    is_persisted: bool,
}

impl Request {
    fn call(self) -> Option<(Option<String>, GraphQlCall)> {
        let chosen = self.name.filter(|name| is_name(name.as_bytes()));
        let mut call = GraphQlCall {
            batch: 1,
            is_persisted: self.is_persisted,
            ..GraphQlCall::default()
        };
        let document = self.document.filter(|document| looks_like_document(document));
        let Some(document) = document else {
            return self.is_persisted.then_some((chosen, call));
        };
        let operation = operation(&document, chosen.as_deref())?;
        call.kind = Some(operation.kind);
        call.is_introspection = operation
            .roots
            .iter()
            .any(|root| *root == "__schema" || *root == "__type");
        call.roots = operation.roots.iter().map(|root| (*root).into()).collect();
        let roots = || {
            operation
                .roots
                .iter()
                .take(NAMED_ROOTS)
                .copied()
                .collect::<Vec<_>>()
                .join(",")
        };
        let name = chosen
            .or_else(|| operation.name.map(str::to_owned))
            .unwrap_or_else(roots);
        let name = format!("{} {name}", operation.kind);
        Some(((name.len() <= MAX_NAME_BYTES).then_some(name), call))
    }
}

/// Whether a text can be a document: other APIs have a member called `query` too.
fn looks_like_document(text: &[u8]) -> bool {
    let mut tokens = Tokens { rest: text };
    match tokens.next() {
        Some(Token::Mark(b'{')) => matches!(tokens.next(), None | Some(Token::Name(_) | Token::Mark(b'.'))),
        Some(Token::Name("query" | "mutation" | "subscription" | "fragment")) => {
            matches!(
                tokens.next(),
                None | Some(Token::Name(_) | Token::Mark(b'{' | b'(' | b'@'))
            ) && text.contains(&b'{')
        }
        _ => false,
    }
}

/// An operation of a document.
#[derive(Debug, PartialEq, Eq)]
struct Operation<'a> {
    kind: &'static str,
    name: Option<&'a str>,
    roots: Vec<&'a str>,
}

/// The operation with the name chosen, or the first one.
fn operation<'a>(document: &'a [u8], chosen: Option<&str>) -> Option<Operation<'a>> {
    let mut tokens = Tokens { rest: document };
    let mut first = None;
    while let Some(token) = tokens.next() {
        let kind = match token {
            Token::Mark(b'{') => {
                let roots = tokens.selection();
                first.get_or_insert(Operation {
                    kind: "query",
                    name: None,
                    roots,
                });
                continue;
            }
            Token::Name("query") => "query",
            Token::Name("mutation") => "mutation",
            Token::Name("subscription") => "subscription",
            _ => {
                // A fragment, or nothing known: its selection is not an operation's.
                tokens.head();
                tokens.selection();
                continue;
            }
        };
        let name = tokens.head();
        let found = Operation {
            kind,
            name,
            roots: tokens.selection(),
        };
        if chosen.is_some() && found.name == chosen {
            return Some(found);
        }
        first.get_or_insert(found);
    }
    first
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    Mark(u8),
}

/// Tokens of a document: names and marks; numbers, strings, comments and commas are left out.
struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let (first, behind) = self.rest.split_first()?;
            match first {
                b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                    let length = self.rest.iter().take_while(|byte| is_word(**byte)).count();
                    let (name, rest) = self.rest.split_at_checked(length)?;
                    self.rest = rest;
                    return Some(Token::Name(std::str::from_utf8(name).ok()?));
                }
                b'"' => self.string(),
                b'#' => {
                    let end = memchr::memchr(b'\n', behind).unwrap_or(behind.len());
                    self.rest = behind.get(end..)?;
                }
                b'{' | b'}' | b'(' | b')' | b':' | b'.' | b'@' => {
                    self.rest = behind;
                    return Some(Token::Mark(*first));
                }
                _ => self.rest = behind,
            }
        }
    }

    fn string(&mut self) {
        if let Some(block) = self.rest.strip_prefix(b"\"\"\"") {
            let end = memchr::memmem::find(block, b"\"\"\"").map_or(block.len(), |end| end + 3);
            self.rest = block.get(end..).unwrap_or_default();
            return;
        }
        let text = self.rest.get(1..).unwrap_or_default();
        let mut place = 0;
        while let Some(byte) = text.get(place) {
            place += 1;
            match byte {
                b'"' | b'\n' => break,
                b'\\' => place += 1,
                _ => {}
            }
        }
        self.rest = text.get(place..).unwrap_or_default();
    }

    /// Moves behind the brace that opens a selection; the name in front of it, outside parentheses.
    fn head(&mut self) -> Option<&'a str> {
        let (mut depth, mut name, mut count) = (0_usize, None, 0);
        while let Some(token) = self.next() {
            match token {
                Token::Mark(b'(') => depth += 1,
                Token::Mark(b')') => depth = depth.saturating_sub(1),
                Token::Mark(b'{') if depth == 0 => break,
                Token::Name(text) if count == 0 => name = Some(text),
                _ => {}
            }
            count += 1;
        }
        name
    }

    /// Root fields up to the brace that closes a selection; those of inline fragments count as its own.
    fn selection(&mut self) -> Vec<&'a str> {
        let mut roots: Vec<&str> = Vec::new();
        // Braces of fields, inside of which nothing counts, and of inline fragments.
        let (mut inside, mut fragments, mut parentheses) = (0_usize, 0_usize, 0_usize);
        let mut last = Last::Nothing;
        while let Some(token) = self.next() {
            match token {
                Token::Mark(b'(') => parentheses += 1,
                Token::Mark(b')') => parentheses = parentheses.saturating_sub(1),
                _ if parentheses > 0 => {}
                Token::Mark(b'{') if inside > 0 || last == Last::Field => inside += 1,
                Token::Mark(b'{') => {
                    fragments += 1;
                    last = Last::Nothing;
                }
                Token::Mark(b'}') if inside > 0 => inside -= 1,
                Token::Mark(b'}') if fragments > 0 => {
                    fragments -= 1;
                    last = Last::Nothing;
                }
                Token::Mark(b'}') => break,
                _ if inside > 0 => {}
                Token::Mark(b':') => {
                    roots.pop();
                    last = Last::Alias;
                }
                Token::Mark(b'.') => last = Last::Spread,
                Token::Mark(b'@') => {
                    last = if last == Last::Field {
                        Last::Directive
                    } else {
                        Last::SpreadDirective
                    }
                }
                // The name of a directive or of a fragment.
                Token::Name(_) if last == Last::Directive => last = Last::Field,
                Token::Name(_) if last == Last::SpreadDirective => last = Last::Nothing,
                Token::Name("on") if last == Last::Spread => last = Last::On,
                Token::Name(_) if matches!(last, Last::Spread | Last::On) => last = Last::Nothing,
                Token::Name(name) => {
                    if roots.len() < MAX_ROOTS && name.len() <= MAX_NAME_BYTES {
                        roots.push(name);
                    }
                    last = Last::Field;
                }
                Token::Mark(_) => {}
            }
        }
        roots
    }
}

/// What stood last in a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Field,
    Alias,
    Spread,
    On,
    Directive,
    SpreadDirective,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_name(text: &[u8]) -> bool {
    text.len() <= 128 && text.first().is_some_and(|b| !b.is_ascii_digit()) && text.iter().all(|b| is_word(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, name: Option<&str>, roots: &[&str]) -> GraphQlCall {
        let (found, call) = of_json(body.as_bytes()).unwrap();
        assert_eq!(found.as_deref(), name);
        assert_eq!(call.roots.iter().map(|root| &**root).collect::<Vec<_>>(), roots);
        call
    }

    #[test]
    fn operations_have_names_and_roots() {
        check(
            r#"{"query":"query GetUser($id: ID = \"x{\") @d(a: 1) { user(id: $id, f: {a: 1}) { name { first } } me: viewer @x { id } }","variables":{"id":"7"}}"#,
            Some("query GetUser"),
            &["user", "viewer"],
        );
        check(
            r#"{"query":"{ a # not b\n, c }"}"#,
            Some("query a,c"),
            &["a", "c"],
        );
        check(
            r#"{"operationName":"B","query":"fragment F on X { y } query A { a } mutation B { b ...F ... on M { c } ... @skip(if: true) { d } }"}"#,
            Some("mutation B"),
            &["b", "c", "d"],
        );
        let call = check(
            r#"{"query":"query IntrospectionQuery { __schema { types { name } } }"}"#,
            Some("query IntrospectionQuery"),
            &["__schema"],
        );
        assert!(call.is_introspection && call.kind == Some("query"));
    }

    #[test]
    fn persisted_queries_and_batches() {
        let call = check(
            r#"{"operationName":"Top","extensions":{"persistedQuery":{"version":1,"sha256Hash":"abc"}}}"#,
            Some("Top"),
            &[],
        );
        assert!(call.is_persisted);
        let call = check(r#"[{"query":"{a}"},{"query":"{b}"}]"#, Some("batch"), &["a", "b"]);
        assert_eq!(call.batch, 2);
        let (name, call) = of_query("query=query+Q%7Bme%7Bid%7D%7D&variables=%7B%7D").unwrap();
        assert_eq!((name.as_deref(), &*call.roots[0]), (Some("query Q"), "me"));
        assert_eq!(
            of_document(b"subscription S { s }").unwrap().0.as_deref(),
            Some("subscription S")
        );
    }

    #[test]
    fn other_bodies_are_not_graphql() {
        for body in [
            r#"{"query":"shoes size 42"}"#,
            r#"{"query":"query for shoes"}"#,
            r#"{"query":{"match_all":{}}}"#,
            r#"{"id":1}"#,
            "[]",
            "[1,2]",
            "",
        ] {
            assert_eq!(of_json(body.as_bytes()), None, "{body}");
        }
        assert_eq!(of_query("query=shoes&page=2"), None);
    }

    #[test]
    fn a_document_may_be_cut_anywhere() {
        let body =
            r#"{"query":"query Q($a: [Int!]) { user(id: \"}\\\"{\") { a } b: c }","operationName":"Q"}"#;
        for cut in 0..body.len() {
            of_json(&body.as_bytes()[..cut]);
        }
        let deep = format!("{{\"query\":\"{}\"}}", "{a".repeat(50_000));
        assert!(of_json(deep.as_bytes()).is_some());
    }
}
