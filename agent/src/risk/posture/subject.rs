//! An endpoint as the rules judge it: its facts, and what several rules ask about it.

use super::{Fact, Posture, Seen};
use crate::inventory::{Endpoint, EndpointView, Exposure, SensitiveView};

/// Words in the path of endpoints that hand out credentials.
pub(super) const LOGIN: [&str; 13] = [
    "login",
    "signin",
    "sign-in",
    "log-in",
    "logon",
    "token",
    "tokens",
    "oauth",
    "authenticate",
    "auth",
    "session",
    "sessions",
    "refresh",
];

/// Parts of paths under which frameworks serve documents and consoles.
const DOCUMENTATION: [&str; 10] = [
    "/swagger",
    "/api-docs",
    "/openapi.",
    "/redoc",
    "/graphiql",
    "/graphql-playground",
    "/playground",
    "/apidocs",
    "/.well-known/openapi",
    "/voyager",
];

/// Types of data whose loss harms by itself.
const GRAVE: [&str; 16] = [
    "password",
    "private_key",
    "secret",
    "card_pan",
    "ssn",
    "iban",
    "bank_account",
    "passport",
    "driver_licence",
    "health",
    "aadhaar",
    "cpf",
    "nhs_number",
    "nino",
    "sin",
    "jwt",
];

/// Types of data about devices and places rather than persons.
const TECHNICAL: [&str; 5] = ["ip_address", "coordinates", "vin", "cnpj", "aba_routing"];

/// An endpoint under judgement.
pub(super) struct Subject<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) view: &'a EndpointView,
    pub(super) posture: &'a Posture,
}

impl<'a> Subject<'a> {
    pub(super) fn new(endpoint: &'a Endpoint, view: &'a EndpointView) -> Self {
        Self {
            endpoint,
            view,
            posture: &endpoint.posture,
        }
    }

    /// When a fact was seen, if it was.
    pub(super) fn seen(&self, fact: Fact) -> Option<Seen> {
        self.posture.facts.get(&fact).copied()
    }

    pub(super) fn count(&self, fact: Fact) -> u64 {
        self.posture.count(fact)
    }

    /// The whole life of the endpoint, for findings about all of its exchanges.
    pub(super) fn always(&self) -> Seen {
        let traffic = &self.endpoint.traffic;
        Seen {
            count: traffic.hits,
            first: traffic.first_seen,
            last: traffic.last_seen,
        }
    }

    /// The words of its template and operation, in lower case, without parameters.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        let template = self.view.template.split(['/', '.', ':']);
        template
            .filter(|segment| !segment.is_empty() && !segment.contains('{'))
            .map(str::to_ascii_lowercase)
    }

    /// Whether it hands out credentials to those who do not have one yet.
    pub(super) fn is_login(&self) -> bool {
        self.words().any(|word| LOGIN.contains(&word.as_str()))
    }

    /// Whether it serves the description of the API, with whatever examples that holds.
    pub(super) fn is_documentation(&self) -> bool {
        let path = self.view.template.to_ascii_lowercase();
        DOCUMENTATION.iter().any(|part| path.contains(part)) || path == "/docs"
    }

    /// Whether a person's browser asks it without being asked to: preflight requests carry no credential
    /// (Fetch §3.2.2).
    pub(super) fn is_preflight(&self) -> bool {
        matches!(self.view.method.as_str(), "OPTIONS" | "HEAD" | "TRACE")
    }

    pub(super) fn exposure(&self) -> Exposure {
        self.view.exposure
    }

    /// Sensitive data in its answers.
    pub(super) fn answers(&self) -> impl Iterator<Item = &'a SensitiveView> {
        let sensitive = self.view.sensitive.iter();
        sensitive.filter(|sensitive| sensitive.direction == "response")
    }
}

/// How much the loss of a type of data harms, from 0 to 1.
pub(in crate::risk) fn gravity(kind: &str) -> f64 {
    if GRAVE.contains(&kind) {
        1.0
    } else if TECHNICAL.contains(&kind) {
        0.3
    } else {
        0.7
    }
}
