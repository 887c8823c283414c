//! The agent's own metrics in the Prometheus text format, version 0.0.4.
//!
//! In: a [`Status`]. Out: text. Names start with `apiarist_`; counters end in `_total`, units are in the name.

use std::fmt::Write as _;

use crate::status::Status;

/// Content type of the text format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics, in a stable order.
pub(super) fn render(status: &Status) -> String {
    let mut page = Page(String::new());
    page.family("info", "gauge", "What is running.");
    let tier = status.tier.to_string();
    page.sample(
        "info",
        &[
            ("version", &status.version),
            ("kernel", &status.kernel),
            ("tier", &tier),
        ],
        1.0,
    );
    page.single(
        "uptime_seconds",
        "gauge",
        "Seconds since the agent started.",
        status.uptime,
    );
    page.single(
        "events_total",
        "counter",
        "Events read from the kernel.",
        status.events as f64,
    );
    page.single(
        "bytes_total",
        "counter",
        "Payload bytes read from the kernel.",
        status.bytes as f64,
    );
    page.single(
        "exchanges_total",
        "counter",
        "Exchanges recorded.",
        status.exchanges as f64,
    );
    page.family(
        "lost_total",
        "counter",
        "Bytes or items that were there and not seen, by reason.",
    );
    for (reason, count) in &status.lost {
        page.sample("lost_total", &[("reason", reason)], *count as f64);
    }
    page.family("activity_total", "counter", "Work done by each layer, by name.");
    for (name, count) in &status.counters {
        page.sample("activity_total", &[("name", name)], *count as f64);
    }
    page.family(
        "coverage_ratio",
        "gauge",
        "Share of a workload's bytes that was read, 0 to 1.",
    );
    for row in &status.coverage {
        page.sample(
            "coverage_ratio",
            &[("workload", &row.workload)],
            row.read_pct / 100.0,
        );
    }
    page.single(
        "memory_bytes",
        "gauge",
        "Resident memory of the agent.",
        status.memory_bytes as f64,
    );
    page.single(
        "cpu_seconds_total",
        "counter",
        "CPU time of the agent.",
        status.cpu_seconds,
    );
    page.family("sink_queued", "gauge", "Alerts that wait for a sink.");
    for sink in &status.sinks {
        page.sample("sink_queued", &[("sink", &sink.name)], sink.queued as f64);
    }
    page.family("sink_sent_total", "counter", "Alerts that a sink took.");
    for sink in &status.sinks {
        page.sample("sink_sent_total", &[("sink", &sink.name)], sink.sent as f64);
    }
    page.family("sink_dropped_total", "counter", "Alerts that were given up.");
    for sink in &status.sinks {
        page.sample("sink_dropped_total", &[("sink", &sink.name)], sink.dropped as f64);
    }
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.push(format_args!(
            "# HELP apiarist_{name} {help}\n# TYPE apiarist_{name} {kind}\n"
        ));
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &String)], value: f64) {
        self.push(format_args!("apiarist_{name}"));
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            self.push(format_args!("{open}{label}=\"{}\"", escaped(text)));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        self.push(format_args!("{close} {value}\n"));
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        self.0.write_fmt(text).ok();
    }
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
