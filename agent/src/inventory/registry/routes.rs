//! The paths of a workload: what was observed of them, what is learned from them, and what somebody has given.
//!
//! In: paths that were accepted; templates of the operator, of documents and of the code of applications. Out: the template
//! of a request. What is given goes before what is learned, in that order.

use super::Registry;
use crate::inventory::template::{
    Pins, Routes, Template, TemplateSource,
    lexical::Segment,
    trie::{Inserted, Node, route, route::Answer},
};

impl Registry {
    /// Learns from a path that the workload at a place has accepted, and from what it answered.
    pub(in crate::inventory) fn observe_path(
        &mut self,
        place: usize,
        path: &[Segment<'_>],
        method: &str,
        body: &[u8],
    ) -> Inserted {
        let Some(slot) = self.workloads.get_mut(place) else {
            return Inserted::NoRoom;
        };
        let inserted = slot.record.paths.insert(path, method, body);
        slot.news += usize::from(matches!(inserted, Inserted::New | Inserted::Exploded));
        inserted
    }

    /// Paths of a workload that nothing was learned from yet.
    pub(in crate::inventory) fn news(&self, place: usize) -> usize {
        self.workloads.get(place).map_or(0, |slot| slot.news)
    }

    /// Paths of a workload that something was learned from.
    pub(in crate::inventory) fn learned_from(&self, place: usize) -> usize {
        self.workloads.get(place).map_or(0, |slot| slot.learned_from)
    }

    /// Puts templates before all that is learned; endpoints move when they are settled next.
    pub(in crate::inventory) fn set_pins(&mut self, pins: Pins) {
        self.pins = pins;
        self.routes_changed();
    }

    /// As [`Self::set_pins`], with the routes of documents.
    pub(in crate::inventory) fn set_documents(&mut self, documents: Routes) {
        self.documents = documents;
        self.routes_changed();
    }

    fn routes_changed(&mut self) {
        let revision = self.reshape();
        for slot in &mut self.workloads {
            slot.news += 1;
            slot.revision = revision;
        }
    }

    /// As [`Self::set_pins`], with the routes that the application of one workload has.
    pub(in crate::inventory) fn set_harvested(&mut self, place: usize, routes: &Routes) {
        let slot = self.workloads.get(place);
        if slot.is_none_or(|slot| slot.harvested == *routes) {
            return;
        }
        let revision = self.reshape();
        if let Some(slot) = self.workloads.get_mut(place) {
            slot.harvested = routes.clone();
            slot.news += 1;
            slot.revision = revision;
        }
    }

    /// The template that somebody has given for a request, or for a template that was learned.
    pub(in crate::inventory) fn given(
        &self,
        place: usize,
        method: &str,
        path: &str,
    ) -> Option<(Template, TemplateSource)> {
        let documented = || self.documents.template(method, path);
        let harvested = || self.workloads.get(place)?.harvested.template(method, path);
        let by = |source| move |template| (template, source);
        self.pins
            .template(path)
            .map(by(TemplateSource::Pinned))
            .or_else(|| documented().map(by(TemplateSource::Documented)))
            .or_else(|| harvested().map(by(TemplateSource::Harvested)))
    }

    /// How many templates a workload has.
    pub(in crate::inventory) fn templates(&self, place: usize) -> usize {
        self.workloads.get(place).map_or(0, |slot| slot.templates.len())
    }

    /// The template of a request to the workload at a place, as far as anything is known of it.
    pub(in crate::inventory) fn route(
        &self,
        place: usize,
        path: &[Segment<'_>],
        method: &str,
        answer: Answer,
    ) -> Option<Template> {
        route::template(self.learned(place)?, path, method, answer)
    }

    /// What was learned of the paths of the workload at a place.
    pub(in crate::inventory) fn learned(&self, place: usize) -> Option<&Node> {
        self.workloads.get(place).map(|slot| &slot.learned)
    }

    /// Learns from the paths observed. Whether there was anything new.
    pub(in crate::inventory) fn learn(&mut self, place: usize) -> bool {
        let Some(slot) = self.workloads.get_mut(place).filter(|slot| slot.news > 0) else {
            return false;
        };
        slot.learned_from += std::mem::take(&mut slot.news);
        slot.learned = slot.record.paths.learn();
        true
    }
}
