//! The judgement of third parties on exported OpenAPI documents: openapi-spec-validator says whether they are valid,
//! openapi-core whether the traffic they were made from conforms to them. Both are from PyPI.
//!
//! Where Python or the packages cannot be had, the tests say so and pass.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use serde_json::json;

const EXCHANGES: &str = r#"
{"method":"GET","target":"/v1/users/1?full=1","workload":"shop","host":"api.example.test","request":{"headers":[["authorization","Basic YTpi"]]},"status":200,"response":{"headers":[["content-type","application/json"]],"body":"{\"id\":1,\"mail\":\"ann@example.test\",\"tags\":[\"a\",1,null],\"by\":{\"41\":{\"n\":1.5}}}"}}
{"method":"GET","target":"/v1/users/2","workload":"shop","request":{"headers":[["authorization","Bearer abc"]]},"status":200,"response":{"headers":[["content-type","application/json"]],"body":"{\"id\":2,\"mail\":null,\"tags\":[],\"by\":{}}"}}
{"method":"GET","target":"/v1/users/3.json","workload":"shop","status":200,"response":{"headers":[["content-type","application/json"]],"body":"[[1],[],{\"a\":"}}
{"method":"POST","target":"/v1/users","workload":"shop","request":{"headers":[["content-type","application/x-www-form-urlencoded"]],"body":"name=Ann&age=7"},"status":201}
{"method":"PUT","target":"/v1/users/1","workload":"shop","request":{"headers":[["content-type","application/json"]],"body":"{\"name\":\"Ann\"}"},"status":422,"response":{"body":"{\"error\":\"no\"}"}}
{"method":"POST","target":"/soap","workload":"shop","request":{"headers":[["soapaction","\"GetPrice\""]]},"status":200}
{"method":"POST","target":"/soap","workload":"shop","request":{"headers":[["soapaction","\"SetPrice\""]]},"status":200}
{"method":"PROPFIND","target":"/dav","workload":"shop","status":207}
{"method":"GET","target":"/","workload":"shop","status":200}
{"method":"GET","target":"/7/users/7/users/7","workload":"shop","status":302}
"#;

fn apiarist(arguments: &[&str]) {
    let status = Command::new(env!("CARGO_BIN_EXE_apiarist"))
        .args(arguments)
        .status();
    assert!(status.is_ok_and(|status| status.success()), "{arguments:?}");
}

/// The Python of an environment with both packages, made once.
fn validator() -> Result<PathBuf, String> {
    static MADE: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi-validator");
    let python = environment.join("bin/python3");
    let run = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .output()
            .map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    };
    if run(
        &python,
        &[
            "-c",
            "import openapi_spec_validator; from openapi_core import OpenAPI",
        ],
    )
    .is_err()
    {
        let path = environment.display().to_string();
        run(Path::new("python3"), &["-m", "venv", "--clear", &path])?;
        run(
            &python,
            &[
                "-m",
                "pip",
                "install",
                "--quiet",
                "openapi-spec-validator",
                "openapi-core>=0.23",
            ],
        )?;
    }
    Ok(python)
}

#[test]
fn a_validator_accepts_what_is_exported() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let (input, store) = (at("input.jsonl"), at("store"));
    fs::write(&input, EXCHANGES.trim_start()).unwrap();
    apiarist(&["replay", &input, "--store", &store]);
    let mut documents = Vec::new();
    for format in ["json", "yaml"] {
        let file = at(&format!("shop.{format}"));
        apiarist(&[
            "spec", "export", "--store", &store, "--format", format, "--file", &file,
        ]);
        documents.push(file);
    }
    let text = fs::read_to_string(&documents[0]).unwrap();
    for expected in [
        "/v1/users/{userId}",
        "/v1/users/{userId}.json",
        "x-www-form-urlencoded",
        "GetPrice",
        "2XX",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let python = match validator() {
        Ok(python) => python,
        Err(why) => {
            println!("skipped: the packages cannot be installed: {why}");
            return;
        }
    };
    let output = Command::new(python)
        .args(["-m", "openapi_spec_validator", "--schema", "3.1.0"])
        .args(&documents)
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{text}");
}

/// Checks each exchange of a file against a document.
const CONFORM: &str = r#"
import json, sys
from urllib.parse import parse_qsl, urlsplit
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

HOST = "http://api.example.test"
document = json.load(open(sys.argv[1]))
# Exported without a scheme, which this validator does not resolve.
document["servers"] = [{"url": HOST}]
api = OpenAPI.from_dict(document)
wrong = 0
for line in open(sys.argv[2]):
    exchange = json.loads(line)
    url = urlsplit(exchange["target"])
    sent = exchange.get("request", {})
    headers = dict(sent.get("headers", []))
    request = MockRequest(
        HOST, exchange["method"].lower(), url.path, args=dict(parse_qsl(url.query)), headers=headers,
        data=sent.get("body", "").encode() or None, content_type=headers.get("content-type", ""),
    )
    answer = exchange["response"]
    response = MockResponse(answer.get("body", "").encode(), status_code=exchange["status"])
    for what, check in [
        ("request", lambda: api.validate_request(request)),
        ("response", lambda: api.validate_response(request, response)),
    ]:
        if what == "response" and not answer.get("body"):
            continue
        try:
            check()
        except Exception as error:
            wrong += 1
            cause = error.__cause__ or error
            print(what, exchange["method"], exchange["target"], type(error).__name__, cause, getattr(cause, "schema_errors", ""))
sys.exit(wrong > 0)
"#;

/// Traffic with everything that a schema is made of: words of a small set, numbers, times, nulls, maps, lists, forms.
fn traffic() -> String {
    let mut lines = String::new();
    let mut push = |method: &str,
                    target: String,
                    media: &str,
                    sent: &str,
                    status: u16,
                    answer: serde_json::Value| {
        let answer = if answer.is_null() {
            String::new()
        } else {
            answer.to_string()
        };
        let line = json!({
            "method": method, "target": target, "workload": "shop", "host": "api.example.test",
            "request": {"headers": [["authorization", "Basic YTpi"], ["content-type", media]], "body": sent},
            "status": status,
            "response": {"headers": [["content-type", "application/json"]], "body": answer},
        });
        lines.push_str(&format!("{line}\n"));
    };
    let scan = "--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nHello\r\n--b\r\nContent-Disposition: \
        form-data; name=\"scan\"; filename=\"p.pdf\"\r\nContent-Type: application/pdf\r\n\r\n%PDF\r\n--b--\r\n";
    for number in 0..40_usize {
        let state = ["open", "paid", "sent"].get(number % 3);
        let note = (number % 4 == 0).then_some("x");
        let lines_of_order = vec![json!({"sku": format!("s{number}"), "n": 1}); number % 3];
        let order = json!({
            "id": number, "state": state, "total": number as f64 * 1.5, "at": "2024-01-31T10:00:00Z", "note": note,
            "lines": lines_of_order, "by": {(number * 77 + 1000).to_string(): {"n": 1}},
        });
        push(
            "GET",
            format!("/v1/orders/{number}?full={}", number % 2),
            "",
            "",
            200,
            order,
        );
        let sent = match number % 2 {
            0 => json!({"sku": format!("a{number}"), "count": number}),
            _ => json!({"sku": format!("a{number}"), "count": number, "gift": true}),
        };
        push(
            "POST",
            "/v1/orders".into(),
            "application/json",
            &sent.to_string(),
            201,
            json!({"id": number}),
        );
        let form = format!("name=Ann&age={number}");
        push(
            "POST",
            "/v1/contact".into(),
            "application/x-www-form-urlencoded",
            &form,
            200,
            json!({"ok": true}),
        );
        push(
            "PUT",
            format!("/v1/orders/{number}/scan"),
            "multipart/form-data; boundary=b",
            scan,
            204,
            json!(null),
        );
        push(
            "GET",
            format!("/v1/orders/{}", number + 900),
            "",
            "",
            404,
            json!({"error": "none"}),
        );
    }
    lines
}

#[test]
fn traffic_conforms_to_the_document_made_from_it() {
    let python = match validator() {
        Ok(python) => python,
        Err(why) => {
            println!("skipped: the packages cannot be installed: {why}");
            return;
        }
    };
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let (input, store, document, script) =
        (at("input.jsonl"), at("store"), at("shop.json"), at("conform.py"));
    fs::write(&input, traffic()).unwrap();
    fs::write(&script, CONFORM).unwrap();
    apiarist(&["replay", &input, "--store", &store]);
    apiarist(&[
        "spec", "export", "--store", &store, "--format", "json", "--file", &document,
    ]);
    let output = Command::new(python)
        .args([&script, &document, &input])
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{said}\n{}",
        fs::read_to_string(&document).unwrap()
    );
}
