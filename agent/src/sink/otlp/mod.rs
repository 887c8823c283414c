//! OpenTelemetry (opentelemetry.io, OTLP 1.5): logs, and the agent's own [`metrics`], as protobuf over HTTP, or gRPC.
//!
//! Each event is a log record with its native JSON as the body, and what one filters by as attributes.

pub(super) mod metrics;
mod way;

use anyhow::Result;
use opentelemetry_proto::tonic::{
    collector::logs::v1::{ExportLogsServiceRequest, logs_service_client::LogsServiceClient},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber},
    resource::v1::Resource,
};

use super::{
    Event,
    deliver::Deliver,
    format::{Format, about},
};
use crate::verdict::Severity;
use way::Way;

/// A way to a collector.
pub(super) struct Otlp {
    format: Format,
    way: Way,
}

impl Otlp {
    pub(super) fn new(url: &str, grpc: bool, format: Format) -> Self {
        let way = Way::new(url, grpc);
        Self { format, way }
    }

    fn request(&self, events: &[Event]) -> ExportLogsServiceRequest {
        let records = events.iter().map(|event| record(self.format, event)).collect();
        ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(resource()),
                scope_logs: vec![ScopeLogs {
                    scope: Some(scope()),
                    log_records: records,
                    ..Default::default()
                }],
                ..Default::default()
            }],
        }
    }
}

impl Deliver for Otlp {
    fn deliver(&mut self, events: &[Event]) -> Result<()> {
        let request = self.request(events);
        let answer = self.way.send("v1/logs", request, async |channel, request| {
            LogsServiceClient::new(channel).export(request).await
        })?;
        if let Some(partial) = answer
            .partial_success
            .filter(|partial| partial.rejected_log_records > 0)
        {
            // Not to be sent again (OTLP, partial success): said, and gone.
            tracing::warn!(
                records = partial.rejected_log_records,
                reason = partial.error_message,
                "the collector rejected records"
            );
        }
        Ok(())
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "apiarist".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    }
}

fn resource() -> Resource {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Resource {
        attributes: vec![text("service.name", "apiarist"), text("host.name", &host)],
        ..Default::default()
    }
}

fn record(format: Format, event: &Event) -> LogRecord {
    let about = about(event);
    let nanoseconds = |time: &str| {
        let parsed = time.parse::<jiff::Timestamp>().ok();
        parsed
            .and_then(|time| u64::try_from(time.as_nanosecond()).ok())
            .unwrap_or_default()
    };
    let (number, name) = severity(about.severity);
    let mut attributes = vec![
        text("event.id", about.id),
        text("apiarist.kind", about.kind),
        text("apiarist.class", about.class),
        text("apiarist.fingerprint", about.fingerprint),
        text("apiarist.workload", about.workload),
    ];
    for (key, value) in [
        ("apiarist.endpoint", about.endpoint),
        ("apiarist.actor", about.actor),
        ("apiarist.owner", about.owner),
        ("apiarist.owasp", about.owasp),
    ] {
        attributes.extend(value.map(|value| text(key, value)));
    }
    LogRecord {
        time_unix_nano: nanoseconds(about.time),
        observed_time_unix_nano: nanoseconds(about.time),
        severity_number: number.into(),
        severity_text: name.to_owned(),
        body: Some(AnyValue {
            value: Some(Value::StringValue(format.render(event))),
        }),
        attributes,
        event_name: format!("apiarist.{}", about.kind),
        ..Default::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..Default::default()
    }
}

const fn severity(severity: Severity) -> (SeverityNumber, &'static str) {
    match severity {
        Severity::Info => (SeverityNumber::Info, "INFO"),
        Severity::Low => (SeverityNumber::Info4, "INFO4"),
        Severity::Medium => (SeverityNumber::Warn, "WARN"),
        Severity::High => (SeverityNumber::Error, "ERROR"),
        Severity::Critical => (SeverityNumber::Fatal, "FATAL"),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::{super::format::fixture, *};

    #[test]
    fn a_request_survives_its_encoding() {
        let otlp = Otlp::new("http://127.0.0.1:4318", false, Format::Native);
        let request = otlp.request(&[fixture::incident(), fixture::finding()]);
        let bytes = request.encode_to_vec();
        let back = ExportLogsServiceRequest::decode(bytes.as_slice()).unwrap();
        assert_eq!(back, request);
        let records = &back.resource_logs[0].scope_logs[0].log_records;
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].severity_text, "ERROR");
        assert_eq!(records[0].time_unix_nano, 1_767_323_045_000_000_000);
    }
}
