//! Moves endpoints to the templates that hold now.
//!
//! In: what was observed of a workload's paths since the last time. Out: endpoints under the templates that follow
//! from it; those that became one are merged, with all their statistics, and their ids lead to the one that is
//! left. The result depends on what was observed only, not on how often it was settled, except for the counts of
//! names that turned out to be routes after all: these start anew.

use super::{
    endpoint::EndpointId,
    kind::EndpointKind,
    registry::Registry,
    template::{OVERFLOW, Template, lexical, trie::route},
};

impl Registry {
    /// Learns the templates of one workload and moves its endpoints. Whether any moved.
    pub(super) fn settle(&mut self, workload: usize) -> bool {
        if !self.learn(workload) {
            return false;
        }
        let mut moved = false;
        for place in 0..self.endpoint_count() {
            let Some(template) = self.renewed(workload, place) else {
                continue;
            };
            self.move_endpoint(workload, place, &template);
            moved = true;
        }
        if moved {
            self.count_templates(workload);
        }
        moved
    }

    /// The template that an endpoint of the workload should have, if it has another one.
    fn renewed(&self, workload: usize, place: usize) -> Option<Template> {
        let endpoint = self.endpoint_of(workload, place)?;
        let names_itself = endpoint.kind == EndpointKind::Grpc && endpoint.operation.is_some();
        if names_itself || *endpoint.template == *OVERFLOW || !endpoint.template.starts_with('/') {
            return None;
        }
        if let Some((given, _)) = self.given(workload, &endpoint.method, &endpoint.template) {
            return (given.text != endpoint.template).then_some(given);
        }
        let path = lexical::parse(&endpoint.template, &endpoint.parameters);
        let template = route::renewed(self.learned(workload)?, &path);
        (template.text != endpoint.template).then_some(template)
    }

    fn move_endpoint(&mut self, workload: usize, place: usize, template: &Template) {
        let Some(endpoint) = self.endpoint_of(workload, place) else {
            return;
        };
        let (operation, old) = (endpoint.operation.as_deref(), endpoint.id);
        let id = EndpointId::new(&endpoint.workload, &endpoint.method, &template.text, operation);
        match self.place(id) {
            Some(target) => self.merge(place, target),
            None => self.rename(place, id, template),
        }
        self.gone(old);
    }
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
