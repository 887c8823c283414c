//! Exchanges that carry an attack: counted where they belong, and nothing is learned from them.
//!
//! In: an exchange that looked bad by itself. Out: the endpoint it was meant for, if that is known. What attackers and
//! scanners send makes no endpoint, no template, no parameter and no schema, whatever the server answers. What many callers
//! send and is accepted is content that only looks bad (queries, templates, code): it is taken in as anything else.

use std::sync::Arc;

use super::{
    Inventory, Observation,
    endpoint::EndpointId,
    kind::{EndpointKind, Recognised},
    ledger::{Served, is_accepted},
    path::CanonicalPath,
    path::canonical,
    schema,
    template::{Template, lexical, trie::route::Answer},
};
use crate::{exchange::Exchange, workload::Workload};

/// Callers from which on what looks bad is what an endpoint is for.
const MANY: usize = 8;

impl Inventory {
    /// Files an exchange that looks like an attack.
    pub fn observe_suspect(
        &mut self,
        exchange: &Exchange,
        workload: &Arc<Workload>,
        caller: Option<&Arc<Workload>>,
    ) -> Observation {
        self.stats.suspects += 1;
        self.take(exchange, workload, caller, Self::file_suspect)
    }

    fn file_suspect(&mut self, served: &Served<'_>) -> Observation {
        let path = match canonical(&served.request.target) {
            Ok(path) => path,
            Err(error) => {
                self.count_unroutable(served.workload, error);
                return Observation::default();
            }
        };
        let template = self.known_template(served, &path);
        let Some(workload) = self.registry.workload_id(served.workload) else {
            return Observation::default();
        };
        let operation = served.recognised.operation.as_deref();
        let id = EndpointId::new(workload, &served.request.method, &template.text, operation);
        if let Some(place) = self.registry.place(id) {
            return self.add_suspect(place, served);
        }
        let callers = self
            .candidates
            .peek(&id)
            .map_or(0, |known| known.traffic.callers.len());
        if callers >= MANY && is_accepted(served.exchange) {
            return self.file(served);
        }
        self.add_candidate(id, served, &template);
        Observation::unfiled(template)
    }

    /// The template of a path as far as it is known.
    fn known_template(&self, served: &Served<'_>, path: &CanonicalPath) -> Template {
        if let Recognised {
            kind: EndpointKind::Grpc,
            operation: Some(_),
        } = served.recognised
        {
            return Template::literal(path);
        }
        let method = &served.request.method;
        if let Some((given, _)) = self.registry.given(served.workload, method, path.as_str()) {
            return given;
        }
        let segments = lexical::segments(path);
        self.registry
            .route(served.workload, &segments, method, Answer::Other)
            .unwrap_or_else(|| lexical::template(path))
    }

    /// Counts the exchange, and what it shows of how the endpoint is served.
    fn add_suspect(&mut self, place: usize, served: &Served<'_>) -> Observation {
        let Some(endpoint) = self.registry.endpoint_mut(place) else {
            return Observation::default();
        };
        endpoint.traffic.add(
            served.exchange,
            served.request,
            served.caller,
            &self.limits,
            &mut self.stats,
        );
        let response = served.exchange.response.as_ref();
        let answered = response.map(|response| schema::sensitive_values(&response.head, &response.body));
        endpoint
            .posture
            .add(served.exchange, &endpoint.template, &answered.unwrap_or_default());
        Observation {
            endpoint: Some(endpoint.id),
            template: Some(Arc::clone(&endpoint.template)),
            is_new: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        event::Address,
        inventory::{
            Limits,
            fixture::{Call, call},
        },
        workload::WorkloadKind,
    };

    fn shop() -> Arc<Workload> {
        Arc::new(Workload::named(WorkloadKind::Process, "shop"))
    }

    fn names(inventory: &Inventory) -> Vec<(String, usize)> {
        let views = inventory.endpoint_views(Timestamp::from_secs_f64(1_700_100_000.0));
        views
            .into_iter()
            .map(|view| {
                let fields = inventory.endpoint(view.id).map_or(0, |endpoint| {
                    serde_json::to_string(&endpoint.schemas).unwrap_or_default().len()
                });
                (format!("{} {} {}", view.method, view.template, view.hits), fields)
            })
            .collect()
    }

    fn suspect(inventory: &mut Inventory, call: Call) -> Observation {
        inventory.observe_suspect(&call.exchange(), &shop(), None)
    }

    #[test]
    fn attacks_make_no_endpoint_parameter_or_schema() {
        let mut inventory = Inventory::new(Limits::default());
        inventory.observe(&call("GET", "/users/1?full=1").exchange(), &shop(), None);
        let before = names(&inventory);
        for number in 0..2_000 {
            // The server answers everything with 200.
            let found = suspect(
                &mut inventory,
                call("GET", &format!("/admin{number}.php?cmd=%3Bid")),
            );
            assert_eq!(found.endpoint, None);
            assert!(found.template.is_some());
        }
        let known = suspect(
            &mut inventory,
            call("GET", "/users/2?evil=1").body("application/json", "{\"or\":\"1=1\"}"),
        );
        assert!(known.endpoint.is_some() && !known.is_new);
        assert_eq!(
            names(&inventory),
            [("GET /users/{userId} 2".to_owned(), before[0].1)]
        );
        assert_eq!(inventory.stats().suspects, 2_001);
    }

    #[test]
    fn what_many_send_and_is_accepted_is_content() {
        let mut inventory = Inventory::new(Limits::default());
        let ask = |caller: u8| {
            let client = Address::Ip([10, 0, 0, caller].into(), 50_000);
            call("POST", "/console/query").from(client)
        };
        for _ in 0..100 {
            assert_eq!(
                suspect(&mut inventory, ask(1)).endpoint,
                None,
                "one caller is no crowd"
            );
        }
        let found: Vec<bool> = (2..20)
            .map(|caller| suspect(&mut inventory, ask(caller)).endpoint.is_some())
            .collect();
        assert!(found.last() == Some(&true) && found.first() == Some(&false));
        let hits: Vec<String> = names(&inventory).into_iter().map(|(name, _)| name).collect();
        assert_eq!(hits, ["POST /console/query 118"]);
    }
}
