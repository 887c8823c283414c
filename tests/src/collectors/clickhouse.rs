//! ClickHouse twice: Debian's server (18.16), and a current engine, `chdb` of PyPI, behind a bridge that speaks the part of the
//! HTTP interface that is used. What both understand, all versions between them do.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Result;

use super::{Collector, free_port, has, listens};
use crate::python::environment;

/// The password of the only user of Debian's server.
pub const PASSWORD: &str = "geheim";

/// A server.
#[derive(Debug)]
pub struct Server {
    /// Its port.
    pub port: u16,
    /// Its process.
    pub process: Collector,
}

/// Debian's server, its data in `directory`; `None` if it is not installed.
///
/// # Errors
/// It is installed and cannot be started, or CI lacks it.
pub fn debian(directory: &Path) -> Result<Option<Server>> {
    if !has("clickhouse-server")? {
        return Ok(None);
    }
    let port = free_port()?;
    let at = directory.display();
    fs::write(
        directory.join("config.xml"),
        format!(
            "<yandex><logger><level>warning</level><log>{at}/log</log><errorlog>{at}/errors</errorlog></logger>\
             <http_port>{port}</http_port><listen_host>127.0.0.1</listen_host><path>{at}/data/</path>\
             <tmp_path>{at}/tmp/</tmp_path><users_config>{at}/users.xml</users_config>\
             <mark_cache_size>268435456</mark_cache_size><default_profile>default</default_profile>\
             <default_database>default</default_database></yandex>"
        ),
    )?;
    fs::write(
        directory.join("users.xml"),
        format!(
            "<yandex><profiles><default/></profiles><users><default><password>{PASSWORD}</password>\
             <networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>\
             <quotas><default/></quotas></yandex>"
        ),
    )?;
    debian_again(directory, port).map(Some)
}

/// The same one on the same port with the same data, after it ended.
///
/// # Errors
/// It cannot be started.
pub fn debian_again(directory: &Path, port: u16) -> Result<Server> {
    let mut command = Command::new("clickhouse-server");
    command
        .arg(format!("--config-file={}/config.xml", directory.display()))
        .current_dir(directory);
    start(command, port)
}

/// The current engine, its data in `directory`; its package goes below `target`.
///
/// # Errors
/// Python or the package cannot be had, or it cannot be started.
pub fn current(directory: &Path, target: &Path) -> Result<Server> {
    let programs = environment(target, "chdb", &["chdb"])?;
    let port = free_port()?;
    let mut command = Command::new(programs.join("python3"));
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/chdb_http.py"))
        .arg(port.to_string())
        .arg(directory.join("data"))
        .current_dir(directory);
    start(command, port)
}

fn start(mut command: Command, port: u16) -> Result<Server> {
    let process = Collector::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
    listens("ClickHouse", port)?;
    Ok(Server { port, process })
}
