//! Made-up requests to described APIs, and what they are answered with.
//!
//! In: method and path of each operation. Out: requests with values that go with the names of the parameters, and
//! answers whose members go with the resource. The same description always gives the same traffic. Some APIs answer with
//! plain objects, some wrap all answers alike, some answer with no JSON at all; some number their things, others give
//! them names.

use std::collections::BTreeSet;

use super::{
    Asked, method,
    words::{CHOICES, MEMBERS, PEOPLE, THINGS},
};
use crate::inventory::fixture::call;

/// Deterministic numbers (SplitMix64), seeded with a text.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: &str) -> Self {
        Self(seed.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        }))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).expect("small")
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    fn text(&mut self, alphabet: &str, length: usize) -> String {
        let letters = alphabet.as_bytes();
        (0..length)
            .map(|_| char::from(letters[self.below(letters.len())]))
            .collect()
    }
}

/// The operations of one API.
#[derive(Debug)]
pub(super) struct Api {
    name: String,
    routes: BTreeSet<(&'static str, Vec<String>)>,
}

const HEX: &str = "0123456789abcdef";
const BASE36: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
const BASE62: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

impl Api {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            routes: BTreeSet::new(),
        }
    }

    pub(super) fn routes(&self) -> usize {
        self.routes.len()
    }

    pub(super) fn add(&mut self, name: &str, path: &str) {
        let is_plain = !path.contains(['?', '#', '*', ' ']) && path.starts_with('/');
        if let Some(method) = method(name).filter(|_| is_plain) {
            let segments = path.split('/').filter(|s| !s.is_empty()).map(str::to_owned);
            self.routes.insert((method, segments.collect()));
        }
    }

    pub(super) fn traffic(&self) -> Vec<Asked> {
        let mut asked = Vec::new();
        for (method, route) in &self.routes {
            let mut dice = Dice::new(&format!("{}{method}{route:?}", self.name));
            // Nobody asks for everything.
            if dice.below(8) == 0 {
                continue;
            }
            let has_parameter = route.iter().any(|segment| segment.contains('{'));
            let paths = if has_parameter {
                [1, 1, 2, 3, 3, 5, 8, 14][dice.below(8)]
            } else {
                1
            };
            for _ in 0..paths {
                let (target, last) = self.fill(route, &mut dice);
                let body = self.answer(method, route, &last, &mut dice);
                for _ in 0..1 + dice.below(3) {
                    let made = call(method, &target);
                    let made = match (&body, *method) {
                        (Some(body), _) => made.answer(body),
                        (None, "DELETE") => made.status(204),
                        (None, _) => made,
                    };
                    asked.push(Asked {
                        call: made,
                        method,
                        target: target.clone(),
                        template: anonymous(route),
                    });
                }
            }
        }
        asked
    }

    /// The target, and the value that came last.
    fn fill(&self, route: &[String], dice: &mut Dice) -> (String, String) {
        let (mut target, mut last) = (String::new(), String::new());
        let mut before = String::new();
        for segment in route {
            target.push('/');
            let mut rest = segment.as_str();
            while let Some((head, tail)) = rest.split_once('{') {
                let Some((name, after)) = tail.split_once('}') else {
                    break;
                };
                target.push_str(head);
                last = self.value(&before, name, dice.below(12));
                target.push_str(&last);
                rest = after;
            }
            target.push_str(rest);
            if !segment.contains('{') {
                before.clone_from(segment);
            }
        }
        if target.is_empty() {
            target.push('/');
        }
        (target, last)
    }

    /// One of the few values that a parameter has, told by its name.
    fn value(&self, before: &str, name: &str, number: usize) -> String {
        let lower = name.to_ascii_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
        let mut style = Dice::new(&format!("{}/{before}/{name}", self.name));
        let dice = &mut Dice::new(&format!("{}/{before}/{name}/{number}", self.name));
        if has(&["date", "day"]) {
            return format!("2024-{:02}-{:02}", 1 + dice.below(12), 1 + dice.below(28));
        }
        if has(&["version"]) {
            return format!("{}.{}.{}", dice.below(4), dice.below(10), dice.below(10));
        }
        if has(&["lang", "locale", "country", "culture"]) {
            return dice
                .one_of(&["en", "de", "fr-FR", "pt-BR", "ja", "US", "GB", "NO"])
                .to_owned();
        }
        if has(&["mail"]) {
            return format!("{}@example.test", dice.one_of(PEOPLE));
        }
        if has(&["host", "domain", "hostname"]) {
            return format!("{}.example.test", dice.one_of(THINGS).replace('_', "-"));
        }
        if has(&[
            "status", "type", "format", "kind", "role", "action", "level", "sort", "period", "category",
        ]) && !lower.ends_with("id")
        {
            return dice.one_of(CHOICES).to_owned();
        }
        if has(&["year", "month", "page", "number", "index", "count", "num"]) {
            return dice.below(2030).to_string();
        }
        if has(&["path", "file"]) && !lower.ends_with("id") {
            return format!(
                "{}.{}",
                dice.one_of(THINGS),
                dice.one_of(&["md", "txt", "png", "json"])
            );
        }
        if has(&["user", "login", "owner", "author", "person", "member", "account"]) && !lower.ends_with("id")
        {
            return dice.one_of(PEOPLE).to_owned();
        }
        let is_identifier = ["id", "uuid", "guid", "key", "token", "hash", "sha"]
            .iter()
            .any(|end| lower.ends_with(end));
        if !is_identifier {
            return match style.below(8) {
                0 => dice.below(100_000).to_string(),
                1 => format!("{}-{}", dice.one_of(PEOPLE), dice.one_of(THINGS)),
                2 => dice.one_of(PEOPLE).to_owned(),
                _ => dice.one_of(THINGS).to_owned(),
            };
        }
        match style.below(16) {
            0..=6 => (1 + dice.below(90_000)).to_string(),
            7 | 8 => format!(
                "{}-{}-4{}-a{}-{}",
                dice.text(HEX, 8),
                dice.text(HEX, 4),
                dice.text(HEX, 3),
                dice.text(HEX, 3),
                dice.text(HEX, 12)
            ),
            9 => dice.text(HEX, 24),
            10 => dice.text(BASE36, 6),
            11 => format!("{}_{}", self.name.get(..2).unwrap_or("x"), dice.text(BASE62, 14)),
            12 => dice.text(BASE62, 11),
            13 => {
                let letters = "abcdefghijklmnopqrstuvwxyz0123456789";
                format!(
                    "{}-{}-{}",
                    dice.text(letters, 3),
                    dice.text(letters, 3),
                    dice.text(letters, 3)
                )
            }
            14 => dice.one_of(THINGS).to_owned(),
            _ => format!("{}{}", dice.one_of(PEOPLE), dice.below(100)),
        }
    }

    fn answer(&self, method: &str, route: &[String], last: &str, dice: &mut Dice) -> Option<String> {
        let wrap = Dice::new(&self.name).below(5);
        if wrap == 0 || (method == "DELETE" && dice.below(3) > 0) || method == "HEAD" {
            return None;
        }
        let (is_item, noun) = match route.split_last() {
            Some((last, before)) if last.contains('{') => {
                let parent = before.iter().rev().find(|segment| !segment.contains('{'));
                (true, parent.map_or("", String::as_str))
            }
            Some((last, _)) => (false, last.as_str()),
            None => (true, ""),
        };
        let mut children = self
            .routes
            .iter()
            .filter(|(_, other)| other.len() == route.len() + 1);
        let is_list = !is_item
            && method == "GET"
            && children
                .any(|(_, other)| other.starts_with(route) && other.last().is_some_and(|s| s.contains('{')));
        let noun = noun.trim_end_matches('s');
        let mut of_noun = Dice::new(&format!("{}:{noun}", self.name));
        let mut object = vec!["\"created_at\":\"2024-01-01T00:00:00Z\"".to_owned()];
        // In some APIs things have the name they are asked for by.
        let id = if is_item && of_noun.below(2) == 0 {
            last
        } else {
            "1"
        };
        object.push(format!("\"id\":\"{id}\""));
        for _ in 0..2 + of_noun.below(9) {
            let member = of_noun.one_of(MEMBERS);
            // Not every object has everything.
            if dice.below(8) > 0 {
                object.push(format!("\"{member}\":\"x\""));
            }
        }
        let object = format!("{{{}}}", object.join(","));
        let value = if is_list {
            format!("[{object},{object}]")
        } else {
            object
        };
        Some(match wrap {
            1 => format!("{{\"data\":{value},\"meta\":{{\"page\":1}}}}"),
            2 => format!("{{\"ok\":true,\"result\":{value}}}"),
            _ => value,
        })
    }
}

/// The template with all parameters alike: what they are called cannot be known.
fn anonymous(route: &[String]) -> String {
    let mut text = String::new();
    for segment in route {
        text.push('/');
        let mut rest = segment.as_str();
        while let Some((head, tail)) = rest.split_once('{') {
            text.push_str(head);
            text.push_str("{}");
            rest = tail.split_once('}').map_or("", |(_, after)| after);
        }
        text.push_str(rest);
    }
    text
}
