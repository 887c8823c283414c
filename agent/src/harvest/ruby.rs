//! Routes of Rails and Sinatra.
//!
//! In: the text of `config/routes.rb`, or of any file with `get "/path" do`. Out: routes. Blocks are followed line by
//! line: `namespace`, `scope`, `resources` and `resource` put what is inside below them.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::{
    Findings, Found,
    assemble::{all, join, pattern},
};

/// `get "users/:id"`, `get :preview`.
static VERB: LazyLock<Option<Regex>> =
    pattern!(r#"^(get|post|put|patch|delete|options|match)[ (]\s*(?:["']([^"']*)["']|:(\w+))(.*)$"#);

/// `namespace :admin do`, `scope "/api" do`, `resources :users, only: […] do`.
static BLOCK: LazyLock<Option<Regex>> = pattern!(
    r#"^(namespace|scope|resources|resource|member|collection)\b[ (]*(?:path:\s*)?(?:["']([^"']*)["']|:(\w+))?(.*)$"#
);

/// `only: [:index, :show]`, `except: %i[destroy]`.
static LIMITED: LazyLock<Option<Regex>> = pattern!(r"(only|except):\s*(?:%i)?[\[(]?([^\])\n]*)");

/// `path: "people"`.
static PATH: LazyLock<Option<Regex>> = pattern!(r#"path:\s*["']([^"']*)["']"#);

/// Actions of `resources`: name, method, whether it is of one thing.
const ACTIONS: &[(&str, &str, bool)] = &[
    ("index", "GET", false),
    ("create", "POST", false),
    ("show", "GET", true),
    ("update", "PATCH", true),
    ("update", "PUT", true),
    ("destroy", "DELETE", true),
];

/// An open block.
struct Block {
    /// The path of what is inside.
    path: String,
    /// The path without the thing's id, for `collection`.
    collection: String,
}

pub(super) fn read(text: &str) -> Findings {
    let mut findings = Findings::default();
    let is_rails = text.contains("routes.draw");
    let mut blocks: Vec<Block> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line == "end" || line.starts_with("end ") {
            blocks.pop();
            continue;
        }
        let above = blocks.last().map_or("", |block| block.path.as_str()).to_owned();
        if let Some([verb, path, symbol, tail]) = all(&VERB, line).next() {
            let is_route =
                is_rails || tail.trim_end().ends_with("do") || tail.contains("do |") || tail.contains('{');
            if is_route {
                let path = if path.is_empty() { symbol } else { path };
                let method = (verb != "match").then(|| verb.to_ascii_uppercase());
                add(&mut findings, method, &join(&above, path));
            }
        } else if let (true, Some([kind, path, symbol, tail])) = (is_rails, all(&BLOCK, line).next()) {
            let block = block(
                &mut findings,
                &above,
                blocks.last(),
                kind,
                if path.is_empty() { symbol } else { path },
                tail,
            );
            if opens(line) {
                blocks.push(block);
                continue;
            }
        }
        if opens(line) {
            blocks.push(Block {
                path: above.clone(),
                collection: above,
            });
        }
    }
    findings
}

/// Whether a line opens a block that ends with `end`.
fn opens(line: &str) -> bool {
    let opens_with = [
        "if ", "unless ", "class ", "module ", "def ", "case ", "begin", "while ",
    ];
    line.ends_with(" do")
        || (line.contains(" do |") && line.ends_with('|'))
        || opens_with.iter().any(|word| line.starts_with(word)) && !line.ends_with(" end")
}

/// The routes that a line of blocks has by itself, and what is inside of it.
fn block(
    findings: &mut Findings,
    above: &str,
    outer: Option<&Block>,
    kind: &str,
    name: &str,
    tail: &str,
) -> Block {
    let own = all(&PATH, tail).next().map_or(name, |[path]| path);
    let base = join(above, own);
    match kind {
        "resources" => {
            let thing = format!("{base}/:id");
            for (action, method, of_one) in ACTIONS {
                if is_allowed(action, tail) {
                    let path = if *of_one { &thing } else { &base };
                    add(findings, Some((*method).to_owned()), path);
                }
            }
            Block {
                path: format!("{base}/:{}_id", own.trim_end_matches('s')),
                collection: base,
            }
        }
        "resource" => {
            for (action, method, of_one) in ACTIONS {
                if (*of_one || *action == "create") && is_allowed(action, tail) {
                    add(findings, Some((*method).to_owned()), &base);
                }
            }
            Block {
                path: base.clone(),
                collection: base,
            }
        }
        "collection" => {
            let path = outer.map_or(above, |outer| outer.collection.as_str()).to_owned();
            Block {
                collection: path.clone(),
                path,
            }
        }
        "member" => Block {
            path: above.to_owned(),
            collection: above.to_owned(),
        },
        // `scope module: "x"` has no path.
        _ if own.is_empty() => Block {
            path: above.to_owned(),
            collection: above.to_owned(),
        },
        _ => Block {
            path: base.clone(),
            collection: base,
        },
    }
}

fn is_allowed(action: &str, tail: &str) -> bool {
    all(&LIMITED, tail).all(|[kind, list]| {
        let named = list
            .split([',', ' '])
            .any(|name| name.trim().trim_start_matches(':') == action);
        named == (kind == "only")
    })
}

fn add(findings: &mut Findings, method: Option<String>, path: &str) {
    let convert = |segment: &str| match segment.split_once([':', '*']) {
        Some((before, name)) => {
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, after) = name.split_at(end.unwrap_or(name.len()));
            let mark = if segment.starts_with('*') { "*" } else { "" };
            format!("{before}{{{mark}{name}}}{after}")
        }
        None => segment.to_owned(),
    };
    // `(.:format)` may be left out, and mostly is.
    let path = path.split('(').next().unwrap_or_default();
    let segments: Vec<String> = path.split('/').map(convert).collect();
    findings.routes.push(Found {
        method,
        path: join("", &segments.join("/")),
        router: String::new(),
    });
}
