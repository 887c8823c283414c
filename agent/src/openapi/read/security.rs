//! Security schemes, and which of them an operation asks for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Place, Reader, Version, members, reference::inside, strings, text};

/// A way to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityScheme {
    /// Which way.
    pub kind: SecurityKind,
    /// What the author says about it; empty if nothing.
    pub description: String,
}

/// The ways to authenticate that OpenAPI knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityKind {
    /// The `Authorization` header with this scheme, in lower case: `basic`, `bearer`, …
    Http {
        /// The scheme (RFC 9110 §11.1), in lower case.
        scheme: String,
        /// `JWT` and the like; empty if not told.
        bearer_format: String,
    },
    /// A key at a place in the request.
    ApiKey {
        /// Query, header or cookie.
        place: Place,
        /// Name of the parameter, header or cookie.
        name: String,
    },
    /// OAuth 2, with the scopes of all flows.
    OAuth2 {
        /// Names of the flows: `clientCredentials`, `implicit`, …
        flows: BTreeSet<String>,
        /// Scopes of all flows.
        scopes: BTreeSet<String>,
    },
    /// OpenID Connect discovery.
    OpenIdConnect {
        /// The discovery document.
        url: String,
    },
    /// A client certificate.
    MutualTls,
}

/// Schemes that are asked for together, each with its scopes. An empty one admits everybody.
pub type Requirement = BTreeMap<String, Vec<String>>;

impl Reader<'_> {
    pub(super) fn security_schemes(&mut self) -> BTreeMap<String, SecurityScheme> {
        let pointer = match self.version {
            Version::V2 => "/securityDefinitions",
            Version::V3_0 | Version::V3_1 => "/components/securitySchemes",
        };
        let mut schemes = BTreeMap::new();
        for (name, value) in members(self.root.pointer(pointer)) {
            let at = inside(pointer, name);
            let Some(found) = self.follow(value, &at) else {
                continue;
            };
            let Some(kind) = kind(found.value) else {
                self.problem(&at, "is no security scheme that OpenAPI knows");
                continue;
            };
            let description = text(found.value.get("description"));
            schemes.insert(name.clone(), SecurityScheme { kind, description });
        }
        schemes
    }
}

/// The alternatives that an object declares. `None` if it says nothing, an empty list if it asks for nothing.
pub(super) fn requirements(value: &Value) -> Option<Vec<Requirement>> {
    let list = value.get("security")?.as_array()?;
    let requirement = |alternative: &Value| {
        members(Some(alternative))
            .map(|(name, scopes)| (name.clone(), strings(Some(scopes))))
            .collect()
    };
    Some(list.iter().map(requirement).collect())
}

fn kind(value: &Value) -> Option<SecurityKind> {
    Some(match value.get("type")?.as_str()? {
        // Swagger 2.0.
        "basic" => SecurityKind::Http {
            scheme: "basic".to_owned(),
            bearer_format: String::new(),
        },
        "http" => SecurityKind::Http {
            scheme: text(value.get("scheme")).to_ascii_lowercase(),
            bearer_format: text(value.get("bearerFormat")),
        },
        "apiKey" => SecurityKind::ApiKey {
            place: Place::from_name(value.get("in")?.as_str()?)?,
            name: text(value.get("name")),
        },
        "oauth2" => oauth2(value),
        "openIdConnect" => SecurityKind::OpenIdConnect {
            url: text(value.get("openIdConnectUrl")),
        },
        "mutualTLS" => SecurityKind::MutualTls,
        _ => return None,
    })
}

/// In version 2 the scheme has one flow, later a map of them.
fn oauth2(value: &Value) -> SecurityKind {
    let names = |value: Option<&Value>| members(value).map(|(name, _)| name.clone()).collect();
    let mut flows: BTreeSet<String> = names(value.get("flows"));
    let mut scopes: BTreeSet<String> = names(value.get("scopes"));
    flows.extend(value.get("flow").and_then(Value::as_str).map(str::to_owned));
    for (_, flow) in members(value.get("flows")) {
        scopes.extend(names(flow.get("scopes")));
    }
    SecurityKind::OAuth2 { flows, scopes }
}
