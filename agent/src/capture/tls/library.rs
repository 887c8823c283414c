//! Which functions of a file to probe, and with what.
//!
//! In: functions that a file has. Out: [`Probe`]s, as data. The table lists libraries by the shape of their functions;
//! a file is taken for a library when it has the functions that move its plaintext, whatever it is called: executables
//! that link a library in are served the same way.

use super::elf::{Image, Wanted};

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
    Handshake,
    Free,
    FileWrite,
    FileRead,
    GoWrite,
    GoRead,
    GoHandshake,
    GoClose,
}

/// A library.
#[derive(Debug)]
struct Library {
    /// What `status` calls it.
    name: &'static str,
    /// Functions without which it is not that library.
    required: [&'static str; 2],
    functions: &'static [(&'static str, Role)],
}

const LIBRARIES: &[Library] = &[
    // Also LibreSSL, BoringSSL, and what links them in. `SSL_peek` moves nothing.
    Library {
        name: "openssl",
        required: ["SSL_read", "SSL_write"],
        functions: &[
            ("SSL_write", Role::Write),
            ("SSL_read", Role::Read),
            ("SSL_write_ex", Role::WriteEx),
            ("SSL_read_ex", Role::ReadEx),
            ("SSL_do_handshake", Role::Handshake),
            ("SSL_free", Role::Free),
        ],
    },
    Library {
        name: "gnutls",
        required: ["gnutls_record_recv", "gnutls_record_send"],
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
        required: ["PR_Read", "PR_Write"],
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
        required: ["crypto/tls.(*Conn).Read", "crypto/tls.(*Conn).Write"],
        functions: &[
            ("crypto/tls.(*Conn).Write", Role::GoWrite),
            ("crypto/tls.(*Conn).Read", Role::GoRead),
            ("crypto/tls.(*Conn).handshakeContext", Role::GoHandshake),
            ("crypto/tls.(*Conn).Close", Role::GoClose),
        ],
    },
];

impl Library {
    fn is_in(&self, image: &Image) -> bool {
        self.required
            .iter()
            .all(|name| image.functions.contains_key(*name) || image.go.contains_key(*name))
    }
}

/// Names of all functions that matter, among symbols and in executables of Go.
#[derive(Debug)]
pub struct Names {
    symbols: Vec<&'static str>,
    go: Vec<&'static str>,
}

impl Names {
    /// Those of all libraries.
    pub fn all() -> Self {
        let functions = LIBRARIES.iter().flat_map(|library| library.functions);
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
    for (name, role) in library.functions {
        let (entry, end) = programs(*role, has_loop);
        if let Some(function) = image.go.get(*name) {
            let at = |program, offset| Probe {
                program,
                offset,
                at_return: false,
            };
            if let Some(program) = end {
                ends.extend(function.returns.iter().map(|offset| at(program, *offset)));
            }
            entries.push(at(entry, function.entry));
            continue;
        }
        let Some(&offset) = image.functions.get(*name) else {
            continue;
        };
        ends.extend(end.map(|program| Probe {
            program,
            offset,
            at_return: true,
        }));
        entries.push(Probe {
            program: entry,
            offset,
            at_return: false,
        });
    }
    ends.append(&mut entries);
    Some(Plan {
        library: library.name,
        probes: ends,
    })
}

impl Role {
    const ALL: [Self; 12] = [
        Self::Write,
        Self::Read,
        Self::WriteEx,
        Self::ReadEx,
        Self::Handshake,
        Self::Free,
        Self::FileWrite,
        Self::FileRead,
        Self::GoWrite,
        Self::GoRead,
        Self::GoHandshake,
        Self::GoClose,
    ];

    fn is_go(self) -> bool {
        matches!(
            self,
            Self::GoWrite | Self::GoRead | Self::GoHandshake | Self::GoClose
        )
    }
}

/// Programs at entry and return.
fn programs(role: Role, has_loop: bool) -> (&'static str, Option<&'static str>) {
    let end = |with_loop, without| Some(if has_loop { with_loop } else { without });
    let moved = || end("on_tls_return", "on_tls_return_no_loop");
    let go_wrote = || end("on_go_write_return", "on_go_write_return_no_loop");
    match role {
        Role::Write => ("on_tls_write", moved()),
        Role::Read => ("on_tls_read", moved()),
        Role::FileWrite => ("on_file_write", moved()),
        Role::FileRead => ("on_file_read", moved()),
        Role::WriteEx => ("on_tls_write_ex", moved()),
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
    }
}

/// Programs that a plan may name on this kernel.
pub fn all_programs(has_loop: bool) -> Vec<&'static str> {
    let mut names: Vec<_> = Role::ALL
        .into_iter()
        .flat_map(|role| {
            let (entry, end) = programs(role, has_loop);
            std::iter::once(entry).chain(end)
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_library_is_known_by_its_functions() {
        let plan = plan(&image(&["SSL_read", "SSL_write", "SSL_free"]), true).unwrap();
        assert_eq!(plan.library, "openssl");
        let probes: Vec<_> = plan
            .probes
            .iter()
            .map(|probe| (probe.program, probe.offset, probe.at_return))
            .collect();
        assert_eq!(
            probes,
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

    #[test]
    fn functions_of_go_are_probed_where_they_return() {
        let function = |entry, returns: &[u64]| Function {
            entry,
            returns: returns.to_vec(),
        };
        let image = Image {
            go: [
                ("crypto/tls.(*Conn).Read".to_owned(), function(100, &[120, 150])),
                ("crypto/tls.(*Conn).Write".to_owned(), function(200, &[230])),
            ]
            .into(),
            ..Image::default()
        };
        let plan = plan(&image, true).unwrap();
        assert_eq!(plan.library, "go");
        let probes: Vec<_> = plan
            .probes
            .iter()
            .map(|probe| (probe.program, probe.offset))
            .collect();
        assert_eq!(
            probes,
            [
                ("on_go_write_return", 230),
                ("on_go_return", 120),
                ("on_go_return", 150),
                ("on_go_write", 200),
                ("on_go_read", 100),
            ]
        );
        // A return probe would break the process.
        assert!(plan.probes.iter().all(|probe| !probe.at_return));
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
}
