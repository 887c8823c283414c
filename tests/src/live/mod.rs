//! The agent on this machine, with real programs around it: what it lists is compared with what they did.
//!
//! Each test starts the built binary and the servers and clients it needs, all on loopback, and asks for the inventory
//! as a user would: over the control socket while it runs, from the store after it stopped. Servers have names of their
//! own, so that other traffic of the machine does not count. A test whose programs are not installed is skipped with
//! its reason; in CI that is a failure.

use std::{io::Write as _, path::Path};

use anyhow::{Result, bail, ensure};

mod agent;
mod api_server;
pub mod binary;
mod certificate;
mod chaos;
mod containers;
mod dialects;
mod ending;
mod engines;
mod fleet;
mod foreign;
mod governor;
mod guest;
mod harness;
mod hostile;
mod kubeconfig;
mod kubernetes;
mod load;
mod nat;
mod observe;
mod orders;
mod place;
mod podman;
mod privileges;
mod program;
mod refusals;
mod reload;
mod rows;
mod secrets;
mod servers;
mod short_lived;
mod steady;
mod systemd;
mod tls;
mod tls_clients;
mod tls_coverage;
mod tls_go;
mod tls_life;
mod tls_peers;
mod tls_rustls;
mod tls_servers;
mod tls_start;
mod tls_versions;
mod tools;
mod vulnerable;
mod wait;

use chaos::{disk, kills, limits, neighbours, pids, soak, stops, tables, tamper, time};
pub use harness::main;
pub use place::Place;
pub use wait::until;

/// One test.
pub struct Live {
    /// Name for people and filters.
    pub name: &'static str,
    /// Does it, in a directory of its own.
    run: fn(&Place) -> Result<()>,
}

/// Why a test was not tried.
#[derive(Debug)]
struct Skipped(String);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

impl Live {
    /// Runs it; `Ok(Some(reason))` when it was not tried.
    ///
    /// # Errors
    /// What differs from what was expected, or what could not be done.
    pub fn run(&self) -> Result<Option<String>> {
        ensure!(rustix::process::geteuid().is_root(), "needs root");
        let place = Place::new()?;
        match (self.run)(&place) {
            Ok(()) => Ok(None),
            Err(error) => match error.downcast_ref::<Skipped>() {
                Some(Skipped(reason)) => Ok(Some(reason.clone())),
                None => Err(error),
            },
        }
    }
}

/// Where a guest mounts the disk with programs; there is no such directory when it has none.
pub const GUEST_PROGRAMS: &str = "/programs";

/// An error that means: a program that this test drives is not installed. In CI that is no excuse, nor in a guest that has
/// programs.
fn lacks(program: &str) -> anyhow::Error {
    if binary::is_guest() {
        return if Path::new(GUEST_PROGRAMS).exists() {
            anyhow::anyhow!("{program} is not among the guest's programs")
        } else {
            anyhow::Error::new(Skipped("no programs: the host has another processor".to_owned()))
        };
    }
    let reason = format!("{program} is not installed: run `cargo xtask setup --for test`");
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        anyhow::anyhow!(reason)
    } else {
        anyhow::Error::new(Skipped(reason))
    }
}

/// Tells the reader of the log what was measured.
fn note(text: &str) {
    // Nothing can be done when this fails.
    writeln!(std::io::stderr(), "  {text}").ok();
}

/// Fails unless both are equal, showing the lines that differ.
fn same(what: &str, seen: &[String], expected: &[String]) -> Result<()> {
    let only = |these: &[String], those: &[String], mark: char| {
        these
            .iter()
            .filter(|line| !those.contains(line))
            .map(|line| format!("\n  {mark} {line}"))
            .collect::<String>()
    };
    if seen == expected {
        return Ok(());
    }
    bail!(
        "{what} are not as expected (- expected, + seen):{}{}",
        only(expected, seen, '-'),
        only(seen, expected, '+')
    )
}

macro_rules! live {
    ($(#[$about:meta])* $table:ident = $($module:ident: $($name:ident),+;)+) => {
        $(#[$about])*
        pub const $table: &[Live] = &[
            $($(Live { name: stringify!($name), run: $module::$name },)+)+
        ];
    };
}

live! {
    /// The agent among programs that do as they should.
    LIVE =
    containers: podman_serves, podman_listens;
    engines: docker_serves, containerd_serves;
    systemd: systemd_starts_a_service;
    ending: stops_on_sigterm, stops_on_sigint, leaves_the_kernel_as_it_was, many_libraries_are_let_go_of, keeps_what_it_knew_when_killed;
    hostile: paths_do_not_explode, the_inventory_is_not_poisoned, roles_are_not_forged, bombs_are_cut, nesting_is_passed_over, alerts_do_not_flood, field_compression_is_bounded, racing_buffers_are_survived;
    kubernetes: recorded_answers_name_pods, an_api_server_names_pods;
    kubeconfig: kubeconfigs_are_followed, an_api_server_takes_kubeconfigs, watches_are_taken_up_again;
    nat: translated_addresses_are_undone;
    secrets: secrets_are_kept_nowhere, a_recording_is_its_owners;
    load: wrk_against_nginx, busy_connections_are_joined, clients_ends_are_left_alone;
    dialects: etcd_serves, etcd_serves_tls, grpcio_calls, grpcio_calls_over_tls, h2load_against_nghttpd, websockets_talk, graphql_answers, mcp_tools_are_called;
    governor: copies_less_when_it_costs_too_much;
    fleet: a_database_knows_what_the_agent_knows;
    foreign: redis_is_muted, postgresql_is_muted, random_bytes_are_muted;
    privileges: a_user_of_its_own, gives_up_what_it_does_not_need;
    reload: configuration_is_read_again;
    refusals: without_root, without_type_information;
    tools: curl_and_wget, php_serves, two_hops_through_haproxy;
    observe: a_suite_gives_the_same_ten_times, exit_codes_are_for_pipelines, neighbours_are_not_looked_at;
    short_lived: processes_of_5_ms_5000;
    steady: joins_an_older_connection;
    tls: python_serves_tls, asyncio_serves_tls, node_serves_tls, nginx_serves_tls, puma_serves_tls, haproxy_speaks_tls_on_both_sides, apache_speaks_tls_on_both_sides, caddy_speaks_tls_on_both_sides;
    tls_coverage: a_control_group_is_let_alone, java_is_told, a_stripped_library_is_told, plaintext_of_a_filter_is_read;
    tls_go: writes_from_growing_stacks_are_told_once;
    tls_life: a_library_is_upgraded, a_container_has_its_own_library, deleted_files_are_read, a_library_is_loaded_late, a_hundred_streams_over_tls, thousands_of_handshakes, older_connections_are_read, an_agent_killed_harms_nobody, clients_of_nss_and_go_are_read, the_excluded_are_let_alone;
    tls_peers: peers_are_those_of_the_sockets;
    tls_rustls: rustls_serves, rustls_asks, hyper_serves, hyper_asks, older_hyper_is_read;
    tls_start: two_hundred_processes_map_large_files;
    tls_versions: old_tls_is_told;
    orders: python_serves, node_serves, nginx_serves, a_ring_too_small_mixes_nothing_up;
    vulnerable: weaknesses_are_told_and_users_are_not;
}

live! {
    /// The agent in a guest with another kernel, among programs of the host (`cargo xtask vm`).
    GUEST =
    guest: tls_of_real_programs;
}

live! {
    /// What also runs in a guest, most of it from the tests above, if it is asked for by name: an emulated processor takes minutes
    /// for each.
    GUEST_NAMED =
    guest: tls_libraries_come_and_go, killed_agents_harm_nobody;
    dialects: grpcio_calls, grpcio_calls_over_tls, etcd_serves_tls;
    tls_life: a_library_is_upgraded, a_container_has_its_own_library, deleted_files_are_read, a_library_is_loaded_late, a_hundred_streams_over_tls, thousands_of_handshakes;
    tls_peers: peers_are_those_of_the_sockets;
}

live! {
    /// The agent where something goes wrong.
    CHAOS =
    disk: a_slow_disk_is_waited_for_by_nobody, a_full_disk_costs_no_exchange;
    kills: killed_at_any_moment;
    limits: without_descriptors_it_still_sees;
    neighbours: a_frozen_server_goes_on, a_neighbour_out_of_memory;
    pids: a_pid_serves_two_programs;
    stops: stopped_it_counts_what_it_missed, upgrade_keeps_the_store;
    tables: more_tls_sessions_than_are_remembered, more_tls_calls_than_are_remembered, more_processes_than_are_let_alone;
    tamper: detached_probes_are_told, a_kill_is_told_by_the_next_run;
    time: the_clock_may_jump;
    soak: stays_as_it_is_under_steady_load;
}
