//! How much each factor counts: the keys of the configuration's section `[risk]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inventory::Exposure;

/// How risk is scored. The score of an endpoint is 100 x (1 - product of (1 - weight x confidence)) over its factors,
/// times the share that its exposure leaves. All values are percentages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Risk {
    /// Most that an endpoint can score that does not give the internet sensitive data without a credential.
    #[schemars(range(min = 0, max = 100))]
    pub ceiling: u32,
    /// What is left of the score of an endpoint that is called from the internet.
    #[schemars(range(min = 0, max = 100))]
    pub internet: u32,
    /// What is left of the score of an endpoint that is called from private networks.
    #[schemars(range(min = 0, max = 100))]
    pub cluster: u32,
    /// What is left of the score of an endpoint that is called from its own host alone, or from nowhere known.
    #[schemars(range(min = 0, max = 100))]
    pub host: u32,
    /// How much each factor weighs.
    pub weights: Weights,
}

impl Default for Risk {
    fn default() -> Self {
        Self {
            ceiling: 90,
            internet: 100,
            cluster: 80,
            host: 60,
            weights: Weights::default(),
        }
    }
}

impl Risk {
    /// What an exposure leaves of a score, from 0 to 1.
    pub fn share(&self, exposure: Exposure) -> f64 {
        let percent = match exposure {
            Exposure::Internet => self.internet,
            Exposure::Cluster => self.cluster,
            Exposure::Host | Exposure::Unknown => self.host,
        };
        f64::from(percent.min(100)) / 100.0
    }
}

/// How much each factor weighs: most are posture rules of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// Called from the internet, sensitive data is answered without a credential. Without this factor no score exceeds the
    /// ceiling.
    #[schemars(range(min = 0, max = 100))]
    pub exposed_sensitive_response: u32,
    /// Sensitive data is answered without a credential.
    #[schemars(range(min = 0, max = 100))]
    pub unauthenticated_sensitive_response: u32,
    /// Served with and without a credential.
    #[schemars(range(min = 0, max = 100))]
    pub unauthenticated_success: u32,
    /// An incident is open.
    #[schemars(range(min = 0, max = 100))]
    pub successful_attack: u32,
    /// Unsigned or expired tokens are accepted.
    #[schemars(range(min = 0, max = 100))]
    pub bad_jwt_accepted: u32,
    /// Tokens are issued carelessly.
    #[schemars(range(min = 0, max = 100))]
    pub weak_jwt: u32,
    /// Credentials come over plain HTTP.
    #[schemars(range(min = 0, max = 100))]
    pub plain_http_credentials: u32,
    /// Versions of TLS before 1.2 are spoken.
    #[schemars(range(min = 0, max = 100))]
    pub old_tls: u32,
    /// Credentials stand in URLs.
    #[schemars(range(min = 0, max = 100))]
    pub credentials_in_url: u32,
    /// Answers carry sensitive data, to whomever.
    #[schemars(range(min = 0, max = 100))]
    pub sensitive_data: u32,
    /// Answers carry secrets that no client needs.
    #[schemars(range(min = 0, max = 100))]
    pub excessive_data: u32,
    /// Errors show the inside of the program.
    #[schemars(range(min = 0, max = 100))]
    pub verbose_errors: u32,
    /// Other sites may act with their visitors' credentials.
    #[schemars(range(min = 0, max = 100))]
    pub permissive_cors: u32,
    /// A debugging endpoint.
    #[schemars(range(min = 0, max = 100))]
    pub debug_endpoint: u32,
    /// Documentation is open to other hosts.
    #[schemars(range(min = 0, max = 100))]
    pub documentation_endpoint: u32,
    /// Sensitive answers may be kept by caches.
    #[schemars(range(min = 0, max = 100))]
    pub missing_no_store: u32,
    /// Session cookies without protection.
    #[schemars(range(min = 0, max = 100))]
    pub insecure_cookie: u32,
    /// TRACE gives requests back.
    #[schemars(range(min = 0, max = 100))]
    pub trace_method: u32,
    /// Objects are given to whoever knows their id.
    #[schemars(range(min = 0, max = 100))]
    pub object_without_owner: u32,
    /// Requests are not limited.
    #[schemars(range(min = 0, max = 100))]
    pub missing_rate_limit: u32,
    /// Answers tell which accounts there are.
    #[schemars(range(min = 0, max = 100))]
    pub account_enumeration: u32,
    /// Served and not documented.
    #[schemars(range(min = 0, max = 100))]
    pub shadow_endpoint: u32,
    /// Deprecated and still used.
    #[schemars(range(min = 0, max = 100))]
    pub zombie_endpoint: u32,
    /// Called from the internet.
    #[schemars(range(min = 0, max = 100))]
    pub internet_exposure: u32,
    /// Every other finding.
    #[schemars(range(min = 0, max = 100))]
    pub other: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            exposed_sensitive_response: 95,
            unauthenticated_sensitive_response: 60,
            unauthenticated_success: 35,
            successful_attack: 60,
            bad_jwt_accepted: 60,
            weak_jwt: 20,
            plain_http_credentials: 35,
            old_tls: 20,
            credentials_in_url: 20,
            sensitive_data: 15,
            excessive_data: 45,
            verbose_errors: 20,
            permissive_cors: 30,
            debug_endpoint: 40,
            documentation_endpoint: 10,
            missing_no_store: 5,
            insecure_cookie: 15,
            trace_method: 10,
            object_without_owner: 30,
            missing_rate_limit: 20,
            account_enumeration: 15,
            shadow_endpoint: 25,
            zombie_endpoint: 25,
            internet_exposure: 15,
            other: 10,
        }
    }
}

impl Weights {
    /// The weight of a factor, from 0 to 1.
    pub fn of(&self, factor: &str) -> f64 {
        let percent = match factor {
            "exposed_sensitive_response" => self.exposed_sensitive_response,
            "unauthenticated_sensitive_response" => self.unauthenticated_sensitive_response,
            "unauthenticated_success" => self.unauthenticated_success,
            "successful_attack" => self.successful_attack,
            "bad_jwt_accepted" => self.bad_jwt_accepted,
            "weak_jwt" => self.weak_jwt,
            "plain_http_credentials" => self.plain_http_credentials,
            "old_tls" => self.old_tls,
            "credentials_in_url" => self.credentials_in_url,
            "sensitive_data" => self.sensitive_data,
            "excessive_data" => self.excessive_data,
            "verbose_errors" => self.verbose_errors,
            "permissive_cors" => self.permissive_cors,
            "debug_endpoint" => self.debug_endpoint,
            "documentation_endpoint" => self.documentation_endpoint,
            "missing_no_store" => self.missing_no_store,
            "insecure_cookie" => self.insecure_cookie,
            "trace_method" => self.trace_method,
            "object_without_owner" => self.object_without_owner,
            "missing_rate_limit" => self.missing_rate_limit,
            "account_enumeration" => self.account_enumeration,
            "shadow_endpoint" => self.shadow_endpoint,
            "zombie_endpoint" => self.zombie_endpoint,
            "internet_exposure" => self.internet_exposure,
            _ => self.other,
        };
        f64::from(percent.min(100)) / 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::posture;

    #[test]
    fn every_rule_has_a_weight_of_its_own() {
        let marked = Weights {
            other: 99,
            ..Weights::default()
        };
        for rule in posture::names() {
            assert!(marked.of(rule) < 0.99, "{rule}");
        }
    }
}
