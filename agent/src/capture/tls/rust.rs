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

const METHODS: [Method; 2] = [
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
pub(super) const TRACES: [&str; 6] = [
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
    let Some((_, after)) = rest.rsplit_once(method) else {
        return false;
    };
    // The crate comes first, but for the number of the implementation: the method of another crate is generic over this one.
    let is_first = before.len() <= MAX_START_BYTES && before.matches('_').count() <= 1;
    is_first && ends_here(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUFFER: &str = "_ZN6rustls12common_state11CommonState16buffer_plaintext";
    const NEWER: &str = "NtCsembAnGsTGfa_6rustls12common_stateNtB4_11CommonState16buffer_plaintext";

    #[test]
    fn functions_are_known_whatever_their_hash() {
        for (symbol, name) in [
            (
                format!("{BUFFER}17he41183745452dceeE"),
                "CommonState::buffer_plaintext",
            ),
            (
                format!("{BUFFER}17hb4ad3532354c3274E.llvm.1234567"),
                "CommonState::buffer_plaintext",
            ),
            (format!("_RNvMs_{NEWER}"), "CommonState::buffer_plaintext"),
            (
                format!("_RNvMs_{NEWER}Cs1a_3app"),
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
            format!("{BUFFER}28_$u7b$$u7b$closure$u7d$$u7d$17h7e6b2116837217ecE"),
            format!("_RNCNvMs_{NEWER}0Bb_"),
            format!("_RINvYINtNtNtCsgEmfK2I1SDS_4core5slice4iter4IterNCNvMs_{NEWER}0EB21_"),
            format!("_RNvMs0_NtNtNtCsgEmfK2I1SDS_4core4iter8adapters3mapNCNvMs_{NEWER}B7_"),
            // Another type.
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
            format!("{BUFFER}17h621ebdbde9b7e5E"),
            format!("{BUFFER}17h621ebdbde9b7e53x"),
            format!("{BUFFER}17h"),
            String::new(),
        ] {
            assert_eq!(method(&symbol), None, "{symbol}");
        }
    }
}
