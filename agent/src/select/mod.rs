//! Which rows of a list are wanted, in which order: the same for the command line and the control API.
//!
//! In: rows as JSON, and [`Options`] that are checked before the first of them is read ([`Selection`]). Out: the rows that
//! satisfy every option, sorted, at most as many as asked for ([`Picked`]). Works on the rows as JSON, so a member that a
//! newer agent adds can be filtered and sorted by at once. Every option has a bound. Refuses, in a sentence that begins
//! with the name of the option, what it does not understand. Holds no clock: a time is absolute.

mod filter;
mod glob;
mod line;
mod picked;
mod raw;
mod rows;

use serde_json::Value;

pub(crate) use filter::Filter;
pub(crate) use line::Row;
pub use line::{Line, Rows};
pub(crate) use picked::Picked;
use raw::Raw;
pub(crate) use rows::{Members, each, pick, whole};

use crate::{clock::Timestamp, risk::EndpointKey};

/// Longest value of an option other than a filter, in bytes. Overflow policy: refused.
const MAX_OPTION_BYTES: usize = 1024;

/// What is wanted of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Name or id of the workload; `*` stands for any characters.
    pub workload: Option<String>,
    /// Methods; any without one.
    pub methods: Vec<String>,
    /// Beginning of a path, or a pattern with `*`.
    pub path: Option<String>,
    /// Last seen since.
    pub since: Option<Timestamp>,
    /// Member to sort by, named with dots; `-` before it for the largest first.
    pub sort: Option<String>,
    /// Filter expression.
    pub filter: Option<String>,
    /// Rows left out before the first.
    pub offset: usize,
    /// At most so many rows.
    pub limit: Option<usize>,
}

impl Options {
    /// Whether rows are wanted as they come: without a condition, in the order of the agent.
    pub fn is_plain(&self) -> bool {
        let Self {
            workload,
            methods,
            path,
            since,
            sort,
            filter,
            offset: _,
            limit: _,
        } = self;
        [workload, path, sort, filter]
            .iter()
            .all(|option| option.is_none())
            && methods.is_empty()
            && since.is_none()
    }
}

/// Why rows could not be selected. Sentences about an option begin with its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The filter is no expression.
    #[error("filter is wrong {0}")]
    Filter(String),
    /// An option is too long.
    #[error("{option} is longer than {MAX_OPTION_BYTES} bytes: shorten it")]
    TooLong {
        /// Its name.
        option: &'static str,
    },
    /// The time is none.
    #[error("since is no time: write one such as 2026-01-31T08:00:00Z")]
    Since,
    /// An option names a member that no row has.
    #[error("{option}: no row has `{name}`: {hint}")]
    UnknownMember {
        /// Its name.
        option: &'static str,
        /// Name of the member.
        name: String,
        /// Which there are.
        hint: String,
    },
    /// Looking at all rows took too long.
    #[error("filter takes too long over all rows: write a simpler one, or narrow it with workload or path")]
    TooSlow,
    /// A row is no JSON object.
    #[error("a row of the answer cannot be read: {0}")]
    Row(String),
}

impl SelectError {
    /// Whether it is about what was asked for, not about the rows.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Row(_))
    }
}

/// Options that were checked.
#[derive(Debug)]
pub struct Selection {
    options: Options,
    filter: Option<Filter>,
}

impl Selection {
    /// Checks the options.
    ///
    /// # Errors
    /// One of them is too long, or the filter is no expression.
    pub fn new(options: Options) -> Result<Self, SelectError> {
        let methods = options.methods.iter().map(String::len).sum();
        for (option, bytes) in [
            ("workload", options.workload.as_ref().map_or(0, String::len)),
            ("method", methods),
            ("path", options.path.as_ref().map_or(0, String::len)),
            ("sort", options.sort.as_ref().map_or(0, String::len)),
        ] {
            if bytes > MAX_OPTION_BYTES {
                return Err(SelectError::TooLong { option });
            }
        }
        let parse =
            |text: &String| Filter::parse(text).map_err(|error| SelectError::Filter(error.to_string()));
        let filter = options.filter.as_ref().map(parse).transpose()?;
        Ok(Self { options, filter })
    }

    /// What was asked for.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The filter, if there is one.
    pub(crate) fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// Whether one row satisfies every option. What is read soonest is looked at first, and nothing once it is decided.
    ///
    /// # Errors
    /// What is looked at is no JSON.
    pub(crate) fn accepts<R: Row + ?Sized>(&self, row: &R) -> Result<bool, SelectError> {
        Ok(self.wants(row)?
            && self.is_recent(row)?
            && match &self.filter {
                Some(filter) => filter.accepts(row)?,
                None => true,
            })
    }

    /// Whether an endpoint may be wanted, as far as its name tells.
    pub(crate) fn wants_endpoint(&self, key: &EndpointKey<'_>) -> bool {
        self.wants_workload(&[key.workload, key.workload_id]) && self.wants_call(key.method, key.template)
    }

    /// The member that rows are sorted by, and whether the largest comes first.
    fn order(&self) -> Option<(&str, bool)> {
        let sort = self.options.sort.as_deref();
        sort.map(|key| match key.strip_prefix('-') {
            Some(key) => (key, true),
            None => (key, false),
        })
    }

    /// Members that an option names, with the option.
    fn named(&self) -> Vec<(&'static str, &str)> {
        let filtered = self.filter.iter().flat_map(Filter::members);
        let sorted = self.order().map(|(key, _)| key.split('.').next().unwrap_or(key));
        let mut named: Vec<(&str, &str)> = filtered.map(|name| ("filter", name)).collect();
        named.extend(sorted.map(|name| ("sort", name)));
        named
    }

    /// Whether it is of a workload, a method and a path that are wanted.
    fn wants<R: Row + ?Sized>(&self, row: &R) -> Result<bool, SelectError> {
        let text = |name: &str| match row.member(name).map(Raw::of).transpose()? {
            Some(Raw::Text(text)) => Ok(Some(text)),
            _ => Ok(None),
        };
        let Options {
            workload,
            methods,
            path,
            ..
        } = &self.options;
        if workload.is_some() {
            let names: &[_] = match row.member("workload") {
                Some(_) => &["workload", "workload_id"],
                None => &["workload", "workload_id", "name", "id"],
            };
            let mut is_wanted = false;
            for name in names {
                is_wanted = is_wanted || text(name)?.is_some_and(|name| self.wants_workload(&[&name]));
            }
            if !is_wanted {
                return Ok(false);
            }
        }
        if methods.is_empty() && path.is_none() {
            return Ok(true);
        }
        if let Some(name) = text("endpoint_name")? {
            let (method, template) = name.split_once(' ').unwrap_or((&name, ""));
            return Ok(self.wants_call(method, template));
        }
        let (method, template) = (text("method")?, text("template")?);
        Ok(self.wants_call(&method.unwrap_or_default(), &template.unwrap_or_default()))
    }

    /// Whether it was seen since. What was never seen was not long ago either.
    fn is_recent<R: Row + ?Sized>(&self, row: &R) -> Result<bool, SelectError> {
        let Some(since) = self.options.since else {
            return Ok(true);
        };
        // Alerts say in another member than the rest when it last happened.
        let seen = row.member("last_seen").or_else(|| row.member("updated"));
        let seen = seen.map(Raw::of).transpose()?.and_then(|seen| seen.time());
        Ok(seen.is_none_or(|seen| seen >= since))
    }

    fn wants_workload(&self, names: &[&str]) -> bool {
        let pattern = self.options.workload.as_ref();
        pattern.is_none_or(|pattern| names.iter().any(|name| glob::matches(pattern, name)))
    }

    fn wants_call(&self, method: &str, template: &str) -> bool {
        let Options { methods, path, .. } = &self.options;
        let is_method = methods.is_empty() || methods.iter().any(|one| one.eq_ignore_ascii_case(method));
        let is_path = |pattern: &String| match pattern.contains('*') {
            true => glob::matches(pattern, template),
            false => template.starts_with(pattern.as_str()),
        };
        is_method && path.as_ref().is_none_or(is_path)
    }
}

/// A time in JSON: nanoseconds or seconds since the epoch, or RFC 3339 text.
pub(crate) fn time_of(value: &Value) -> Option<Timestamp> {
    match value {
        // Seconds stay below this until the year 5138; nanoseconds passed it in the second minute of 1970.
        Value::Number(number) => match number.as_f64()? {
            seconds if seconds < 1e11 => Some(Timestamp::from_secs_f64(seconds)),
            _ => number.as_u64().map(Timestamp),
        },
        Value::String(text) => Timestamp::from_rfc3339(text),
        _ => None,
    }
}

/// The value of a member, named with dots.
pub(crate) fn at<'v>(row: &'v Value, path: &str) -> &'v Value {
    path.split('.')
        .fold(row, |value, name| value.get(name).unwrap_or(&Value::Null))
}
