//! What is usual for one endpoint.
//!
//! In: exchanges that are worth learning from. Out: a [`Baseline`], of at most 16 KiB, that detectors ask. It is *new*,
//! *learning*, *active* or *stale*, and is believed only after enough time, volume and variety: one source in one hour
//! cannot make anything usual. Mergeable, because endpoints become one; stored, because agents restart.

mod fields;
mod record;
mod summary;
mod table;
mod week;
mod window;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use fields::Sighting;
pub(super) use fields::{FieldTable, Novelty};
pub use record::BaselineRecord;
pub use summary::BaselineSummary;
pub(super) use table::Baselines;
pub(super) use window::{Odd, SECONDS as WINDOW_SECONDS};

use super::{
    detect::{amount, is_sensitive, work},
    fields::{Fields, Part},
    look::{ActorKind, Look},
    settings::Gate,
    sketch::{Distinct, Member, Members, Metric, Mixture, Quantiles, Ratio, Top},
};
use crate::clock::Timestamp;
use week::Week;
use window::Window;

/// Exchanges below which an endpoint is new.
const NEW: u64 = 10;

/// Time without exchanges after which a baseline is not believed any more.
const STALE_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// Exchanges of a source that does not belong yet that are learned, whatever its share is.
const FAIR: u64 = 3;

/// Of the requests of an active endpoint that have nothing new, one in so many is learned from.
const LEARN_EVERY: u64 = 8;

/// Who says that an exchange is worth learning from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voucher {
    /// Nobody: it looked like an attack.
    Nobody,
    /// The traffic itself: no source counts for much until it has come more than once.
    Traffic,
    /// The operator.
    Operator,
}

/// Exchanges from which an endpoint is believed when the operator says that learning is over.
const TRUSTED: u64 = 20;

/// How far a baseline is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Fewer than ten exchanges.
    #[default]
    New,
    /// Not enough time, volume or variety.
    Learning,
    /// Believed.
    Active,
    /// Not seen for thirty days: it has to learn again.
    Stale,
}

/// What is usual for one endpoint.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Baseline {
    pub(super) stage: Stage,
    /// Exchanges learned.
    pub(super) n: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// Different hours of the clock.
    hours: u32,
    hour: u32,
    pub(super) sources: Distinct,
    pub(super) objects: Distinct,
    pub(super) latency_us: Metric,
    pub(super) request_bytes: Metric,
    pub(super) response_bytes: Metric,
    pub(super) status: Mixture,
    pub(super) asked: FieldTable,
    pub(super) answered: FieldTable,
    /// Sources.
    pub(super) callers: Members,
    /// Credentials.
    pub(super) users: Members,
    busiest: Top,
    /// Successes without a credential.
    pub(super) anonymous: Ratio,
    /// Successes of callers with a public address.
    pub(super) internet: Ratio,
    /// Answers that held sensitive data, of those that were read while learning.
    pub(super) sensitive: u64,
    /// Objects asked for again by their owner.
    pub(super) owned: Ratio,
    /// Objects asked for that are a claim of the caller's token.
    pub(super) claimed: Ratio,
    /// Owners in answers that are one.
    pub(super) claimed_answer: Ratio,
    pub(super) refused: Ratio,
    /// Exchanges that looked like an attack, and who sent them.
    pub(super) signatures: Ratio,
    pub(super) signature_sources: Members,
    /// Endpoints that came before, of the same actor.
    pub(super) before: Top,
    /// How often it was known what came before.
    pub(super) preceded: u64,
    /// Different objects that one actor asks for in an hour.
    pub(super) objects_per_actor: Quantiles,
    walkers: Members,
    /// Largest numbers of the fields that ask for an amount.
    pub(super) amount: Metric,
    /// Depth, aliases and operations of GraphQL and other batches.
    pub(super) work: Metric,
    /// It calls hosts that requests name.
    pub(super) fetches: Ratio,
    pub(super) week: Week,
    pub(super) window: Window,
}

impl Baseline {
    /// Learns from an exchange. The field that has become usual by it, if one has.
    pub(super) fn learn(
        &mut self,
        look: &Look<'_>,
        asked: &Fields,
        answered: Option<&Fields>,
        voucher: Voucher,
    ) -> Option<String> {
        if self.n == 0 {
            self.first = look.at;
        }
        self.n += 1;
        self.last = self.last.max(look.at);
        self.busiest.add(look.source);
        self.sources.add(look.source);
        let hour = look.hour();
        if hour != self.hour {
            self.hours += u32::from(hour > self.hour);
            self.hour = self.hour.max(hour);
        }
        self.refused.add(look.outcome.is_rejected());
        if let Some(response) = &look.exchange.response {
            self.status.add(response.status);
        }
        if voucher == Voucher::Nobody || look.outcome.is_rejected() {
            return None;
        }
        if look.is_success() {
            self.callers.add(look.source, hour);
            let is_anonymous = look.request.credentials.is_empty();
            self.anonymous.add(is_anonymous);
            self.internet.add(look.is_from_internet());
            if look.actor_kind == ActorKind::Credential {
                self.users.add(look.actor, hour);
            }
        }
        if voucher == Voucher::Traffic && self.has_had_its_share(look.source) {
            return None;
        }
        self.learn_amounts(look);
        let sighting = Sighting {
            source: look.source,
            hour,
        };
        self.learn_fields(look, asked, answered, sighting)
    }

    /// One source cannot push what is usual aside: before it belongs, one exchange in a hundred may be its own; then
    /// half of them.
    pub(super) fn has_had_its_share(&self, source: u64) -> bool {
        let count = self.busiest.at_least(source);
        match self.callers.ask(source) {
            Member::Known => count.saturating_mul(2) > self.n && self.source_count() >= 3,
            Member::Fresh | Member::Stranger => count > FAIR.max(self.n / 100),
        }
    }

    fn learn_amounts(&mut self, look: &Look<'_>) {
        if let Some(latency) = look.exchange.latency {
            self.latency_us
                .add(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        }
        if let Some(length) = look.request.body.length {
            self.request_bytes.add(length);
        }
        let response = look.exchange.response.as_ref();
        if look.is_success()
            && let Some(length) = response.and_then(|response| response.body.length)
        {
            self.response_bytes.add(length);
        }
    }

    fn learn_fields(
        &mut self,
        look: &Look<'_>,
        asked: &Fields,
        answered: Option<&Fields>,
        sighting: Sighting,
    ) -> Option<String> {
        if !look.is_success() {
            return None;
        }
        let mut became = None;
        self.asked.message();
        let repeats = self.is_active() && !asked.teaches() && !self.n.is_multiple_of(LEARN_EVERY);
        if !repeats {
            for field in asked.iter().filter(|field| field.part != Part::Path) {
                if self.asked.learn(&field, sighting) && self.is_active() {
                    became = Some(field.path.to_owned());
                }
            }
            if let Some((number, _)) = amount(asked) {
                self.amount.add(number);
            }
        }
        if let Some(work) = work(look) {
            self.work.add(work.most());
        }
        if let Some(answered) = answered {
            self.answered.message();
            for field in answered.iter() {
                if self.answered.learn(&field, sighting) && self.is_active() {
                    became = Some(format!("response.{}", field.path.trim_start_matches("body.")));
                }
            }
            let is_young = !self.is_active() && self.answered.messages().is_multiple_of(4);
            if is_young && answered.iter().any(|field| is_sensitive(&field).is_some()) {
                self.sensitive += 1;
            }
        }
        became
    }

    /// Moves on from stage to stage.
    pub(super) fn promote(&mut self, gate: &Gate, now: Timestamp) {
        self.stage = match self.stage {
            Stage::Active if now.since(self.last) > STALE_AFTER => Stage::Stale,
            Stage::Active => Stage::Active,
            _ if self.passes(gate) => Stage::Active,
            Stage::Stale => Stage::Stale,
            _ if self.n < NEW => Stage::New,
            _ => Stage::Learning,
        };
    }

    fn passes(&self, gate: &Gate) -> bool {
        self.n >= gate.requests
            && self.last.since(self.first) >= gate.time
            && self.hours >= gate.hours
            && self.source_count() >= gate.sources
    }

    /// Different sources: exact while they are few.
    pub(super) fn source_count(&self) -> u64 {
        self.sources.count().max(self.busiest.iter().count() as u64)
    }

    /// Learning is over: the operator says so.
    pub(super) fn trust(&mut self) {
        if self.n < TRUSTED {
            return;
        }
        self.stage = Stage::Active;
        self.asked.settle();
        self.answered.settle();
        self.callers.settle();
        self.users.settle();
        self.walkers.settle();
    }

    pub(super) fn is_active(&self) -> bool {
        self.stage == Stage::Active
    }

    /// Remembers that an actor asks for many objects, in an hour since the epoch.
    pub(super) fn add_walker(&mut self, actor: u64, hour: u32) {
        self.walkers.add(actor, hour);
    }

    /// Whether an actor usually asks for many objects.
    pub(super) fn is_walker(&self, actor: u64) -> bool {
        self.walkers.ask(actor) == Member::Known
    }

    /// Adds another baseline: two endpoints have become one.
    pub(super) fn merge(&mut self, other: &Self) {
        self.stage = self.stage.max(other.stage);
        self.first = match self.n {
            0 => other.first,
            _ => self.first.min(other.first),
        };
        self.n += other.n;
        self.last = self.last.max(other.last);
        self.hours = self.hours.max(other.hours);
        self.hour = self.hour.max(other.hour);
        self.sources.merge(&other.sources);
        self.objects.merge(&other.objects);
        for (own, more) in [
            (&mut self.latency_us, &other.latency_us),
            (&mut self.request_bytes, &other.request_bytes),
            (&mut self.response_bytes, &other.response_bytes),
            (&mut self.amount, &other.amount),
            (&mut self.work, &other.work),
        ] {
            own.merge(more);
        }
        self.status.merge(&other.status);
        self.asked.merge(&other.asked);
        self.answered.merge(&other.answered);
        self.callers.merge(&other.callers);
        self.users.merge(&other.users);
        self.busiest.merge(&other.busiest);
        self.before.merge(&other.before);
        self.preceded += other.preceded;
        self.sensitive += other.sensitive;
        for (own, more) in [
            (&mut self.anonymous, other.anonymous),
            (&mut self.internet, other.internet),
            (&mut self.owned, other.owned),
            (&mut self.claimed, other.claimed),
            (&mut self.claimed_answer, other.claimed_answer),
            (&mut self.refused, other.refused),
            (&mut self.signatures, other.signatures),
            (&mut self.fetches, other.fetches),
        ] {
            own.merge(more);
        }
        self.signature_sources.merge(&other.signature_sources);
        self.objects_per_actor.merge(&other.objects_per_actor);
        self.walkers.merge(&other.walkers);
        self.week.merge(&other.week);
    }

    /// Bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let metrics = [
            &self.latency_us,
            &self.request_bytes,
            &self.response_bytes,
            &self.amount,
            &self.work,
        ];
        let members = [&self.callers, &self.users, &self.signature_sources, &self.walkers];
        size_of::<Self>()
            + metrics.iter().map(|metric| metric.heap_bytes()).sum::<usize>()
            + members.iter().map(|members| members.heap_bytes()).sum::<usize>()
            + self.asked.heap_bytes()
            + self.answered.heap_bytes()
            + self.objects_per_actor.heap_bytes()
            + self.week.heap_bytes()
            + 2 * 256 // HyperLogLogs
            + 2 * 24 * 16 // Space-Saving
            + 2 * 16 * 8 // mixtures
    }
}

#[cfg(test)]
mod tests;
