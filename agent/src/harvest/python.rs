//! Routes of Flask, FastAPI, Starlette and Django.
//!
//! In: the text of a module. Out: decorators such as `@app.get("/users/{id}")` and `@bp.route("/users/<int:id>")`, rows
//! of `urlpatterns`, routers with the prefix they are made with, and mounts.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::{
    Findings, Found, Mount,
    assemble::{join, pattern},
};

/// `@router.get("/path", …)`.
static DECORATOR: LazyLock<Option<Regex>> = pattern!(
    r#"(?m)^[ \t]*@([A-Za-z_][\w.]*)\.(route|get|post|put|patch|delete|head|options|api_route|websocket)\(\s*(?:path\s*=\s*|rule\s*=\s*)?[rfbu]?["']([^"'\n]*)["']([^\n]*)"#
);

/// `router.add_url_rule("/path", …)`, `app.add_route("/path", …)`, `Route("/path", …)`.
static CALL: LazyLock<Option<Regex>> = pattern!(
    r#"(?:\b([A-Za-z_]\w*)\.(?:add_url_rule|add_api_route|add_route)|\b(?:Route|WebSocketRoute))\(\s*[rfu]?["']([^"'\n]*)["']([^\n]*)"#
);

/// `router = APIRouter(prefix="/users")`.
static ROUTER: LazyLock<Option<Regex>> = pattern!(
    r"(?m)^[ \t]*([A-Za-z_]\w*)\s*(?::\s*[\w.]+\s*)?=\s*(?:\w+\.)*(?:Blueprint|APIRouter|APIBlueprint|Router)\(([^)]*)\)"
);

/// `app.include_router(users.router, prefix="/users")`.
static MOUNT: LazyLock<Option<Regex>> =
    pattern!(r"\.(?:include_router|register_blueprint)\(\s*([A-Za-z_][\w.]*)([^)]*)\)");

/// `app.mount("/v1", api)`.
static MOUNT_AT: LazyLock<Option<Regex>> =
    pattern!(r#"\.mount\(\s*["']([^"'\n]*)["']\s*,\s*([A-Za-z_][\w.]*)"#);

/// `prefix="/users"`.
static PREFIX: LazyLock<Option<Regex>> = pattern!(r#"(?:url_prefix|prefix)\s*=\s*[rf]?["']([^"'\n]*)["']"#);

/// `methods=["GET", "POST"]`.
static METHODS: LazyLock<Option<Regex>> = pattern!(r"methods\s*=\s*[\[({]([^\])}]*)[\])}]");

/// `path("users/<int:pk>/", …)`, `re_path(r"^users/(?P<pk>\d+)/$", …)`, `url(…)`.
static DJANGO: LazyLock<Option<Regex>> =
    pattern!(r#"\b(re_path|path|url)\(\s*r?["']([^"'\n]*)["']\s*,\s*([^\n]*)"#);

/// `include("shop.urls")`.
static INCLUDE: LazyLock<Option<Regex>> = pattern!(r#"include\(\s*\(?\s*["']([\w.]+)["']"#);

/// `router.register(r"users", UserViewSet)` of the REST framework.
static VIEW_SET: LazyLock<Option<Regex>> =
    pattern!(r#"\b\w*router\w*\.register\(\s*r?["']([^"'\n]*)["']\s*,\s*\w"#);

/// `from shop.users import router as users_router`, `from shop import users`.
static IMPORT: LazyLock<Option<Regex>> = pattern!(r"(?m)^[ \t]*from\s+([\w.]+)\s+import\s+\(?([^\n()]+)");

/// A named group of a regular expression.
static GROUP: LazyLock<Option<Regex>> = pattern!(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)");

pub(super) fn read(text: &str) -> Findings {
    let mut findings = Findings::default();
    for found in all(&DECORATOR, text) {
        let [router, kind, path, tail] = found;
        let is_any = kind == "route" || kind == "api_route";
        let methods = if is_any {
            methods(tail)
        } else {
            vec![Some(kind.to_ascii_uppercase())]
        };
        add(
            &mut findings,
            router,
            path,
            if kind == "websocket" {
                vec![Some("GET".to_owned())]
            } else {
                methods
            },
        );
    }
    for [router, path, tail] in all(&CALL, text) {
        add(&mut findings, router, path, methods(tail));
    }
    for [router, arguments] in all(&ROUTER, text) {
        if let Some([prefix]) = all(&PREFIX, arguments).next() {
            // A router stands below its own prefix wherever it is mounted.
            findings.mounts.push(Mount {
                router: format!("={router}"),
                path: convert(prefix),
            });
        }
    }
    for [router, arguments] in all(&MOUNT, text) {
        let prefix = all(&PREFIX, arguments).next().map(|[prefix]| prefix);
        findings.mounts.push(Mount {
            router: router.to_owned(),
            path: convert(prefix.unwrap_or_default()),
        });
    }
    for [path, router] in all(&MOUNT_AT, text) {
        findings.mounts.push(Mount {
            router: router.to_owned(),
            path: convert(path),
        });
    }
    for [module, names] in all(&IMPORT, text) {
        for name in names.split(',') {
            let mut words = name.split_whitespace();
            let (Some(first), last) = (words.next(), words.last()) else {
                continue;
            };
            findings
                .imports
                .push((last.unwrap_or(first).to_owned(), format!("{module}.{first}")));
        }
    }
    if text.contains("urlpatterns") {
        django(&mut findings, text);
    }
    findings
}

fn add(findings: &mut Findings, router: &str, path: &str, methods: Vec<Option<String>>) {
    for method in methods {
        findings.routes.push(Found {
            method,
            path: convert(path),
            router: router.to_owned(),
        });
    }
}

fn django(findings: &mut Findings, text: &str) {
    for [kind, path, handler] in all(&DJANGO, text) {
        let path = if kind == "path" {
            Some(convert(path))
        } else {
            expression(path)
        };
        let Some(path) = path.map(|path| join("", &path)) else {
            continue;
        };
        match all(&INCLUDE, handler).next() {
            Some([module]) if handler.starts_with("include") => findings.mounts.push(Mount {
                router: module.to_owned(),
                path,
            }),
            _ if handler.starts_with("include") => {}
            _ => findings.routes.push(Found {
                method: None,
                path,
                router: "urlpatterns".to_owned(),
            }),
        }
    }
    for [prefix] in all(&VIEW_SET, text) {
        let base = join("", &convert(prefix));
        for path in [base.clone(), format!("{base}/{{pk}}")] {
            findings.routes.push(Found {
                method: None,
                path,
                router: "urlpatterns".to_owned(),
            });
        }
    }
}

/// Methods that a decorator names; those of Flask without any are GET, but a list on the next line is not seen: any.
fn methods(tail: &str) -> Vec<Option<String>> {
    let Some([list]) = all(&METHODS, tail).next() else {
        return vec![None];
    };
    let names = list
        .split(',')
        .map(|name| name.trim().trim_matches(['"', '\'']).to_ascii_uppercase());
    let names: Vec<_> = names.filter(|name| !name.is_empty()).map(Some).collect();
    if names.is_empty() { vec![None] } else { names }
}

/// `<int:id>`, `<id>` and `{id:path}` as `{id}`.
fn convert(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, tail)) = rest.split_once(['<', '{']) {
        text.push_str(before);
        let Some((inside, after)) = tail.split_once(['>', '}']) else {
            rest = tail;
            continue;
        };
        // Flask and Django write the type first, Starlette last.
        let is_angle = rest.as_bytes().get(before.len()) == Some(&b'<');
        let (name, kind) = match (inside.split_once(':'), is_angle) {
            (Some((kind, name)), true) | (Some((name, kind)), false) => (name, kind),
            (None, _) => (inside, ""),
        };
        let rest_mark = if kind == "path" && after.is_empty() {
            "*"
        } else {
            ""
        };
        text.push_str(&format!("{{{rest_mark}{}}}", name.trim()));
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The path that a regular expression stands for, if nothing but named groups is special in it.
fn expression(text: &str) -> Option<String> {
    let text = text
        .trim_start_matches('^')
        .trim_end_matches("/?$")
        .trim_end_matches('$');
    let group = GROUP.as_ref()?;
    let path = group.replace_all(text, "{$1}").into_owned();
    (!path.contains(['(', ')', '[', ']', '\\', '+', '*', '?', '|'])).then_some(path)
}

/// The groups of all matches; those that took no part are empty.
fn all<'t, const N: usize>(
    regex: &'static LazyLock<Option<Regex>>,
    text: &'t str,
) -> impl Iterator<Item = [&'t str; N]> {
    super::assemble::all(regex, text)
}
