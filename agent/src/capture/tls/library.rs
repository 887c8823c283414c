//! Which functions of a file to probe, and with what.
//!
//! In: functions that a file has. Out: [`Probe`]s, as data. The table lists libraries by the shape of their functions;
//! a file is taken for a library when it has the functions that move its plaintext, whatever it is called: executables
//! that link a library in are served the same way.

use super::elf::Image;

/// One probe: a program at an offset of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Name of the kernel program.
    pub program: &'static str,
    /// Offset within the file.
    pub offset: u64,
    /// At the return of the function that starts there, not at its entry.
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
];

/// Names of all functions that matter.
pub fn names() -> Vec<&'static str> {
    LIBRARIES
        .iter()
        .flat_map(|library| library.functions.iter().map(|(name, _)| *name))
        .collect()
}

/// Whether a mapped file that is not the executable may be a library worth reading.
pub fn is_candidate(file_name: &str) -> bool {
    ["ssl", "tls", "nspr", "tcnative", "conscrypt"]
        .iter()
        .any(|part| file_name.contains(part))
}

/// Whether functions found so far are enough to know the library and all of it that matters.
pub fn suffices(image: &Image) -> bool {
    LIBRARIES.iter().any(|library| {
        library
            .required
            .iter()
            .all(|name| image.functions.contains_key(*name))
    })
}

/// What to do with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The library that was recognised.
    pub library: &'static str,
    /// In the order in which they are to be attached: a return is watched before its entry, so that no call is
    /// noted whose end goes unseen.
    pub probes: Vec<Probe>,
}

/// Decides. `None` when the file has no plaintext to offer. `has_loop`: the kernel has `bpf_loop`.
pub fn plan(image: &Image, has_loop: bool) -> Option<Plan> {
    let library = LIBRARIES.iter().find(|library| {
        library
            .required
            .iter()
            .all(|name| image.functions.contains_key(*name))
    })?;
    let mut probes = Vec::new();
    for (name, role) in library.functions {
        let Some(&offset) = image.functions.get(*name) else {
            continue;
        };
        let (entry, end) = programs(*role, has_loop);
        probes.extend(end.map(|program| Probe {
            program,
            offset,
            at_return: true,
        }));
        probes.push(Probe {
            program: entry,
            offset,
            at_return: false,
        });
    }
    Some(Plan {
        library: library.name,
        probes,
    })
}

/// Programs at entry and return.
fn programs(role: Role, has_loop: bool) -> (&'static str, Option<&'static str>) {
    let [moved, shaken] = match has_loop {
        true => ["on_tls_return", "on_tls_handshake_return"],
        false => ["on_tls_return_no_loop", "on_tls_handshake_return_no_loop"],
    };
    match role {
        Role::Write => ("on_tls_write", Some(moved)),
        Role::Read => ("on_tls_read", Some(moved)),
        Role::WriteEx => ("on_tls_write_ex", Some(moved)),
        Role::ReadEx => ("on_tls_read_ex", Some(moved)),
        Role::Handshake => ("on_tls_handshake", Some(shaken)),
        Role::Free => ("on_tls_free", None),
    }
}

/// Programs that a plan may name on this kernel.
pub fn all_programs(has_loop: bool) -> Vec<&'static str> {
    let roles = [
        Role::Write,
        Role::Read,
        Role::WriteEx,
        Role::ReadEx,
        Role::Handshake,
        Role::Free,
    ];
    let mut names: Vec<_> = roles
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

    fn image(functions: &[&str]) -> Image {
        Image {
            build_id: Vec::new(),
            functions: functions
                .iter()
                .zip(1..)
                .map(|(name, offset)| ((*name).to_owned(), offset))
                .collect(),
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
                ("on_tls_write", 2, false),
                ("on_tls_return", 1, true),
                ("on_tls_read", 1, false),
                ("on_tls_free", 3, false),
            ]
        );
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
