//! Header blocks of the standard, and of recorded encoders where those are at hand.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
};

use super::*;

type List = Vec<(Option<String>, Option<String>)>;

fn text(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<List, Error> {
    let mut list = List::new();
    decoder
        .decode(block, |field| list.push((text(field.name), text(field.value))))
        .map(|()| list)
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| (byte as char).to_digit(16).unwrap() as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[track_caller]
fn check(decoder: &mut Decoder, block: &str, fields: &[(&str, &str)]) {
    let fields: List = fields
        .iter()
        .map(|(name, value)| (Some((*name).to_owned()), Some((*value).to_owned())))
        .collect();
    assert_eq!(decode(decoder, &hex(block)).as_ref(), Ok(&fields));
}

/// RFC 7541, C.3 and C.4: requests without and with Huffman coding.
#[test]
fn requests_of_the_standard() {
    for blocks in [
        [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ],
        [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ],
    ] {
        let [first, second, third] = blocks;
        let decoder = &mut Decoder::new();
        let common = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
        ];
        check(decoder, first, &common);
        check(
            decoder,
            second,
            &[&common[..], &[("cache-control", "no-cache")]].concat(),
        );
        check(
            decoder,
            third,
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":path", "/index.html"),
                (":authority", "www.example.com"),
                ("custom-key", "custom-value"),
            ],
        );
    }
}

/// RFC 7541, C.5: responses that evict, with a table of 256 bytes.
#[test]
fn responses_of_the_standard() {
    let decoder = &mut Decoder::new();
    check(decoder, "3fe1 01", &[]);
    let date = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
    let location = ("location", "https://www.example.com");
    check(
        decoder,
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d \
         546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        &[(":status", "302"), ("cache-control", "private"), date, location],
    );
    check(
        decoder,
        "4803 3330 37c1 c0bf",
        &[(":status", "307"), ("cache-control", "private"), date, location],
    );
    // The first entry is gone by now.
    assert_eq!(decode(decoder, &[0x80 | 66]), Err(Error::Malformed));
}

#[test]
fn a_block_that_is_cut_tells_what_stands_before() {
    let block = hex("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d");
    let mut fields = 0;
    let mut decoder = Decoder::new();
    assert_eq!(
        decoder.decode(&block[..10], |_| fields += 1),
        Err(Error::Truncated)
    );
    assert_eq!(fields, 3);
    // What the rest would have added is unknown from here on.
    assert_eq!(decode(&mut decoder, &[0xbe]), Ok(vec![(None, None)]));
}

#[test]
fn invalid_references_are_malformed_from_the_start_and_unknown_later() {
    assert_eq!(decode(&mut Decoder::new(), &[0x80]), Err(Error::Malformed));
    assert_eq!(decode(&mut Decoder::new(), &[0xbe]), Err(Error::Malformed));
    let mut late = Decoder::new();
    late.lose();
    assert_eq!(decode(&mut late, &[0xbe]), Ok(vec![(None, None)]));
    // A known value under an unknown name, added to the table.
    let list = vec![(None, Some("v".to_owned()))];
    assert_eq!(decode(&mut late, b"\x7e\x01v"), Ok(list.clone()));
    assert_eq!(decode(&mut late, &[0xbe]), Ok(list));
}

#[test]
fn any_bytes_keep_memory_bounded() {
    let mut state = 7_u64;
    let mut decoder = Decoder::new();
    for round in 0..2_000 {
        let block: Vec<u8> = (0..round % 97)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 40) as u8
            })
            .collect();
        decoder.decode(&block, |_| ()).ok();
        assert!(decoder.memory() < 3 * table::MAX_TABLE_BYTES);
    }
}

/// One recorded encoder: blocks with their fields.
struct Story {
    name: String,
    cases: Vec<(Vec<u8>, List)>,
}

fn stories() -> Option<Vec<Story>> {
    let root = std::env::var_os("APIARIST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let file = std::fs::File::open(root.join("hpack.jsonl.gz")).ok()?;
    let lines = BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines();
    let story = |line: std::io::Result<String>| {
        let row: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let cases = row["cases"].as_array().unwrap().iter();
        Story {
            name: format!("{} {}", row["encoder"], row["story"]),
            cases: cases
                .map(|case| {
                    let fields = case[1].as_array().unwrap().iter();
                    let string = |value: &serde_json::Value| value.as_str().map(str::to_owned);
                    (
                        hex(case[0].as_str().unwrap()),
                        fields
                            .map(|field| (string(&field[0]), string(&field[1])))
                            .collect(),
                    )
                })
                .collect(),
        }
    };
    Some(lines.map(story).collect())
}

#[test]
fn recorded_blocks_are_exact() {
    let Some(stories) = stories() else {
        println!("skipped: hpack.jsonl.gz is not there (set APIARIST_DATA)");
        return;
    };
    for Story { name, cases } in stories {
        let mut decoder = Decoder::new();
        for (number, (block, fields)) in cases.iter().enumerate() {
            assert_eq!(
                decode(&mut decoder, block).as_ref(),
                Ok(fields),
                "{name}, block {number}"
            );
        }
    }
}

/// Joining at any block: what comes out is the truth, or unknown.
#[test]
fn recorded_blocks_joined_at_every_block_are_never_wrong() {
    let Some(stories) = stories() else {
        println!("skipped: hpack.jsonl.gz is not there (set APIARIST_DATA)");
        return;
    };
    for Story { name, cases } in stories {
        for start in 1..cases.len().min(40) {
            let mut decoder = Decoder::new();
            decoder.lose();
            for (block, fields) in &cases[start..] {
                let seen = decode(&mut decoder, block).unwrap();
                assert_eq!(seen.len(), fields.len(), "{name} from {start}");
                for (got, want) in seen.iter().zip(fields) {
                    let fits = (got.0.is_none() || got.0 == want.0) && (got.1.is_none() || got.1 == want.1);
                    assert!(fits, "{name} from {start}: {got:?} for {want:?}");
                }
            }
        }
    }
}
