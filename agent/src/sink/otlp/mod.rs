//! OpenTelemetry (opentelemetry.io, OTLP 1.5): logs, and the agent's own [`metrics`], as protobuf over HTTP, or gRPC.
//!
//! Each event is a log record with its native JSON as the body, and what one filters by as attributes. So is each of the
//! [`rows`] of what changed, for those who ask for them.

pub(super) mod metrics;
mod rows;
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
    clickhouse::host_name,
    deliver::Deliver,
    format::{Format, about},
};
use crate::{fleet::Row, verdict::Severity};
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

    /// Sends the rows that lines of the spool hold; how many.
    pub(super) fn report(&mut self, lines: &[Vec<u8>]) -> Result<u64> {
        // A line of another version is nobody's loss to repeat for ever: the row comes again within the hour.
        let rows = lines.iter().filter_map(|line| Row::of_line(line));
        let records: Vec<LogRecord> = rows.filter_map(|row| rows::record(&row)).collect();
        let count = records.len() as u64;
        self.send(records)?;
        Ok(count)
    }

    fn send(&mut self, records: Vec<LogRecord>) -> Result<()> {
        let request = request(records);
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

impl Deliver for Otlp {
    fn deliver(&mut self, events: &[Event]) -> Result<()> {
        self.send(events.iter().map(|event| record(self.format, event)).collect())
    }
}

fn request(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource()),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope()),
                log_records,
                ..Default::default()
            }],
            ..Default::default()
        }],
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
    Resource {
        attributes: vec![text("service.name", "apiarist"), text("host.name", &host_name())],
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
        body: Some(string(format.render(event))),
        attributes,
        event_name: format!("apiarist.{}", about.kind),
        ..Default::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, string(value.to_owned()))
}

fn attribute(key: &str, value: AnyValue) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(value),
        ..Default::default()
    }
}

const fn string(text: String) -> AnyValue {
    AnyValue {
        value: Some(Value::StringValue(text)),
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
        let events = [fixture::incident(), fixture::finding()];
        let request = request(events.iter().map(|event| record(Format::Native, event)).collect());
        let bytes = request.encode_to_vec();
        let back = ExportLogsServiceRequest::decode(bytes.as_slice()).unwrap();
        assert_eq!(back, request);
        let records = &back.resource_logs[0].scope_logs[0].log_records;
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].severity_text, "ERROR");
        assert_eq!(records[0].time_unix_nano, 1_767_323_045_000_000_000);
    }
}
