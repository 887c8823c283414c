//! Times and spans as the user writes and reads them.

use std::time::Duration;

use super::Failure;
use crate::clock::Timestamp;

/// A span before `now`, or a time, as the user writes it.
pub(super) fn point_in_time(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(span) = span(text) {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        return Ok(Timestamp(now.0.saturating_sub(span)));
    }
    Timestamp::from_rfc3339(text).ok_or_else(|| {
        Failure::usage(format!(
            "`{}` is no time: write a span before now such as 10m, 2h or 1d, or a time such as 2026-01-31T08:00:00Z",
            text.escape_debug()
        ))
    })
}

/// How long ago something was, for tables.
pub(super) fn ago(time: Option<Timestamp>, now: Timestamp) -> String {
    let Some(time) = time else {
        return "-".to_owned();
    };
    let span = now.since(time);
    match span.as_secs() {
        0 => "now".to_owned(),
        seconds @ 1..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// A span as the user writes it: 30s, 10m, 1h 30m, 2d. A day has 24 hours.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let explain = || "write a span such as 30s, 10m or 2h".to_owned();
    let span: jiff::Span = text.parse().map_err(|_| explain())?;
    let exact = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| explain())?;
    Duration::try_from(exact).map_err(|_| explain())
}

/// A span as it is shown: `1h 1m 1s`, in whole seconds.
pub(super) fn show_span(span: Duration) -> String {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let shown = jiff::SignedDuration::from_secs(seconds);
    match seconds {
        0 => "0s".to_owned(),
        _ => format!("{shown:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);

    #[test]
    fn spans_are_read_and_shown() {
        let seconds = |text| span(text).map(|span| span.as_secs());
        assert_eq!(seconds("30s"), Ok(30));
        assert_eq!(seconds("1h 30m"), Ok(5400));
        assert_eq!(seconds("2d"), Ok(172_800));
        for bad in ["", "x", "5", "-5s", "1 month"] {
            assert!(span(bad).is_err(), "{bad}");
        }
        assert_eq!(show_span(Duration::from_millis(3_661_900)), "1h 1m 1s");
        assert_eq!(show_span(Duration::ZERO), "0s");
    }

    #[test]
    fn ages_are_short() {
        let at = |seconds: u64| ago(Some(Timestamp(NOW.0 - seconds * 1_000_000_000)), NOW);
        assert_eq!(
            [at(0), at(59), at(61), at(7200), at(400_000)],
            ["now", "59s", "1m", "2h", "4d"]
        );
        assert_eq!(ago(None, NOW), "-");
    }
}
