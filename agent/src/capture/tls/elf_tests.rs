//! Files that are made here, whole, damaged, and larger than the buffer; and the executable of the test itself.

use super::*;

/// An ELF file with one executable segment, one table of symbols and its strings.
fn file(symbols: &[(&[u8], u64)], padding: usize) -> Vec<u8> {
    let mut strings = vec![b'x'; padding];
    let mut table = vec![0_u8; 24];
    for (name, address) in symbols {
        let at = strings.len() as u32;
        strings.extend_from_slice(name);
        strings.push(0);
        let mut symbol = [0_u8; 24];
        symbol[..4].copy_from_slice(&at.to_le_bytes());
        symbol[4] = STT_FUNC;
        symbol[6] = 1;
        symbol[8..16].copy_from_slice(&address.to_le_bytes());
        table.extend_from_slice(&symbol);
    }
    let note = b"\x04\0\0\0\x03\0\0\0\x03\0\0\0GNU\0\xab\xcd\xef\0";
    let (code, notes) = (64 + 2 * 56, note.len());
    let tables = code + notes;
    let headers = tables + table.len() + strings.len();
    let mut out = vec![0_u8; 64];
    out[..6].copy_from_slice(b"\x7fELF\x02\x01");
    out[32..40].copy_from_slice(&64_u64.to_le_bytes());
    out[40..48].copy_from_slice(&(headers as u64).to_le_bytes());
    out[54..58].copy_from_slice(&[56, 0, 2, 0]);
    out[58..62].copy_from_slice(&[64, 0, 2, 0]);
    for (kind, flags, offset, address, bytes) in
        [(PT_LOAD, PF_X, 0, 0x1000, 0x100000), (PT_NOTE, 0, code, 0, notes)]
    {
        let mut segment = [0_u8; 56];
        segment[..4].copy_from_slice(&kind.to_le_bytes());
        segment[4..8].copy_from_slice(&flags.to_le_bytes());
        segment[8..16].copy_from_slice(&(offset as u64).to_le_bytes());
        segment[16..24].copy_from_slice(&(address as u64).to_le_bytes());
        segment[32..40].copy_from_slice(&(bytes as u64).to_le_bytes());
        out.extend_from_slice(&segment);
    }
    out.extend_from_slice(note);
    for (kind, offset, bytes, link) in [
        (SHT_DYNSYM, tables, table.len(), 1_u32),
        (3, tables + table.len(), strings.len(), 0),
    ] {
        let mut section = [0_u8; 64];
        section[4..8].copy_from_slice(&kind.to_le_bytes());
        section[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
        section[32..40].copy_from_slice(&(bytes as u64).to_le_bytes());
        section[40..44].copy_from_slice(&link.to_le_bytes());
        if kind == SHT_DYNSYM {
            out.extend_from_slice(&table);
            out.extend_from_slice(&strings);
            table.clear();
            strings.clear();
        }
        symbols_end(&mut out, headers, &section);
    }
    out
}

fn symbols_end(out: &mut Vec<u8>, headers: usize, section: &[u8]) {
    assert!(out.len() >= headers);
    out.extend_from_slice(section);
}

fn symbols<'n>(names: &'n [&'n str]) -> Wanted<'n> {
    Wanted {
        symbols: names,
        go: &[],
    }
}

#[test]
fn wanted_functions_are_found_also_across_pieces() {
    for padding in [1, BUFFER_BYTES - 4, 3 * BUFFER_BYTES - 20] {
        let bytes = file(&[(b"xSSL_read_ex", 0x2000), (b"SSL_read", 0x2100)], padding);
        let image = read(
            &bytes[..],
            symbols(&["SSL_read", "SSL_read_ex", "SSL_write"]),
            |_| false,
        )
        .unwrap()
        .unwrap();
        assert_eq!(image.functions.get("SSL_read"), Some(&0x1100), "{padding}");
        assert_eq!(image.functions.get("SSL_read_ex"), None, "named xSSL_read_ex");
        assert_eq!(image.build_id, [0xab, 0xcd, 0xef]);
    }
}

#[test]
fn damaged_files_are_refused_without_harm() {
    let bytes = file(&[(b"SSL_read", 0x2100)], 1);
    for cut in 0..bytes.len() {
        // Whether an error or nothing found: no panic, and never an offset beyond the segment.
        if let Ok(Some(image)) = read(&bytes[..cut], symbols(&["SSL_read"]), |_| false) {
            assert!(image.functions.values().all(|offset| *offset == 0x1100));
        }
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        if let Ok(Some(image)) = read(&damaged[..], symbols(&["SSL_read"]), |_| false) {
            assert!(image.functions.len() <= 1);
        }
    }
    assert_eq!(
        read(&b"#!/bin/sh"[..], symbols(&["SSL_read"]), |_| false).unwrap(),
        None
    );
}

#[test]
fn this_test_has_its_functions_where_they_are() {
    let own = File::open("/proc/self/exe").unwrap();
    let image = read(&own, symbols(&["main"]), |_| false).unwrap().unwrap();
    assert!(image.functions.contains_key("main"));
}
