//! Paths of Java frameworks as templates: patterns of parameters left out, wildcards at the end as all that is left.

/// Two paths, one below the other.
pub(super) fn join(prefix: &str, path: &str) -> String {
    let (prefix, path) = (prefix.trim_matches('/'), path.trim_matches('/'));
    match (prefix, path) {
        ("", path) => format!("/{path}"),
        (prefix, "") => format!("/{prefix}"),
        (prefix, path) => format!("/{prefix}/{path}"),
    }
}

/// `/a/{id:[0-9]+}/**` as `/a/{id}/{*rest}`; `None` where the path is not known as a whole.
pub(super) fn template(path: &str) -> Option<String> {
    // Placeholders are filled from configuration.
    if path.contains("${") || path.contains("#{") {
        return None;
    }
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(open) = rest.find('{') {
        text.push_str(rest.get(..open)?);
        let inside = rest.get(open + 1..)?;
        let close = closing(inside)?;
        let parameter = inside.get(..close)?;
        rest = inside.get(close + 1..)?;
        // `{?page,size}`: a query, in templates of RFC 6570.
        if parameter.starts_with(['?', '&', '#']) {
            continue;
        }
        let (name, pattern) = parameter.split_once(':').unwrap_or((parameter, ""));
        let is_rest = name.starts_with(['*', '+']) || [".*", ".+", "**"].contains(&pattern.trim());
        let name: String = name
            .chars()
            .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
            .collect();
        if name.is_empty() {
            return None;
        }
        text.push('{');
        if is_rest && rest.is_empty() {
            text.push('*');
        }
        text.push_str(&name);
        text.push('}');
    }
    text.push_str(rest);
    if let Some(above) = text.strip_suffix("/**") {
        text = format!("{above}/{{*rest}}");
    }
    (!text.replace("{*", "{").contains('*')).then_some(text)
}

/// Where the parenthesis that is open closes: patterns have some of their own.
fn closing(inside: &str) -> Option<usize> {
    let mut depth = 1_u32;
    for (at, letter) in inside.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_left_out() {
        for (path, expected) in [
            ("/a/{id}", Some("/a/{id}")),
            ("/a/{id:[0-9]{3}}/b", Some("/a/{id}/b")),
            ("/files/{path:.+}", Some("/files/{*path}")),
            ("/files/{*path}", Some("/files/{*path}")),
            ("/static/**", Some("/static/{*rest}")),
            ("/books{?page,size}", Some("/books")),
            ("/${prefix}/a", None),
            ("/a/*/b", None),
            ("/a/{open", None),
        ] {
            assert_eq!(template(path).as_deref(), expected, "{path}");
        }
        assert_eq!(
            (join("", "a"), join("/v1/", "/a/")),
            ("/a".into(), "/v1/a".into())
        );
    }
}
