//! How well requests were put together: over pairs of different paths, and over whole templates.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A request, where it belongs and where it was put.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) template: String,
    pub(super) found: String,
}

/// Counts, to be added up over several APIs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Score {
    /// Different paths.
    pub(super) paths: usize,
    /// Templates with two paths or more.
    pub(super) multi: usize,
    /// Of these, those that were found with nothing missing and nothing extra.
    pub(super) exact: usize,
    /// Pairs of paths that belong together.
    true_pairs: usize,
    /// Pairs that were put together.
    found_pairs: usize,
    /// Pairs of both kinds.
    right_pairs: usize,
}

type Groups<'a> = BTreeMap<(&'static str, &'a str), BTreeSet<&'a str>>;

fn pairs(count: usize) -> usize {
    count * count.saturating_sub(1) / 2
}

impl Score {
    pub(super) fn of(placed: &[Placed]) -> Self {
        let (mut truth, mut found, mut both) =
            (Groups::new(), Groups::new(), BTreeMap::<_, BTreeSet<_>>::new());
        for one in placed {
            let (path, template, got) = (one.path.as_str(), one.template.as_str(), one.found.as_str());
            truth.entry((one.method, template)).or_default().insert(path);
            found.entry((one.method, got)).or_default().insert(path);
            both.entry((one.method, template, got)).or_default().insert(path);
        }
        let multi: Vec<_> = truth.values().filter(|paths| paths.len() > 1).collect();
        let sum = |sizes: &mut dyn Iterator<Item = usize>| sizes.map(pairs).sum::<usize>();
        Self {
            paths: truth.values().map(BTreeSet::len).sum(),
            multi: multi.len(),
            exact: multi
                .iter()
                .filter(|paths| found.values().any(|other| other == **paths))
                .count(),
            true_pairs: sum(&mut truth.values().map(BTreeSet::len)),
            found_pairs: sum(&mut found.values().map(BTreeSet::len)),
            right_pairs: sum(&mut both.values().map(BTreeSet::len)),
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.paths += other.paths;
        self.multi += other.multi;
        self.exact += other.exact;
        self.true_pairs += other.true_pairs;
        self.found_pairs += other.found_pairs;
        self.right_pairs += other.right_pairs;
    }

    pub(super) fn exact_multi(&self) -> f64 {
        share(self.exact, self.multi)
    }

    pub(super) fn pair_precision(&self) -> f64 {
        share(self.right_pairs, self.found_pairs)
    }

    pub(super) fn pair_recall(&self) -> f64 {
        share(self.right_pairs, self.true_pairs)
    }

    /// What was put together wrongly, and what was not put together.
    pub(super) fn show(&self, name: &str, placed: &[Placed]) {
        println!("{name}: {self}");
        let (mut found, mut truth) = (
            BTreeMap::<_, BTreeMap<_, _>>::new(),
            BTreeMap::<_, BTreeMap<_, _>>::new(),
        );
        for one in placed {
            let key = |text: &str| format!("{} {text}", one.method);
            found
                .entry(key(&one.found))
                .or_default()
                .insert(one.template.clone(), one.path.clone());
            truth
                .entry(key(&one.template))
                .or_default()
                .insert(one.found.clone(), one.path.clone());
        }
        for (template, parts) in found.iter().filter(|(_, parts)| parts.len() > 1) {
            println!("  JOINED {template}: {parts:?}");
        }
        for (template, parts) in truth.iter().filter(|(_, parts)| parts.len() > 1) {
            let some: Vec<_> = parts.iter().take(6).collect();
            println!("  APART {template}: {} {some:?}", parts.len());
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} paths, exact {:.4} of {}, pairs: precision {:.4}, recall {:.4}",
            self.paths,
            self.exact_multi(),
            self.multi,
            self.pair_precision(),
            self.pair_recall()
        )
    }
}

fn share(part: usize, all: usize) -> f64 {
    if all == 0 { 1.0 } else { part as f64 / all as f64 }
}
