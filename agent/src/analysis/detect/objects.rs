//! Objects that an actor has no business with: ids walked through, and ids that belong to somebody else (API1:2023).
//!
//! In: exchanges of endpoints that name an object. Out: identity signals. Learned per endpoint: how many objects one
//! actor asks for in an hour, who usually asks for many (a batch job), and whether objects have one owner each.

use super::{Memory, Scene, signal, words::has_word};
use crate::{
    analysis::{
        baseline::Baseline,
        fields::{Field, Part},
        hash::mix,
        look::{ActorKind, Look, Outcome},
        sketch::Distinct,
    },
    clock::Timestamp,
    verdict::{Group, Signal},
};

/// Walks remembered: pairs of endpoint and actor. Overflow policy: the one not seen for the longest is forgotten.
const MAX_WALKS: usize = 8192;

/// Owners remembered: pairs of endpoint and object. Overflow policy: likewise.
const MAX_OWNERS: usize = 32_768;

const HOUR: u64 = 3600;
const DAY: u64 = 86_400;

/// Objects an hour below which nobody walks.
const FEW: f64 = 25.0;

/// Objects a day below which nobody scrapes.
const FEW_A_DAY: f64 = 120.0;

/// Objects in an hour of learning that make an actor one who usually asks for many.
const MANY: u64 = 20;

/// Objects asked for again from which it is known whether they have owners.
const OWNED: u64 = 100;

/// What one actor asks one endpoint for.
#[derive(Debug, Default)]
struct Walk {
    hour: Span,
    day: Span,
    last: Option<u64>,
    /// Of the ids of this hour, those next to the one before.
    steps: u32,
    asked: u32,
    absent: u32,
    /// Objects here that it owns.
    own: u32,
    /// The owner whose next credential it is.
    heir_of: u64,
}

/// Objects of a span of time.
#[derive(Debug, Default)]
struct Span {
    since: Timestamp,
    objects: Distinct,
}

impl Span {
    /// Begins anew when the time is over. How many objects it had, if so.
    fn begin(&mut self, now: Timestamp, seconds: u64) -> Option<u64> {
        if now.since(self.since).as_secs() < seconds {
            return None;
        }
        let ended = std::mem::replace(
            self,
            Self {
                since: now,
                objects: Distinct::default(),
            },
        );
        Some(ended.objects.count())
    }
}

/// Who an object belongs to.
#[derive(Debug, Default)]
struct Owner {
    actor: u64,
    hits: u32,
}

/// Walks and owners.
#[derive(Debug)]
pub(in crate::analysis) struct Objects {
    walks: Memory<Walk>,
    owners: Memory<Owner>,
    lesson: Lesson,
}

/// What one exchange teaches.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::analysis) struct Lesson {
    object: Option<u64>,
    /// An actor has asked for so many objects in this hour so far.
    so_far: Option<(u64, u64)>,
    /// The hour since the epoch.
    hour: u32,
    /// An hour of an actor has ended with so many objects.
    ended: Option<(u64, u64)>,
    /// An object was asked for again: by its owner?
    by_owner: Option<bool>,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            walks: Memory::new(MAX_WALKS),
            owners: Memory::new(MAX_OWNERS),
            lesson: Lesson::default(),
        }
    }
}

impl Objects {
    /// What the last exchange teaches.
    pub(in crate::analysis) fn take_lesson(&mut self) -> Lesson {
        std::mem::take(&mut self.lesson)
    }

    pub(super) fn inspect(&mut self, scene: &Scene<'_>, signals: &mut Vec<Signal>) {
        self.lesson = Lesson::default();
        let look = scene.look;
        let Some((endpoint, field)) = look.endpoint.zip(object(scene)) else {
            return;
        };
        let object = field.value();
        let walk = self.walks.of(mix(endpoint.0, look.actor));
        let ended = walk.add(look, &field, object);
        self.lesson = Lesson {
            object: Some(object),
            so_far: (walk.asked >= MANY as u32).then(|| (look.actor, walk.hour.objects.count())),
            hour: look.hour(),
            ended: ended.map(|count| (look.actor, count)),
            by_owner: None,
        };
        if let Some(usual) = scene.usual {
            signals.extend(walked(walk, look, usual, &field));
        }
        let is_walker = scene.learned.is_some_and(|learned| learned.is_walker(look.actor));
        if look.is_success() && look.actor_kind == ActorKind::Credential && !is_walker {
            self.lesson.by_owner = self.is_owner(scene, endpoint.0, object);
            if self.lesson.by_owner == Some(false) {
                signals.extend(scene.usual.and_then(|usual| foreign(usual, &field)));
            }
        }
    }

    /// Whether the object was the actor's; `None` if nothing is known of it.
    fn is_owner(&mut self, scene: &Scene<'_>, endpoint: u64, object: u64) -> Option<bool> {
        let look = scene.look;
        let walk = self.walks.of(mix(endpoint, look.actor));
        let owner = self.owners.of(mix(endpoint, object));
        if owner.hits > 0 && owner.actor == look.principal() {
            owner.hits = owner.hits.saturating_add(1);
            return Some(true);
        }
        // A new credential that starts with an object known before is most likely the owner's next one. Who came once is
        // no owner.
        let is_heir = walk.heir_of != 0 && walk.heir_of == owner.actor;
        if owner.hits < 2 || walk.own == 0 || is_heir {
            if owner.hits >= 2 {
                walk.heir_of = owner.actor;
            }
            owner.actor = look.principal();
            owner.hits = owner.hits.max(1);
            walk.own += 1;
            return None;
        }
        if scene.usual.is_none() {
            // While it is learned, ownership goes to who comes most often.
            owner.hits -= 1;
        }
        Some(false)
    }
}

impl Walk {
    /// Adds a request; if an hour has ended with it, how many objects that had.
    fn add(&mut self, look: &Look<'_>, field: &Field<'_>, object: u64) -> Option<u64> {
        let ended = self.hour.begin(look.at, HOUR);
        if ended.is_some() {
            (self.steps, self.asked, self.absent) = (0, 0, 0);
        }
        self.day.begin(look.at, DAY);
        self.hour.objects.add(object);
        self.day.objects.add(object);
        self.asked += 1;
        self.absent += u32::from(matches!(look.outcome, Outcome::Absent | Outcome::Refused));
        let number = field.text.parse::<u64>().ok();
        if let Some((number, last)) = number.zip(self.last) {
            self.steps += u32::from((1..=3).contains(&number.abs_diff(last)));
        }
        self.last = number.or(self.last);
        ended.filter(|count| *count > 0)
    }
}

/// Whether an actor walks through the objects of an endpoint.
fn walked(walk: &Walk, look: &Look<'_>, usual: &Baseline, field: &Field<'_>) -> Option<Signal> {
    if walk.asked < FEW as u32 && walk.day.objects.count() < FEW_A_DAY as u64 {
        return None;
    }
    if usual.is_walker(look.actor) || usual.is_walker(look.source) {
        return None;
    }
    let most = usual.objects_per_actor.at(0.99).unwrap_or(1.0);
    let (limit, limit_of_day) = ((4.0 * most).max(FEW), (12.0 * most).max(FEW_A_DAY));
    let (count, count_of_day) = (walk.hour.objects.count(), walk.day.objects.count());
    let is_stepping = walk.steps * 2 > walk.asked;
    let missing = f64::from(walk.absent) / f64::from(walk.asked.max(1));
    let (class, confidence, count, limit, window) = if count as f64 > limit {
        let is_blatant = is_stepping || missing > 0.3 || count as f64 > 2.0 * limit;
        let confidence = if is_blatant { 0.85 } else { 0.7 };
        ("id_enumeration", confidence, count, limit, HOUR)
    } else if count_of_day as f64 > limit_of_day {
        ("object_scraping", 0.82, count_of_day, limit_of_day, DAY)
    } else {
        return None;
    };
    // What everybody may read without a credential is there to be read.
    let is_public = usual.anonymous.share() > 0.5;
    let confidence = if is_public { 0.5 } else { confidence };
    let text = match is_stepping {
        true => "one actor walks through ids, one after the other",
        false => "one actor asks for far more objects than others do",
    };
    Some(
        signal("objects", class, Group::Identity, confidence, text)
            .at(field.path)
            .seen(format!("{count} objects"), format!("at most {limit:.0}"))
            .of(usual.objects_per_actor.count())
            .within(window),
    )
}

/// An object that belongs to another actor was given out, by an endpoint whose objects have owners.
fn foreign(usual: &Baseline, field: &Field<'_>) -> Option<Signal> {
    let owned = usual.owned;
    (owned.n >= OWNED && owned.bounds().0 >= 0.85).then(|| {
        let text = "an object that belongs to another actor was given out";
        signal("ownership", "bola", Group::Identity, 0.9, text)
            .at(field.path)
            .seen(
                "another actor's object",
                format!("{:.1} % of objects go to their owner", 100.0 * owned.share()),
            )
            .of(owned.n)
    })
}

/// The field that names the object: the last parameter of the path, else one of the query that is called an id.
pub(super) fn object<'a>(scene: &Scene<'a>) -> Option<Field<'a>> {
    let of_path = scene
        .asked
        .iter()
        .take_while(|field| field.part == Part::Path)
        .last();
    of_path.or_else(|| {
        let is_id = |field: &Field<'_>| has_word(field.name(), &["id", "uuid", "account", "user"]);
        // Those of the body are the last.
        let mut head = scene.asked.iter().take_while(|field| field.part != Part::Body);
        head.find(|field| field.part == Part::Query && is_id(field))
    })
}

impl Lesson {
    /// Adds what was learned to what is usual.
    pub(in crate::analysis) fn teach(self, baseline: &mut Baseline) {
        if let Some(object) = self.object {
            baseline.objects.add(object);
        }
        if let Some(by_owner) = self.by_owner {
            baseline.owned.add(by_owner);
        }
        if !baseline.is_active()
            && let Some((actor, count)) = self.so_far
            && count >= MANY
        {
            baseline.add_walker(actor, self.hour);
        }
        if let Some((actor, count)) = self.ended
            && !baseline.is_walker(actor)
        {
            // Nobody raises the limit by more than reaching it.
            let most = baseline.objects_per_actor.at(0.99).unwrap_or(1.0).max(10.0);
            let most = if baseline.is_active() {
                most as u64
            } else {
                u64::MAX
            };
            baseline.objects_per_actor.add(count.min(most));
        }
    }
}
