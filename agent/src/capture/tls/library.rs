//! Which functions of a file to probe, and with what.
//!
//! In: functions that a file has. Out: [`Probe`]s, as data. The table lists libraries by the shape of their functions;
//! a file is taken for a library when it has the functions that move its plaintext, whatever it is called: executables
//! that link a library in are served the same way. Functions that are dear to probe (see [`super::place`]) are probed
//! at the one that they hand their work to.

use super::{
    elf::{Image, Wanted},
    place::{self, LengthAt},
};

/// One probe: a program at an offset of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Name of the kernel program.
    pub program: &'static str,
    /// Offset within the file.
    pub offset: u64,
    /// At the return of the function that starts there, not at the place itself.
    pub at_return: bool,
}

/// How a function takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Write,
    Read,
    WriteEx,
    ReadEx,
    /// From OpenSSL 3.3 on: with flags before the place for the length.
    WriteFlags,
    Handshake,
    Free,
    FileWrite,
    FileRead,
    GoWrite,
    GoRead,
    GoHandshake,
    GoClose,
    RustlsWrite,
    /// Tells which connection a write is of.
    RustlsEncrypt,
    RustlsEncrypter,
    RustlsReceived,
}

/// A library.
#[derive(Debug)]
struct Library {
    /// What `status` calls it.
    name: &'static str,
    /// Functions without which it is not that library.
    required: &'static [&'static str],
    functions: &'static [(&'static str, Role)],
}

const LIBRARIES: &[Library] = &[
    // Also LibreSSL, BoringSSL, and what links them in. `SSL_peek` moves nothing.
    Library {
        name: "openssl",
        required: &["SSL_read", "SSL_write"],
        functions: &[
            ("SSL_write", Role::Write),
            ("SSL_read", Role::Read),
            ("SSL_write_ex", Role::WriteEx),
            ("SSL_write_ex2", Role::WriteFlags),
            ("SSL_read_ex", Role::ReadEx),
            ("SSL_do_handshake", Role::Handshake),
            ("SSL_free", Role::Free),
        ],
    },
    Library {
        name: "gnutls",
        required: &["gnutls_record_recv", "gnutls_record_send"],
        functions: &[
            ("gnutls_record_send", Role::Write),
            ("gnutls_record_recv", Role::Read),
            ("gnutls_handshake", Role::Handshake),
            ("gnutls_deinit", Role::Free),
        ],
    },
    // Its files are sockets of any kind, with TLS as a layer of some. Bytes that are only looked at (`PR_MSG_PEEK`) would be
    // read twice; browsers and their like do not.
    Library {
        name: "nss",
        required: &["PR_Read", "PR_Write"],
        functions: &[
            ("PR_Write", Role::FileWrite),
            ("PR_Read", Role::FileRead),
            ("PR_Send", Role::FileWrite),
            ("PR_Recv", Role::FileRead),
            ("PR_Close", Role::Free),
        ],
    },
    // A connection is never freed by hand, and may be dropped without being closed. Its handshake always uses the socket:
    // one at the address of another is bound anew before it moves plaintext, but for a write that shakes hands itself.
    Library {
        name: "go",
        required: &["crypto/tls.(*Conn).Read", "crypto/tls.(*Conn).Write"],
        functions: &[
            ("crypto/tls.(*Conn).Write", Role::GoWrite),
            ("crypto/tls.(*Conn).Read", Role::GoRead),
            ("crypto/tls.(*Conn).handshakeContext", Role::GoHandshake),
            ("crypto/tls.(*Conn).Close", Role::GoClose),
        ],
    },
    // By names of Rust. Not where its users read plaintext, which is in several ways, but where it comes into being. Compilers
    // inline other functions of it; without these a connection could not be told from others.
    Library {
        name: "rustls",
        required: &[
            "CommonState::buffer_plaintext",
            "CommonState::take_received_plaintext",
            "AeadAlgorithm::encrypter",
            "MessageEncrypter::encrypt",
        ],
        functions: &[
            ("CommonState::buffer_plaintext", Role::RustlsWrite),
            ("CommonState::take_received_plaintext", Role::RustlsReceived),
            ("AeadAlgorithm::encrypter", Role::RustlsEncrypter),
            ("MessageEncrypter::encrypt", Role::RustlsEncrypt),
        ],
    },
];

impl Library {
    fn is_in(&self, image: &Image) -> bool {
        self.required.iter().all(|name| {
            image.functions.contains_key(*name)
                || image.go.contains_key(*name)
                || image.rust.contains_key(*name)
        })
    }
}

/// A function that others hand their work to, and that is cheaper to probe than they are.
#[derive(Debug)]
struct Inner {
    /// Who, the one that has a place of its own for the length first.
    serves: &'static [Role],
    start: u64,
    role: Role,
}

impl Inner {
    /// Groups that may share one. Of `SSL_write_ex2` or, before it came, `SSL_write_ex`, the first that is there has to
    /// agree with `SSL_write`.
    const GROUPS: [&'static [Role]; 3] = [
        &[Role::Write, Role::WriteFlags, Role::WriteEx],
        &[Role::Write, Role::WriteEx],
        &[Role::Read, Role::ReadEx],
    ];

    fn behind(library: &Library, image: &Image, serves: &'static [Role]) -> Option<Self> {
        let [own, given, ..] = *serves else {
            return None;
        };
        let call = |role: Role| {
            let (name, _) = library.functions.iter().find(|(_, of)| *of == role)?;
            let start = *image.functions.get(*name)?;
            let call = place::first_call(image.code.get(&start)?)?;
            Some((start.checked_add_signed(call.target)?, call))
        };
        let given_at = match given {
            Role::WriteFlags => LengthAt::Fifth,
            _ => LengthAt::Fourth,
        };
        let [(start, own), (other, given)] = [call(own)?, call(given)?];
        let length_at = own.with_own_length()?;
        let agrees = start == other && given.with_given_length(given_at) == Some(length_at);
        let role = match (serves.first()?, length_at) {
            (Role::Write, LengthAt::Fourth) => Role::WriteEx,
            (Role::Write, LengthAt::Fifth) => Role::WriteFlags,
            (_, LengthAt::Fourth) => Role::ReadEx,
            (_, LengthAt::Fifth) => return None,
        };
        let is_cheap = place::of_c(image.code.get(&start)?, role.arguments()).is_some();
        (agrees && is_cheap).then_some(Self { serves, start, role })
    }
}

/// Where to probe a function, counted from its start.
fn place_in(image: &Image, start: u64, role: Role) -> u64 {
    let code = image.code.get(&start);
    code.and_then(|code| place::of_c(code, role.arguments()))
        .unwrap_or(0)
}

/// Names of all functions that matter, among symbols and in executables of Go; those of Rust are known by [`super::rust`].
#[derive(Debug)]
pub struct Names {
    symbols: Vec<&'static str>,
    go: Vec<&'static str>,
}

impl Names {
    /// Those of all libraries.
    pub fn all() -> Self {
        let functions = LIBRARIES.iter().flat_map(|library| library.functions);
        let functions = functions.filter(|(_, role)| !role.is_rust());
        let (go, symbols): (Vec<_>, Vec<_>) = functions.partition(|(_, role)| role.is_go());
        let names = |functions: Vec<&(&'static str, Role)>| functions.iter().map(|(name, _)| *name).collect();
        Self {
            symbols: names(symbols),
            go: names(go),
        }
    }

    /// The same, to look for.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            symbols: &self.symbols,
            go: &self.go,
        }
    }
}

/// Whether a mapped file that is not the executable may be a library worth reading.
pub fn is_candidate(file_name: &str) -> bool {
    ["ssl", "tls", "nspr", "tcnative", "conscrypt"]
        .iter()
        .any(|part| file_name.contains(part))
}

/// Whether functions found so far are enough to know the library and all of it that matters.
pub fn suffices(image: &Image) -> bool {
    LIBRARIES.iter().any(|library| library.is_in(image))
}

/// What to do with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The library that was recognised.
    pub library: &'static str,
    /// In the order in which they are to be attached: returns are watched before entries, so that no call is noted whose
    /// end goes unseen.
    pub probes: Vec<Probe>,
}

impl Plan {
    /// The probes by program and kind: in the same order, offsets of one kind together.
    pub fn groups(&self) -> Vec<(&'static str, bool, Vec<u64>)> {
        let mut groups: Vec<(&'static str, bool, Vec<u64>)> = Vec::new();
        for Probe {
            program,
            offset,
            at_return,
        } in &self.probes
        {
            let group = groups
                .iter_mut()
                .find(|(of, kind, _)| of == program && kind == at_return);
            match group {
                Some((_, _, offsets)) => offsets.push(*offset),
                None => groups.push((program, *at_return, vec![*offset])),
            }
        }
        groups
    }
}

/// Decides. `None` when the file has no plaintext to offer. `has_loop`: the kernel has `bpf_loop`.
pub fn plan(image: &Image, has_loop: bool) -> Option<Plan> {
    let library = LIBRARIES.iter().find(|library| library.is_in(image))?;
    let (mut ends, mut entries) = (Vec::new(), Vec::new());
    let inner: Vec<Inner> = Inner::GROUPS
        .iter()
        .filter_map(|serves| Inner::behind(library, image, serves))
        .collect();
    for (name, role) in library.functions {
        if let Some(function) = image.go.get(*name) {
            let (entry, end) = programs(*role, has_loop);
            let at = |program, offset| Probe {
                program,
                offset,
                at_return: false,
            };
            if let Some(program) = end {
                ends.extend(function.returns.iter().map(|offset| at(program, *offset)));
            }
            // Told at its start, which must not come twice: without that place the file is let alone.
            let place = match role {
                Role::GoWrite => function.stack_check?,
                _ => function.entry,
            };
            entries.extend(entry.map(|program| at(program, place)));
            continue;
        }
        if let Some(offsets) = image.rust.get(*name) {
            let (entry, end) = programs(*role, has_loop);
            for start in offsets {
                let offset = start + place_in(image, *start, *role);
                let at = |at_return| {
                    move |program| Probe {
                        program,
                        offset,
                        at_return,
                    }
                };
                ends.extend(end.map(at(true)));
                entries.extend(entry.map(at(false)));
            }
            continue;
        }
        let Some(&start) = image.functions.get(*name) else {
            continue;
        };
        let (start, role) = match inner.iter().find(|inner| inner.serves.contains(role)) {
            Some(inner) if inner.serves.first() == Some(role) => (inner.start, inner.role),
            // The first of its group stands for all.
            Some(_) => continue,
            // `SSL_write_ex` hands its work to this one, and is probed itself.
            None if *role == Role::WriteFlags => continue,
            None => (start, *role),
        };
        let (entry, end) = programs(role, has_loop);
        let offset = start + place_in(image, start, role);
        ends.extend(end.map(|program| Probe {
            program,
            offset,
            at_return: true,
        }));
        entries.extend(entry.map(|program| Probe {
            program,
            offset,
            at_return: false,
        }));
    }
    ends.append(&mut entries);
    Some(Plan {
        library: library.name,
        probes: ends,
    })
}

impl Role {
    const ALL: [Self; 17] = [
        Self::Write,
        Self::Read,
        Self::WriteEx,
        Self::ReadEx,
        Self::WriteFlags,
        Self::Handshake,
        Self::Free,
        Self::FileWrite,
        Self::FileRead,
        Self::GoWrite,
        Self::GoRead,
        Self::GoHandshake,
        Self::GoClose,
        Self::RustlsWrite,
        Self::RustlsEncrypt,
        Self::RustlsEncrypter,
        Self::RustlsReceived,
    ];

    /// Arguments that the program at the entry may read, from the first on.
    fn arguments(self) -> usize {
        match self {
            Self::Handshake | Self::Free => 1,
            // What is returned by its address has the first register of some processors.
            Self::RustlsWrite | Self::RustlsReceived | Self::RustlsEncrypt => 2,
            Self::WriteEx | Self::ReadEx => 4,
            Self::WriteFlags => 5,
            _ => 3,
        }
    }

    fn is_rust(self) -> bool {
        matches!(
            self,
            Self::RustlsWrite | Self::RustlsEncrypt | Self::RustlsEncrypter | Self::RustlsReceived
        )
    }

    fn is_go(self) -> bool {
        matches!(
            self,
            Self::GoWrite | Self::GoRead | Self::GoHandshake | Self::GoClose
        )
    }
}

/// Programs at entry and return.
fn programs(role: Role, has_loop: bool) -> (Option<&'static str>, Option<&'static str>) {
    let end = |with_loop, without| Some(if has_loop { with_loop } else { without });
    let moved = || end("on_tls_return", "on_tls_return_no_loop");
    let go_wrote = || end("on_go_write_return", "on_go_write_return_no_loop");
    let (entry, end) = match role {
        Role::Write => ("on_tls_write", moved()),
        Role::Read => ("on_tls_read", moved()),
        Role::FileWrite => ("on_file_write", moved()),
        Role::FileRead => ("on_file_read", moved()),
        Role::WriteEx => ("on_tls_write_ex", moved()),
        Role::WriteFlags => ("on_tls_write_flags", moved()),
        Role::ReadEx => ("on_tls_read_ex", moved()),
        Role::Handshake => (
            "on_tls_handshake",
            end("on_tls_handshake_return", "on_tls_handshake_return_no_loop"),
        ),
        Role::Free => ("on_tls_free", None),
        Role::GoWrite if has_loop => ("on_go_write", go_wrote()),
        Role::GoWrite => ("on_go_write_no_loop", go_wrote()),
        Role::GoRead => ("on_go_read", end("on_go_return", "on_go_return_no_loop")),
        Role::GoHandshake => (
            "on_go_handshake",
            end("on_go_handshake_return", "on_go_handshake_return_no_loop"),
        ),
        Role::GoClose => ("on_go_close", None),
        Role::RustlsWrite => (
            "on_rustls_write",
            end("on_rustls_write_return", "on_rustls_write_return_no_loop"),
        ),
        Role::RustlsEncrypt => ("on_rustls_encrypt", None),
        // What it has made is known at its end.
        Role::RustlsEncrypter => {
            return (
                None,
                end("on_rustls_encrypter_return", "on_rustls_encrypter_return_no_loop"),
            );
        }
        Role::RustlsReceived if has_loop => ("on_rustls_received", None),
        Role::RustlsReceived => ("on_rustls_received_no_loop", None),
    };
    (Some(entry), end)
}

/// Programs that a plan may name on this kernel.
pub fn all_programs(has_loop: bool) -> Vec<&'static str> {
    let mut names: Vec<_> = Role::ALL
        .into_iter()
        .flat_map(|role| {
            let (entry, end) = programs(role, has_loop);
            entry.into_iter().chain(end)
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;
