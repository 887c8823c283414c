//! Where a request belongs by what is known now.
//!
//! In: a workload, a method and a target. Out: the endpoint it would be filed under, and the template of its
//! path. Counts nothing: for those who come back to an exchange after more was learned.

use std::sync::Arc;

use super::{
    Inventory, Observation,
    endpoint::EndpointId,
    path::canonical,
    template::{lexical, trie::route::Answer},
};

impl Inventory {
    /// Looks a request up. `target` is as sent; `workload` is an id.
    pub fn locate(&self, workload: &str, method: &str, target: &str) -> Observation {
        let Ok(path) = canonical(target) else {
            return Observation::default();
        };
        let segments = lexical::segments(&path);
        let place = self.registry.workload_place(workload).unwrap_or(usize::MAX);
        let template = match self.registry.given(place, method, path.as_str()) {
            Some((given, _)) => given,
            None => self
                .registry
                .route(place, &segments, method, Answer::Other)
                .unwrap_or_else(|| lexical::template(&path)),
        }
        .text;
        let id = EndpointId::new(workload, method, &template, None);
        let endpoint = self.endpoint(id);
        Observation {
            endpoint: endpoint.map(|endpoint| endpoint.id),
            template: Some(endpoint.map_or(template, |endpoint| Arc::clone(&endpoint.template))),
            is_new: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inventory::{Limits, fixture::call},
        workload::{Workload, WorkloadKind},
    };

    #[test]
    fn a_request_is_found_where_it_would_be_filed() {
        let shop = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
        let mut inventory = Inventory::new(Limits::default());
        let filed = inventory.observe(&call("GET", "/users/42").exchange(), &shop, None);
        let found = inventory.locate(&shop.id, "GET", "/users/77?full=1");
        assert_eq!((found.endpoint, found.template), (filed.endpoint, filed.template));
        for (workload, method, target) in [
            ("other", "GET", "/users/77"),
            (&*shop.id, "PUT", "/users/77"),
            (&*shop.id, "GET", "/users"),
        ] {
            let found = inventory.locate(workload, method, target);
            assert_eq!(found.endpoint, None, "{workload} {method} {target}");
            assert!(found.template.is_some());
        }
        assert_eq!(inventory.locate(&shop.id, "GET", "/%zz"), Observation::default());
    }
}
