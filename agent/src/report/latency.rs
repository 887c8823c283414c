//! How long endpoints take to answer.

use std::io::{self, Write};

use super::{
    Data,
    chart::{self, Bar, Range},
    html::{end, nothing, section},
};
use crate::inventory::EndpointView;

/// Endpoints in the chart of the slowest.
const SHOWN: usize = 20;

/// Answers that a 99th percentile must rest on to be compared.
const MIN_HITS: u64 = 5;

/// Upper edges of the histogram's bars, in milliseconds.
const EDGES: [(f64, &str); 9] = [
    (1.0, "<1 ms"),
    (3.0, "<3 ms"),
    (10.0, "<10 ms"),
    (30.0, "<30 ms"),
    (100.0, "<100 ms"),
    (300.0, "<300 ms"),
    (1_000.0, "<1 s"),
    (3_000.0, "<3 s"),
    (f64::INFINITY, "more"),
];

pub(super) fn write(out: &mut dyn Write, data: &Data) -> io::Result<()> {
    section(
        out,
        "latency",
        "Latency",
        "Time from the request to the answer, as the server's own host saw it.",
    )?;
    let measured: Vec<&EndpointView> = data
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.latency_ms.p99.is_some())
        .collect();
    if measured.is_empty() {
        nothing(out, "No answer was measured.")?;
        return end(out);
    }
    let mut bars: Vec<Bar> = EDGES
        .iter()
        .map(|(_, label)| Bar {
            label: (*label).to_owned(),
            count: 0,
        })
        .collect();
    for endpoint in &measured {
        let p99 = endpoint.latency_ms.p99.unwrap_or_default();
        let index = EDGES.partition_point(|(edge, _)| *edge <= p99);
        if let Some(bar) = bars.get_mut(index) {
            bar.count += 1;
        }
    }
    out.write_all(b"<div class=\"charts\">\n")?;
    chart::bars(out, "latency-all", "Endpoints by their 99th percentile", &bars)?;
    chart::ranges(
        out,
        "latency-slow",
        "The slowest endpoints: median, 90th and 99th percentile",
        &slowest(measured),
    )?;
    out.write_all(b"</div>\n")?;
    end(out)
}

/// Endpoints with enough answers, the slowest first; all of them when none has enough.
fn slowest(mut endpoints: Vec<&EndpointView>) -> Vec<Range> {
    if endpoints.iter().any(|endpoint| endpoint.hits >= MIN_HITS) {
        endpoints.retain(|endpoint| endpoint.hits >= MIN_HITS);
    }
    let p99 = |endpoint: &EndpointView| endpoint.latency_ms.p99.unwrap_or_default();
    endpoints.sort_by(|a, b| p99(b).total_cmp(&p99(a)).then(a.id.cmp(&b.id)));
    let ranges = endpoints.into_iter().take(SHOWN).map(|endpoint| Range {
        label: format!(
            "{} {}",
            endpoint.method,
            endpoint.operation.as_ref().unwrap_or(&endpoint.template)
        ),
        p50: endpoint.latency_ms.p50.unwrap_or_default(),
        p90: endpoint.latency_ms.p90.unwrap_or_default(),
        p99: p99(endpoint),
    });
    ranges.collect()
}
