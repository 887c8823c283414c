//! What the ledger learns from exchanges, and when it acts on it.
//!
//! In: served exchanges on their way to an endpoint. Out: their templates as far as they are known. Endpoints are moved
//! when asked for, or when a bound is near; candidates that can be told to belong to an endpoint then join it.

use super::{
    Inventory,
    endpoint::EndpointId,
    ledger::{Served, is_accepted},
    path::CanonicalPath,
    template::{
        Template,
        lexical::{self, Segment},
        trie::{Inserted, route::Answer},
    },
};

/// Accepted paths of a workload, not learned from yet, at which its endpoints are moved at once rather than at the
/// next [`Inventory::settle`].
const SETTLE_AT: usize = 4096;

/// The same for a workload of which little is known: until names are known for parameters, nothing is learned of the
/// objects they name, and attacks on them are not told. With half as many new ones as are known its endpoints are moved
/// again, so that all these moves together cost as much as a few.
const SETTLE_FIRST_AT: usize = 64;

/// The same while its templates are about to reach their bound.
const SETTLE_WHEN_FULL: usize = 64;

impl Inventory {
    /// The template of a path as far as it is known now, after learning from the exchange.
    pub(super) fn template(&mut self, served: &Served<'_>, path: &CanonicalPath) -> Template {
        let method = &served.request.method;
        if let Some((given, _)) = self.registry.given(served.workload, method, path.as_str()) {
            return given;
        }
        let segments = lexical::segments(path);
        if segments.is_empty() {
            return Template::literal(path);
        }
        let mut answer = Answer::Other;
        if is_accepted(served.exchange) {
            answer = Answer::Accepted;
            self.learn_from(served, &segments);
        }
        self.registry
            .route(served.workload, &segments, &served.request.method, answer)
            .unwrap_or_else(|| lexical::template(path))
    }

    fn learn_from(&mut self, served: &Served<'_>, segments: &[Segment<'_>]) {
        let succeeded = |status: u16| status / 100 == 2;
        let body: &[u8] = match &served.exchange.response {
            Some(response) if succeeded(response.status) => &response.body.sample,
            _ => &[],
        };
        let method = &served.request.method;
        match self
            .registry
            .observe_path(served.workload, segments, method, body)
        {
            Inserted::Known | Inserted::New => {}
            Inserted::Exploded => self.stats.path_explosion += 1,
            Inserted::NoRoom => self.stats.unlearned_paths += 1,
        }
        if self.is_held {
            return;
        }
        let news = self.registry.news(served.workload);
        let enough = (self.registry.learned_from(served.workload) / 2).clamp(SETTLE_FIRST_AT, SETTLE_AT);
        let is_full = || self.registry.templates(served.workload) >= self.limits.templates / 10 * 9;
        if news >= enough || (news >= SETTLE_WHEN_FULL && is_full()) {
            self.settle_workload(served.workload);
        }
    }

    pub(super) fn settle_workload(&mut self, workload: usize) {
        if self.registry.settle(workload) {
            self.recent.clear();
        }
        self.settle_candidates(workload);
    }

    /// Gives endpoints what was counted before they could be told to answer for it.
    fn settle_candidates(&mut self, workload: usize) {
        let Some(name) = self.registry.workload_id(workload).map(str::to_owned) else {
            return;
        };
        let found: Vec<(EndpointId, usize)> = self
            .candidates
            .iter()
            .filter(|(_, candidate)| candidate.workload == workload)
            .filter_map(|(id, candidate)| {
                let template = candidate.template.as_ref()?;
                let segments = lexical::parse(&template.text, &template.parameters);
                let method = &candidate.method;
                let known = self.registry.route(workload, &segments, method, Answer::Other)?;
                let now = EndpointId::new(&name, method, &known.text, None);
                Some((*id, self.registry.place(now)?))
            })
            .collect();
        for (id, place) in found {
            if let Some(candidate) = self.candidates.pop(&id) {
                self.adopt(workload, place, &candidate.traffic);
            }
        }
    }
}
