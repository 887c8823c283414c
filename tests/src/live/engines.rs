//! Containers of Docker and of containerd: their daemons write down who a container is, and the agent reads it.
//!
//! A daemon that runs already is used, with containers of the test's own; otherwise one is started that keeps everything in the
//! test's directory, as far as the places allow where the agent looks. Nothing is downloaded.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixStream},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use apiarist::{inventory::WorkloadView, workload::WorkloadKind};
use rustix::rand::{GetRandomFlags, getrandom};

use super::{
    Skipped,
    agent::{Agent, PATIENCE},
    place::Place,
    podman::root_file_system,
    program::{Program, command, find, output},
    wait::until,
};

const SERVE: [&str; 6] = [
    "/usr/bin/python3",
    "-m",
    "http.server",
    "8099",
    "--directory",
    "/srv",
];
const IMAGE: &str = "apiarist-engine-test:1.4";
const NAME: &str = "apiarist-engine-test";

/// Where Docker keeps what it knows, and the agent looks for it.
const DOCKER_ROOT: &str = "/var/lib/docker";

pub(super) fn docker_serves(place: &Place) -> Result<()> {
    let docker = Docker::start(place)?;
    let (archive, root) = (place.file("image.tar"), root_file_system(place)?);
    output("tar", &["-C", &root, "-cf", &archive, "."], place)?;
    let id = docker.run(&["import", "--change", "LABEL team=payments", &archive, IMAGE])?;
    let agent = Agent::start(place)?;
    let options = [
        "run",
        "--detach",
        "--name",
        NAME,
        "--network=none",
        "--volume=/usr:/usr:ro",
        IMAGE,
    ];
    let container = docker.run(&[&options[..], &SERVE].concat())?;
    let pid = docker.run(&["inspect", "--format", "{{.State.Pid}}", NAME])?;
    let shown = called(place, &agent, pid.trim(), NAME)?;
    ensure!(shown.kind == WorkloadKind::Container, "it is a {:?}", shown.kind);
    let expected = format!("docker://{}", container.trim());
    ensure!(
        shown.container == Some(expected),
        "its id is {:?}",
        shown.container
    );
    ensure!(
        shown.image.as_deref() == Some(IMAGE),
        "its image is {:?}",
        shown.image
    );
    ensure!(
        shown.version.as_deref() == Some(id.trim()),
        "its version is {:?}",
        shown.version
    );
    ensure!(
        shown.owner.as_deref() == Some("payments"),
        "its owner is {:?}",
        shown.owner
    );
    Ok(())
}

/// One container as nerdctl starts it, and one as the kubelet does by containerd's CRI plugin: what they write into the bundle is
/// given by hand, because Debian has neither.
pub(super) fn containerd_serves(place: &Place) -> Result<()> {
    let containerd = Containerd::start(place)?;
    let root = root_file_system(place)?;
    let agent = Agent::start(place)?;
    let plain = random_id()?;
    let annotations = ["nerdctl/name=apiarist-engine-test", "team=payments"];
    let web = containerd.run(&root, &plain, &format!("/default/{plain}"), &annotations)?;
    let shown = called(place, &agent, &web.pid()?, NAME)?;
    ensure!(shown.kind == WorkloadKind::Container, "it is a {:?}", shown.kind);
    ensure!(
        shown.container.as_deref().is_some_and(|id| id.ends_with(&plain)),
        "its id is {:?}",
        shown.container
    );
    ensure!(
        shown.owner.as_deref() == Some("payments"),
        "its owner is {:?}",
        shown.owner
    );

    let of_pod = random_id()?;
    let group = format!("/kubepods/burstable/pod2f8a1b3c-4d5e-6f70-8192-a3b4c5d6e7f8/{of_pod}");
    let annotations = [
        "io.kubernetes.cri.container-name=api",
        "io.kubernetes.cri.image-name=registry.test/shop:2",
        "io.kubernetes.cri.sandbox-name=shop-7d4b9c6f58-x2x4z",
        "io.kubernetes.cri.sandbox-namespace=prod",
    ];
    let api = containerd.run(&root, &of_pod, &group, &annotations)?;
    let shown = called(place, &agent, &api.pid()?, "shop")?;
    ensure!(shown.kind == WorkloadKind::Pod, "it is a {:?}", shown.kind);
    ensure!(
        shown.namespace.as_deref() == Some("prod"),
        "its namespace is {:?}",
        shown.namespace
    );
    ensure!(
        shown.pod.as_deref() == Some("shop-7d4b9c6f58-x2x4z"),
        "its pod is {:?}",
        shown.pod
    );
    ensure!(
        shown.image.as_deref() == Some("registry.test/shop:2"),
        "its image is {:?}",
        shown.image
    );
    Ok(())
}

/// Calls a container from inside its network, and waits until its workload is listed.
fn called(place: &Place, agent: &Agent<'_>, pid: &str, name: &str) -> Result<WorkloadView> {
    let call = [
        "--net",
        "--target",
        pid,
        "curl",
        "-sSf",
        "http://127.0.0.1:8099/stock.json",
    ];
    until(PATIENCE, || output("nsenter", &call, place))?;
    until(PATIENCE, || {
        let workloads = agent.workloads()?;
        let shown = workloads.iter().find(|row| row.name == name).cloned();
        let shown = shown.with_context(|| format!("listed are {workloads:?}"))?;
        let script = shown.script.as_deref();
        ensure!(script == Some("http.server"), "its script is {script:?}");
        Ok(shown)
    })
}

/// 64 hex digits, as engines give them.
fn random_id() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom(&mut bytes[..], GetRandomFlags::empty())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Docker's daemon; its containers of this test are removed when dropped.
struct Docker<'a> {
    place: &'a Place,
    socket: String,
    /// Where its files are, if it was started here.
    link: Option<PathBuf>,
    _daemon: Option<Program>,
}

impl<'a> Docker<'a> {
    fn start(place: &'a Place) -> Result<Self> {
        find("docker")?;
        let mut docker = Self {
            place,
            socket: "unix:///run/docker.sock".to_owned(),
            link: None,
            _daemon: None,
        };
        if UnixStream::connect("/run/docker.sock").is_ok() {
            docker.remove();
            return Ok(docker);
        }
        let link = Path::new(DOCKER_ROOT);
        // What a run left that was killed leads nowhere.
        if fs::read_link(link).is_ok_and(|to| !to.exists()) {
            fs::remove_file(link)?;
        }
        if link.exists() {
            let reason = format!("{DOCKER_ROOT} belongs to a Docker that does not run");
            return Err(Skipped(reason).into());
        }
        let root = place.path().join("docker");
        fs::create_dir(&root)?;
        symlink(&root, link)?;
        docker.link = Some(link.to_owned());
        docker.socket = format!("unix://{}", place.file("docker.sock"));
        let mut daemon = command("dockerd")?;
        daemon.args(["--host", &docker.socket, "--pidfile", &place.file("docker.pid")]);
        daemon.args([
            "--data-root",
            &place.file("docker"),
            "--exec-root",
            &place.file("docker-run"),
        ]);
        daemon.args(["--bridge=none", "--iptables=false", "--storage-driver=vfs"]);
        let daemon = docker._daemon.insert(Program::start(&mut daemon, place)?);
        let socket = place.file("docker.sock");
        daemon.ready(|| Ok(UnixStream::connect(&socket)?))?;
        Ok(docker)
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        output(
            "docker",
            &[&["--host", &self.socket], arguments].concat(),
            self.place,
        )
    }

    fn remove(&self) {
        // What is not there cannot be removed.
        self.run(&["rm", "--force", NAME]).ok();
        self.run(&["image", "rm", "--force", IMAGE]).ok();
    }
}

impl Drop for Docker<'_> {
    fn drop(&mut self) {
        self.remove();
        if let Some(link) = &self.link {
            fs::remove_file(link).ok();
        }
    }
}

/// containerd; it keeps its state where the agent looks.
struct Containerd<'a> {
    place: &'a Place,
    socket: String,
    _daemon: Option<Program>,
}

impl<'a> Containerd<'a> {
    const SOCKET: &'static str = "/run/containerd/containerd.sock";

    fn start(place: &'a Place) -> Result<Self> {
        find("ctr")?;
        if UnixStream::connect(Self::SOCKET).is_ok() {
            return Ok(Self {
                place,
                socket: Self::SOCKET.to_owned(),
                _daemon: None,
            });
        }
        let socket = place.file("containerd.sock");
        let configuration = format!(
            "version = 2\nroot = '{}'\nstate = '/run/containerd'\ndisabled_plugins = ['io.containerd.grpc.v1.cri']\n\
             [grpc]\naddress = '{socket}'\n",
            place.file("containerd")
        );
        let configuration = place.write("containerd.toml", configuration)?;
        let mut daemon = command("containerd")?;
        let mut daemon = Program::start(daemon.args(["--config", &configuration]), place)?;
        daemon.ready(|| Ok(UnixStream::connect(&socket)?))?;
        Ok(Self {
            place,
            socket,
            _daemon: Some(daemon),
        })
    }

    fn ctr(&self, arguments: &[&str]) -> Result<String> {
        let common = ["--address", &self.socket, "--namespace", "apiarist"];
        output("ctr", &[&common, arguments].concat(), self.place)
    }

    /// Starts a container on a root file system.
    fn run(&self, root: &str, id: &str, group: &str, annotations: &[&str]) -> Result<Task<'_>> {
        let mount = "type=bind,src=/usr,dst=/usr,options=rbind:ro";
        let options = ["run", "--detach", "--cgroup", group, "--mount", mount, "--rootfs"];
        let annotations = annotations
            .iter()
            .flat_map(|annotation| ["--annotation", annotation]);
        let options: Vec<&str> = options.into_iter().chain(annotations).chain([root, id]).collect();
        let task = Task {
            containerd: self,
            id: id.to_owned(),
        };
        self.ctr(&[&options[..], &SERVE].concat())?;
        Ok(task)
    }
}

/// A running container, removed when dropped.
struct Task<'a> {
    containerd: &'a Containerd<'a>,
    id: String,
}

impl Task<'_> {
    /// The id of its first process on this host.
    fn pid(&self) -> Result<String> {
        let tasks = self.containerd.ctr(&["tasks", "list"])?;
        let line = tasks.lines().find_map(|line| line.strip_prefix(self.id.as_str()));
        let pid = line.and_then(|line| line.split_whitespace().next());
        Ok(pid
            .with_context(|| format!("it does not run: {tasks}"))?
            .to_owned())
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        // What cannot be removed stays in a namespace that nobody else uses.
        self.containerd
            .ctr(&["tasks", "delete", "--force", &self.id])
            .ok();
        self.containerd.ctr(&["containers", "delete", &self.id]).ok();
    }
}
