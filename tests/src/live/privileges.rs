//! The agent with as few rights as it can do with, and what it gives up by itself.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{
    agent::Agent,
    binary,
    place::{Place, fixture},
    program::{Program, command, output},
    refusals::{NOBODY, nobody_with},
    rows::{row, sorted},
};

/// CHECKPOINT_RESTORE, BPF, PERFMON, SYS_PTRACE, DAC_READ_SEARCH: capabilities(7).
const KEPT: u64 = 1 << 40 | 1 << 39 | 1 << 38 | 1 << 19 | 1 << 2;

/// SYS_ADMIN.
const SYS_ADMIN: u64 = 1 << 21;

/// As the service file has it, but for what probing TLS libraries takes: a user that owns nothing but the store, five capabilities, no new privileges.
pub(super) fn a_user_of_its_own(place: &Place) -> Result<()> {
    let copy = place.open_to_all("bin")?.join("apiarist");
    fs::copy(binary::apiarist()?, &copy)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    chown(place.path(), Some(NOBODY), Some(NOBODY))?;
    let capabilities = "+bpf,+perfmon,+sys_ptrace,+dac_read_search,+checkpoint_restore";
    let command = nobody_with(
        &[
            &format!("--inh-caps=-all,{capabilities}"),
            &format!("--ambient-caps=-all,{capabilities}"),
            &format!("--bounding-set=-all,{capabilities}"),
            "--no-new-privs",
        ],
        &copy,
    )?;
    let agent = Agent::launch(place, command, &[])?;
    is_confined(&agent)?;
    // What the kernel gives to root though the process is another's cannot be dumped (PR_SET_DUMPABLE, proc(5)).
    let owner = fs::metadata(format!("/proc/{}/fd", agent.pid()))?.uid();
    ensure!(
        owner == 0,
        "it could be dumped: its descriptors belong to {owner}"
    );
    serve(place)?;
    agent.expect("orders_server.py", &expected())
}

/// Started by root, it keeps what it needs and no more.
pub(super) fn gives_up_what_it_does_not_need(place: &Place) -> Result<()> {
    let agent = Agent::start(place)?;
    is_confined(&agent)?;
    serve(place)?;
    agent.shows("orders_server.py", &expected())?;
    // Naming a process takes more than its command line: what it may still look into shows.
    let workloads = agent.workloads()?;
    let server = workloads
        .iter()
        .find(|workload| workload.name == "orders_server.py");
    ensure!(
        server.is_some_and(|server| server.executable.is_some()),
        "the executable is not known: {server:?}"
    );
    agent.stop(Signal::TERM).map(drop)
}

/// A server of another user than the agent's is asked, and named.
fn serve(place: &Place) -> Result<()> {
    let mut server = Program::start(
        command("python3")?.args([&fixture("orders_server.py"), &place.file("orders.sock")]),
        place,
    )?;
    let at = server.first_line()?;
    let port = at.split(' ').next().unwrap_or_default();
    let url = format!("http://127.0.0.1:{port}/users/[1-4]/orders/9");
    output("curl", &["-sS", "--max-time", "20", &url], place)?;
    Ok(())
}

fn expected() -> Vec<String> {
    sorted(vec![row(
        "GET",
        "/users/{userId}/orders/{orderId}",
        "2xx",
        4,
        "curl",
    )])
}

/// All its threads have the five capabilities at most, no way to new ones, a filter of system calls, and leave no core.
fn is_confined(agent: &Agent<'_>) -> Result<()> {
    let pid = agent.pid();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim)
                .with_context(|| format!("no {name} in {status}"))
        };
        // Probing takes SYS_ADMIN, in the one thread that does it; what executables contain is read without any.
        let name = field("Name:")?;
        let kept = match name {
            "apiarist-tls" => KEPT | SYS_ADMIN,
            _ => KEPT,
        };
        for set in ["CapEff:", "CapPrm:"] {
            let bits = u64::from_str_radix(field(set)?, 16)?;
            ensure!(name != "apiarist-elf" || bits == 0, "{name}: {set} {bits:x}");
        }
        for set in ["CapEff:", "CapPrm:", "CapBnd:", "CapAmb:"] {
            let bits = u64::from_str_radix(field(set)?, 16)?;
            ensure!(bits & !kept == 0, "{set} {bits:x} has more than {kept:x}");
        }
        ensure!(field("NoNewPrivs:")? == "1", "new privileges are possible");
        ensure!(field("Seccomp:")? == "2", "no system call is refused");
    }
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let core: Vec<&str> = core.unwrap_or_default().split_whitespace().collect();
    ensure!(
        core.get(4..6) == Some(&["0", "0"]),
        "core dumps are possible: {core:?}"
    );
    Ok(())
}
