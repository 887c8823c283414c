//! Functions of Rust by their mangled names.
//!
//! In: a symbol. Out: which of the wanted functions it names. The name of a function carries the number of its crate's
//! build, so that it is known only but for that: by the older scheme a hash at its end (`_ZN…17h0123456789abcdefE`), by the
//! newer one a number after the first crate and the types that a generic function was compiled for (`_R…`). Closures
//! within a function, and functions that are generic over one, carry its name as well: these are refused.
//!
//! Source: rustc, `compiler/rustc_symbol_mangling/src/{legacy,v0}.rs`; RFC 2603.

/// A method of a type of rustls.
#[derive(Debug)]
struct Method {
    /// What it is called here.
    name: &'static str,
    /// By the older scheme, up to the hash.
    older: &'static str,
    /// By the newer one: what such a symbol starts with, the module behind the crate, and type or trait with the method.
    newer: [&'static str; 3],
}

const METHODS: [Method; 5] = [
    Method {
        name: "PlaintextSink::write",
        older: "_ZN99_$LT$rustls..conn..ConnectionCommon$LT$T$GT$$u20$as$u20$\
                rustls..conn..connection..PlaintextSink$GT$5write17h",
        newer: ["_RNvX", "_6rustls4conn10connection", "_13PlaintextSink5write"],
    },
    Method {
        name: "PlaintextSink::write_vectored",
        older: "_ZN99_$LT$rustls..conn..ConnectionCommon$LT$T$GT$$u20$as$u20$\
                rustls..conn..connection..PlaintextSink$GT$14write_vectored17h",
        newer: [
            "_RNvX",
            "_6rustls4conn10connection",
            "_13PlaintextSink14write_vectored",
        ],
    },
    Method {
        name: "CommonState::buffer_plaintext",
        older: "_ZN6rustls12common_state11CommonState16buffer_plaintext17h",
        newer: [
            "_RNvM",
            "_6rustls12common_state",
            "_11CommonState16buffer_plaintext",
        ],
    },
    Method {
        name: "CommonState::take_received_plaintext",
        older: "_ZN6rustls12common_state11CommonState23take_received_plaintext17h",
        newer: [
            "_RNvM",
            "_6rustls12common_state",
            "_11CommonState23take_received_plaintext",
        ],
    },
    Method {
        name: "CommonState::start_outgoing_traffic",
        older: "_ZN6rustls12common_state11CommonState22start_outgoing_traffic17h",
        newer: [
            "_RNvM",
            "_6rustls12common_state",
            "_11CommonState22start_outgoing_traffic",
        ],
    },
];

/// What a symbol that is looked for has in it, whatever the scheme.
pub(super) const TRACES: [&str; 5] = [
    "PlaintextSink$GT$",
    "_13PlaintextSink",
    "CommonState16buffer_plaintext",
    "CommonState23take_received_plaintext",
    "CommonState22start_outgoing_traffic",
];

/// Longest symbol that is looked at. Overflow policy: a longer one is none of these; theirs have some 130 bytes.
pub(super) const MAX_SYMBOL_BYTES: usize = 512;

/// Bytes of a crate's number and of what names an implementation, at most.
const MAX_START_BYTES: usize = 40;

/// Which function a symbol names.
pub fn method(symbol: &str) -> Option<&'static str> {
    // What moved to another unit of compilation is marked so.
    let symbol = symbol.split_once(".llvm.").map_or(symbol, |(symbol, _)| symbol);
    let found = METHODS.iter().find(|method| {
        let hash = symbol.strip_prefix(method.older);
        hash.is_some_and(is_hash) || is_newer(symbol, method.newer)
    });
    found.map(|method| method.name)
}

fn is_hash(rest: &str) -> bool {
    let digits = rest.strip_suffix('E').unwrap_or_default();
    digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn is_newer(symbol: &str, [start, module, method]: [&str; 3]) -> bool {
    let Some((before, rest)) = symbol
        .strip_prefix(start)
        .and_then(|rest| rest.split_once(module))
    else {
        return false;
    };
    let Some((between, after)) = rest.rsplit_once(method) else {
        return false;
    };
    // The crate comes first, but for the number of the implementation: the method of another crate is generic over this one.
    let is_first = before.len() <= MAX_START_BYTES && before.matches('_').count() <= 1;
    let is_of_type = start == "_RNvM" || between.contains("_16ConnectionCommon");
    // The crate that it was compiled for may follow.
    is_first && is_of_type && (after.is_empty() || after.starts_with(['B', 'C']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINK: &str = "_ZN99_$LT$rustls..conn..ConnectionCommon$LT$T$GT$$u20$as$u20$rustls..conn..connection..PlaintextSink$GT$";
    const NEWER: &str = "NtNtCsembAnGsTGfa_6rustls4conn10connectionINtB7_16ConnectionCommonNtNtNtB9_6server11server_conn20\
                         ServerConnectionDataENtB5_13PlaintextSink";

    #[test]
    fn functions_are_known_whatever_their_hash() {
        for (symbol, name) in [
            (
                format!("{SINK}5write17h621ebdbde9b7e53aE"),
                "PlaintextSink::write",
            ),
            (
                format!("{SINK}5write17hb4ad3532354c3274E.llvm.1234567"),
                "PlaintextSink::write",
            ),
            (
                format!("{SINK}14write_vectored17h58080a541675a74eE"),
                "PlaintextSink::write_vectored",
            ),
            (
                "_ZN6rustls12common_state11CommonState16buffer_plaintext17he41183745452dceeE".to_owned(),
                "CommonState::buffer_plaintext",
            ),
            (format!("_RNvXs7_{NEWER}5writeB9_"), "PlaintextSink::write"),
            (format!("_RNvX{NEWER}5writeCs1a_3app"), "PlaintextSink::write"),
            (
                format!("_RNvXs7_{NEWER}14write_vectoredB9_"),
                "PlaintextSink::write_vectored",
            ),
            (
                "_RNvMs_NtCsembAnGsTGfa_6rustls12common_stateNtB4_11CommonState16buffer_plaintext".to_owned(),
                "CommonState::buffer_plaintext",
            ),
            (
                "_RNvMNtCsembAnGsTGfa_6rustls12common_stateNtB2_11CommonState23take_received_plaintext"
                    .to_owned(),
                "CommonState::take_received_plaintext",
            ),
            (
                "_RNvMNtCsembAnGsTGfa_6rustls12common_stateNtB2_11CommonState22start_outgoing_traffic"
                    .to_owned(),
                "CommonState::start_outgoing_traffic",
            ),
        ] {
            assert_eq!(method(&symbol), Some(name), "{symbol}");
            assert!(TRACES.iter().any(|trace| symbol.contains(trace)), "{symbol}");
        }
    }

    #[test]
    fn what_only_carries_their_names_is_refused() {
        for symbol in [
            // A closure, by either scheme, and what is generic over it.
            format!("{SINK}14write_vectored28_$u7b$$u7b$closure$u7d$$u7d$17h7e6b2116837217ecE"),
            format!("_RNCNvXs7_{NEWER}14write_vectored0Bb_"),
            format!("_RINvYINtNtNtCsgEmfK2I1SDS_4core5slice4iter4IterNCNvXs7_{NEWER}14write_vectored0EB21_"),
            format!("_RNvXs0_NtNtNtCsgEmfK2I1SDS_4core4iter8adapters3mapNCNvXs7_{NEWER}14write_vectoredB7_"),
            // Another method, another type.
            format!("{SINK}5flush17he1a2c080d45c8d0eE"),
            format!("_RNvXs7_{NEWER}5flushB9_"),
            "_ZN6rustls6server11server_conn14EarlyDataState23take_received_plaintext17hdedeae0169aeea4dE".to_owned(),
            "_RNvMs7_NtNtCsembAnGsTGfa_6rustls6server11server_connNtB5_14EarlyDataState23take_received_plaintext".to_owned(),
            // Hashes that are none.
            format!("{SINK}5write17h621ebdbde9b7e5E"),
            format!("{SINK}5write17h621ebdbde9b7e53x"),
            format!("{SINK}5write17h"),
            String::new(),
        ] {
            assert_eq!(method(&symbol), None, "{symbol}");
        }
    }
}
