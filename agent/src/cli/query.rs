//! Which rows of a list are shown, in which order: the options that all query commands share.
//!
//! In: JSON rows. Out: those that satisfy every option, sorted, at most as many as asked for. Works on the rows
//! as JSON, so a member that a newer agent adds can be filtered and sorted by at once.

use std::collections::BTreeSet;

use serde_json::Value;
use smallvec::SmallVec;

use super::{
    Context, Failure,
    batches::Wanted,
    filter::Filter,
    fleet,
    output::Format,
    picked::Picked,
    rows::Line,
    source,
    time::{self, point_in_time},
};
use crate::{clock::Timestamp, risk::EndpointKey};

/// Options of all query commands.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) source: source::Args,
    /// Form of the result. Tables are fitted to a terminal; in a pipe they are complete and without colour
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: Format,
    /// Only this workload: its name or id, `*` for any characters
    #[arg(long, value_name = "NAME")]
    pub(super) workload: Option<String>,
    /// Only these methods
    #[arg(long, value_name = "METHOD", value_delimiter = ',')]
    pub(super) method: Vec<String>,
    /// Only paths that begin so, or match a pattern in which `*` stands for any characters
    #[arg(long, value_name = "PATH")]
    pub(super) path: Option<String>,
    /// Only what was seen since: a span before now (30s, 10m, 2h, 1d) or a time (2026-01-31T08:00:00Z)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Order by this member, such as hits or latency_ms.p99; `-hits` for the largest first
    #[arg(long, value_name = "[-]MEMBER", allow_hyphen_values = true)]
    pub(super) sort: Option<String>,
    /// Only rows that satisfy an expression, such as 'hits > 10 and method == "GET"'; `~` finds text or a
    /// regular expression; members are named as in the JSON
    #[arg(long, value_name = "EXPR")]
    filter: Option<String>,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
    /// Leave out so many rows before the first
    #[arg(long, value_name = "N")]
    pub(super) offset: Option<usize>,
}

/// Options of a query that were checked before anybody was asked.
pub(super) struct Selection {
    filter: Option<Filter>,
    since: Option<Timestamp>,
}

impl Args {
    /// Fetches the rows and selects.
    pub(super) fn lines(&self, topic: source::Topic, context: &Context<'_>) -> Result<Vec<Line>, Failure> {
        // What can be wrong with the options is found before anybody is asked.
        if topic == source::Topic::Workloads && (!self.method.is_empty() || self.path.is_some()) {
            return Err(Failure::usage(
                "--method and --path select endpoints: a workload has neither",
            ));
        }
        if let Some(address) = &context.fleet {
            return fleet::lines(address, topic, self, context.now);
        }
        let selection = self.selection(context.now)?;
        let mut picked = Picked::new(self, &selection);
        let source = self.source.settled(context)?;
        let is_among = |key: &EndpointKey<'_>| {
            self.wants_workload(&[key.workload, key.workload_id]) && self.wants_call(key.method, key.template)
        };
        let wanted = Wanted {
            most: picked.first_rows(),
            endpoints: Some(&is_among),
        };
        source.batches(topic, wanted, &mut |batch| picked.take(batch))?;
        picked.page()
    }

    /// The conditions, parsed.
    pub(super) fn selection(&self, now: Timestamp) -> Result<Selection, Failure> {
        Ok(Selection {
            filter: self.filter()?,
            since: self.since(now)?,
        })
    }

    /// Whether one row satisfies every option.
    pub(super) fn accepts(&self, row: &Value, selection: &Selection) -> bool {
        let Selection { filter, since } = selection;
        self.wants(row)
            && since.is_none_or(|since| last_seen(row).is_none_or(|seen| seen >= since))
            && filter.as_ref().is_none_or(|filter| filter.accepts(row))
    }

    pub(super) fn filter(&self) -> Result<Option<Filter>, Failure> {
        let parse = |text: &String| {
            Filter::parse(text).map_err(|error| Failure::usage(format!("--filter is wrong {error}")))
        };
        self.filter.as_ref().map(parse).transpose()
    }

    pub(super) fn since(&self, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
        self.since
            .as_deref()
            .map(|text| point_in_time(text, now))
            .transpose()
    }

    /// The member that `--sort` names, and whether the largest comes first.
    pub(super) fn order(&self) -> Option<(&str, bool)> {
        self.sort.as_deref().map(|key| match key.strip_prefix('-') {
            Some(key) => (key, true),
            None => (key, false),
        })
    }

    /// Members that an option names, with the option.
    pub(super) fn named<'a>(&'a self, selection: &'a Selection) -> Vec<(&'static str, &'a str)> {
        let filtered = selection.filter.iter().flat_map(Filter::members);
        let sorted = self.order().map(|(key, _)| key.split('.').next().unwrap_or(key));
        let mut named: Vec<(&str, &str)> = filtered.map(|name| ("--filter", name)).collect();
        named.extend(sorted.map(|name| ("--sort", name)));
        named
    }

    /// Members that decide which rows are shown, and in which order.
    pub(super) fn needed<'a>(&'a self, selection: &'a Selection) -> BTreeSet<&'a str> {
        let named = self.named(selection).into_iter().map(|(_, name)| name);
        named.chain(self.read(selection)).collect()
    }

    /// The members that the other options look at.
    fn read(&self, selection: &Selection) -> Vec<&'static str> {
        let mut read = Vec::new();
        if self.workload.is_some() {
            read.extend(["workload", "workload_id", "name", "id"]);
        }
        if !self.method.is_empty() || self.path.is_some() {
            read.extend(["endpoint_name", "method", "template"]);
        }
        if selection.since.is_some() {
            read.extend(["last_seen", "updated"]);
        }
        read
    }

    fn wants(&self, row: &Value) -> bool {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let names = match row.get("workload") {
            Some(_) => &["workload", "workload_id"][..],
            None => &["workload", "workload_id", "name", "id"],
        };
        let names = names.iter().filter_map(|name| row.get(name)?.as_str());
        let (method, template) = match row.get("endpoint_name").and_then(Value::as_str) {
            Some(name) => name.split_once(' ').unwrap_or((name, "")),
            None => (text("method"), text("template")),
        };
        self.wants_workload(&names.collect::<SmallVec<[&str; 4]>>()) && self.wants_call(method, template)
    }

    fn wants_workload(&self, names: &[&str]) -> bool {
        let pattern = self.workload.as_ref();
        pattern.is_none_or(|pattern| names.iter().any(|name| glob(pattern, name)))
    }

    fn wants_call(&self, method: &str, template: &str) -> bool {
        let is_method =
            self.method.is_empty() || self.method.iter().any(|one| one.eq_ignore_ascii_case(method));
        let is_path = |pattern: &String| match pattern.contains('*') {
            true => glob(pattern, template),
            false => template.starts_with(pattern.as_str()),
        };
        is_method && self.path.as_ref().is_none_or(is_path)
    }
}

/// When it last happened: alerts say so in another member than the rest.
fn last_seen(row: &Value) -> Option<Timestamp> {
    time::of(row.get("last_seen").or_else(|| row.get("updated"))?)
}

/// The value of a member, named with dots.
pub(super) fn at<'v>(row: &'v Value, path: &str) -> &'v Value {
    path.split('.')
        .fold(row, |value, name| value.get(name).unwrap_or(&Value::Null))
}

/// Whether `text` matches a pattern in which `*` stands for any characters. Linear for each star.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(start) => text = text.get(start + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;
    use crate::cli::rows;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        query: Args,
    }

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);

    fn ids(arguments: &[&str]) -> Result<Vec<String>, String> {
        let line = Line::try_parse_from(std::iter::once(&"x").chain(arguments)).unwrap();
        let rows = [
            json!({"id": "a", "workload": "shop", "method": "GET", "template": "/v1/users", "hits": 3, "last_seen": 1.8e9 - 5.0}),
            json!({"id": "b", "workload": "shop", "method": "POST", "template": "/v1/users/{userId}", "hits": 20, "last_seen": 1.8e9 - 500.0}),
            json!({"id": "c", "workload": "billing", "method": "GET", "template": "/v2/bills", "hits": null, "last_seen": "2027-01-15T07:00:00Z"}),
        ];
        let lines = rows.iter().map(Value::to_string).collect();
        match select(&line.query, lines) {
            Ok(lines) => Ok(lines.iter().map(|line| id(line)).collect()),
            Err(failure) => Err(failure.sentence().unwrap().to_owned()),
        }
    }

    fn id(line: &str) -> String {
        rows::whole(line).unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn selected(arguments: &[&str]) -> String {
        ids(arguments).unwrap().concat()
    }

    fn select(query: &Args, lines: Vec<rows::Line>) -> Result<Vec<rows::Line>, Failure> {
        let selection = query.selection(NOW)?;
        let mut picked = Picked::new(query, &selection);
        if picked.take(lines)?.is_break() {
            assert!(query.limit.is_some());
        }
        picked.page()
    }

    #[test]
    fn every_option_narrows_and_all_must_hold() {
        assert_eq!(selected(&[]), "abc");
        assert_eq!(selected(&["--workload", "shop"]), "ab");
        assert_eq!(selected(&["--workload", "b*g"]), "c");
        assert_eq!(selected(&["--method", "get"]), "ac");
        assert_eq!(selected(&["--method", "GET,POST"]), "abc");
        assert_eq!(selected(&["--path", "/v1/"]), "ab");
        assert_eq!(selected(&["--path", "*/{userId}"]), "b");
        assert_eq!(selected(&["--filter", "hits > 2", "--method", "GET"]), "a");
        assert_eq!(selected(&["--limit", "1"]), "a");
        assert_eq!(selected(&["--offset", "1"]), "bc");
        assert_eq!(selected(&["--offset", "1", "--limit", "1"]), "b");
        assert_eq!(selected(&["--offset", "9"]), "");
    }

    #[test]
    fn since_takes_a_span_or_a_time() {
        assert_eq!(selected(&["--since", "1m"]), "a");
        assert_eq!(selected(&["--since", "10m"]), "ab");
        assert_eq!(selected(&["--since", "2027-01-15T07:00:00Z"]), "abc");
        assert!(ids(&["--since", "yesterday"]).unwrap_err().contains("is no time"));
    }

    #[test]
    fn sorting_is_stable_and_what_is_absent_comes_last() {
        assert_eq!(selected(&["--sort", "hits"]), "abc");
        assert_eq!(selected(&["--sort", "-hits"]), "bac");
        assert_eq!(selected(&["--sort", "method"]), "acb");
    }

    #[test]
    fn a_member_no_row_has_is_a_mistake() {
        assert_eq!(
            ids(&["--sort", "hit"]).unwrap_err(),
            "--sort: no row has `hit`: did you mean `hits`?"
        );
        assert!(
            ids(&["--filter", "colour == 1"])
                .unwrap_err()
                .contains("there are hits, id, last_seen")
        );
        assert!(
            ids(&["--filter", "hits >"])
                .unwrap_err()
                .starts_with("--filter is wrong at column 7: ")
        );
    }

    #[test]
    fn verdicts_are_selected_by_what_they_are_about_and_sorted_by_how_bad_they_are() {
        let line = |arguments: &[&str]| Line::try_parse_from(std::iter::once(&"x").chain(arguments)).unwrap();
        let select = |arguments: &[&str]| {
            let query = line(arguments).query;
            let rows = ["low", "critical", "medium", "high"].map(|severity| {
                json!({"id": severity, "workload": "shop", "severity": severity,
                    "endpoint_name": format!("GET /{severity}"), "updated": "2027-01-15T07:00:00Z"})
                .to_string()
            });
            let rows = select(&query, rows.into()).unwrap();
            let ids: Vec<_> = rows.iter().map(|line| id(line)).collect();
            ids.join(" ")
        };
        assert_eq!(select(&["--sort", "-severity"]), "critical high medium low");
        assert_eq!(select(&["--filter", "severity >= \"high\""]), "critical high");
        assert_eq!(select(&["--method", "post"]), "");
        assert_eq!(select(&["--method", "get", "--path", "/m"]), "medium");
        assert_eq!(select(&["--since", "1m"]), "");
    }

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a", "ab", false),
            ("a*d", "abc", false),
            ("ab*ba", "aba", false),
            ("*b*", "abc", true),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
