//! Loss anywhere and bytes of any kind: never wrong, never without end.

use super::{super::Http2, kit::*};
use crate::exchange::{Completeness, Exchange};

/// Complete exchanges are right; the others do not contradict the truth.
#[track_caller]
fn assert_not_wrong(exchanges: &[Exchange], what: &str) {
    for exchange in exchanges {
        let summary = summary(exchange);
        let Some(request) = &exchange.request else {
            continue;
        };
        if exchange.completeness == Completeness::Complete && !request.target.is_empty() {
            // A body may be cut, and says so; the rest must stand.
            let is_cut = request.body.cut || exchange.response.as_ref().is_some_and(|r| r.body.cut);
            assert!(CONVERSATION.contains(&&*summary) || is_cut, "{what}: {summary}");
        }
        if let Some(response) = &exchange.response {
            let status = match &*request.target {
                "/a?x=1" => 200,
                "/b" => 201,
                "/c" => 404,
                _ => continue,
            };
            assert_eq!(response.status, status, "{what}: {summary}");
        }
    }
}

#[test]
fn a_gap_anywhere_is_never_wrong() {
    let parts = conversation();
    for number in 0..parts.len() {
        let length = parts[number].1.len();
        for from in 0..length {
            for to in (from + 1..=length).step_by(if length > 60 { 7 } else { 1 }) {
                let mut wire = Wire::new();
                for (index, part) in parts.iter().enumerate() {
                    let fate = if index == number {
                        Fate::Hole { from, to }
                    } else {
                        Fate::Seen
                    };
                    wire.part(part, fate);
                }
                assert_not_wrong(&wire.close(), &format!("part {number} without {from}..{to}"));
            }
        }
    }
}

#[test]
fn a_gap_in_a_body_costs_the_body_alone() {
    let parts = conversation();
    let mut wire = Wire::new();
    for (index, part) in parts.iter().enumerate() {
        // Inside "made".
        let made = part.1.windows(4).position(|window| window == b"made");
        let fate = match made {
            Some(from) if index == 8 => Fate::Hole {
                from: from + 1,
                to: from + 3,
            },
            _ => Fate::Seen,
        };
        wire.part(part, fate);
    }
    let exchanges = wire.close();
    assert_eq!(summary(&exchanges[0]), CONVERSATION[0]);
    assert_eq!(summary(&exchanges[1]), "POST /b [body ends] > 201 [m] Lost");
    assert_eq!(exchanges[1].response.as_ref().unwrap().body.length, Some(4));
    assert_eq!(summary(&exchanges[2]), CONVERSATION[2]);
}

#[test]
fn framing_is_found_again() {
    let parts = conversation();
    for lost in 2..parts.len() - 2 {
        let mut wire = Wire::new();
        for (index, part) in parts.iter().enumerate() {
            if index == lost {
                wire.lose(part.0, part.1.len());
            } else {
                wire.part(part, Fate::Seen);
            }
        }
        let exchanges = wire.close();
        // What was lost right before it shows when its response comes: that may be the second one.
        let last = summary(exchanges.last().unwrap());
        assert!(
            last == CONVERSATION[2] || (lost == 9 && last == "GET /c [] > 404 [] Lost"),
            "without part {lost}: {last}"
        );
        assert_not_wrong(&exchanges, &format!("without part {lost}"));
    }
}

struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0 >> 33
    }
}

#[test]
fn any_bytes_keep_memory_bounded() {
    let mut noise = Noise(3);
    for round in 0..60 {
        let mut wire = Wire::joined(round % 2 == 0);
        wire.tell(true, &preface());
        for _ in 0..60 {
            let is_request = noise.next().is_multiple_of(2);
            // Frames with plausible headers reach deeper than noise alone.
            let length = noise.next() as usize % 400;
            let payload: Vec<u8> = (0..length).map(|_| noise.next() as u8).collect();
            let stream = noise.next() as u32 % 12;
            let mut bytes = frame(
                noise.next() as u8 % 11,
                noise.next() as u8 & 0x2d,
                stream,
                &payload,
            );
            if noise.next().is_multiple_of(5) {
                bytes.truncate(noise.next() as usize % bytes.len());
            }
            if noise.next().is_multiple_of(9) {
                wire.lose(is_request, 5);
            }
            wire.tell(is_request, &bytes);
            assert!(wire.flows.memory() < 2 << 20);
        }
        wire.close();
    }
}

#[test]
fn mutations_of_a_conversation_do_not_panic() {
    let parts = conversation();
    let mut noise = Noise(11);
    for _ in 0..3_000 {
        let mut parts = parts.clone();
        for _ in 0..=noise.next() % 3 {
            let part = noise.next() as usize % parts.len();
            let bytes = &mut parts[part].1;
            let place = noise.next() as usize % bytes.len();
            bytes[place] = noise.next() as u8;
        }
        assert!(play(&parts).len() < 10);
    }
}

#[test]
fn streams_are_bounded() {
    let mut wire = Wire::new();
    wire.tell(true, &preface());
    for stream in 0..20_000_u32 {
        wire.tell(true, &get(END_HEADERS, stream * 2 + 1, "/a"));
    }
    assert!(wire.flows.memory() < 4 << 20, "{}", wire.flows.memory());
    assert_eq!(wire.out.len(), 20_000 - 1_024);
    assert!(size_of::<Http2>() < 1_024);
    assert_eq!(wire.close().len(), 20_000);
}
