//! What every way of delivery has in common.

use std::time::Duration;

use anyhow::Result;

use super::{
    Event,
    clickhouse::ClickHouse,
    journald::Journald,
    lines::{RotatingFile, Stdout},
    otlp::Otlp,
    syslog::Syslog,
    target::{Place, Target},
    webhook::Webhook,
};

/// How long a collector may take to accept a connection or a batch. Overflow policy: the batch is delivered again later.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A way to a collector.
pub(super) trait Deliver: Send {
    /// Delivers all of these, in order. On an error the same batch comes again.
    fn deliver(&mut self, events: &[Event]) -> Result<()>;
}

/// The way to a target. Nothing is opened yet.
pub(super) fn open(target: &Target) -> Box<dyn Deliver> {
    let format = target.format;
    match &target.place {
        Place::Stdout => Box::new(Stdout::new(format)),
        Place::File {
            path,
            rotate_bytes,
            keep,
        } => Box::new(RotatingFile::new(path.clone(), *rotate_bytes, *keep, format)),
        Place::Syslog(transport) => Box::new(Syslog::new(transport.clone(), format)),
        Place::Journald(path) => Box::new(Journald::new(path.clone(), format)),
        Place::Webhook { url, secret } => Box::new(Webhook::new(url.clone(), secret.clone(), format)),
        Place::ClickHouse(address) => Box::new(ClickHouse::new(address.clone())),
        Place::Otlp { url, grpc, .. } => Box::new(Otlp::new(url, *grpc, format)),
    }
}
