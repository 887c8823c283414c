//! A current rsyslog, which reads LEEF (`mmleefparse`, since 8.2510): from Debian's development release, unpacked with the
//! libraries it was built with, and started by their loader.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Result;

use super::{Collector, debian::unpacked, listens};

/// The daemon and all it is linked with.
const PACKAGES: [&str; 13] = [
    "rsyslog",
    "libc6",
    "libcap2",
    "libestr0",
    "libfastjson4",
    "libgcc-s1",
    "liblognorm5",
    "libpcre2-8-0",
    "libsystemd0",
    "libuuid1",
    "libyaml-0-2",
    "libzstd1",
    "zlib1g",
];

/// rsyslog, which listens on `port` and writes `read` in `directory`: for each message `OK` or `FAIL`, and what it read, as JSON.
///
/// # Errors
/// The packages cannot be had, or it cannot be started.
pub fn reads_leef(target: &Path, directory: &Path, port: u16) -> Result<Collector> {
    let root = unpacked(target, "rsyslog-leef", Some("sid"), &PACKAGES)?;
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let at = directory.display();
    let configuration = format!(
        "global(workDirectory=\"{at}\" maxMessageSize=\"64k\" parser.escapeControlCharactersOnReceive=\"off\")\n\
         module(load=\"imtcp\")\nmodule(load=\"mmleefparse\")\n\
         input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
         action(type=\"mmleefparse\" container=\"!leef\" searchWindow=\"1024\")\n\
         template(name=\"read\" type=\"string\" string=\"%parsesuccess% %$!leef%\\n\")\n\
         action(type=\"omfile\" file=\"{at}/read\" template=\"read\" asyncWriting=\"off\" flushOnTXEnd=\"on\")\n"
    );
    let path = directory.join("rsyslog.conf");
    fs::write(&path, configuration)?;
    let rsyslog = Collector::start(
        Command::new(libraries.join("ld-linux-x86-64.so.2"))
            .arg("--library-path")
            .arg(&libraries)
            .arg(root.join("usr/sbin/rsyslogd"))
            .args(["-n", "-f"])
            .arg(&path)
            .arg("-i")
            .arg(directory.join("pid"))
            .arg("-M")
            .arg(libraries.join("rsyslog"))
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )?;
    listens("rsyslogd", port)?;
    Ok(rsyslog)
}
