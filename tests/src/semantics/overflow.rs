//! More than the ring holds.

use anyhow::{Context as _, Result, ensure};
use apiarist::{capture::load::LoadOptions, event::Direction, exchange::Completeness};
use apiarist_common::counter::Counter;

use super::{
    observer::{OPTIONS, Observer},
    pair::{Pair, Transport, receive, send},
    story::{carry, get, ok, post},
    stream::Stream,
};

/// Nobody empties a ring of one page: what does not fit is a gap, and counted, and no exchange that lacks it is complete.
pub(super) fn ring_overflow(_: &mut Observer) -> Result<()> {
    const PAGE: u32 = 4_096;
    let mut observer = Observer::attach_with(LoadOptions {
        ring_bytes: PAGE,
        ..OPTIONS
    })?;
    let pair = Pair::connect(Transport::Tcp4)?;
    let mut told: [Vec<u8>; 2] = Default::default();
    let mut starts = Vec::new();
    for number in 0..100 {
        starts.push([0, 1].map(|direction| told[direction].len() as u64));
        for (direction, bytes) in [
            (Direction::Egress, post(number, 300)),
            (Direction::Ingress, ok(500)),
        ] {
            carry(&pair, direction, &bytes, send, receive)?;
            told[direction.index()].extend(bytes);
        }
        // Two looks in between: what comes after a loss must stand where it belongs.
        if number == 40 || number == 70 {
            observer.drain()?;
        }
    }
    observer.drain()?;
    let bytes = [&get(100), &ok(0)];
    for (direction, bytes) in [Direction::Egress, Direction::Ingress].into_iter().zip(bytes) {
        carry(&pair, direction, bytes, send, receive)?;
        told[direction.index()].extend(bytes);
    }
    observer.drain()?;
    let ids = pair.ids;
    let mut missing = 0;
    let mut ends = Vec::new();
    for (id, directions) in [
        (ids.client, [Direction::Egress, Direction::Ingress]),
        (ids.server, [Direction::Ingress, Direction::Egress]),
    ] {
        let mut streams = Vec::new();
        for (direction, told) in directions.into_iter().zip(&told) {
            let stream = observer.socket(id)?.stream(direction)?;
            ensure!(stream.parts.captured() > 0, "nothing was captured");
            // The announcement may have been lost too, and comes with the first event that fits.
            let rest = &told[stream.start as usize..];
            stream
                .parts
                .agree_with(rest)
                .with_context(|| format!("{direction:?}"))?;
            missing += stream.start + stream.parts.missing();
            streams.push(stream);
        }
        ends.push(streams);
    }
    pair.close();
    let counted = observer.counter(Counter::RingFullBytes) + observer.counter(Counter::QuotaBytes);
    ensure!(
        missing > 0 && counted >= missing,
        "{missing} bytes are gaps, {counted} were counted as lost"
    );
    let mut incomplete = 0;
    for exchange in observer.exchanges([ids.client, ids.server]) {
        if exchange.completeness != Completeness::Complete {
            incomplete += 1;
            continue;
        }
        let target = exchange.request.as_ref().map(|request| &*request.target);
        let number = target.and_then(|target| target.strip_prefix("/items/")?.parse::<usize>().ok());
        let number = number.with_context(|| format!("a complete exchange has the target {target:?}"))?;
        let Some(start) = starts.get(number) else { continue };
        let lens = [post(number, 300).len(), ok(500).len()].map(|len| len as u64);
        let whole = |streams: &Vec<Stream>| {
            let messages = streams.iter().zip(start).zip(lens);
            messages
                .into_iter()
                .all(|((stream, start), len)| stream.has(*start..start + len))
        };
        ensure!(
            ends.iter().any(whole),
            "exchange {number} is told to be complete, but bytes of it are missing"
        );
    }
    ensure!(incomplete > 0, "no exchange is incomplete");
    Ok(())
}
