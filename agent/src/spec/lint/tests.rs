//! Each rule, on documents that break it and on one that does not.

use super::*;

fn rules(text: &str) -> Vec<String> {
    let given = Given::read("a.yml", text.as_bytes()).expect("a document");
    let mut rules: Vec<String> = lint(&given)
        .into_iter()
        .map(|issue| format!("{} {}", issue.rule, issue.endpoint).trim().to_owned())
        .collect();
    rules.sort();
    rules
}

const CAREFUL: &str = r##"
openapi: 3.1.0
servers: [{url: https://api.test}, {url: http://localhost:8080}]
security: [{token: []}]
components:
  securitySchemes: {token: {type: http, scheme: bearer}}
paths:
  /users/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: string, format: uuid}}]
      responses: {'200': {description: ok}, '401': {description: who}, '429': {description: later}}
    put:
      requestBody:
        content:
          application/json:
            schema:
              type: object
              additionalProperties: false
              properties:
                name: {type: string, maxLength: 80, example: Ann}
                age: {type: integer, minimum: 0, maximum: 150}
                state: {type: string, enum: [on, off]}
                password: {type: string, maxLength: 99, example: pass1}
                tags: {type: array, maxItems: 5, items: {type: string, pattern: '^[a-z]+$'}}
      responses: {'204': {description: done}, default: {description: wrong}}
  /login:
    post:
      security: []
      responses: {'200': {description: ok}, 4XX: {description: wrong}}
"##;

#[test]
fn a_careful_document_has_no_issue() {
    assert_eq!(rules(CAREFUL), Vec::<String>::new());
}

#[test]
fn a_careless_one_has_all() {
    let careless = r##"
openapi: 3.0.0
servers: [{url: http://api.test/v1}]
components:
  securitySchemes:
    key: {type: apiKey, in: query, name: key}
    old: {type: http, scheme: basic}
paths:
  /a:
    get:
      parameters: [{$ref: '#/none'}]
      responses: {'200': {description: ok}}
    post:
      security: [{nowhere: []}]
      requestBody:
        content:
          application/json:
            schema:
              type: object
              additionalProperties: true
              properties:
                text: {type: string}
                list: {type: array, items: {type: integer}}
                token: {type: string, maxLength: 9, example: ghp_16C7e42F292c6912E7710c838347Ae178B4a}
      responses: {'200': {description: ok}, '400': {description: wrong}}
"##;
    assert_eq!(
        rules(careless),
        [
            "arbitrary_members POST /a",
            "basic_authentication",
            "credentials_in_query",
            "insecure_server",
            "no_error_response GET /a",
            "no_limit_response POST /a",
            "no_security GET /a",
            "no_unauthorized_response POST /a",
            "not_understood",
            "secret_in_example",
            "unbounded_input POST /a",
            "unknown_security_scheme POST /a",
        ]
    );
    for rule in rules(careless) {
        let name = rule.split(' ').next().unwrap_or_default().to_owned();
        assert!(RULES.contains(&name.as_str()), "{name}");
    }
}
