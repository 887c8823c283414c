//! The agent's own metrics as OTLP: sums and gauges, every so many seconds.
//!
//! In: a [`Status`] now and then. Out: requests. Metrics that a collector could not be given are not kept: the next ones say
//! where the counters are now. The core never waits: while a request is under way, further ones are left out.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::{ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient},
    metrics::v1::{
        AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
        metric::Data, number_data_point::Value,
    },
};

use super::{resource, scope, text, way::Way};
use crate::{
    clock::Timestamp,
    metrics::{Family, Kind, families},
    sink::target::{Place, Target},
    status::Status,
};

/// Sends metrics to one collector. Dropping it waits for the request under way.
#[derive(Debug)]
pub(in crate::sink) struct Meter {
    target: Target,
    every: Duration,
    next: Timestamp,
    requests: Option<SyncSender<ExportMetricsServiceRequest>>,
    thread: Option<JoinHandle<()>>,
}

impl Meter {
    /// Starts a thread; `None` for a target that wants no metrics.
    pub(in crate::sink) fn start(target: &Target) -> Result<Option<Self>> {
        let Place::Otlp {
            url,
            grpc,
            metrics: Some(every),
            ..
        } = &target.place
        else {
            return Ok(None);
        };
        let way = Way::new(url, *grpc);
        let (requests, received) = sync_channel(1);
        let name = target.name.clone();
        let thread = std::thread::Builder::new()
            .name("apiarist-meter".to_owned())
            .spawn(move || run(way, &name, &received))
            .context("cannot start the thread of metrics")?;
        Ok(Some(Self {
            target: target.clone(),
            every: *every,
            next: Timestamp(0),
            requests: Some(requests),
            thread: Some(thread),
        }))
    }

    /// What it was started for.
    pub(in crate::sink) fn target(&self) -> &Target {
        &self.target
    }

    /// Whether it is time for [`Self::measure`].
    pub(in crate::sink) fn is_due(&self, now: Timestamp) -> bool {
        now >= self.next
    }

    /// Sends what the agent says of itself.
    pub(in crate::sink) fn measure(&mut self, status: &Status, now: Timestamp) {
        self.next = now.after(self.every);
        if let Some(requests) = &self.requests {
            // One is under way: the next one says the same, and more.
            requests.try_send(request(status, now)).unwrap_or(());
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.requests = None;
        // A thread that panicked has said so.
        self.thread.take().map(JoinHandle::join).transpose().ok();
    }
}

fn run(mut way: Way, name: &str, requests: &Receiver<ExportMetricsServiceRequest>) {
    let mut failing = false;
    for request in requests {
        let sent = way.send("v1/metrics", request, async |channel, request| {
            MetricsServiceClient::new(channel).export(request).await
        });
        match sent {
            Ok(_) => failing = false,
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(
                        sink = name,
                        error = format!("{error:#}"),
                        "metrics cannot be sent; the next ones will say where the counters are"
                    );
                }
            }
        }
    }
}

fn request(status: &Status, now: Timestamp) -> ExportMetricsServiceRequest {
    let started = now.0.saturating_sub((status.uptime * 1e9) as u64);
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics: families(status)
                    .into_iter()
                    .map(|family| metric(family, started, now.0))
                    .collect(),
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
}

/// Names follow the conventions of OpenTelemetry: dots, and neither unit nor `_total` in them.
fn metric(family: Family, started: u64, now: u64) -> Metric {
    let Family {
        name,
        kind,
        help,
        samples,
    } = family;
    let data_points = samples
        .into_iter()
        .map(|sample| NumberDataPoint {
            attributes: sample
                .labels
                .iter()
                .map(|(label, value)| text(label, value))
                .collect(),
            start_time_unix_nano: started,
            time_unix_nano: now,
            value: Some(Value::AsDouble(sample.value)),
            ..Default::default()
        })
        .collect();
    let data = match kind {
        Kind::Gauge => Data::Gauge(Gauge { data_points }),
        Kind::Counter => Data::Sum(Sum {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
    };
    let name = name.trim_end_matches("_total");
    let units = [("_seconds", "s"), ("_bytes", "By"), ("_ratio", "1")];
    let unit = units.into_iter().find(|(end, _)| name.ends_with(end));
    let bare = unit.map_or(name, |(end, _)| name.trim_end_matches(end));
    Metric {
        name: format!("apiarist.{bare}"),
        description: help.to_owned(),
        unit: unit.map_or("", |(_, unit)| unit).to_owned(),
        data: Some(data),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_cumulative_sums_from_the_start_of_the_agent() {
        let status = Status {
            uptime: 10.0,
            cpu_seconds: 2.5,
            ..Status::default()
        };
        let request = request(&status, Timestamp(100_000_000_000));
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let cpu = metrics
            .iter()
            .find(|metric| metric.name == "apiarist.cpu")
            .unwrap();
        assert_eq!(cpu.unit, "s");
        let Some(Data::Sum(sum)) = &cpu.data else {
            panic!("{cpu:?}");
        };
        assert!(sum.is_monotonic);
        let point = &sum.data_points[0];
        assert_eq!(
            (point.start_time_unix_nano, point.time_unix_nano),
            (90_000_000_000, 100_000_000_000)
        );
        assert_eq!(point.value, Some(Value::AsDouble(2.5)));
        let mut names: Vec<&String> = metrics.iter().map(|metric| &metric.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "names stay distinct");
    }
}
