//! Where the API server is, and as whom the agent speaks to it.
//!
//! In: a kubeconfig, or the account that the kubelet mounts into the agent's pod. Out: [`Access`], read anew for each
//! conversation, so that a token or a certificate that is rotated counts from the next one on. Refuses what would start a
//! program (`exec`), what leaves the server unchecked (`insecure-skip-tls-verify`), and to follow a proxy.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

/// Where the kubelet mounts the account of a pod.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Longest file, in bytes. Overflow policy: the file cannot be used.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Where to find out how to get to the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file as kubectl reads it; its current context counts.
    Kubeconfig(PathBuf),
    /// The account of the pod that the agent runs in.
    Pod {
        /// Address of the server.
        server: String,
        /// Where `token` and `ca.crt` are.
        directory: PathBuf,
    },
}

/// How to get to the API server. Its parts are not to be shown to anybody.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// `https://HOST:PORT`, without a slash at the end.
    pub server: String,
    /// Certificates of who may vouch for the server, as PEM; those of the system without.
    pub authorities: Option<Vec<u8>>,
    /// Bearer token (RFC 6750).
    pub token: Option<String>,
    /// Certificate and key of the client, as PEM.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Why there is no access.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// A kubeconfig is not of the form that kubectl writes.
    #[error("{0} is no kubeconfig: {1}")]
    Form(PathBuf, String),
    /// It asks for something that is refused.
    #[error("{0} cannot be used: {1}")]
    Refused(PathBuf, &'static str),
}

impl Place {
    /// The kubeconfig that the operator names, else the account of the pod that the agent runs in; `None` outside a pod.
    pub fn find(kubeconfig: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        if let Some(path) = kubeconfig {
            return Some(Self::Kubeconfig(path.to_owned()));
        }
        let host = variable("KUBERNETES_SERVICE_HOST")?;
        let port = variable("KUBERNETES_SERVICE_PORT")?;
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host
        };
        let directory = PathBuf::from(ACCOUNT);
        let server = format!("https://{host}:{port}");
        directory
            .join("token")
            .is_file()
            .then_some(Self::Pod { server, directory })
    }

    /// Reads how to get there, now.
    ///
    /// # Errors
    /// One sentence: what cannot be read or used.
    pub fn read(&self) -> Result<Access, AccessError> {
        match self {
            Self::Pod { server, directory } => Ok(Access {
                server: server.clone(),
                authorities: Some(read(&directory.join("ca.crt"))?),
                token: Some(token(&directory.join("token"))?),
                certificate: None,
            }),
            Self::Kubeconfig(path) => {
                let text = read(path)?;
                let config: Kubeconfig = serde_norway::from_slice(&text)
                    .map_err(|error| AccessError::Form(path.clone(), error.to_string()))?;
                config.access(path)
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Kubeconfig {
    current_context: String,
    clusters: Vec<NamedCluster>,
    contexts: Vec<NamedContext>,
    users: Vec<NamedUser>,
}

#[derive(Debug, Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Debug, Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Debug, Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: User,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    exec: Option<serde::de::IgnoredAny>,
    auth_provider: Option<serde::de::IgnoredAny>,
    username: Option<serde::de::IgnoredAny>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("User")
    }
}

impl Kubeconfig {
    fn access(self, path: &Path) -> Result<Access, AccessError> {
        let lacks = |what: &str| AccessError::Form(path.to_owned(), format!("there is no {what}"));
        let refused = |what| AccessError::Refused(path.to_owned(), what);
        let context = self
            .contexts
            .into_iter()
            .find(|named| named.name == self.current_context);
        let Context { cluster, user } = context.ok_or_else(|| lacks("current context"))?.context;
        let cluster = self.clusters.into_iter().find(|named| named.name == cluster);
        let cluster = cluster
            .ok_or_else(|| lacks("cluster of the current context"))?
            .cluster;
        let user = self.users.into_iter().find(|named| named.name == user);
        let user = user.map(|named| named.user).unwrap_or_default();
        if cluster.insecure_skip_tls_verify {
            return Err(refused(
                "insecure-skip-tls-verify: name the certificate-authority instead",
            ));
        }
        if cluster.tls_server_name.is_some() || cluster.proxy_url.is_some() {
            return Err(refused(
                "tls-server-name and proxy-url: name a server that can be reached as it is",
            ));
        }
        if user.exec.is_some() || user.auth_provider.is_some() || user.username.is_some() {
            return Err(refused(
                "the agent starts no programs for a credential: give a token, a tokenFile or a certificate",
            ));
        }
        // Names of files are relative to the file they are in.
        let at = |name: PathBuf| {
            path.parent()
                .map_or_else(|| name.clone(), |directory| directory.join(&name))
        };
        let part = |data: Option<String>, name: Option<PathBuf>| match (data, name) {
            (Some(data), _) => STANDARD
                .decode(data.trim())
                .map(Some)
                .map_err(|_| AccessError::Form(path.to_owned(), "data in it are no base64".to_owned())),
            (None, Some(name)) => read(&at(name)).map(Some),
            (None, None) => Ok(None),
        };
        let certificate = part(user.client_certificate_data, user.client_certificate)?;
        let key = part(user.client_key_data, user.client_key)?;
        Ok(Access {
            server: cluster.server.trim_end_matches('/').to_owned(),
            authorities: part(cluster.certificate_authority_data, cluster.certificate_authority)?,
            token: match (user.token_file, user.token) {
                (Some(name), _) => Some(token(&at(name))?),
                (None, given) => given.filter(|token| !token.is_empty()),
            },
            certificate: certificate.zip(key),
        })
    }
}

fn token(path: &Path) -> Result<String, AccessError> {
    let text = String::from_utf8(read(path)?);
    let refused = || AccessError::Refused(path.to_owned(), "it holds no token");
    let text = text.map_err(|_| refused())?;
    let token = text.trim();
    match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(token.to_owned()),
        false => Err(refused()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, AccessError> {
    let mut bytes = Vec::new();
    let mut read = || File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes);
    read().map_err(|error| AccessError::File(path.to_owned(), error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const CONFIG: &str = "
apiVersion: v1
kind: Config
current-context: here
clusters: [{name: c, cluster: {server: 'https://api.test:6443/', certificate-authority-data: Q0E=}}]
contexts: [{name: other, context: {cluster: x, user: x}}, {name: here, context: {cluster: c, user: u}}]
users: [{name: u, user: {USER}}]
";

    fn access(user: &str) -> Result<Access, AccessError> {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("token"), "first\n").unwrap();
        let path = place.path().join("config");
        fs::write(&path, CONFIG.replace("USER", user)).unwrap();
        Place::Kubeconfig(path).read()
    }

    #[test]
    fn the_current_context_says_where_and_as_whom() {
        let found = access("token: abc").unwrap();
        assert_eq!(found.server, "https://api.test:6443");
        assert_eq!(found.authorities.as_deref(), Some(b"CA".as_slice()));
        assert_eq!(found.token.as_deref(), Some("abc"));
        assert!(!format!("{found:?}").contains("abc"));
        let by_file = access("tokenFile: token, token: abc").unwrap();
        assert_eq!(by_file.token.as_deref(), Some("first"));
        let by_certificate = access("client-certificate-data: QQ==, client-key-data: Qg==").unwrap();
        assert_eq!(by_certificate.certificate, Some((b"A".to_vec(), b"B".to_vec())));
    }

    #[test]
    fn what_starts_a_program_is_refused() {
        for user in [
            "exec: {command: aws}",
            "auth-provider: {name: gcp}",
            "username: a, password: b",
        ] {
            let error = access(user).unwrap_err().to_string();
            assert!(error.contains("starts no programs"), "{error}");
        }
        assert!(access("client-key-data: '!'").is_err());
        assert!(access("tokenFile: absent").is_err());
    }

    #[test]
    fn a_token_is_read_anew() {
        let directory = tempfile::tempdir().unwrap();
        let write = |token: &str| fs::write(directory.path().join("token"), token).unwrap();
        fs::write(directory.path().join("ca.crt"), "CA").unwrap();
        let place = Place::Pod {
            server: "https://10.96.0.1:443".into(),
            directory: directory.path().to_owned(),
        };
        for token in ["one", "two"] {
            write(token);
            assert_eq!(place.read().unwrap().token.as_deref(), Some(token));
        }
        for hostile in ["", "a b", "a\r\nX: y"] {
            write(hostile);
            assert!(place.read().is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn outside_a_pod_there_is_no_account() {
        assert_eq!(Place::find(None, |_| None), None);
        let path = Path::new("/etc/k");
        assert_eq!(
            Place::find(Some(path), |_| None),
            Some(Place::Kubeconfig(path.to_owned()))
        );
    }
}
