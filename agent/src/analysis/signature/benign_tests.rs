//! What people, programs and frameworks send and no signature may flag: written to look like attacks.

use super::Inspector;
use crate::{
    exchange::{Body, Exchange},
    inventory::fixture::call,
    verdict::Signal,
};

fn post(kind: &str, body: &str) -> Exchange {
    let mut exchange = call("POST", "/v1/things").field("content-type", kind).exchange();
    if let Some(request) = &mut exchange.request {
        request.body = Body {
            sample: bytes::Bytes::copy_from_slice(body.as_bytes()),
            length: Some(body.len() as u64),
            cut: false,
        };
    }
    exchange
}

fn signals(exchange: &Exchange) -> Vec<Signal> {
    let mut signals = Vec::new();
    Inspector::default().inspect(exchange, None, &mut signals);
    signals
}

/// The value in a JSON field, a form field and a query.
fn everywhere(value: &str) -> [Exchange; 3] {
    let json = serde_json::json!({"id": 7, "text": value}).to_string();
    let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    [
        post("application/json", &json),
        post("application/x-www-form-urlencoded", &format!("id=7&text={form}")),
        call("GET", &format!("/v1/search?limit=20&q={form}")).exchange(),
    ]
}

const PHRASES: &[&str] = &[
    "having friends over",
    "select specialty hospital",
    "Select the best option from the list below",
    "please update the table and delete the old chairs",
    "union square, order by phone",
    "Drop me a line or call; I'm in 9-5",
    "the union selects its delegates from members where possible",
    "insert coin into slot",
    "group by age, order by name",
    "O'Brien",
    "D'Angelo's & Sons",
    "l'été à l'île d'Oléron",
    "rock 'n' roll; blues & jazz",
    "it's 5 o'clock and I'm 30 or 40 minutes late",
    "Smith, John (Jr.) -- VP of Sales",
    "C# or F# developer",
    "50% off -- today only!",
    "a -> b => c",
    "x = y and y = z, or not",
    "3 > 2 and 1 < 2",
    "E = mc^2; F = m*a; a^2 + b^2 = c^2",
    "f(x) = (x+1)/(x-1) for x != 1",
    "\\frac{a}{b} = \\sqrt{x^{2} + 1}",
    "^[a-z]+(\\.[a-z]+)*@[a-z]+\\.com$",
    "(?i)^(foo|bar)\\s*=\\s*\"([^\"]*)\"$",
    "/usr/local/bin/app --verbose",
    "src/components/../lib/index.ts",
    "C:\\Program Files\\App\\app.exe",
    "https://example.test/path?redirect=https%3A%2F%2Fother.test%2F&x=1#top",
    "https://example.test/search?q=select+a+union&order=by",
    "http://10.1.2.3:8080/health",
    "postgres://app@db:5432/app?sslmode=require",
    "mailto:ada@example.test?subject=Hello",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "SGVsbG8gV29ybGQsIHRoaXMgaXMgYSBsb25nIGJhc2U2NCBzdHJpbmch",
    "eyJhIjoxLCJiIjoiYyIsImQiOlsxLDIsM119",
    "{{ first_name }}, your order {{order.id}} has shipped",
    "${HOME}/.cache/${APP}",
    "Hello <b>world</b>, see <a href=\"https://example.test\">this</a>",
    "I <3 you & you <3 me",
    "a<b>c</b>d",
    "status:open author:@me label:\"help wanted\" sort:updated-desc",
    "name eq 'O''Brien' and (age gt 30 or city eq 'Paris')",
    "project = ABC AND status in (Open, \"In Progress\") ORDER BY created DESC",
    "created_at >= '2024-01-01' AND created_at < '2024-02-01'",
    "(&(objectClass=person)(|(cn=ada)(cn=bob)))",
    "you can use alert() to see it",
    "click \"OK\" to confirm (or cancel)",
    "run `npm test` and then `git push`",
    "cat pictures; dog pictures | bird pictures",
    "Ping me at 5 & we'll find time",
    "grep -r foo . | wc -l",
    "docker run --rm -it alpine sh",
    "pip install requests && python app.py",
    "echo hello > out.txt",
    "kill -9 the process, sleep, then restart",
    "1; 2; 3",
    "Tom (& Jerry)",
    "50/50; 1/2 | 3/4",
    "$1,000 (approx.)",
    "[link](https://example.test) and ![img](/a.png)",
    "| a | b |",
    "- [x] done (finally)",
    "@{u}..HEAD",
    "v1.0.0...v1.1.0",
    "refs/heads/feature/../x",
    "java.lang.IllegalStateException: no session",
    "com.example.service.UserService",
    "process.env is read at start",
    "constructor injection and prototype scope",
    "#hashtag #another",
    "%s is not a %d",
    "100% organic; 0% sugar",
    "text/html; charset=utf-8",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "onboarding=done; online=true",
    "price<100;size>=40",
    "margin: 0 auto; color: #fff; background: url(https://example.test/a.png)",
    "(555) 123-4567",
    "'quoted' or \"double\" quotes",
    "Is it true or false? null or not null?",
    "the \"or\" in \"this or that\"",
    "sleep(8 hours) is important",
    "count(votes) and sum(points)",
    "=SUM(A1:A10)",
    "=IF(A1>10,\"yes\",\"no\")",
    "SELECT id, name FROM customers WHERE country = 'DE' ORDER BY name LIMIT 10",
    "0x1f and 0b11",
    "node_modules/.bin/tsc",
    ".gitignore",
    "README.md",
    "../README.md",
    "etc. and so on/off",
];

const DOCUMENTS: &[&str] = &[
    "# Fixing SQL injection\n\nThe query `SELECT * FROM users WHERE id = '` + id + `'` is open to `' OR '1'='1`.\n\n```sql\n' UNION SELECT password FROM users --\n```\n\nUse parameters instead.\n",
    "## XSS\n\nNever write `<script>alert(1)</script>` into a page.\n\n```html\n<img src=x onerror=alert(1)>\n```\n\nEscape it, please.\n",
    "import os\nimport subprocess\n\ndef run(cmd):\n    return subprocess.check_output(cmd, shell=True)\n\nprint(run('cat /etc/passwd'))\n",
    "const cp = require('child_process');\nfunction run(x) {\n  return cp.exec(`ls ${x}`);\n}\nmodule.exports = { run };\n",
    "<?php\nfunction f($x) {\n  return system($x);\n}\necho f($_GET['a']);\n",
    "#!/bin/bash\nset -e\ncd /app\nnpm ci && npm test\nif [ -f .env ]; then\n  source .env;\nfi\ncurl -s https://example.test | sh\n",
    "SELECT u.id, u.name\nFROM users u\nJOIN orders o ON o.user_id = u.id\nWHERE o.total > 100 AND u.active = 1\nGROUP BY u.id, u.name\nORDER BY 2;\n",
    "steps:\n  - run: npm ci && npm run build\n  - run: |\n      curl -sSf https://example.test/install.sh | sh\n      echo \"${{ secrets.TOKEN }}\" > token\n",
    "2024-05-01 10:00:00 INFO GET /v1/users?id=7 200\n2024-05-01 10:00:01 WARN java.lang.NullPointerException\n\tat com.example.A.b(A.java:12)\n\tat java.lang.Thread.run(Thread.java:829)\n",
    "body {\n  margin: 0;\n  background: url('/img/a.png');\n}\n@media (max-width: 600px) {\n  .a > .b { display: none; }\n}\n",
    "<!DOCTYPE html>\n<html><head><title>Page</title><script src=\"/app.js\"></script></head>\n<body onload=\"init()\"><h1>Hello</h1></body></html>\n",
    "<h2>News</h2>\n<p>We <em>moved</em>!</p>\n<ul><li><a href=\"/a\">One</a></li><li>Two</li></ul>\n<img src=\"/b.png\" alt=\"b\">\n",
    "diff --git a/x.js b/x.js\n--- a/x.js\n+++ b/x.js\n@@ -1,2 +1,2 @@\n-const a = '1' or b;\n+const a = eval(b);\n",
    "Hi all,\n\nLocation: room 4\nSubject: lunch; or dinner\nFrom: Ada\n\nSee you -- or not.\nAda\n",
];

#[test]
fn phrases_stay_quiet_wherever_they_are() {
    let mut flagged = Vec::new();
    for phrase in PHRASES {
        for exchange in everywhere(phrase) {
            flagged.extend(
                signals(&exchange)
                    .into_iter()
                    .map(|signal| (*phrase, signal.class, signal.place)),
            );
        }
    }
    assert!(
        flagged.is_empty(),
        "{} of {}: {flagged:#?}",
        flagged.len(),
        3 * PHRASES.len()
    );
}

#[test]
fn documents_and_source_in_bodies_stay_quiet() {
    let mut flagged = Vec::new();
    for document in DOCUMENTS {
        let json = serde_json::json!({"title": "A file", "body": document}).to_string();
        for exchange in [post("application/json", &json), post("text/plain", document)] {
            flagged.extend(
                signals(&exchange)
                    .into_iter()
                    .map(|signal| (*document, signal.class, signal.place)),
            );
        }
    }
    assert!(
        flagged.is_empty(),
        "{} of {}: {flagged:#?}",
        flagged.len(),
        2 * DOCUMENTS.len()
    );
}

#[test]
fn graphql_documents_stay_quiet_and_their_arguments_do_not() {
    use crate::protocol::operation::{Detail, GraphQlCall, Operation};
    let graphql = |document: &str, variables: serde_json::Value| {
        let body = serde_json::json!({"query": document, "variables": variables}).to_string();
        let mut exchange = post("application/json", &body);
        exchange.operation = Some(Box::new(Operation {
            name: None,
            detail: Detail::GraphQl(GraphQlCall::default()),
        }));
        exchange
    };
    for document in [
        "query Q($id: ID!) { user(id: $id) { id name ...F } } fragment F on User { email }",
        "mutation { update(input: {name: \"O'Brien\", tags: [\"a\", \"b\"]}) { ok } }",
        "{ select: users(where: {age: {_gt: 5}, or: [{a: 1}]}, orderBy: {name: asc}) @include(if: true) { count } }",
        "{ __schema { types { name fields(includeDeprecated: true) { name } } } }",
    ] {
        let found = signals(&graphql(document, serde_json::json!({"id": "42"})));
        assert!(found.is_empty(), "{document}: {found:?}");
    }
    let argument = graphql("{ user(id: \"1' or '1'='1\") { id } }", serde_json::json!({}));
    assert_eq!(signals(&argument).len(), 1);
    let variable = graphql(
        "query Q($id: ID!) { user(id: $id) { id } }",
        serde_json::json!({"id": "1 union select 1,2"}),
    );
    assert_eq!(
        signals(&variable)
            .first()
            .map(|signal| signal.place.clone())
            .as_deref(),
        Some("body.$.variables.id")
    );
}

/// A query has nothing else for a space, and a statement needs no other byte of note.
#[test]
fn statements_with_plus_for_spaces_are_found() {
    for query in [
        "1+union+select+1,2",
        "-1+union+all+select+1,2,3--+",
        "1e0+union+select+1",
        "1+order+by+10--",
        "7+or+true",
        "powershell+-enc+abcd",
    ] {
        let exchange = call("GET", &format!("/v1/things?id={query}")).exchange();
        assert_eq!(signals(&exchange).len(), 1, "{query}");
    }
    for query in ["order+by+phone", "union+jack", "1+of+2", "a+b+c", "time+zone"] {
        let exchange = call("GET", &format!("/v1/things?id={query}")).exchange();
        assert!(signals(&exchange).is_empty(), "{query}");
    }
}

#[test]
fn values_never_reach_signals() {
    for exchange in everywhere("zq9' or 'zq9'='zq9") {
        let found = signals(&exchange);
        assert_eq!(found.len(), 1);
        assert!(!format!("{found:?}").contains("zq9"));
    }
}

#[test]
fn bounds_are_kept_and_counted() {
    let values = vec!["' or 1=1 --"; 20_000];
    let body = serde_json::json!({ "a": values }).to_string();
    let mut inspector = Inspector::default();
    let mut found = Vec::new();
    inspector.inspect(&post("application/json", &body), None, &mut found);
    assert_eq!(found.len(), 1, "one signal per class and place");
    let long = format!("{{\"a\":\"{}\"}}", "(x) ".repeat(10_000));
    inspector.inspect(&post("application/json", &long), None, &mut found);
    assert!(inspector.counts().skipped_bytes > 30_000);
}

#[test]
fn what_is_remembered_changes_no_conclusion() {
    let mut remembering = Inspector::default();
    remembering.remember([7; 16]);
    let exchanges: Vec<Exchange> = PHRASES
        .iter()
        .copied()
        .chain([
            "1' or '1'='1",
            "<script>alert(1)</script>",
            "x; cat /etc/passwd",
            "{\"a\":\"1' or '1'='1\"}",
        ])
        .flat_map(everywhere)
        .collect();
    for round in 0..3 {
        for exchange in &exchanges {
            let mut found = Vec::new();
            remembering.inspect(exchange, None, &mut found);
            assert_eq!(found, signals(exchange), "round {round}");
        }
    }
}

#[test]
fn an_attack_that_was_not_told_is_not_remembered_as_harmless() {
    let mut inspector = Inspector::default();
    inspector.remember([7; 16]);
    // Two at one place are told once.
    let both = r#"{"x":["1' or '1'='1","2' or '2'='2"]}"#;
    let second = r#"{"x":["2' or '2'='2"]}"#;
    for body in [both, both, second] {
        let mut found = Vec::new();
        inspector.inspect(&post("application/json", body), None, &mut found);
        assert_eq!(found.len(), 1, "{body}");
    }
}
