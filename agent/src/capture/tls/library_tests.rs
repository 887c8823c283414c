//! Which functions are probed for each library, and where.

use super::*;
use crate::capture::tls::golang::Function;

fn image(functions: &[&str]) -> Image {
    Image {
        functions: functions
            .iter()
            .zip(1..)
            .map(|(name, offset)| ((*name).to_owned(), offset))
            .collect(),
        ..Image::default()
    }
}

/// Program, offset, and whether it is at the return, of each.
fn probes(plan: &Plan) -> Vec<(&'static str, u64, bool)> {
    let probes = plan.probes.iter();
    probes
        .map(|probe| (probe.program, probe.offset, probe.at_return))
        .collect()
}

#[test]
fn a_library_is_known_by_its_functions() {
    let plan = plan(&image(&["SSL_read", "SSL_write", "SSL_free"]), true).unwrap();
    assert_eq!(plan.library, "openssl");
    assert_eq!(
        probes(&plan),
        [
            ("on_tls_return", 2, true),
            ("on_tls_return", 1, true),
            ("on_tls_write", 2, false),
            ("on_tls_read", 1, false),
            ("on_tls_free", 3, false),
        ]
    );
    assert_eq!(
        plan.groups(),
        [
            ("on_tls_return", true, vec![2, 1]),
            ("on_tls_write", false, vec![2]),
            ("on_tls_read", false, vec![1]),
            ("on_tls_free", false, vec![3]),
        ]
    );
}

/// `sub rsp, 0x18; mov rcx, rsp` or `mov r8, rsp`, `movsxd rdx, edx; call` to `target`.
fn own_length(start: i32, fifth: bool, target: i32) -> Vec<u8> {
    let given: &[u8] = if fifth { b"\x49\x89\xe0" } else { b"\x48\x89\xe1" };
    let call = (target - start - 15).to_le_bytes();
    [b"\x48\x83\xec\x18", given, b"\x48\x63\xd2\xe8", &call].concat()
}

/// `sub rsp, 8`, for a fifth argument `mov r8, rcx`, `call` to `target`.
fn given_length(start: i32, fifth: bool, target: i32) -> Vec<u8> {
    let given: &[u8] = if fifth { b"\x49\x89\xc8\x31\xc9" } else { b"" };
    let call = (target - start - 9 - given.len() as i32).to_le_bytes();
    [b"\x48\x83\xec\x08", given, b"\xe8", &call].concat()
}

fn programs_at(image: &Image) -> Vec<(&'static str, u64)> {
    let probes = probes(&plan(image, true).unwrap()).into_iter();
    probes.map(|(program, offset, _)| (program, offset)).collect()
}

#[test]
fn a_pair_is_probed_at_the_function_behind_both() {
    let names = ["SSL_read", "SSL_read_ex", "SSL_write", "SSL_write_ex"];
    let functions = names.iter().zip([0x100, 0x200, 0x300, 0x400]);
    let functions = functions.map(|(name, at)| ((*name).to_owned(), at)).collect();
    let push = vec![0x41, 0x56];
    let mut image = Image {
        functions,
        code: [
            (0x100, own_length(0x100, false, 0x1000)),
            (0x200, given_length(0x200, false, 0x1000)),
            (0x300, own_length(0x300, true, 0x2000)),
            (0x400, given_length(0x400, true, 0x2000)),
            (0x1000, push.clone()),
            // endbr64 first
            (0x2000, [&b"\xf3\x0f\x1e\xfa"[..], &push].concat()),
        ]
        .into(),
        ..Image::default()
    };
    assert_eq!(
        programs_at(&image),
        [
            ("on_tls_return", 0x2004),
            ("on_tls_return", 0x1000),
            ("on_tls_write_flags", 0x2004),
            ("on_tls_read_ex", 0x1000),
        ]
    );
    // From 3.3 on one jumps to a third.
    let mut newer = image.clone();
    newer.functions.insert("SSL_write_ex2".to_owned(), 0x500);
    newer
        .code
        .insert(0x400, b"\x49\x89\xc8\x31\xc9\xe9\0\0\0\0".to_vec());
    assert_eq!(
        Inner::behind(&LIBRARIES[0], &newer, Inner::GROUPS[1]).map(|inner| inner.start),
        None
    );
    newer.code.insert(0x500, given_length(0x500, false, 0x2000));
    assert_eq!(programs_at(&newer), programs_at(&image));
    // One that calls another function than its pair does is probed itself, and so is the other.
    image.code.insert(0x200, given_length(0x200, false, 0x1008));
    // One whose inner function is no cheaper, too.
    image.code.insert(0x2000, b"\x48\x83\xec\x18".to_vec());
    let places: Vec<_> = programs_at(&image).into_iter().map(|(_, at)| at).collect();
    assert_eq!(places, [0x300, 0x100, 0x400, 0x200, 0x300, 0x100, 0x400, 0x200]);
    assert!(programs_at(&image).contains(&("on_tls_write", 0x300)));
}

#[test]
fn a_function_that_starts_cheap_soon_is_probed_there() {
    let mut image = image(&["gnutls_record_recv", "gnutls_record_send"]);
    // xor r8d, r8d; xor ecx, ecx; jmp
    image.code = [(2, b"\x45\x31\xc0\x31\xc9\xe9\0\0\0\0".to_vec())].into();
    let places: Vec<_> = programs_at(&image).into_iter().map(|(_, at)| at).collect();
    assert_eq!(places, [7, 1, 7, 1]);
}

#[test]
fn functions_of_go_are_probed_where_they_return() {
    let function = |entry: u64, returns: &[u64]| Function {
        entry,
        stack_check: Some(entry + 4),
        returns: returns.to_vec(),
    };
    let mut image = Image {
        go: [
            ("crypto/tls.(*Conn).Read".to_owned(), function(100, &[120, 150])),
            ("crypto/tls.(*Conn).Write".to_owned(), function(200, &[230])),
        ]
        .into(),
        ..Image::default()
    };
    let plan = plan(&image, true).unwrap();
    assert_eq!(plan.library, "go");
    // A return probe would break the process.
    assert_eq!(
        probes(&plan),
        [
            ("on_go_write_return", 230, false),
            ("on_go_return", 120, false),
            ("on_go_return", 150, false),
            ("on_go_write", 204, false),
            ("on_go_read", 100, false),
        ]
    );
    // Without a place where it starts for good, what is written could be told twice.
    let write = image.go.get_mut("crypto/tls.(*Conn).Write").unwrap();
    write.stack_check = None;
    assert_eq!(super::plan(&image, true), None);
}

#[test]
fn each_kind_of_connection_of_rustls_is_probed() {
    let mut image = Image {
        rust: [
            ("CommonState::buffer_plaintext", vec![100, 200]),
            ("CommonState::take_received_plaintext", vec![400]),
            ("AeadAlgorithm::encrypter", vec![500, 600]),
            ("MessageEncrypter::encrypt", vec![700]),
        ]
        .into(),
        // push rbx; and endbr64 first
        code: [(100, vec![0x53]), (200, b"\xf3\x0f\x1e\xfa\x53".to_vec())].into(),
        ..Image::default()
    };
    let plan = plan(&image, true).unwrap();
    assert_eq!(plan.library, "rustls");
    assert_eq!(
        probes(&plan),
        [
            ("on_rustls_write_return", 100, true),
            ("on_rustls_write_return", 204, true),
            ("on_rustls_encrypter_return", 500, true),
            ("on_rustls_encrypter_return", 600, true),
            ("on_rustls_write", 100, false),
            ("on_rustls_write", 204, false),
            ("on_rustls_received", 400, false),
            ("on_rustls_encrypt", 700, false),
        ]
    );
    // Inlined: which connection a write is of would be unknown.
    image.rust.remove("MessageEncrypter::encrypt");
    assert_eq!(super::plan(&image, true), None);
}

#[test]
fn other_files_are_let_alone() {
    assert_eq!(plan(&image(&["SSL_read", "main"]), true), None);
    assert!(is_candidate("libssl.so.3") && is_candidate("libgnutls.so.30"));
    assert!(!is_candidate("libc.so.6"));
}

#[test]
fn kernels_without_loops_get_their_own_programs() {
    let names = all_programs(false);
    assert!(names.contains(&"on_tls_return_no_loop") && !names.contains(&"on_tls_return"));
}
