//! Whether the conditions of a rule hold for an exchange, and the words for it.

use std::{cell::OnceCell, net::IpAddr};

use super::{caller::Caller, glob::Glob, rule::When};
use crate::{
    analysis::Seen,
    clock::Timestamp,
    event::Address,
    exchange::{Exchange, Request, Side},
    inventory::{Exposure, NO_SCHEME, schema},
};

/// What conditions ask for.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    exchange: &'a Exchange,
    request: &'a Request,
    template: &'a str,
    workload: &'a str,
    address: Option<IpAddr>,
    caller: String,
    exposure: Exposure,
    status: [String; 2],
    /// Bodies are read only for rules that ask.
    data: OnceCell<Vec<&'static str>>,
}

impl<'a> Facts<'a> {
    /// `None` for what this host did not serve, or whose request was lost.
    pub(super) fn of(seen: &Seen<'a>) -> Option<Self> {
        let exchange = seen.exchange;
        let request = exchange.request.as_ref()?;
        let connection = &exchange.connection;
        if connection.side != Side::Server {
            return None;
        }
        let address = match &connection.client {
            Address::Ip(ip, _) if !ip.is_unspecified() => Some(*ip),
            _ => seen.client.and_then(|client| client.parse().ok()),
        };
        let operation = exchange
            .operation
            .as_ref()
            .and_then(|operation| operation.name.as_deref());
        let caller = match (seen.caller, address, seen.client) {
            (Some(caller), ..) => caller.name.clone(),
            (None, Some(address), _) => address.to_string(),
            (None, None, client) => client.unwrap_or("unix").to_owned(),
        };
        Some(Self {
            exchange,
            request,
            template: operation.or(seen.template).unwrap_or(&request.target),
            workload: &seen.workload.name,
            address,
            caller,
            exposure: Exposure::of(connection),
            status: match &exchange.response {
                Some(response) => [
                    response.status.to_string(),
                    format!("{}xx", response.status / 100),
                ],
                None => ["none".to_owned(), "none".to_owned()],
            },
            data: OnceCell::new(),
        })
    }

    pub(super) const fn at(&self) -> Timestamp {
        self.exchange.started
    }

    pub(super) fn caller(&self) -> &str {
        &self.caller
    }

    pub(super) fn credential(&self) -> Option<u64> {
        self.request
            .credentials
            .first()
            .map(|credential| credential.fingerprint)
    }

    fn schemes(&self) -> Vec<&'static str> {
        match self.request.credentials.as_slice() {
            [] => vec![NO_SCHEME],
            all => all.iter().map(|credential| credential.scheme).collect(),
        }
    }

    fn data(&self) -> &[&'static str] {
        self.data.get_or_init(|| {
            let response = self.exchange.response.iter();
            response
                .flat_map(|response| schema::sensitive_values(&response.head, &response.body))
                .map(|kind| kind.as_str())
                .collect()
        })
    }
}

/// Why the conditions hold, one phrase for each; `None` if one does not.
pub(super) fn holds(when: &When, facts: &Facts<'_>) -> Option<Vec<String>> {
    let mut because = Vec::new();
    let mut ask = |name: &str, globs: &[Glob], values: &[&str]| {
        if globs.is_empty() {
            return Some(());
        }
        let found = any(globs, values)?;
        because.push(format!("{name} {found}"));
        Some(())
    };
    ask("method", &when.method, &[&facts.request.method])?;
    ask("template", &when.template, &[facts.template])?;
    ask("workload", &when.workload, &[facts.workload])?;
    let [code, class] = &facts.status;
    ask("status", &when.status, &[code, class])?;
    ask("auth", &when.auth, &facts.schemes())?;
    if !when.data.is_empty() {
        ask("data", &when.data, facts.data())?;
    }
    if !when.caller.is_empty() {
        callers(&when.caller, facts).then_some(())?;
        because.push(format!("caller {}", facts.caller));
    }
    if let Some(least) = when.exposure {
        (facts.exposure >= least).then_some(())?;
        because.push(format!("called from: {}", facts.exposure.as_str()));
    }
    Some(because)
}

/// The first value that fits one of the patterns, none of those with `!` fitting any.
fn any<'v>(globs: &[Glob], values: &[&'v str]) -> Option<&'v str> {
    let is_excluded = globs
        .iter()
        .filter(|glob| glob.is_negated())
        .any(|glob| values.iter().any(|value| glob.fits(value)));
    if is_excluded {
        return None;
    }
    let mut wanted = globs.iter().filter(|glob| !glob.is_negated()).peekable();
    if wanted.peek().is_none() {
        return Some(values.first().copied().unwrap_or("none"));
    }
    wanted.find_map(|glob| values.iter().copied().find(|value| glob.fits(value)))
}

fn callers(callers: &[Caller], facts: &Facts<'_>) -> bool {
    let fits = |caller: &&Caller| caller.fits(facts.address, &facts.caller);
    let (not, wanted): (Vec<&Caller>, Vec<&Caller>) = callers.iter().partition(|caller| caller.is_negated());
    !not.iter().any(fits) && (wanted.is_empty() || wanted.iter().any(fits))
}
