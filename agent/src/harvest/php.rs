//! Routes of Laravel and Slim.
//!
//! In: the text of a file. Out: calls such as `Route::get('/users/{id}', …)` and `$app->get('/users/{id}', …)`, below the
//! prefixes of the groups around them, which are followed by their braces.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::{
    Findings, Found, Mount,
    assemble::{all, join, pattern},
};

/// `Route::get('/path', …)`, `->get('/path', …)`.
static CALL: LazyLock<Option<Regex>> = pattern!(
    r#"(?:Route::|\$(?:app|group|router|this->app|route)->)(?:[\w]+\([^()]*\)->)*(get|post|put|patch|delete|options|any|map|match|resource|apiResource)\(\s*(?:\[([^\]]*)\]\s*,\s*)?['"]([^'"\n]*)['"]"#
);

/// `Route::prefix('admin')->…->group(`, `$app->group('/users', function`.
static GROUP: LazyLock<Option<Regex>> = pattern!(
    r#"(?:prefix\(\s*['"]([^'"\n]*)['"]\s*\)[^;{]*group\(|->group\(\s*['"]([^'"\n]*)['"]|'prefix'\s*=>\s*['"]([^'"\n]*)['"])"#
);

pub(super) fn read(text: &str) -> Findings {
    let mut findings = Findings::default();
    // Prefixes of groups, each with the depth of braces it is open at.
    let mut groups: Vec<(usize, String)> = Vec::new();
    let mut depth = 0_usize;
    for line in text.lines() {
        let above = groups.last().map_or("", |(_, path)| path.as_str()).to_owned();
        for [method, list, path] in all(&CALL, line) {
            add(&mut findings, method, list, &join(&above, path));
        }
        let group = all(&GROUP, line).next();
        for byte in line.bytes() {
            match byte {
                b'{' => depth += 1,
                b'}' => {
                    depth = depth.saturating_sub(1);
                    if groups.last().is_some_and(|(at, _)| *at > depth) {
                        groups.pop();
                    }
                }
                _ => {}
            }
        }
        let opened = line.trim_end().ends_with('{');
        if let Some([first, second, third]) = group.filter(|_| opened) {
            let prefix = [first, second, third]
                .into_iter()
                .find(|prefix| !prefix.is_empty());
            groups.push((depth, join(&above, prefix.unwrap_or_default())));
        }
    }
    if !findings.routes.is_empty() {
        // Laravel puts `routes/api.php` below `/api`.
        findings.mounts.push(Mount {
            router: "api".to_owned(),
            path: "/api".to_owned(),
        });
    }
    findings
}

fn add(findings: &mut Findings, method: &str, list: &str, path: &str) {
    let path = convert(path);
    let mut push = |method: Option<&str>, path: &str| {
        findings.routes.push(Found {
            method: method.map(str::to_ascii_uppercase),
            path: path.to_owned(),
            router: String::new(),
        });
    };
    match method {
        "any" => push(None, &path),
        "map" | "match" => {
            for method in list.split(',').map(|name| name.trim().trim_matches(['"', '\''])) {
                push(Some(method).filter(|method| !method.is_empty()), &path);
            }
        }
        "resource" | "apiResource" => {
            let name = path
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .trim_end_matches('s')
                .to_owned();
            let one = format!("{path}/{{{name}}}");
            for (method, path) in [
                ("GET", &path),
                ("POST", &path),
                ("GET", &one),
                ("PUT", &one),
                ("PATCH", &one),
                ("DELETE", &one),
            ] {
                push(Some(method), path);
            }
        }
        method => push(Some(method), &path),
    }
}

/// `{id:[0-9]+}` and `{id?}` as `{id}`.
fn convert(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, tail)) = rest.split_once('{') {
        let Some((inside, after)) = tail.split_once('}') else {
            break;
        };
        let name = inside.split([':', '?']).next().unwrap_or_default();
        let mark = if inside.ends_with(":.*") && after.is_empty() {
            "*"
        } else {
            ""
        };
        text.push_str(&format!("{before}{{{mark}{}}}", name.trim()));
        rest = after;
    }
    // What may be left out, as in Slim's `[/{id}]`, is there.
    text.push_str(rest);
    text.replace(['[', ']'], "")
}
