//! Which rows of a list are shown, in which order: the options that all query commands share.
//!
//! In: options. Out: the rows that satisfy every one of them, sorted, at most as many as asked for. The agent selects among
//! its rows itself; those of a store, and of an agent of a version that cannot, are selected here, by the same [`Selection`].

use super::{
    Context, Failure,
    batches::{Line, Wanted},
    fleet,
    output::Format,
    source,
    time::point_in_time,
};
use crate::{
    clock::Timestamp,
    risk::EndpointKey,
    select::{Options, Picked, Selection},
};

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
    workload: Option<String>,
    /// Only these methods
    #[arg(long, value_name = "METHOD", value_delimiter = ',')]
    method: Vec<String>,
    /// Only paths that begin so, or match a pattern in which `*` stands for any characters
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Only what was seen since: a span before now (30s, 10m, 2h, 1d) or a time (2026-01-31T08:00:00Z)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Order by this member, such as hits or latency_ms.p99; `-hits` for the largest first
    #[arg(long, value_name = "[-]MEMBER", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Only rows that satisfy an expression, such as 'hits > 10 and method == "GET"'; `~` finds text or a
    /// regular expression; members are named as in the JSON
    #[arg(long, value_name = "EXPR")]
    filter: Option<String>,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Leave out so many rows before the first
    #[arg(long, value_name = "N")]
    offset: Option<usize>,
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
        let source = self.source.settled(context)?;
        if let Some(page) = source.page(topic, selection.options())? {
            return Ok(page);
        }
        let mut picked = Picked::new(&selection, &|| false);
        let is_among = |key: &EndpointKey<'_>| selection.wants_endpoint(key);
        let wanted = Wanted {
            most: picked.first_rows(),
            endpoints: Some(&is_among),
        };
        source.batches(topic, wanted, &mut |batch| Ok(picked.take(batch)?))?;
        Ok(picked.page()?)
    }

    /// The options, checked.
    pub(super) fn selection(&self, now: Timestamp) -> Result<Selection, Failure> {
        let since = self.since.as_deref().map(|text| point_in_time(text, now));
        let options = Options {
            workload: self.workload.clone(),
            methods: self.method.clone(),
            path: self.path.clone(),
            since: since.transpose()?,
            sort: self.sort.clone(),
            filter: self.filter.clone(),
            offset: self.offset.unwrap_or(0),
            limit: self.limit,
        };
        Ok(Selection::new(options)?)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::select::whole;

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        query: Args,
    }

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);

    fn ids(arguments: &[&str]) -> Result<Vec<String>, String> {
        let line = Command::try_parse_from(std::iter::once(&"x").chain(arguments)).unwrap();
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
        whole(line).unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn selected(arguments: &[&str]) -> String {
        ids(arguments).unwrap().concat()
    }

    fn select(query: &Args, lines: Vec<Line>) -> Result<Vec<Line>, Failure> {
        let selection = query.selection(NOW)?;
        let mut picked = Picked::new(&selection, &|| false);
        if picked.take(lines)?.is_break() {
            assert!(query.limit.is_some());
        }
        Ok(picked.page()?)
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
        let line =
            |arguments: &[&str]| Command::try_parse_from(std::iter::once(&"x").chain(arguments)).unwrap();
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
}
