//! Every rule, with traffic that makes it speak and traffic that must not, from lines of an exchanges file on: so the
//! credentials are masked as they are in operation.

mod transport;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    capture::file,
    replay::{Options, Replay},
    risk::{Assessment, Criteria, assess},
    verdict::Severity,
};

const NOW: f64 = 1_700_000_000.0;
const PUBLIC: &str = "203.0.113.9";
const PRIVATE: &str = "10.1.2.3";
const HERE: &str = "127.0.0.1";

/// An answered GET without anything special about it.
fn get(target: &str) -> Value {
    json!({"method": "GET", "target": target, "host": "api.test", "ts": NOW, "workload": "shop", "client": HERE,
        "scheme": "https", "status": 200, "request": {"headers": []},
        "response": {"headers": [["content-type", "application/json"]], "body": "{\"ok\":true}"}})
}

/// The same with members replaced.
fn with(mut line: Value, members: Value) -> Value {
    for (name, value) in members.as_object().expect("an object") {
        line[name] = value.clone();
    }
    line
}

fn sends(line: Value, fields: Value) -> Value {
    with(line, json!({"request": {"headers": fields}}))
}

fn answers(line: Value, fields: Value, body: &str) -> Value {
    with(line, json!({"response": {"headers": fields, "body": body}}))
}

fn bearer(token: &str) -> Value {
    json!([["authorization", format!("Bearer {token}")]])
}

fn token(header: Value, claims: Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2lnbmF0dXJl", part(header), part(claims))
}

fn assessed(lines: &[Value]) -> Assessment {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut replay = Replay::new(&Options::default());
    file::read(text.as_bytes(), &Replay::redactor(), &mut replay).expect("a file");
    let outcome = replay.finish().expect("an end");
    assess(
        &outcome.inventory,
        Vec::new(),
        &[],
        &Criteria::default(),
        outcome.now,
    )
}

/// The rules that speak, and how severe it is.
fn rules(lines: &[Value]) -> Vec<(String, Severity)> {
    let findings = assessed(lines).findings;
    findings
        .iter()
        .map(|finding| (finding.rule.to_string(), finding.severity))
        .collect()
}

fn names(lines: &[Value]) -> Vec<String> {
    rules(lines).into_iter().map(|(name, _)| name).collect()
}

fn times(count: usize, line: &Value) -> Vec<Value> {
    vec![line.clone(); count]
}

#[track_caller]
fn assert_rules(lines: &[Value], expected: &[&str]) {
    assert_eq!(names(lines), expected);
}

const PEOPLE: &str = r#"{"users":[{"name":"Ann","email":"ann@mail.example.test","password":"tr0ub4dor"},
    {"name":"Bob","email":"bob@mail.example.test","password":"c0rrecthorse"}]}"#;

#[test]
fn ordinary_traffic_is_no_finding() {
    let fields = json!([
        ["content-type", "application/json"],
        ["cache-control", "no-store"],
        ["set-cookie", "sid=1; Secure; HttpOnly"]
    ]);
    let line = answers(get("/items"), fields, r#"{"items":[1,2]}"#);
    assert_rules(&times(30, &sends(line, bearer("abcdef"))), &[]);
    assert_rules(&times(30, &get("/items")), &[]);
}

#[test]
fn served_with_and_without_a_credential() {
    let mut lines = times(5, &sends(get("/orders"), bearer("abcdef")));
    lines.extend(times(3, &get("/orders")));
    assert_rules(&lines, &["unauthenticated_success"]);
    // A page that asks to log in is no data.
    let page = answers(get("/orders"), json!([["content-type", "text/html"]]), "<html>");
    let mut lines = times(5, &sends(get("/orders"), bearer("abcdef")));
    lines.extend(times(3, &page));
    assert_rules(&lines, &[]);
    // Cookies that may be a session are not nothing.
    let mut lines = times(5, &sends(get("/orders"), bearer("abcdef")));
    lines.extend(times(3, &sends(get("/orders"), json!([["cookie", "x=1"]]))));
    assert_rules(&lines, &[]);
}

#[test]
fn sensitive_answers_without_a_credential() {
    let line = answers(
        get("/users/_debug"),
        json!([["content-type", "application/json"]]),
        PEOPLE,
    );
    let from = |client: &str| rules(&[with(line.clone(), json!({"client": client}))]);
    let (unauthenticated, excessive) = ("unauthenticated_sensitive_response", "excessive_data");
    assert_eq!(from(HERE)[0], (unauthenticated.into(), Severity::High));
    assert_eq!(from(HERE)[1], (excessive.into(), Severity::High));
    assert_eq!(from(HERE)[2], ("debug_endpoint".into(), Severity::Low));
    assert_eq!(from(PRIVATE)[0], (unauthenticated.into(), Severity::Critical));
    assert_eq!(
        from(PUBLIC)[0],
        ("exposed_sensitive_response".into(), Severity::Critical)
    );
    // The token that a login answers with is what was asked for.
    let login = with(get("/login"), json!({"method": "POST"}));
    let body = json!({"auth_token": token(json!({"alg": "HS256"}), json!({"exp": NOW}))}).to_string();
    let login = answers(login, json!([["content-type", "application/json"]]), &body);
    assert_rules(&times(5, &login), &[]);
}

#[test]
fn tokens_that_must_be_refused() {
    let expired = token(
        json!({"alg": "HS256"}),
        json!({"exp": NOW - 3600.0, "iat": NOW - 7200.0}),
    );
    let unsigned = token(json!({"alg": "none"}), json!({"exp": NOW + 60.0, "iat": NOW}));
    let just_expired = token(
        json!({"alg": "HS256"}),
        json!({"exp": NOW - 10.0, "iat": NOW - 60.0}),
    );
    let found = |token: &str| rules(&[sends(get("/me"), bearer(token))]);
    assert_eq!(found(&expired), [("bad_jwt_accepted".into(), Severity::High)]);
    assert_eq!(
        found(&unsigned),
        [("bad_jwt_accepted".into(), Severity::Critical)]
    );
    assert_eq!(found(&just_expired), []);
    // Refused as it should be.
    let refused = with(sends(get("/me"), bearer(&expired)), json!({"status": 401}));
    assert_rules(&times(9, &refused), &[]);
    // Public anyway: the token is not looked at.
    assert_rules(
        &[sends(get("/me"), bearer(&expired)), get("/me"), get("/me")],
        &["unauthenticated_success"],
    );
}

#[test]
fn keys_that_everybody_guesses() {
    // `{"alg":"HS256"}.{"exp":4102444800,"iat":4102441200}` signed with `secret`, and with a random key.
    let text = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDAsImlhdCI6NDEwMjQ0MTIwMH0";
    let found = |signature: &str| rules(&[sends(get("/me"), bearer(&format!("{text}.{signature}")))]);
    assert_eq!(
        found("xZf99UhikkyLSMbzzy8YnHHW8AhIFGZ1TDJMQWaCd9E"),
        [("weak_jwt".into(), Severity::Critical)]
    );
    assert_eq!(found("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"), []);
}

#[test]
fn logins_that_tell_accounts_apart() {
    let failed = |message: &str| {
        let body = json!({"status": "fail", "message": message}).to_string();
        with(
            get("/login"),
            json!({"method": "POST", "response": {"headers": [["content-type", "application/json"]], "body": body}}),
        )
    };
    let both = [
        failed("Username does not exist"),
        failed("Password is not correct"),
    ];
    assert_rules(&both, &["account_enumeration"]);
    assert_rules(&[failed("Username or password incorrect")], &[]);
    assert_rules(&times(30, &failed("It is not so")), &["missing_rate_limit"]);
}

#[test]
fn tokens_issued_carelessly() {
    let found = |header: Value, claims: Value| rules(&[sends(get("/me"), bearer(&token(header, claims)))]);
    let weak = |severity| vec![("weak_jwt".to_owned(), severity)];
    let day = 86_400.0;
    assert_eq!(
        found(json!({"alg": "RS256"}), json!({"iat": NOW})),
        weak(Severity::Medium)
    );
    assert_eq!(
        found(
            json!({"alg": "RS256"}),
            json!({"iat": NOW, "exp": NOW + 90.0 * day})
        ),
        weak(Severity::Low)
    );
    assert_eq!(
        found(
            json!({"alg": "RS256", "jku": "https://x"}),
            json!({"exp": NOW + day})
        ),
        weak(Severity::High)
    );
    assert_eq!(
        found(json!({"alg": "RS256"}), json!({"iat": NOW, "exp": NOW + day})),
        []
    );
}

#[test]
fn errors_that_tell_too_much_twice() {
    let error = |body: &str| {
        let line = with(get("/search"), json!({"status": 500}));
        answers(line, json!([["content-type", "text/html"]]), body)
    };
    let trace = error("<pre>Traceback (most recent call last):\n  File \"app.py\"");
    let database = error("sqlite3.OperationalError: near \"'\"");
    assert_rules(&times(2, &trace), &["verbose_errors"]);
    assert_rules(&times(2, &database), &["verbose_errors"]);
    assert_rules(&times(1, &trace), &[]);
    assert_rules(&times(5, &error("Internal Server Error")), &[]);
    let documentation = answers(get("/help"), json!([]), "Traceback (most recent call last)");
    assert_rules(&times(5, &documentation), &[]);
}

#[test]
fn other_sites_are_admitted() {
    let ask = |origin: &str, admitted: &str, credentials: &str| {
        let fields = json!([
            ["access-control-allow-origin", admitted],
            ["access-control-allow-credentials", credentials],
            ["content-type", "application/json"]
        ]);
        sends(answers(get("/me"), fields, "{}"), json!([["origin", origin]]))
    };
    let one = ask("https://evil.example", "https://evil.example", "true");
    let other = ask("https://worse.invalid", "https://worse.invalid", "true");
    assert_eq!(
        rules(std::slice::from_ref(&one)),
        [("permissive_cors".into(), Severity::Medium)]
    );
    assert_eq!(rules(&[one, other]), [("permissive_cors".into(), Severity::High)]);
    assert_rules(&[ask("null", "null", "true")], &["permissive_cors"]);
    assert_rules(&[ask("https://evil.example", "*", "true")], &["permissive_cors"]);
    assert_rules(&[ask("https://evil.example", "*", "false")], &[]);
    assert_rules(
        &[ask("https://app.api.test", "https://app.api.test", "true")],
        &[],
    );
}

#[test]
fn debugging_and_documentation() {
    let from = |target: &str, client: &str| names(&[with(get(target), json!({"client": client}))]);
    assert_eq!(from("/debug/pprof/heap", PRIVATE), ["debug_endpoint"]);
    assert_eq!(from("/actuator/env", PRIVATE), ["debug_endpoint"]);
    assert_eq!(from("/swagger/index.html", PRIVATE), ["documentation_endpoint"]);
    for target in [
        "/actuator/health",
        "/env",
        "/git/repos",
        "/metrics",
        "/trace-orders",
    ] {
        assert_eq!(from(target, PRIVATE), Vec::<String>::new(), "{target}");
    }
    assert_eq!(from("/openapi.json", HERE), Vec::<String>::new());
}

#[test]
fn cookies_caches_and_trace() {
    let cookie = |cookie: &str| answers(get("/in"), json!([["set-cookie", cookie]]), "");
    assert_eq!(
        rules(&[cookie("sessionid=abc; Path=/")]),
        [("insecure_cookie".into(), Severity::Medium)]
    );
    assert_eq!(
        rules(&[cookie("sessionid=abc; HttpOnly")]),
        [("insecure_cookie".into(), Severity::Low)]
    );
    for harmless in [
        "theme=dark",
        "csrf_token=x",
        "sessionid=; Max-Age=0",
        "sid=x; secure; httponly",
    ] {
        assert_rules(&[cookie(harmless)], &[]);
    }
    let person = answers(
        sends(get("/me"), bearer("abcdef")),
        json!([["content-type", "application/json"]]),
        r#"{"email":"ann@mail.example.test"}"#,
    );
    assert_rules(&times(25, &person), &["missing_no_store"]);
    assert_rules(&[with(get("/"), json!({"method": "TRACE"}))], &["trace_method"]);
}

#[test]
fn objects_for_everybody() {
    let line = |id: usize, who: &str| {
        let token = token(
            json!({"alg": "HS256"}),
            json!({"sub": who, "iat": NOW, "exp": NOW + 60.0}),
        );
        let fields = json!([
            ["content-type", "application/json"],
            ["cache-control", "no-store"]
        ]);
        let line = get(&format!("/accounts/{}", 1000 + id));
        answers(
            sends(line, bearer(&token)),
            fields,
            r#"{"iban":"DE89370400440532013000"}"#,
        )
    };
    let shared: Vec<Value> = (0..8).flat_map(|id| [line(id, "ann"), line(id, "bob")]).collect();
    assert_rules(&shared, &["object_without_owner"]);
    let owned: Vec<Value> = (0..8).map(|id| line(id, &format!("user{id}"))).collect();
    assert_rules(&owned, &[]);
}

#[test]
fn the_exposed_shape_scores_highest() {
    let with_type = json!([["content-type", "application/json"]]);
    let person = r#"{"email":"ann@mail.example.test","ssn":"536-90-4399"}"#;
    let optus = with(
        answers(get("/customers/1"), with_type.clone(), person),
        json!({"client": PUBLIC}),
    );
    // Everything else at once: from the internet, but no sensitive data without a credential.
    let everything = answers(
        sends(
            get("/actuator/env?api_key=abcdefghij"),
            json!([
                [
                    "authorization",
                    format!(
                        "Bearer {}",
                        token(json!({"alg": "none"}), json!({"password": "x"}))
                    )
                ],
                ["origin", "null"]
            ]),
        ),
        json!([
            ["content-type", "application/json"],
            ["access-control-allow-origin", "null"],
            ["access-control-allow-credentials", "true"],
            ["set-cookie", "sid=x"]
        ]),
        PEOPLE,
    );
    let everything = with(everything, json!({"client": PUBLIC, "scheme": "http"}));
    let mut lines = times(30, &everything);
    lines.extend(times(3, &optus));
    let assessment = assessed(&lines);
    let rows: Vec<_> = assessment
        .risks
        .iter()
        .filter(|row| row.endpoint.is_some())
        .collect();
    assert!(
        rows[0]
            .endpoint_name
            .as_deref()
            .is_some_and(|name| name.contains("customers"))
    );
    assert_eq!(rows[0].factors[0].factor, "exposed_sensitive_response");
    assert!(rows[0].score > 90.0 && rows[1].score <= 90.0, "{rows:?}");
    assert!(rows[1].factors.len() >= 7);
    assert!(assessment.endpoints.iter().all(|row| row.risk.is_some()));
}

#[test]
fn parts_make_the_whole() {
    let lines: Vec<Value> = (0..20)
        .map(|at| answers(get(&format!("/p/{at}")), json!([["set-cookie", "sid=1"]]), ""))
        .collect();
    let reversed: Vec<Value> = lines.iter().rev().cloned().collect();
    assert_eq!(assessed(&lines).findings, assessed(&reversed).findings);
    assert_eq!(assessed(&lines).findings[0].count, 20);
}

#[test]
fn documents_tell_shadow_and_zombie_endpoints() {
    let text = r#"{"openapi":"3.0.0","paths":{"/a":{"get":{}},"/old":{"get":{"deprecated":true}}}}"#;
    let given = crate::spec::Given::read("a.json", text.as_bytes()).expect("a document");
    let criteria = Criteria {
        documents: Some(crate::spec::Matcher::new(&[given])),
        ..Criteria::default()
    };
    let lines: String = [get("/a"), get("/old"), get("/new")]
        .iter()
        .map(|line| format!("{line}\n"))
        .collect();
    let mut replay = Replay::new(&Options::default());
    file::read(lines.as_bytes(), &Replay::redactor(), &mut replay).expect("a file");
    let outcome = replay.finish().expect("an end");
    let assessment = assess(&outcome.inventory, Vec::new(), &[], &criteria, outcome.now);
    let specs: Vec<_> = assessment
        .endpoints
        .iter()
        .map(|row| (row.template.as_str(), row.spec.as_str()))
        .collect();
    assert_eq!(
        specs,
        [("/a", "documented"), ("/new", "shadow"), ("/old", "zombie")]
    );
    let rules: Vec<_> = assessment
        .findings
        .iter()
        .map(|finding| finding.rule.as_ref())
        .collect();
    assert_eq!(rules, ["shadow_endpoint", "zombie_endpoint"]);
}
