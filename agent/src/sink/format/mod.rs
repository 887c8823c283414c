//! Forms in which collectors want events: pure functions from an event to text.
//!
//! In: an [`Event`]. Out: one line, never with a line break. Refuses to add what the event does not hold.

mod cef;
mod ecs;
#[cfg(test)]
pub(super) mod fixture;
mod leef;
mod ocsf;

use super::Event;
use crate::verdict::{AlertState, EvidenceQuality, Reason, Severity};

/// Name and version that records carry.
const PRODUCT: &str = "apiarist";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A form of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The alert or finding itself, as `apiarist alerts -o jsonl` prints it.
    Native,
    /// Open Cybersecurity Schema Framework 1.6: Detection Finding (2004), Application Security Posture Finding (2007).
    Ocsf,
    /// Elastic Common Schema 8.
    Ecs,
    /// ArcSight Common Event Format, version 0.
    Cef,
    /// QRadar Log Event Extended Format 1.0.
    Leef,
}

impl Format {
    /// The form with this name.
    ///
    /// # Errors
    /// A sentence with the names there are.
    pub fn parse(name: &str) -> Result<Self, String> {
        match name {
            "native" => Ok(Self::Native),
            "ocsf" => Ok(Self::Ocsf),
            "ecs" => Ok(Self::Ecs),
            "cef" => Ok(Self::Cef),
            "leef" => Ok(Self::Leef),
            other => Err(format!(
                "`{other}` is no format: use native, ocsf, ecs, cef, leef"
            )),
        }
    }

    /// Whether a record is a JSON object.
    pub const fn is_json(self) -> bool {
        matches!(self, Self::Native | Self::Ocsf | Self::Ecs)
    }

    /// The record of an event, one line.
    pub fn render(self, event: &Event) -> String {
        match self {
            // Plain data with text as keys always serialises.
            Self::Native => serde_json::to_string(event).unwrap_or_default(),
            Self::Ocsf => ocsf::record(event).to_string(),
            Self::Ecs => ecs::record(event).to_string(),
            Self::Cef => cef::record(event),
            Self::Leef => leef::record(event),
        }
    }
}

/// What alerts and findings have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// Id of the event.
    pub(super) id: &'a str,
    /// What recurs: the fingerprint of an alert, the id of a finding.
    pub(super) fingerprint: &'a str,
    /// `incident`, `anomaly` or `finding`.
    pub(super) kind: &'static str,
    /// Class or rule.
    pub(super) class: &'a str,
    pub(super) owasp: Option<&'a str>,
    pub(super) severity: Severity,
    pub(super) confidence: f32,
    pub(super) workload: &'a str,
    /// Method and template.
    pub(super) endpoint: Option<&'a str>,
    pub(super) actor: Option<&'a str>,
    pub(super) owner: Option<&'a str>,
    /// First and latest time, RFC 3339.
    pub(super) first: &'a str,
    pub(super) time: &'a str,
    pub(super) count: u64,
    pub(super) state: AlertState,
    pub(super) quality: Option<EvidenceQuality>,
    pub(super) reasons: &'a [Reason],
}

/// The common parts of an event.
pub(super) fn about(event: &Event) -> About<'_> {
    match event {
        Event::Alert(alert) => About {
            id: &alert.id,
            fingerprint: &alert.fingerprint,
            kind: match alert.kind {
                crate::verdict::AlertKind::Incident => "incident",
                crate::verdict::AlertKind::Anomaly => "anomaly",
            },
            class: &alert.class,
            owasp: alert.owasp.as_deref(),
            severity: alert.severity,
            confidence: alert.confidence,
            workload: &alert.workload,
            endpoint: alert.endpoint_name.as_deref(),
            actor: Some(&alert.actor),
            owner: alert.owner.as_deref(),
            first: &alert.opened,
            time: &alert.updated,
            count: alert.count,
            state: alert.state,
            quality: Some(alert.evidence_quality),
            reasons: &alert.reasons,
        },
        Event::Finding(finding) => About {
            id: &finding.id,
            fingerprint: &finding.id,
            kind: "finding",
            class: &finding.rule,
            owasp: finding.owasp.as_deref(),
            severity: finding.severity,
            confidence: finding.confidence,
            workload: &finding.workload,
            endpoint: finding.endpoint_name.as_deref(),
            actor: None,
            owner: finding.owner.as_deref(),
            first: &finding.first_seen,
            time: &finding.last_seen,
            count: finding.count,
            state: if finding.count > 1 {
                AlertState::Updated
            } else {
                AlertState::Open
            },
            quality: None,
            reasons: &finding.reasons,
        },
    }
}

impl About<'_> {
    /// One sentence for people.
    pub(super) fn sentence(&self) -> String {
        let at = self
            .endpoint
            .map(|endpoint| format!(" on {endpoint}"))
            .unwrap_or_default();
        let by = self.actor.map(|actor| format!(" by {actor}")).unwrap_or_default();
        let why = self
            .reasons
            .first()
            .map(|reason| format!(": {}", reason.text))
            .unwrap_or_default();
        format!(
            "{}{at} of {}{by}{why}",
            self.class.replace('_', " "),
            self.workload
        )
    }

    /// The first address behind `actor`, if it is one.
    pub(super) fn address(&self) -> Option<&str> {
        let actor = self.actor?;
        let bare = actor.strip_prefix("address:").unwrap_or(actor);
        bare.parse::<std::net::IpAddr>().is_ok().then_some(bare)
    }
}

/// Milliseconds since the epoch of an RFC 3339 time; 0 if it is none.
fn milliseconds(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>()
        .map_or(0, jiff::Timestamp::as_millisecond)
}

/// A severity from 0 to 10.
const fn of_ten(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 3,
        Severity::Medium => 5,
        Severity::High => 8,
        Severity::Critical => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_one_line_that_names_what_matters() {
        for format in [
            Format::Native,
            Format::Ocsf,
            Format::Ecs,
            Format::Cef,
            Format::Leef,
        ] {
            for event in [fixture::incident(), fixture::finding()] {
                let record = format.render(&event);
                assert!(!record.contains('\n'), "{record}");
                let about = about(&event);
                for part in [about.class, about.id] {
                    assert!(record.contains(part), "{format:?} without {part}: {record}");
                }
                assert_eq!(
                    format.is_json(),
                    serde_json::from_str::<serde_json::Value>(&record).is_ok()
                );
            }
        }
    }

    #[test]
    fn a_native_record_reads_back() {
        for event in [fixture::incident(), fixture::finding()] {
            let text = Format::Native.render(&event);
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        }
    }

    #[test]
    fn addresses_are_told_from_other_actors() {
        let address = |actor: &str| {
            let mut event = fixture::incident();
            if let Event::Alert(alert) = &mut event {
                alert.actor = actor.into();
            }
            about(&event).address().map(str::to_owned)
        };
        assert_eq!(address("10.0.0.7"), Some("10.0.0.7".into()));
        assert_eq!(address("address:::1"), Some("::1".into()));
        assert_eq!(address("credential:1f"), None);
    }
}
