//! The agent's own metrics: one list of families, whoever reads them.
//!
//! In: a [`Status`]. Out: families in a stable order. [`crate::control`] writes them for Prometheus, [`crate::sink`] sends them
//! as OTLP. Names have no prefix here; units are in the name, counters end in `_total`.

use crate::status::Status;

/// How the values of a family behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows, from 0 when the agent starts.
    Counter,
}

/// Values that differ in their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Name without `apiarist_`.
    pub name: &'static str,
    /// How the values behave.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
    /// The values.
    pub samples: Vec<Sample>,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Names and values of labels.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

/// All families.
pub fn families(status: &Status) -> Vec<Family> {
    let info = sample(
        &[
            ("version", &status.version),
            ("kernel", &status.kernel),
            ("tier", &status.tier.to_string()),
        ],
        1.0,
    );
    let sinks = |value: fn(&crate::status::SinkStatus) -> u64| {
        let of = |sink: &crate::status::SinkStatus| sample(&[("sink", &sink.name)], value(sink) as f64);
        status.sinks.iter().map(of).collect()
    };
    let by = |label: &'static str, counts: &std::collections::BTreeMap<String, u64>| {
        let of = |(name, count): (&String, &u64)| sample(&[(label, name)], *count as f64);
        counts.iter().map(of).collect()
    };
    let coverage = status
        .coverage
        .iter()
        .map(|row| sample(&[("workload", &row.workload)], row.read_pct / 100.0));
    vec![
        gauge("info", "What is running.", vec![info]),
        gauge(
            "uptime_seconds",
            "Seconds since the agent started.",
            one(status.uptime),
        ),
        counter(
            "events_total",
            "Events read from the kernel.",
            one(status.events as f64),
        ),
        counter(
            "bytes_total",
            "Payload bytes read from the kernel.",
            one(status.bytes as f64),
        ),
        counter(
            "exchanges_total",
            "Exchanges recorded.",
            one(status.exchanges as f64),
        ),
        counter(
            "lost_total",
            "Bytes or items that were there and not seen, by reason.",
            by("reason", &status.lost),
        ),
        counter(
            "activity_total",
            "Work done by each layer, by name.",
            by("name", &status.counters),
        ),
        gauge(
            "coverage_ratio",
            "Share of a workload's bytes that was read, 0 to 1.",
            coverage.collect(),
        ),
        gauge(
            "memory_bytes",
            "Resident memory of the agent.",
            one(status.memory_bytes as f64),
        ),
        counter(
            "cpu_seconds_total",
            "CPU time of the agent.",
            one(status.cpu_seconds),
        ),
        gauge(
            "sink_queued",
            "Alerts that wait for a sink.",
            sinks(|sink| sink.queued),
        ),
        counter(
            "sink_sent_total",
            "Alerts that a sink took.",
            sinks(|sink| sink.sent),
        ),
        counter(
            "sink_dropped_total",
            "Alerts that were given up.",
            sinks(|sink| sink.dropped),
        ),
    ]
}

fn gauge(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Family {
    Family {
        name,
        kind: Kind::Gauge,
        help,
        samples,
    }
}

fn counter(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Family {
    Family {
        kind: Kind::Counter,
        ..gauge(name, help, samples)
    }
}

fn one(value: f64) -> Vec<Sample> {
    vec![sample(&[], value)]
}

fn sample(labels: &[(&'static str, &String)], value: f64) -> Sample {
    Sample {
        labels: labels
            .iter()
            .map(|(name, text)| (*name, (*text).clone()))
            .collect(),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_say_what_they_are() {
        let families = families(&Status::default());
        let mut names: Vec<&str> = families.iter().map(|family| family.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), families.len());
        for family in families {
            assert_eq!(
                family.name.ends_with("_total"),
                family.kind == Kind::Counter,
                "{}",
                family.name
            );
        }
    }
}
