//! The socket of the control API: who may use it, and whether somebody already does.
//!
//! Mode 0660; the configured group if it exists. A socket file that nobody answers on is left over from an
//! agent that was killed, and is replaced. Refuses to replace anything else.

use std::{
    fs, io,
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

/// A listening socket. The file is removed when this is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: tells this agent's file from a successor's.
    identity: (u64, u64),
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there.
    #[error("another agent is running on {0}: stop it, or give this one its own --socket and --store")]
    Running(String),
    /// Something else has that name.
    #[error("{0} exists and is not a socket: remove it or choose another --socket")]
    Occupied(String),
    /// The system refused.
    #[error("cannot listen on {path}: {source}")]
    System {
        /// The path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Socket {
    /// The standard listener, non-blocking, for a runtime to take over.
    ///
    /// # Errors
    /// The descriptor cannot be duplicated.
    pub fn listener(&self) -> io::Result<UnixListener> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // Nothing depends on it: the next agent replaces a socket that nobody answers on.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Listens on `path`. A missing parent directory is made with mode 0750. `group` is used if it exists.
///
/// # Errors
/// See [`BindError`].
pub fn bind(path: &Path, group: &str) -> Result<Socket, BindError> {
    let shown = || path.display().to_string();
    let system = |source| BindError::System {
        path: shown(),
        source,
    };
    let group = group_id(&fs::read_to_string("/etc/group").unwrap_or_default(), group);
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        make_directory(parent, group).map_err(system)?;
    }
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let kind = fs::symlink_metadata(path).map_err(system)?.file_type();
            if !kind.is_socket() {
                return Err(BindError::Occupied(shown()));
            }
            match UnixStream::connect(path) {
                Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {}
                _ => return Err(BindError::Running(shown())),
            }
            fs::remove_file(path).map_err(system)?;
            UnixListener::bind(path)
        }
        other => other,
    }
    .map_err(system)?;
    // Until here only the owner could connect: the default file mode gives nobody else write permission.
    if let Some(group) = group {
        give(path, group);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(system)?;
    Ok(Socket {
        listener,
        path: path.to_owned(),
        identity: identity(path).map_err(system)?,
    })
}

fn make_directory(path: &Path, group: Option<u32>) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o750).create(path)?;
    if let Some(group) = group {
        give(path, group);
    }
    Ok(())
}

/// Hands a file to the group, which only root and members of it may do.
fn give(path: &Path, group: u32) {
    if let Err(error) = chown(path, None, Some(group)) {
        tracing::warn!(path = %path.display(), group, %error, "the group cannot use the control socket");
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Id of a group in the text of /etc/group (group(5)).
fn group_id(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut parts = line.split(':');
        (parts.next()? == name && !name.is_empty()).then(|| parts.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_by_name() {
        let text = "root:x:0:\nadm:x:4:ada\napiarist:x:997:ada,bob\nbroken\n";
        assert_eq!(group_id(text, "apiarist"), Some(997));
        assert_eq!(group_id(text, "broken"), None);
        assert_eq!(group_id(text, ""), None);
    }

    #[test]
    fn only_owner_and_group_may_connect() {
        let dir = tempfile::tempdir().unwrap();
        let socket = bind(&dir.path().join("run/a.sock"), "no such group").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(socket.path()), 0o660);
        assert_eq!(mode(socket.path().parent().unwrap()), 0o750);
        let path = socket.path().to_owned();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_running_agent_is_not_replaced_and_a_dead_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let first = bind(&path, "").unwrap();
        let error = bind(&path, "").unwrap_err();
        assert!(matches!(error, BindError::Running(_)), "{error}");
        drop(first);
        // A listener that is dropped without unlinking its file, as after SIGKILL.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        bind(&path, "").unwrap();
    }

    #[test]
    fn another_kind_of_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path, "").unwrap_err(), BindError::Occupied(_)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
