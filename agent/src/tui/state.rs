//! What is shown: views, selection, search, order, and how much happened lately.
//!
//! In: keys and answers. Out: the rows of the present view. Pure: no terminal, no clock.

use std::collections::{HashMap, VecDeque};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Answer, Endpoint};
use crate::{
    inventory::{EndpointId, WorkloadView},
    status::Status,
    verdict::Alert,
};

/// Samples of a sparkline. Overflow policy: the oldest goes.
pub(super) const SAMPLES: usize = 40;

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Stay,
    Leave,
}

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum View {
    #[default]
    Endpoints,
    Workloads,
    Alerts,
    Coverage,
}

impl View {
    pub(super) const ALL: [Self; 4] = [Self::Endpoints, Self::Workloads, Self::Alerts, Self::Coverage];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Endpoints => "Endpoints",
            Self::Workloads => "Workloads",
            Self::Alerts => "Alerts",
            Self::Coverage => "Coverage",
        }
    }
}

/// In which order endpoints are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Order {
    #[default]
    Rate,
    Hits,
    Risk,
    Latency,
    Path,
}

impl Order {
    fn next(self) -> Self {
        match self {
            Self::Rate => Self::Hits,
            Self::Hits => Self::Risk,
            Self::Risk => Self::Latency,
            Self::Latency => Self::Path,
            Self::Path => Self::Rate,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Hits => "hits",
            Self::Risk => "risk",
            Self::Latency => "p99",
            Self::Path => "path",
        }
    }
}

/// Everything that decides what is on the screen.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) view: View,
    pub(super) order: Order,
    pub(super) search: String,
    /// Keys go to the search.
    pub(super) is_searching: bool,
    /// The selected row is shown whole.
    pub(super) is_detailed: bool,
    pub(super) selected: usize,
    /// Rows that fit on the screen, as drawn last: how far a page goes.
    pub(super) page: usize,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) workloads: Vec<WorkloadView>,
    pub(super) alerts: Vec<Alert>,
    pub(super) status: Status,
    /// Places of the rows of the present view that match the search, in order.
    pub(super) rows: Vec<usize>,
    /// Why the last answer failed.
    pub(super) trouble: Option<String>,
    /// Everything was told once.
    pub(super) is_complete: bool,
    /// Exchanges between two answers, the newest last.
    pub(super) total: VecDeque<u64>,
    recent: HashMap<EndpointId, Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    hits: u64,
    samples: VecDeque<u64>,
}

impl State {
    /// Takes a new answer in.
    pub(super) fn take(&mut self, answer: Result<Answer, String>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(trouble) => {
                self.trouble = Some(trouble);
                return;
            }
        };
        self.trouble = None;
        if answer.is_complete {
            self.count(&answer.endpoints);
            self.is_complete = true;
        }
        self.endpoints = answer.endpoints;
        self.workloads = answer.workloads;
        self.alerts = answer.alerts;
        self.status = answer.status;
        self.arrange();
    }

    /// Counts how often each endpoint was called since the last time.
    fn count(&mut self, endpoints: &[Endpoint]) {
        let mut recent = std::mem::take(&mut self.recent);
        let mut total = 0;
        for endpoint in endpoints {
            let mut one = recent.remove(&endpoint.id).unwrap_or_default();
            // What was there before this program is no news.
            let fresh = if self.is_complete {
                endpoint.hits.saturating_sub(one.hits)
            } else {
                0
            };
            one.hits = endpoint.hits;
            push(&mut one.samples, fresh);
            total += fresh;
            self.recent.insert(endpoint.id, one);
        }
        push(&mut self.total, total);
    }

    /// How often an endpoint was called between the latest answers, the newest last.
    pub(super) fn samples(&self, id: EndpointId) -> Option<&VecDeque<u64>> {
        self.recent.get(&id).map(|recent| &recent.samples)
    }

    /// Reacts to a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Outcome {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Outcome::Leave;
        }
        if self.is_searching {
            self.search_key(key.code);
            return Outcome::Stay;
        }
        match key.code {
            KeyCode::Char('q') => return Outcome::Leave,
            KeyCode::Esc if self.is_detailed => self.is_detailed = false,
            KeyCode::Esc => self.find(String::new()),
            KeyCode::Enter => self.is_detailed = !self.is_detailed && !self.rows.is_empty(),
            KeyCode::Char('/') => self.is_searching = true,
            KeyCode::Char('s') => {
                self.order = self.order.next();
                self.arrange();
            }
            KeyCode::Tab | KeyCode::Right => self.step(1),
            KeyCode::BackTab | KeyCode::Left => self.step(View::ALL.len() - 1),
            KeyCode::Char(digit @ '1'..='4') => {
                if let Some(view) = View::ALL.get(digit as usize - '1' as usize) {
                    self.go(*view);
                }
            }
            KeyCode::Down | KeyCode::Char('j') => self.select(self.selected.saturating_add(1)),
            KeyCode::Up | KeyCode::Char('k') => self.select(self.selected.saturating_sub(1)),
            KeyCode::PageDown => self.select(self.selected.saturating_add(self.page.max(1))),
            KeyCode::PageUp => self.select(self.selected.saturating_sub(self.page.max(1))),
            KeyCode::Home | KeyCode::Char('g') => self.select(0),
            KeyCode::End | KeyCode::Char('G') => self.select(usize::MAX),
            _ => {}
        }
        Outcome::Stay
    }

    fn search_key(&mut self, code: KeyCode) {
        let mut text = self.search.clone();
        match code {
            KeyCode::Enter => self.is_searching = false,
            KeyCode::Esc => {
                self.is_searching = false;
                text.clear();
            }
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Char(c) => text.push(c),
            _ => {}
        }
        self.find(text);
    }

    fn find(&mut self, text: String) {
        if text != self.search {
            self.search = text;
            self.selected = 0;
            self.arrange();
        }
    }

    fn step(&mut self, by: usize) {
        let here = View::ALL.iter().position(|view| *view == self.view).unwrap_or(0);
        if let Some(view) = View::ALL.get((here + by) % View::ALL.len()) {
            self.go(*view);
        }
    }

    fn go(&mut self, view: View) {
        self.view = view;
        // What was searched for is rarely found in another view.
        self.search.clear();
        self.is_detailed = false;
        self.selected = 0;
        self.arrange();
    }

    fn select(&mut self, row: usize) {
        self.selected = row.min(self.rows.len().saturating_sub(1));
    }

    /// Finds and orders the rows of the present view.
    fn arrange(&mut self) {
        let wanted = self.search.to_lowercase();
        let is_wanted = |texts: &[&str]| {
            wanted.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&wanted))
        };
        self.rows = match self.view {
            View::Endpoints => places(&self.endpoints, |one| {
                is_wanted(&[
                    &one.template,
                    one.operation.as_deref().unwrap_or(""),
                    &one.method,
                    &one.workload,
                ])
            }),
            View::Workloads => places(&self.workloads, |one| is_wanted(&[&one.name])),
            View::Alerts => places(&self.alerts, |one| {
                is_wanted(&[
                    &one.class,
                    &one.workload,
                    &one.actor,
                    one.severity.as_str(),
                    one.endpoint_name.as_deref().unwrap_or(""),
                ])
            }),
            View::Coverage => places(&self.status.coverage, |one| is_wanted(&[&one.workload])),
        };
        if self.view == View::Endpoints {
            let mut rows = std::mem::take(&mut self.rows);
            // The largest first; rows come in the order of their paths, which a stable sort keeps.
            match self.order {
                Order::Path => {}
                order => rows.sort_by(|a, b| self.weight(order, *b).total_cmp(&self.weight(order, *a))),
            }
            self.rows = rows;
        }
        self.select(self.selected);
    }

    fn weight(&self, order: Order, place: usize) -> f64 {
        let Some(endpoint) = self.endpoints.get(place) else {
            return 0.0;
        };
        match order {
            Order::Rate => {
                let samples = self.samples(endpoint.id);
                samples.map_or(0, |samples| samples.iter().rev().take(5).sum::<u64>()) as f64
            }
            Order::Hits => endpoint.hits as f64,
            Order::Risk => endpoint.risk.unwrap_or(0.0),
            Order::Latency => endpoint.latency_ms.p99.unwrap_or(0.0),
            Order::Path => 0.0,
        }
    }
}

fn places<T>(all: &[T], is_wanted: impl Fn(&T) -> bool) -> Vec<usize> {
    all.iter()
        .enumerate()
        .filter(|(_, one)| is_wanted(one))
        .map(|(place, _)| place)
        .collect()
}

fn push(samples: &mut VecDeque<u64>, sample: u64) {
    if samples.len() >= SAMPLES {
        samples.pop_front();
    }
    samples.push_back(sample);
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::verdict::fixture::alert;

    fn endpoint(number: u64, template: &str, hits: u64) -> Endpoint {
        let row = json!({
            "id": format!("{number:016x}"), "workload": "shop", "workload_id": "w", "kind": "rest", "method": "GET",
            "template": template, "operation": null, "hosts": [], "hits": hits, "first_seen": "", "last_seen": "",
            "state": "active", "exposure": "host", "auth": {"verdict": "missing", "schemes": [], "rates": {}},
            "sensitive": [], "status": {"2xx": hits}, "latency_ms": {"p50": 1.0, "p90": 2.0, "p99": 3.5},
            "callers": [], "owner": null, "risk": number, "spec": "unknown",
            "completeness": {"complete": 1, "no_response": 0, "lost": 0, "truncated": 0}, "parameters": [],
        });
        Endpoint::read(&row.to_string()).unwrap()
    }

    /// Three endpoints, an alert; `hits` of the second.
    pub(in crate::tui) fn answer(hits: u64) -> Answer {
        Answer {
            is_complete: true,
            endpoints: vec![
                endpoint(1, "/v1/orders", 5),
                endpoint(2, "/v1/users/{userId}", hits),
                endpoint(3, "/v1/users\u{1b}[31m", 1),
            ],
            workloads: Vec::new(),
            alerts: vec![alert("a1")],
            status: Status::default(),
        }
    }

    pub(in crate::tui) fn press(state: &mut State, keys: &str) {
        for key in keys.chars() {
            let code = match key {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                key => KeyCode::Char(key),
            };
            assert_eq!(state.key(KeyEvent::from(code)), Outcome::Stay);
        }
    }

    #[test]
    fn what_is_called_most_lately_comes_first() {
        let mut state = State::default();
        state.take(Ok(answer(1)));
        assert_eq!(state.rows, [0, 1, 2]);
        state.take(Ok(answer(4)));
        assert_eq!(state.rows, [1, 0, 2]);
        assert_eq!(state.total, [0, 3]);
        press(&mut state, "s");
        assert_eq!(
            (state.order, state.rows.as_slice()),
            (Order::Hits, &[0, 1, 2][..])
        );
        press(&mut state, "s");
        assert_eq!(
            (state.order, state.rows.as_slice()),
            (Order::Risk, &[2, 1, 0][..])
        );
    }

    #[test]
    fn what_comes_first_counts_as_no_news_and_is_no_whole() {
        let mut state = State::default();
        let first = Answer {
            is_complete: false,
            endpoints: vec![endpoint(1, "/v1/orders", 5)],
            ..Answer::default()
        };
        state.take(Ok(first));
        assert_eq!((state.rows.as_slice(), state.is_complete), (&[0][..], false));
        assert!(state.total.is_empty());
        state.take(Ok(answer(7)));
        assert_eq!((state.rows.len(), state.is_complete), (3, true));
        assert_eq!(state.total, [0]);
    }

    #[test]
    fn search_narrows_and_escape_ends_it() {
        let mut state = State::default();
        state.take(Ok(answer(1)));
        press(&mut state, "/USERS/\n");
        assert_eq!(state.rows, [1]);
        press(&mut state, "jj");
        assert_eq!(state.selected, 0);
        press(&mut state, "\u{1b}");
        assert_eq!(state.rows.len(), 3);
    }

    #[test]
    fn trouble_keeps_what_was_there() {
        let mut state = State::default();
        state.take(Ok(answer(1)));
        state.take(Err("gone".into()));
        assert_eq!(
            (state.endpoints.len(), state.trouble.as_deref()),
            (3, Some("gone"))
        );
        assert_eq!(state.key(KeyEvent::from(KeyCode::Char('q'))), Outcome::Leave);
    }
}
