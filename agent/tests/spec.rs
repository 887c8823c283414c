//! A third party's judgement of exported OpenAPI documents: openapi-spec-validator from PyPI.
//!
//! Where Python or the package cannot be had, the test says so and passes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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

/// The Python of an environment with the validator, made once.
fn validator() -> Result<PathBuf, String> {
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
    if run(&python, &["-c", "import openapi_spec_validator"]).is_err() {
        let path = environment.display().to_string();
        run(Path::new("python3"), &["-m", "venv", "--clear", &path])?;
        run(
            &python,
            &["-m", "pip", "install", "--quiet", "openapi-spec-validator"],
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
            println!("skipped: openapi-spec-validator cannot be installed: {why}");
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
