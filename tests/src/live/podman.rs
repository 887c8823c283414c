//! Containers of podman, made without a registry: an image that borrows the programs of this machine.
//!
//! The root file system holds links into `/usr`, which each container mounts read-only; so that nothing is downloaded, and
//! every interpreter of the machine is there. Containers have process, mount and network namespaces of their own.

use std::{fs, os::unix::fs::symlink};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    place::Place,
    program::{find, output},
};

/// The image, as it is asked for.
pub(crate) const IMAGE: &str = "localhost/apiarist-shop:1.4";

/// Options before the command of podman. No journal, and no systemd, needs to run.
const GLOBAL: &[&str] = &[
    "--cgroup-manager",
    "cgroupfs",
    "--runtime",
    "runc",
    "--events-backend",
    "none",
];

/// An image, removed when dropped.
#[derive(Debug)]
pub(crate) struct Image<'a> {
    place: &'a Place,
    /// What podman calls it.
    pub(crate) id: String,
}

impl<'a> Image<'a> {
    /// Imports the root file system, with these labels.
    pub(crate) fn import(place: &'a Place, labels: &[&str]) -> Result<Self> {
        let (archive, root) = (place.file("image.tar"), root_file_system(place)?);
        output("tar", &["-C", &root, "-cf", &archive, "."], place)?;
        let changes: Vec<String> = labels
            .iter()
            .map(|label| format!("--change=LABEL {label}"))
            .collect();
        let mut arguments = vec!["import", "--quiet"];
        arguments.extend(changes.iter().map(String::as_str));
        arguments.extend([archive.as_str(), IMAGE]);
        podman(place, &arguments)?;
        let id = podman(place, &["image", "inspect", "--format", "{{.Id}}", IMAGE])?;
        Ok(Self {
            place,
            id: id.trim().to_owned(),
        })
    }

    /// Starts a container of it. `network` is what podman calls the mode.
    pub(crate) fn start(&self, name: &str, network: &str, command: &[&str]) -> Result<Container<'a>> {
        self.start_in("/libpod_parent", name, network, command)
    }

    /// The same, in a control group below `parent`.
    pub(crate) fn start_in(
        &self,
        parent: &str,
        name: &str,
        network: &str,
        command: &[&str],
    ) -> Result<Container<'a>> {
        let container = Container {
            place: self.place,
            name: name.to_owned(),
        };
        let network = format!("--network={network}");
        let options = [
            "run",
            "--detach",
            "--replace",
            "--name",
            name,
            &network,
            "--cgroup-parent",
            parent,
            "--volume=/usr:/usr:ro",
            // What podman asks for may be more than this machine lets it have.
            "--ulimit=nofile=1024:1024",
            "--ulimit=nproc=1024:1024",
            IMAGE,
        ];
        podman(self.place, &[&options, command].concat())?;
        Ok(container)
    }
}

impl Drop for Image<'_> {
    fn drop(&mut self) {
        // What cannot be removed is replaced by the next run.
        podman(self.place, &["image", "rm", "--force", IMAGE]).ok();
    }
}

/// A running container, removed when dropped.
#[derive(Debug)]
pub(crate) struct Container<'a> {
    place: &'a Place,
    name: String,
}

impl Container<'_> {
    /// Its id: 64 hex digits.
    pub(crate) fn id(&self) -> Result<String> {
        let id = self
            .inspect()?
            .pointer("/0/Id")
            .and_then(Value::as_str)
            .map(str::to_owned);
        id.context("podman names no id")
    }

    /// The id of its first process on this host.
    pub(crate) fn pid(&self) -> Result<u64> {
        let pid = self.inspect()?.pointer("/0/State/Pid").and_then(Value::as_u64);
        let pid = pid.context("podman names no process")?;
        ensure!(
            pid > 0,
            "{} has ended: {}",
            self.name,
            podman(self.place, &["logs", &self.name])?
        );
        Ok(pid)
    }

    /// Runs a program of this machine in the network of the container.
    pub(crate) fn in_its_network(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let target = self.pid()?.to_string();
        output(
            "nsenter",
            &[&["--net", "--target", &target, program], arguments].concat(),
            self.place,
        )
    }

    fn inspect(&self) -> Result<Value> {
        Ok(serde_json::from_str(&podman(
            self.place,
            &["container", "inspect", &self.name],
        )?)?)
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // What cannot be removed is replaced by the next run.
        podman(self.place, &["rm", "--force", "--time", "0", &self.name]).ok();
    }
}

/// Makes the root file system, and gives its path.
pub(crate) fn root_file_system(place: &Place) -> Result<String> {
    let root = place.path().join("image");
    for directory in ["etc", "proc", "dev", "sys", "tmp", "usr", "srv"] {
        fs::create_dir_all(root.join(directory))?;
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.join(link))?;
    }
    fs::write(root.join("srv/stock.json"), "{\"apples\": 3}\n")?;
    Ok(place.file("image"))
}

fn podman(place: &Place, arguments: &[&str]) -> Result<String> {
    // Named among the options: a machine without it skips the test.
    find("runc")?;
    output("podman", &[GLOBAL, arguments].concat(), place)
}
