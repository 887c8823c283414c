//! `cargo xtask setup`: the system packages that a purpose needs, installed when missing.
//!
//! A program that is there already counts, wherever it came from. Nothing is started, upgraded or removed.

use std::{fs, path::Path};

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::{
    browser, ebpf, packages,
    shell::{as_root, find_program, run, say},
};

/// Options of `cargo xtask setup`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What the machine is to be ready for
    #[arg(long = "for", value_enum, default_value_t = Purpose::Test)]
    purpose: Purpose,
}

/// What a machine can be made ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// `cargo xtask run`
    Run,
    /// `cargo xtask test`: the servers and clients that the tests drive
    Test,
    /// `cargo xtask ebpf`
    Ebpf,
    /// `cargo xtask vm`: QEMU, and programs for its guests
    Vm,
    /// Load generators and servers for measurements
    Bench,
    /// `cargo xtask bench gate`: counting instructions
    Gate,
}

/// A program, and the Debian package that brings it.
type Need = (&'static str, &'static str);

/// The bundled SQLite is written in C.
const RUN: &[Need] = &[("cc", "gcc")];
/// Servers and clients that speak TLS: the tests drive them on this machine and, by `cargo xtask vm`, on other kernels.
pub(crate) const TLS: &[Need] = &[
    ("nginx", "nginx-light"),
    ("curl", "curl"),
    ("wget", "wget"),
    ("haproxy", "haproxy"),
    ("php", "php-cli"),
    ("ab", "apache2-utils"),
    ("apache2", "apache2-bin"),
    ("caddy", "caddy"),
    ("puma", "puma"),
    ("python3", "python3"),
    ("node", "nodejs"),
    ("openssl", "openssl"),
    ("etcd", "etcd-server"),
    ("etcdctl", "etcd-client"),
    ("nghttpd", "nghttp2-server"),
    ("h2load", "nghttp2-client"),
    // A container of a guest is a mount namespace.
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("sh", "dash"),
    // Not programs: a module of PHP, a library, a module of Python.
    ("php-curl", "php-curl"),
    ("libcurl3-nss", "libcurl3-nss"),
    ("grpc", "python3-grpcio"),
];
const TEST: &[Need] = &[
    ("cc", "gcc"),
    ("nft", "nftables"),
    ("redis-server", "redis-server"),
    ("postgres", "postgresql"),
    ("wrk", "wrk"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("podman", "podman"),
    ("runc", "runc"),
    ("dockerd", "docker.io"),
    ("containerd", "containerd"),
    ("nsenter", "util-linux"),
    ("rsyslogd", "rsyslog"),
    ("clickhouse-server", "clickhouse-server"),
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    ("npm", "npm"),
    ("chromium", "chromium"),
    ("tmux", "tmux"),
    ("gdb", "gdb"),
    ("bpftool", "bpftool"),
    ("lintian", "lintian"),
    ("systemd-analyze", "systemd"),
    ("go", "golang-go"),
    ("javac", "default-jdk-headless"),
    // Not a program: a library.
    ("libssl-dev", "libssl-dev"),
    // Not programs: modules of Python.
    ("websockets", "python3-websockets"),
    ("graphql", "python3-graphql-core"),
    // Not a program: a library in source form, of the Go programs that the tests run.
    ("sprig", "golang-github-masterminds-sprig-dev"),
];
/// Kernel modules come compressed, by either program. Guests read the programs of [`TLS`] from a file system of their own.
const VM: &[Need] = &[
    ("cc", "gcc"),
    ("mke2fs", "e2fsprogs"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("dpkg-deb", "dpkg"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
];
const BENCH: &[Need] = &[
    ("cc", "gcc"),
    ("nginx", "nginx-light"),
    ("wrk", "wrk"),
    ("h2load", "nghttp2-client"),
    ("go", "golang-go"),
    ("taskset", "util-linux"),
    ("openssl", "openssl"),
    ("gunicorn", "gunicorn"),
    ("node", "nodejs"),
    ("npm", "npm"),
];

const GATE: &[Need] = &[("cc", "gcc"), ("valgrind", "valgrind")];

/// Packages whose daemon would start at boot, and the service that does it.
const SERVICES: &[(&str, &str)] = &[
    ("nginx-light", "nginx"),
    ("haproxy", "haproxy"),
    ("caddy", "caddy"),
    ("redis-server", "redis-server"),
    ("postgresql", "postgresql"),
    ("rsyslog", "rsyslog"),
    ("clickhouse-server", "clickhouse-server"),
    ("prometheus", "prometheus"),
    ("etcd-server", "etcd"),
    ("docker.io", "docker.socket"),
    ("docker.io", "docker.service"),
    ("containerd", "containerd"),
    ("podman", "podman.socket"),
    ("podman", "podman.service"),
    ("podman", "podman-restart.service"),
    ("podman", "podman-auto-update.timer"),
];

/// Installs what is missing for the purpose asked for.
pub(crate) fn main(options: &Options) -> Result<()> {
    prepare(options.purpose)?;
    say("everything needed is there");
    Ok(())
}

/// Installs what is missing for `purpose`.
pub(crate) fn prepare(purpose: Purpose) -> Result<()> {
    match purpose {
        Purpose::Run => install(RUN),
        Purpose::Test => {
            install(&[TLS, TEST].concat())?;
            browser::prepare()
        }
        Purpose::Vm => install(&[TLS, VM].concat()),
        Purpose::Bench => install(BENCH),
        Purpose::Gate => install(GATE),
        Purpose::Ebpf => ebpf::prepare(),
    }
}

fn install(needs: &[Need]) -> Result<()> {
    let missing: Vec<&str> = needs
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| *package)
        .collect();
    packages::install(&missing)?;
    // Installed for the tests, which start their own: not to run on this machine from now on.
    for (_, service) in SERVICES.iter().filter(|(package, _)| missing.contains(package)) {
        if find_program("systemctl").is_some() {
            let mut disable = as_root("systemctl", "disabling a service")?;
            if run(disable.args(["disable", "--quiet", service])).is_err() {
                say(format!(
                    "could not disable the service {service}: it may start at the next boot"
                ));
            }
        }
    }
    Ok(())
}

fn is_there(program: &str) -> bool {
    match program {
        "postgres" => find_program(program).is_some() || has_versioned_postgres(),
        "php-curl" | "libcurl3-nss" | "libssl-dev" => packages::is_installed(program),
        "sprig" => Path::new("/usr/share/gocode/src/github.com/Masterminds/sprig").is_dir(),
        "grpc" | "websockets" | "graphql" => {
            Path::new("/usr/lib/python3/dist-packages").join(program).is_dir()
        }
        _ => find_program(program).is_some(),
    }
}

/// Debian keeps each version of the server in a directory of its own, off `PATH`.
fn has_versioned_postgres() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql");
    versions
        .into_iter()
        .flatten()
        .flatten()
        .any(|version| version.path().join("bin/postgres").is_file())
}
