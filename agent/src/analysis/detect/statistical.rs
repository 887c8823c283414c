//! Sizes that one in a million exchanges has: odd by themselves, telling beside something else.
//!
//! In: an exchange and the tails of what is usual. Out: statistical signals. Windows and shares are judged where they
//! are kept, in the baseline.

use super::{Scene, signal};
use crate::verdict::{Group, Signal};

pub(super) fn inspect(scene: &Scene<'_>, signals: &mut Vec<Signal>) {
    let Some(usual) = scene.usual else {
        return;
    };
    let look = scene.look;
    let response = look.exchange.response.as_ref().filter(|_| look.is_success());
    let latency = look.exchange.latency.map(|latency| latency.as_micros() as u64);
    for (class, unit, text, value, metric, confidence) in [
        (
            "response_size",
            "bytes",
            "an answer larger than one in a million",
            response.and_then(|response| response.body.length),
            &usual.response_bytes,
            0.6,
        ),
        (
            "request_size",
            "bytes",
            "a request larger than one in a million",
            look.request.body.length,
            &usual.request_bytes,
            0.5,
        ),
        (
            "latency",
            "µs",
            "an answer slower than one in a million",
            latency,
            &usual.latency_us,
            0.5,
        ),
    ] {
        let Some((value, limit)) = value.and_then(|value| Some((value, metric.is_extreme(value)?))) else {
            continue;
        };
        signals.push(
            signal("statistical", class, Group::Statistical, confidence, text)
                .seen(format!("{value} {unit}"), format!("at most {limit:.0} {unit}"))
                .of(metric.n()),
        );
    }
}
