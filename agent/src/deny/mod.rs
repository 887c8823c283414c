//! Deny-lists: what would keep the actor of an incident out, written for the tools that could do it.
//!
//! In: addresses, the endpoint, when it ends. Out: a text for nftables, NGINX, Envoy or Kubernetes. It is exported and
//! never applied: whether to block, and whom that hits besides, is for a person to decide. Each text names its incident
//! and its end; where the tool knows ends itself, it keeps it. Refuses actors that are no addresses: a credential is taken
//! back where it was issued.

mod envoy;
mod kubernetes;
mod nftables;
mod nginx;

use std::{net::IpAddr, time::Duration};

use crate::{clock::Timestamp, verdict::Alert};

/// Which tool a list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Sets of nftables, with timeouts; a rule that uses them is yours to add
    Nftables,
    /// An RBAC filter of Envoy, for the endpoint of the incident
    Envoy,
    /// A `geo` map of NGINX; the `if` that uses it is yours to add
    Nginx,
    /// A Kubernetes NetworkPolicy
    Networkpolicy,
}

/// Whom to deny, where, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// Id of the incident.
    pub incident: String,
    /// Class of the incident.
    pub class: String,
    /// Addresses, at least one.
    pub addresses: Vec<IpAddr>,
    /// Method and path template, where the incident has one endpoint that is a path.
    pub endpoint: Option<(String, String)>,
    /// For how long.
    pub span: Duration,
    /// When it ends.
    pub until: Timestamp,
    /// Labels of the pods that are protected, for Kubernetes.
    pub labels: Vec<(String, String)>,
}

impl Denial {
    /// From an incident, at this time. `addresses` take the place of its actor where there are any.
    ///
    /// # Errors
    /// One sentence: the actor is no address.
    pub fn of(alert: &Alert, addresses: Vec<IpAddr>, span: Duration, now: Timestamp) -> Result<Self, String> {
        let addresses = match (addresses.is_empty(), alert.actor.parse::<IpAddr>()) {
            (false, _) => addresses,
            (true, Ok(address)) => vec![address],
            (true, Err(_)) => {
                return Err(format!(
                    "the actor of {} is {}, which is no address: take the credential back where it was issued, or name \
                     addresses with --address",
                    alert.id,
                    alert.actor.escape_debug()
                ));
            }
        };
        let endpoint = alert.endpoint_name.as_deref().and_then(|name| {
            let (method, path) = name.split_once(' ')?;
            path.starts_with('/')
                .then(|| (method.to_owned(), path.to_owned()))
        });
        Ok(Self {
            incident: alert.id.clone(),
            class: alert.class.to_string(),
            addresses: addresses
                .into_iter()
                .map(|address| address.to_canonical())
                .collect(),
            endpoint,
            span,
            until: now.after(span),
            labels: Vec::new(),
        })
    }

    /// The text for a tool.
    pub fn write(&self, form: Form) -> String {
        match form {
            Form::Nftables => nftables::write(self),
            Form::Envoy => envoy::write(self),
            Form::Nginx => nginx::write(self),
            Form::Networkpolicy => kubernetes::write(self),
        }
    }

    /// Where it comes from and when it ends, as comments.
    fn heading(&self, apply: &str) -> String {
        format!(
            "# Made by Apiarist from incident {} ({}). Not applied: read it first.\n# Ends {}.\n# {apply}\n",
            plain(&self.incident),
            plain(&self.class),
            self.until.rfc3339()
        )
    }
}

/// Text that can neither end a comment nor a string of any of the forms.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || "-_.:/{}".contains(c) => c,
            _ => '_',
        })
        .collect()
}

#[cfg(test)]
mod tests;
