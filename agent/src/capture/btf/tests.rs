use super::*;

/// What another reader of the format finds.
struct Other(btf_rs::Btf);

impl Other {
    fn of_running_kernel() -> Self {
        Self(btf_rs::Btf::from_file(KERNEL_BTF).unwrap())
    }

    /// Names and offsets in bits of the named members of the first structure of this name.
    fn members(&self, structure: &str) -> Vec<(String, u32)> {
        let found = self.0.resolve_types_by_name(structure).unwrap();
        let members = found.into_iter().find_map(|found| match found {
            btf_rs::Type::Struct(found) if !found.members.is_empty() => Some(found.members),
            _ => None,
        });
        let named = members.into_iter().flatten().map(|member| {
            let name = self.0.resolve_name(&member).unwrap();
            (name, member.bit_offset())
        });
        named.filter(|(name, _)| !name.is_empty()).collect()
    }
}

/// Structures the programs read, and others with bit fields and many members.
const STRUCTURES: [&str; 14] = [
    "sock",
    "tcp_sock",
    "task_struct",
    "iov_iter",
    "msghdr",
    "socket",
    "net",
    "unix_sock",
    "mm_struct",
    "file",
    "dentry",
    "mount",
    "sk_buff",
    "inet_connection_sock",
];

#[test]
fn another_reader_of_the_format_finds_the_same() {
    if !std::path::Path::new(KERNEL_BTF).exists() {
        assert!(std::env::var_os("CI").is_none(), "this kernel has no BTF");
        return;
    }
    let (types, other) = (
        KernelTypes::of_running_kernel().unwrap(),
        Other::of_running_kernel(),
    );
    for structure in STRUCTURES {
        let members = other.members(structure);
        assert!(!members.is_empty(), "{structure} is not found");
        for (member, bits) in members {
            assert_eq!(
                types.offset(structure, &member),
                Some(bits / 8),
                "{structure}.{member}"
            );
        }
    }
    for name in [
        "tcp_sendmsg",
        "btf_trace_sched_process_exec",
        "sock",
        "no_such_function",
    ] {
        let found = other.0.resolve_ids_by_name(name).unwrap();
        assert_eq!(types.has(name), !found.is_empty(), "{name}");
    }
}

/// A section of `struct outer { int a; struct { union { int b; int c:3; }; }; const named d; }` and what it needs.
fn section() -> Vec<u8> {
    let names = b"\0outer\0a\0b\0c\0d\0named\0inner\0e\0iter_type\0ITER_UBUF\0ITER_IOVEC\0";
    let name = |wanted: &str| {
        let wanted = format!("\0{wanted}\0");
        let at = names
            .windows(wanted.len())
            .position(|found| found == wanted.as_bytes());
        at.unwrap() as u32 + 1
    };
    let (structure, union, enumeration, typedef, constant) = (4 << 24, 5 << 24, 6 << 24, 8 << 24, 10 << 24);
    let types: Vec<u32> = [
        // 1: int
        vec![0, 1 << 24, 4, 32],
        // 2: the union, with offsets of bit fields
        vec![
            0,
            union | 2 | 1 << 31,
            4,
            name("b"),
            1,
            0,
            name("c"),
            1,
            3 << 24 | 5,
        ],
        // 3: the anonymous structure
        vec![0, structure | 1, 4, 0, 2, 0],
        // 4: struct inner { int e at 8 }
        vec![name("inner"), structure | 1, 12, name("e"), 1, 64],
        // 5: typedef struct inner named; 6: const named
        vec![name("named"), typedef, 4],
        vec![0, constant, 5],
        // 7: a declaration of the same name comes first; 8: what is meant
        vec![name("outer"), structure, 0],
        vec![
            name("outer"),
            structure | 3,
            20,
            name("a"),
            1,
            0,
            0,
            3,
            32,
            name("d"),
            6,
            64,
        ],
        // 9: the enumeration
        vec![
            name("iter_type"),
            enumeration | 2,
            4,
            name("ITER_UBUF"),
            0,
            name("ITER_IOVEC"),
            1,
        ],
    ]
    .concat();
    let length = types.len() as u32 * 4;
    let mut bytes = Vec::new();
    bytes.extend(0xeb9f_u16.to_ne_bytes());
    bytes.extend([1, 0]);
    for number in [24, 0, length, length, names.len() as u32] {
        bytes.extend(number.to_ne_bytes());
    }
    bytes.extend(types.into_iter().flat_map(u32::to_ne_bytes));
    bytes.extend(names);
    bytes
}

#[test]
fn members_are_found_through_anonymous_ones_and_other_names() {
    let types = KernelTypes::from_bytes(section()).unwrap();
    let offset = |path| types.offset("outer", path);
    assert_eq!(
        (offset("a"), offset("b"), offset("d")),
        (Some(0), Some(4), Some(8))
    );
    assert_eq!((offset("c"), offset("d.e")), (Some(4), Some(16)));
    assert_eq!((offset("e"), offset("a.b")), (None, None));
    assert_eq!(types.enumerator("iter_type", "ITER_IOVEC"), Some(1));
    assert_eq!(types.enumerator("iter_type", "ITER_PIPE"), None);
    assert!(types.has("named") && !types.has("nam") && !types.has(""));
}

#[test]
fn bytes_that_are_no_section_are_refused() {
    let whole = section();
    for length in 0..whole.len() {
        assert!(
            KernelTypes::from_bytes(whole[..length].to_vec()).is_err(),
            "{length}"
        );
    }
    let mut unknown_kind = whole;
    unknown_kind[24 + 7] = 30;
    assert!(KernelTypes::from_bytes(unknown_kind).is_err());
}

#[test]
fn any_bytes_are_read_without_a_panic() {
    let whole = section();
    for place in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[place] = value;
            if let Ok(types) = KernelTypes::from_bytes(bytes) {
                types.offset("outer", "d.e");
                types.offset("outer", "c");
                types.enumerator("iter_type", "ITER_IOVEC");
                types.offsets();
            }
        }
    }
}
