//! Round trips, and what is left of a recording after damage.

use std::net::IpAddr;

use super::*;
use crate::{
    clock::Timestamp,
    event::{
        Address, Direction, ProcessRef, SocketClose, SocketCount, SocketData, SocketEvent, SocketId,
        SocketOpen,
    },
};

const SALT: u32 = 0x5EED;

fn open(socket: u64) -> SocketEvent<'static> {
    SocketEvent::Open(SocketOpen {
        socket: SocketId(socket),
        at: Timestamp(1_700_000_000_000_000_001),
        local: Address::Ip(IpAddr::from([10, 0, 0, 9]), 80),
        remote: Address::Ip(IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 7]), 51_512),
        netns: 4_026_531_840,
        process: ProcessRef {
            pid: 4242,
            start_ns: 77,
            cgroup: 99,
            comm: "gunicorn: wörk".into(),
        },
        peer: Some(SocketId(8)),
        joined_late: true,
        tls: false,
        positions: [5, 6],
    })
}

fn data(bytes: &[u8], position: u64, direction: Direction) -> SocketEvent<'_> {
    SocketEvent::Data(SocketData {
        socket: SocketId(7),
        at: Timestamp(1_700_000_000_000_000_002),
        direction,
        position,
        bytes,
        end: position + bytes.len() as u64 + 3,
        turn: true,
        eof: direction == Direction::Egress,
        spent: direction == Direction::Ingress,
        layer: crate::event::Layer::Socket,
        pid: 4243,
    })
}

fn sample() -> Vec<SocketEvent<'static>> {
    let unix = match open(9) {
        SocketEvent::Open(open) => SocketEvent::Open(SocketOpen {
            local: Address::Unix("/run/app.sock".to_owned()),
            remote: Address::Unix(String::new()),
            peer: None,
            tls: true,
            joined_late: false,
            ..open
        }),
        other => other,
    };
    vec![
        open(7),
        unix,
        data(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", 0, Direction::Ingress),
        data(b"", 40, Direction::Ingress),
        data(b"HTTP/1.1 204 No Content\r\n\r\n", 0, Direction::Egress),
        SocketEvent::Count(SocketCount {
            socket: SocketId(7),
            at: Timestamp(3),
            bytes: [20_000, 1_000],
        }),
        SocketEvent::Close(SocketClose {
            socket: SocketId(7),
            at: Timestamp(3),
            positions: [27, 43],
            kernel_bytes: Some([27, 43]),
            told: true,
        }),
        SocketEvent::Close(SocketClose {
            socket: SocketId(9),
            at: Timestamp(4),
            positions: [0, 0],
            kernel_bytes: None,
            told: false,
        }),
    ]
}

fn write(events: &[SocketEvent<'_>]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), SALT).unwrap();
    for event in events {
        writer.write(event).unwrap();
    }
    writer.finish().unwrap()
}

/// Events as text, and the damage.
fn read(file: &[u8]) -> (Vec<String>, Option<Damage>) {
    let Ok(mut reader) = Reader::new(file) else {
        return (Vec::new(), None);
    };
    let mut events = Vec::new();
    while let Some(event) = reader.next_event() {
        events.push(format!("{event:?}"));
    }
    (events, reader.damage().cloned())
}

fn texts(events: &[SocketEvent<'_>]) -> Vec<String> {
    events.iter().map(|event| format!("{event:?}")).collect()
}

/// Where each record of a recording ends.
fn record_ends(events: &[SocketEvent<'_>]) -> Vec<usize> {
    (0..=events.len())
        .map(|count| {
            let mut writer = Writer::new(Vec::new(), SALT).unwrap();
            for event in &events[..count] {
                writer.write(event).unwrap();
            }
            writer.output.len()
        })
        .collect()
}

#[test]
fn every_member_survives() {
    let events = sample();
    assert_eq!(read(&write(&events)), (texts(&events), None));
}

#[test]
fn the_same_events_give_the_same_bytes() {
    assert_eq!(write(&sample()), write(&sample()));
}

#[test]
fn large_data_is_split_and_keeps_its_positions() {
    let bytes = vec![b'x'; 3 * MAX_RECORD_BYTES / 2 + 1];
    let file = write(&[data(&bytes, 10, Direction::Egress)]);
    let mut reader = Reader::new(file.as_slice()).unwrap();
    let (mut position, mut parts) = (10, 0);
    let mut last = None;
    while let Some(SocketEvent::Data(part)) = reader.next_event() {
        assert_eq!(part.position, position);
        assert_eq!(part.turn, parts == 0);
        position += part.bytes.len() as u64;
        parts += 1;
        last = Some((part.end, part.eof));
    }
    assert_eq!(position, 10 + bytes.len() as u64);
    assert_eq!(last, Some((position + 3, true)));
    assert_eq!(parts, 4);
    assert_eq!(reader.damage(), None);
}

#[test]
fn a_file_cut_anywhere_gives_every_whole_record_and_says_where_it_stops() {
    let events = sample();
    let file = write(&events);
    let ends = record_ends(&events);
    for cut in FILE_HEADER_BYTES..file.len() {
        let (read, damage) = read(&file[..cut]);
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        assert_eq!(read, texts(&events[..whole]), "cut at {cut}");
        assert_eq!(damage.unwrap().offset, ends[whole] as u64, "cut at {cut}");
    }
    for cut in 0..FILE_HEADER_BYTES {
        assert!(matches!(Reader::new(&file[..cut]), Err(ReadError::NotARecording)));
    }
}

#[test]
fn a_changed_byte_costs_the_record_it_is_in_and_no_other() {
    let events = sample();
    let file = write(&events);
    let ends = record_ends(&events);
    let all = texts(&events);
    for at in FILE_HEADER_BYTES..file.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[at] ^= flip;
            let (read, damage) = read(&damaged);
            let hit = ends.iter().filter(|end| **end <= at).count() - 1;
            let mut expected = all.clone();
            if hit < expected.len() {
                expected.remove(hit);
            }
            assert_eq!(read, expected, "byte {at} ^ {flip}");
            let damage = damage.unwrap();
            assert_eq!(damage.offset, ends[hit] as u64, "byte {at} ^ {flip}");
        }
    }
}

#[test]
fn a_changed_header_is_refused() {
    let file = write(&sample());
    for at in 0..FILE_HEADER_BYTES {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        assert!(Reader::new(damaged.as_slice()).is_err(), "byte {at}");
    }
}

#[test]
fn a_later_version_is_named() {
    let mut file = write(&[]);
    file[8..10].copy_from_slice(&9_u16.to_le_bytes());
    let crc = checksum(0, &file[..16], &[]);
    file[16..20].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(Reader::new(file.as_slice()), Err(ReadError::Version(9))));
}

#[test]
fn unknown_kinds_are_stepped_over() {
    let mut file = write(&[open(7)]);
    let (end_at, payload) = (file.len() - RECORD_HEADER_BYTES - 8, b"later");
    let mut record = Vec::from(MARK);
    record.extend_from_slice(&[200, 0, 5, 0, 0, 0]);
    record.extend_from_slice(&checksum(SALT, &[200, 0, 5, 0, 0, 0], payload).to_le_bytes());
    record.extend_from_slice(payload);
    file.splice(end_at..end_at, record);
    assert_eq!(read(&file), (texts(&[open(7)]), None));
}

#[test]
fn records_inside_the_payload_of_a_cut_record_are_not_taken_for_records() {
    let mut other = Writer::new(Vec::new(), SALT + 1).unwrap();
    other.write(&open(666)).unwrap();
    let inner = other.finish().unwrap();
    let file = write(&[open(7), data(&inner, 0, Direction::Ingress)]);
    let cut = &file[..file.len() - RECORD_HEADER_BYTES - 8 - 1];
    assert_eq!(read(cut).0, texts(&[open(7)]));
}

#[test]
fn any_bytes_behind_the_header_are_survived() {
    let header = write(&[])[..FILE_HEADER_BYTES].to_vec();
    let mut state = 1_u64;
    for round in 0..200_usize {
        let mut file = header.clone();
        for _ in 0..round * 7 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let random = (state >> 33) as u8;
            // Marks and small lengths are made likely.
            file.extend_from_slice(match random % 4 {
                0 => &MARK,
                1 => &[2, 0, 9, 0],
                2 => &[0, 0, 0, 0],
                _ => std::slice::from_ref(&0xA7),
            });
            file.push(random);
        }
        let (events, damage) = read(&file);
        assert!(events.is_empty());
        assert!(damage.is_some());
    }
}

#[test]
fn false_marks_with_large_lengths_do_not_make_reading_quadratic() {
    let mut file = write(&[])[..FILE_HEADER_BYTES].to_vec();
    let mark = [MARK[0], MARK[1], 2, 0, 0, 0, 15, 0, 0, 0, 0, 0];
    for _ in 0..400_000 {
        file.extend_from_slice(&mark);
    }
    let mut reader = Reader::new(file.as_slice()).unwrap();
    assert!(reader.next_event().is_none());
    assert!(reader.resync_bytes <= 66 * 1024 * 1024);
    assert!(reader.buffer.capacity() <= 4 * MAX_RECORD_BYTES);
}
