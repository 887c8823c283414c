//! Routes of Express, Fastify, Koa and Hono.
//!
//! In: the text of a module. Out: calls such as `router.get("/users/:id", …)`, routes given as objects, routers and where
//! they are mounted. Only variables that are made by a framework, or are called as everybody calls them, count: a
//! client's `axios.get("/users")` is no route.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::{
    Findings, Found, Mount,
    assemble::{all, pattern},
};

/// `router.get("/path", handler)`.
static CALL: LazyLock<Option<Regex>> = pattern!(
    r#"\b([A-Za-z_$][\w$]*)\.(get|post|put|patch|delete|del|all|options|head)\(\s*["'`]([^"'`\n]*)["'`]\s*[,)]"#
);

/// `router.route("/path")`.
static ROUTE: LazyLock<Option<Regex>> =
    pattern!(r#"\b([A-Za-z_$][\w$]*)\.route\(\s*["'`]([^"'`\n]*)["'`]\s*\)"#);

/// `{ method: "GET", url: "/path" }`.
static OBJECT: LazyLock<Option<Regex>> =
    pattern!(r#"method:\s*["'`](\w+)["'`]\s*,\s*(?:url|path):\s*["'`]([^"'`\n]*)["'`]"#);

/// `const router = express.Router()`.
static ROUTER: LazyLock<Option<Regex>> = pattern!(
    r"\b(?:const|let|var)\s+([A-Za-z_$][\w$]*)\s*=\s*(?:await\s+)?(?:new\s+)?(?:[\w$]+\.)*(?:express|Router|fastify|Fastify|Hono|KoaRouter|polka|createServer|restify)\b"
);

/// `const router = new Router({ prefix: "/users" })`.
static PREFIXED: LazyLock<Option<Regex>> = pattern!(
    r#"\b(?:const|let|var)\s+([A-Za-z_$][\w$]*)\s*=\s*new\s+\w*Router\(\s*\{[^}]*prefix:\s*["'`]([^"'`\n]*)["'`]"#
);

/// `app.use("/users", router)`, `app.use("/users", require("./users"))`.
static USE: LazyLock<Option<Regex>> = pattern!(
    r#"\.(?:use|route)\(\s*["'`](/[^"'`\n]*)["'`]\s*,[^;\n]*?(?:require\(\s*["'`]([^"'`\n]+)["'`]\s*\)|([A-Za-z_$][\w$]*))(?:\.routes\(\))?\s*\)"#
);

/// `fastify.register(users, { prefix: "/users" })`.
static REGISTER: LazyLock<Option<Regex>> = pattern!(
    r#"\.register\(\s*(?:require\(\s*["'`]([^"'`\n]+)["'`]\s*\)|([A-Za-z_$][\w$]*))\s*,\s*\{[^}]*prefix:\s*["'`]([^"'`\n]*)["'`]"#
);

/// `const users = require("./users")`, `import users from "./users"`.
static IMPORT: LazyLock<Option<Regex>> = pattern!(
    r#"(?:(?:const|let|var)\s+([A-Za-z_$][\w$]*)\s*=\s*require\(\s*|import\s+(?:\*\s+as\s+)?([A-Za-z_$][\w$]*)\s+from\s+)["'`](\.[^"'`\n]+)["'`]"#
);

/// Names that everybody gives to routers.
const USUAL: &[&str] = &["app", "router", "server", "fastify", "api", "routes", "instance"];

pub(super) fn read(text: &str) -> Findings {
    let mut findings = Findings::default();
    let made: Vec<&str> = all(&ROUTER, text).map(|[name]| name).collect();
    let is_router = |name: &str| made.contains(&name) || USUAL.contains(&name) || name.ends_with("Router");
    let mut add = |router: &str, method: Option<&str>, path: &str| {
        let has_form = path.starts_with('/') || path == "*";
        for path in convert(path)
            .into_iter()
            .filter(|_| has_form && is_router(router))
        {
            findings.routes.push(Found {
                method: method.map(str::to_ascii_uppercase),
                path,
                router: router.to_owned(),
            });
        }
    };
    for [router, method, path] in all(&CALL, text) {
        match method {
            "all" => add(router, None, path),
            "del" => add(router, Some("delete"), path),
            method => add(router, Some(method), path),
        }
    }
    for [router, path] in all(&ROUTE, text) {
        add(router, None, path);
    }
    for [method, path] in all(&OBJECT, text) {
        add("instance", Some(method), path);
    }
    let mut mount = |router: &str, path: &str| {
        for path in convert(path) {
            findings.mounts.push(Mount {
                router: router.to_owned(),
                path,
            });
        }
    };
    for [path, module, variable] in all(&USE, text) {
        mount(if module.is_empty() { variable } else { stem(module) }, path);
    }
    for [module, variable, path] in all(&REGISTER, text) {
        mount(if module.is_empty() { variable } else { stem(module) }, path);
    }
    for [router, path] in all(&PREFIXED, text) {
        mount(&format!("={router}"), path);
    }
    for [required, imported, module] in all(&IMPORT, text) {
        let name = if required.is_empty() { imported } else { required };
        findings.imports.push((name.to_owned(), stem(module).to_owned()));
    }
    findings
}

/// The name of the module that a path leads to.
fn stem(module: &str) -> &str {
    let last = module
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let stem = [".js", ".mjs", ".cjs", ".ts"]
        .iter()
        .find_map(|end| last.strip_suffix(end));
    let stem = stem.unwrap_or(last);
    if stem == "index" {
        let before = module.rsplit('/').nth(1).unwrap_or_default();
        return if before.starts_with('.') { stem } else { before };
    }
    stem
}

/// `:id` as `{id}`; what may be left out gives two paths.
fn convert(path: &str) -> Vec<String> {
    let mut paths = vec![String::new()];
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        if segment == "*" || segment.starts_with("*") || segment == "(.*)" {
            paths.iter_mut().for_each(|path| path.push_str("/{*rest}"));
            break;
        }
        let Some(at) = segment.find(':') else {
            paths
                .iter_mut()
                .for_each(|path| path.push_str(&format!("/{segment}")));
            continue;
        };
        let (before, name) = segment.split_at(at);
        let name = name.trim_start_matches(':');
        let end = name
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(name.len());
        let (name, after) = name.split_at(end);
        let after = after
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
            .map_or(after, |(_, rest)| rest);
        let is_optional = after.starts_with('?');
        let after = if after.contains(':') {
            ""
        } else {
            after.trim_start_matches('?')
        };
        let without = is_optional.then(|| paths.clone());
        paths
            .iter_mut()
            .for_each(|path| path.push_str(&format!("/{before}{{{name}}}{after}")));
        paths.extend(without.into_iter().flatten());
    }
    paths
        .iter_mut()
        .filter(|path| path.is_empty())
        .for_each(|path| path.push('/'));
    paths.truncate(4);
    paths
}
