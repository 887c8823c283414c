//! The agent's own metrics in the Prometheus text format, version 0.0.4.
//!
//! In: a [`Status`]. Out: text. Names start with `apiarist_`; counters end in `_total`, units are in the name.

use std::fmt::Write as _;

use crate::{
    metrics::{Family, Kind, Sample, families},
    status::Status,
};

/// Content type of the text format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics, in a stable order.
pub(super) fn render(status: &Status) -> String {
    let mut page = String::new();
    for family in families(status) {
        let Family {
            name,
            kind,
            help,
            samples,
        } = family;
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        // Writing to a string cannot fail.
        write!(
            page,
            "# HELP apiarist_{name} {help}\n# TYPE apiarist_{name} {kind}\n"
        )
        .ok();
        for Sample { labels, value } in samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, text)| format!("{label}=\"{}\"", escaped(text)))
                .collect();
            let labels = match labels.is_empty() {
                true => String::new(),
                false => format!("{{{}}}", labels.join(",")),
            };
            writeln!(page, "apiarist_{name}{labels} {value}").ok();
        }
    }
    page
}

/// Label values escape backslash, quote and line feed.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Coverage;

    #[test]
    fn the_page_is_well_formed() {
        let status = Status {
            kernel: "6.12\"x\\\n".into(),
            events: 7,
            lost: [("ring_full_bytes".to_owned(), 0)].into(),
            coverage: vec![Coverage {
                workload: "shop".into(),
                read_pct: 50.0,
                ..Coverage::default()
            }],
            ..Status::default()
        };
        let text = render(&status);
        assert!(text.contains("apiarist_events_total 7\n"), "{text}");
        assert!(
            text.contains("apiarist_lost_total{reason=\"ring_full_bytes\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("apiarist_coverage_ratio{workload=\"shop\"} 0.5\n"),
            "{text}"
        );
        assert!(text.contains(r#"kernel="6.12\"x\\\n""#), "{text}");
        for line in text.lines() {
            assert!(line.starts_with("# ") || line.starts_with("apiarist_"), "{line}");
        }
        let families: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let mut distinct = families.clone();
        distinct.dedup();
        assert_eq!(families, distinct);
    }
}
