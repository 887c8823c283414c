//! The same small API in the three dialects, and what hostile or broken documents lead to.

use super::*;

const V2: &str = r##"
swagger: 2.0
info: {title: Shop, version: 1.2}
host: api.test
basePath: /v1/
schemes: [https]
consumes: [application/json]
produces: [application/json]
securityDefinitions:
  key: {type: apiKey, in: header, name: X-Key}
  login: {type: oauth2, flow: password, tokenUrl: https://x/, scopes: {read: reading}}
  old: {type: basic}
security: [{key: []}]
paths:
  /users/{id}:
    parameters:
      - {name: id, in: path, required: true, type: integer, minimum: 1}
      - $ref: '#/parameters/Page'
    get:
      operationId: user
      security: []
      responses:
        200: {description: ok, schema: {$ref: '#/definitions/User'}, headers: {X-Rate: {type: integer}}}
        default: {description: wrong}
    put:
      parameters:
        - {name: user, in: body, required: true, schema: {$ref: '#/definitions/User'}}
      responses: {204: {description: done}}
  /photos:
    post:
      consumes: [multipart/form-data]
      parameters:
        - {name: photo, in: formData, type: file, required: true}
        - {name: title, in: formData, type: string, maxLength: 20}
      responses: {201: {description: made}}
parameters:
  Page: {name: page, in: query, type: integer}
definitions:
  User:
    type: object
    required: [id]
    properties:
      id: {type: integer, readOnly: true}
      friends: {type: array, items: {$ref: '#/definitions/User'}}
"##;

const V3: &str = r##"{
 "openapi": "3.0.3", "info": {"title": "Shop", "version": "1"},
 "servers": [{"url": "https://{region}.test/{base}", "variables": {"region": {"default": "eu"}, "base": {"default": "v2"}}}, {"url": "/v2"}],
 "security": [{"token": []}, {}],
 "components": {
  "securitySchemes": {"token": {"type": "http", "scheme": "Bearer", "bearerFormat": "JWT"},
    "sso": {"type": "openIdConnect", "openIdConnectUrl": "https://x"}, "odd": {"type": "magic"}},
  "parameters": {"Id": {"name": "id", "in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}}},
  "requestBodies": {"Order": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}},
  "responses": {"Wrong": {"description": "no", "content": {"application/problem+json": {"schema": {"type": "object", "additionalProperties": false}}}}},
  "schemas": {"Order": {"type": "object", "properties": {"state": {"type": "string", "nullable": true, "enum": ["new", "paid"]},
    "lines": {"allOf": [{"$ref": "#/components/schemas/Lines"}, {"maxItems": 9}]}}},
    "Lines": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": true, "minimum": 0}}}}
 },
 "x-team": "shop",
 "paths": {
  "/orders/{id}": {"parameters": [{"$ref": "#/components/parameters/Id"}],
   "patch": {"deprecated": true, "tags": ["orders"], "requestBody": {"$ref": "#/components/requestBodies/Order"},
     "parameters": [{"name": "id", "in": "path", "schema": {"type": "integer"}}, {"name": "f", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}}],
     "servers": [{"url": "https://other.test"}], "x-cost": 3,
     "responses": {"4xx": {"$ref": "#/components/responses/Wrong"}, "200": {"description": "ok"}}}}
 }}"##;

fn document(text: &str) -> Document {
    read(text.as_bytes()).expect("a document")
}

#[test]
fn version_2_in_one_shape() {
    let document = document(V2);
    assert_eq!(document.version, Version::V2);
    assert_eq!(
        (document.title.as_str(), document.release.as_str()),
        ("Shop", "1.2")
    );
    assert_eq!(document.servers[0].url, "https://api.test/v1");
    assert_eq!(document.problems, []);
    let [get, put, post] = document.operations.as_slice() else {
        panic!("{:?}", document.operations)
    };
    assert_eq!(get.full_paths(), ["/v1/users/{id}"]);
    assert_eq!(
        (get.method.as_str(), get.pointer.as_str()),
        ("GET", "/paths/~1users~1{id}/get")
    );
    assert_eq!(get.security, Some(vec![]));
    assert_eq!(put.security.as_ref().map(Vec::len), Some(1));
    let parameters: Vec<_> = get
        .parameters
        .iter()
        .map(|p| (p.place, p.name.as_str(), p.required, p.schema.minimum))
        .collect();
    assert_eq!(
        parameters,
        [
            (Place::Path, "id", true, Some(1.0)),
            (Place::Query, "page", false, None)
        ]
    );
    let user = document.resolve(&get.responses["200"].content["application/json"].schema);
    assert!(user.properties["id"].read_only && user.required.contains("id"));
    let friend = user.properties["friends"].items.as_deref().expect("items");
    assert_eq!(document.resolve(friend), user);
    assert_eq!(
        get.responses["200"].headers["X-Rate"].types,
        [Type::Integer].into()
    );
    assert!(get.responses.contains_key("default"));
    assert!(put.body.as_ref().expect("body").required);
    let form = &post.body.as_ref().expect("body").content["multipart/form-data"].schema;
    assert_eq!(form.properties["photo"].format.as_deref(), Some("binary"));
    assert_eq!(form.properties["title"].max_length, Some(20));
    assert_eq!(form.required, ["photo".to_owned()].into());
    let SecurityKind::OAuth2 { flows, scopes } = &document.security_schemes["login"].kind else {
        panic!("{:?}", document.security_schemes)
    };
    assert!(flows.contains("password") && scopes.contains("read"));
}

#[test]
fn version_3_in_one_shape() {
    let document = document(V3);
    assert_eq!(document.version, Version::V3_0);
    assert_eq!(document.servers[0].host.as_deref(), Some("eu.test"));
    assert_eq!(document.servers[1].base_path, "/v2");
    assert_eq!(document.extensions["x-team"], "shop");
    let [problem] = document.problems.as_slice() else {
        panic!("{:?}", document.problems)
    };
    assert_eq!(problem.pointer, "/components/securitySchemes/odd");
    let patch = &document.operations[0];
    assert!(patch.deprecated && patch.extensions["x-cost"] == 3);
    assert_eq!(patch.full_paths(), ["/orders/{id}"]);
    // The operation's own description of `id` wins.
    assert_eq!(patch.parameters[0].schema.types, [Type::Integer].into());
    assert_eq!(patch.parameters[1].schema.types, [Type::Object].into());
    assert_eq!(patch.parameters.len(), 2);
    assert_eq!(patch.security.as_ref().map(|all| all[1].is_empty()), Some(true));
    let order = document.resolve(&patch.body.as_ref().expect("body").content["application/json"].schema);
    let state = &order.properties["state"];
    assert_eq!(state.types, [Type::Null, Type::String].into());
    assert_eq!(state.enumeration.len(), 2);
    let lines = document.resolve(&order.properties["lines"].all_of[0]);
    let line = lines.items.as_deref().expect("items");
    assert!(matches!(&line.additional, Additional::Of(value) if value.minimum == Some(0.0)));
    let wrong = &patch.responses["4XX"].content["application/problem+json"];
    assert_eq!(wrong.schema.additional, Additional::Forbidden);
    let shared: Vec<_> = document.shared_schemas().map(|(pointer, _)| pointer).collect();
    assert_eq!(shared, ["/components/schemas/Lines", "/components/schemas/Order"]);
}

#[test]
fn version_3_1_has_lists_of_types() {
    let document = document(
        "openapi: 3.1.0\ninfo: {title: a, version: b}\nbase: &base\n  type: [string, 'null']\npaths:\n  /a:\n    get:\n      responses:\n        '200': {description: x, content: {text/plain: {schema: {<<: *base, const: y, exclusiveMaximum: 4}}}}\n",
    );
    assert_eq!(document.version, Version::V3_1);
    assert_eq!(document.operations[0].full_paths(), ["/a"]);
    let schema = &document.operations[0].responses["200"].content["text/plain"].schema;
    assert_eq!(schema.types, [Type::Null, Type::String].into());
    assert_eq!((schema.enumeration.len(), schema.maximum), (1, Some(4.0)));
    assert_eq!(document.operations[0].security, None);
}

#[test]
fn references_that_lead_nowhere_are_problems() {
    let document = document(
        r##"{"openapi":"3.0.0","paths":{
        "/a":{"get":{"parameters":[{"$ref":"#/no"},{"$ref":"other.yml#/x"}],"responses":{"200":{"$ref":"#/loop"}}}},
        "/b":{"$ref":"#/paths/~1a"},"/c":{"get":{"responses":{"200":{"content":{"a/b":{"schema":{"$ref":"#/none"}}}}}}}},
        "loop":{"$ref":"#/loop"}}"##,
    );
    assert_eq!(document.operations.len(), 3);
    assert_eq!(document.operations[1].path, "/b");
    let texts: Vec<_> = document
        .problems
        .iter()
        .map(|problem| problem.text.as_str())
        .collect();
    assert!(texts.contains(&"refers to itself"), "{texts:?}");
    assert!(texts.contains(&"refers to #/no, which is not there"), "{texts:?}");
    assert!(
        texts
            .iter()
            .any(|text| text.starts_with("refers to another document")),
        "{texts:?}"
    );
    let lost = &document.operations[2].responses["200"].content["a/b"].schema;
    assert_eq!(document.resolve(lost), lost);
}

#[test]
fn what_is_no_document() {
    for text in [
        "",
        "[]",
        "{",
        "a: [",
        "openapi: 4.0.0",
        r#"{"swagger":"1.2"}"#,
        "\u{0}",
    ] {
        assert!(read(text.as_bytes()).is_err(), "{text}");
    }
    assert!(matches!(
        read(&vec![b' '; MAX_DOCUMENT_BYTES + 1]),
        Err(ReadError::TooLong)
    ));
    let deep = format!("{{\"openapi\":\"3.0.0\",\"a\":{}", "[".repeat(100_000));
    assert!(read(deep.as_bytes()).is_err());
}

#[test]
fn every_prefix_of_a_document_ends() {
    for text in [V2, V3] {
        for end in (0..text.len()).step_by(7) {
            if let Ok(document) = read(&text.as_bytes()[..end]) {
                assert!(document.operations.len() <= 3);
            }
        }
    }
}
