//! Which sockets the operator wants to be observed.
//!
//! In: a socket's announcement, and on demand the workload of its process. Out: yes or no. Several values of one list are
//! alternatives, different lists must all match. The agent's own control socket is never observed.

use std::{path::Path, sync::Arc};

use super::{observed::Processes, past::SharedPast};
use crate::{
    config,
    event::{Address, SocketOpen},
    workload::{Directory, Workload},
};

/// The decision, and what it needs.
#[derive(Debug)]
pub(super) struct Scope {
    wanted: config::Scope,
    own: Address,
    /// Only when one command is observed.
    processes: Option<Processes>,
    /// Only when a rule asks for more than the kernel tells.
    directory: Option<Directory>,
}

impl Scope {
    pub(super) fn new(wanted: &config::Scope, own: Address, observed: Option<config::Observed>) -> Self {
        let config::Scope {
            ports: _,
            pids: _,
            comms: _,
            cgroups,
            containers,
            namespaces,
        } = wanted;
        let by_workload = !(cgroups.is_empty() && containers.is_empty() && namespaces.is_empty());
        Self {
            wanted: wanted.clone(),
            own,
            processes: observed.map(Processes::new),
            directory: by_workload.then(|| Directory::new(Path::new("/proc"))),
        }
    }

    /// The same, asking `past` for processes that are gone.
    #[must_use]
    pub(super) fn remembering(mut self, past: &SharedPast) -> Self {
        self.directory = self
            .directory
            .map(|directory| directory.remembering(past.clone()));
        self
    }

    /// Whether this socket is to be observed.
    pub(super) fn admits(&mut self, open: &SocketOpen) -> bool {
        if open.local == self.own || open.remote == self.own {
            return false;
        }
        if let Some(processes) = &mut self.processes
            && !processes.has(&open.process)
        {
            return false;
        }
        let workload = self
            .directory
            .as_mut()
            .map(|directory| directory.resolve(&open.process));
        admits(&self.wanted, open, workload.as_ref())
    }
}

fn admits(wanted: &config::Scope, open: &SocketOpen, workload: Option<&Arc<Workload>>) -> bool {
    let config::Scope {
        ports,
        pids,
        comms,
        cgroups,
        containers,
        namespaces,
    } = wanted;
    let port = |address: &Address| matches!(address, Address::Ip(_, port) if ports.contains(port));
    let any = |list: &[String], matches: &dyn Fn(&str) -> bool| {
        list.is_empty() || list.iter().any(|value| matches(value))
    };
    let text =
        |field: fn(&Workload) -> Option<&String>| workload.and_then(|w| field(w)).map_or("", String::as_str);
    let cgroup = text(|w| w.cgroup.as_ref());
    let container = text(|w| w.container.as_ref());
    (ports.is_empty() || port(&open.local) || port(&open.remote))
        && (pids.is_empty() || pids.contains(&open.process.pid))
        && any(comms, &|comm| open.process.comm == comm)
        && any(cgroups, &|path| below(cgroup, path))
        && any(containers, &|id| container.rsplit('/').next().is_some_and(|own| own.starts_with(id)))
        // Namespaces of pods are not known yet: a scope that asks for one admits nothing rather than everything.
        && namespaces.is_empty()
}

/// Whether a control group is `path` or lies below it.
fn below(cgroup: &str, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    cgroup
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        event::{ProcessRef, SocketId},
    };

    fn open(port: u16, pid: u32, comm: &str) -> SocketOpen {
        let ip = std::net::IpAddr::from([127, 0, 0, 1]);
        SocketOpen {
            socket: SocketId(1),
            at: Timestamp(0),
            local: Address::Ip(ip, port),
            remote: Address::Ip(ip, 40_000),
            netns: 1,
            process: ProcessRef {
                pid,
                start_ns: 0,
                cgroup: 0,
                comm: comm.into(),
            },
            peer: None,
            joined_late: false,
            tls: false,
            positions: [0, 0],
        }
    }

    #[test]
    fn lists_are_alternatives_and_all_must_match() {
        let wanted = config::Scope {
            ports: vec![80, 8080],
            comms: vec!["nginx".to_owned()],
            ..config::Scope::default()
        };
        assert!(admits(&wanted, &open(8080, 1, "nginx"), None));
        assert!(!admits(&wanted, &open(8080, 1, "curl"), None));
        assert!(!admits(&wanted, &open(81, 1, "nginx"), None));
        assert!(admits(&config::Scope::default(), &open(81, 1, "x"), None));
    }

    #[test]
    fn control_groups_match_by_whole_names() {
        assert!(below("/system.slice/shop.service", "/system.slice"));
        assert!(below("/system.slice", "/system.slice/"));
        assert!(!below("/system.slice2", "/system.slice"));
    }

    #[test]
    fn the_control_socket_is_never_observed() {
        let own = Address::Unix("/run/a.sock".to_owned());
        let mut scope = Scope::new(&config::Scope::default(), own.clone(), None);
        let mut asked = open(1, 1, "curl");
        asked.remote = own;
        assert!(!scope.admits(&asked));
        assert!(scope.admits(&open(1, 1, "curl")));
    }
}
