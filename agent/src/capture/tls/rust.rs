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

/// A method of whatever type has a trait of rustls: the provider of its cryptography may be any crate.
#[derive(Debug)]
struct OfTrait {
    /// What it is called here.
    name: &'static str,
    /// By the older scheme, what stands before the hash.
    older: &'static str,
    /// By the newer one, trait and method.
    newer: &'static str,
}

const METHODS: [Method; 4] = [
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
];

const OF_TRAITS: [OfTrait; 3] = [
    OfTrait {
        name: "AeadAlgorithm::encrypter",
        older: "$u20$as$u20$rustls..crypto..cipher..Tls12AeadAlgorithm$GT$9encrypter17h",
        newer: "18Tls12AeadAlgorithm9encrypter",
    },
    OfTrait {
        name: "AeadAlgorithm::encrypter",
        older: "$u20$as$u20$rustls..crypto..cipher..Tls13AeadAlgorithm$GT$9encrypter17h",
        newer: "18Tls13AeadAlgorithm9encrypter",
    },
    OfTrait {
        name: "MessageEncrypter::encrypt",
        older: "$u20$as$u20$rustls..crypto..cipher..MessageEncrypter$GT$7encrypt17h",
        newer: "16MessageEncrypter7encrypt",
    },
];

/// What a symbol that is looked for has in it, whatever the scheme.
pub(super) const TRACES: [&str; 8] = [
    "PlaintextSink$GT$",
    "_13PlaintextSink",
    "CommonState16buffer_plaintext",
    "CommonState23take_received_plaintext",
    "AeadAlgorithm$GT$9encrypter",
    "AeadAlgorithm9encrypter",
    "MessageEncrypter$GT$7encrypt17h",
    "16MessageEncrypter7encrypt",
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
    let any = || OF_TRAITS.iter().find(|method| method.is_of_any(symbol));
    found
        .map(|method| method.name)
        .or_else(|| any().map(|method| method.name))
}

impl OfTrait {
    fn is_of_any(&self, symbol: &str) -> bool {
        let older = || {
            let (before, hash) = symbol.rsplit_once(self.older)?;
            Some(before.starts_with("_ZN") && is_hash(hash))
        };
        let newer = || {
            let (before, after) = symbol.rsplit_once(self.newer)?;
            // The trait may be named by where its crate stood before.
            let is_of_rustls = before.starts_with("_RNvX") && before.contains("_6rustls");
            Some(is_of_rustls && ends_here(after))
        };
        older().or_else(newer).unwrap_or(false)
    }
}

/// The crate that it was compiled for may follow.
fn ends_here(after: &str) -> bool {
    after.is_empty() || after.starts_with(['B', 'C'])
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
    is_first && is_of_type && ends_here(after)
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
                "_ZN104_$LT$rustls..crypto..ring..tls12..GcmAlgorithm$u20$as$u20$rustls..crypto..cipher..Tls12AeadAlgorithm$GT$\
                 9encrypter17h621ebdbde9b7e53aE"
                    .to_owned(),
                "AeadAlgorithm::encrypter",
            ),
            (
                "_ZN111_$LT$rustls..crypto..ring..tls13..Tls13MessageEncrypter$u20$as$u20$rustls..crypto..cipher..\
                 MessageEncrypter$GT$7encrypt17h621ebdbde9b7e53aE"
                    .to_owned(),
                "MessageEncrypter::encrypt",
            ),
            (
                "_RNvXs0_NtNtNtCsdA9dx5QegCo_6rustls6crypto4ring5tls13NtB5_13Aes128GcmAeadNtNtB9_6cipher18Tls13AeadAlgorithm\
                 9encrypter"
                    .to_owned(),
                "AeadAlgorithm::encrypter",
            ),
            (
                "_RNvXs2_NtNtNtCsdA9dx5QegCo_6rustls6crypto4ring5tls13NtB5_21Tls13MessageEncrypterNtNtB9_6cipher\
                 16MessageEncrypter7encrypt"
                    .to_owned(),
                "MessageEncrypter::encrypt",
            ),
            (
                "_RNvXsb_NtNtCsdA9dx5QegCo_6rustls6crypto6cipherNtB5_23InvalidMessageEncrypterNtB5_16MessageEncrypter7encrypt\
                 .llvm.16141823280910497593"
                    .to_owned(),
                "MessageEncrypter::encrypt",
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
            // What a message grows to, and what takes it apart.
            "_ZN111_$LT$rustls..crypto..ring..tls13..Tls13MessageEncrypter$u20$as$u20$rustls..crypto..cipher..MessageEncrypter$GT$\
             21encrypted_payload_len17h621ebdbde9b7e53aE"
                .to_owned(),
            "_ZN104_$LT$rustls..crypto..ring..tls12..GcmAlgorithm$u20$as$u20$rustls..crypto..cipher..Tls12AeadAlgorithm$GT$\
             9decrypter17h621ebdbde9b7e53aE"
                .to_owned(),
            "_RNvXs3_NtNtCsembAnGsTGfa_8provider6crypto3gcmNtB5_9EncrypterNtNtB9_6cipher16MessageEncrypter7encrypt".to_owned(),
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
