//! A baseline in a few numbers, for people and for other hosts.

use super::{Baseline, Stage};
use crate::{clock::Timestamp, inventory::EndpointId};

/// A baseline in a few numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineSummary {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Workload it belongs to.
    pub workload: String,
    /// How far it is believed.
    pub stage: Stage,
    /// Exchanges learned.
    pub exchanges: u64,
    /// About how many sources they came from.
    pub sources: u64,
    /// Time to answer: median and 99th percentile; 0 without answers.
    pub latency_ms: (f64, f64),
    /// Size of responses: median and 99th percentile; 0 without any.
    pub response_bytes: (f64, f64),
    /// First exchange.
    pub first: Timestamp,
    /// Latest exchange.
    pub last: Timestamp,
}

impl BaselineSummary {
    pub(super) fn of(endpoint: EndpointId, workload: &str, baseline: &Baseline) -> Self {
        let at = |metric: &super::Metric, share: f64| {
            let quantiles = (metric.quantile(0.5), metric.quantile(0.99));
            // Thousandths are enough, and change less often.
            let round = |value: Option<f64>| (value.unwrap_or(0.0) * share * 1000.0).round() / 1000.0;
            (round(quantiles.0), round(quantiles.1))
        };
        Self {
            endpoint,
            workload: workload.to_owned(),
            stage: baseline.stage,
            exchanges: baseline.n,
            sources: baseline.sources.count(),
            latency_ms: at(&baseline.latency_us, 0.001),
            response_bytes: at(&baseline.response_bytes, 1.0),
            first: baseline.first,
            last: baseline.last,
        }
    }
}
