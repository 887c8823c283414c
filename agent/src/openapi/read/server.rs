//! Servers: where the paths of a document begin.

use serde_json::Value;

use super::{Reader, Version, members, strings, text};

/// Where the paths of a document begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The URL as written, variables replaced by their defaults; may be relative.
    pub url: String,
    /// Host and port, if the URL has them.
    pub host: Option<String>,
    /// The path of the URL, without a slash at its end: empty, or `/v1`.
    pub base_path: String,
}

impl Server {
    pub(super) fn new(url: String) -> Self {
        let after_scheme = match url.split_once("://") {
            Some((_, rest)) => Some(rest),
            None => url.strip_prefix("//"),
        };
        let (host, path) = match after_scheme {
            Some(rest) => {
                let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(host).filter(|host| !host.is_empty()), path)
            }
            None => (None, url.as_str()),
        };
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = path.trim_matches('/');
        let base_path = if path.is_empty() || path == "." {
            String::new()
        } else {
            format!("/{path}")
        };
        Self {
            host: host.map(str::to_owned),
            base_path,
            url,
        }
    }
}

impl Reader<'_> {
    /// Servers of the whole document; never empty.
    pub(super) fn document_servers(&self) -> Vec<Server> {
        let servers = if self.version == Version::V2 {
            self.swagger_servers()
        } else {
            of(self.root).unwrap_or_default()
        };
        if servers.is_empty() {
            vec![Server::new("/".to_owned())]
        } else {
            servers
        }
    }

    fn swagger_servers(&self) -> Vec<Server> {
        let host = text(self.root.get("host"));
        let base = text(self.root.get("basePath"));
        let base = format!("/{}", base.trim_matches('/'));
        if host.is_empty() {
            return vec![Server::new(base)];
        }
        let schemes = strings(self.root.get("schemes"));
        if schemes.is_empty() {
            return vec![Server::new(format!("//{host}{base}"))];
        }
        let with_scheme = |scheme: &String| Server::new(format!("{scheme}://{host}{base}"));
        schemes.iter().map(with_scheme).collect()
    }
}

/// The servers that an object has of its own.
pub(super) fn of(value: &Value) -> Option<Vec<Server>> {
    let list = value.get("servers")?.as_array()?;
    let servers: Vec<Server> = list.iter().filter_map(with_defaults).collect();
    (!servers.is_empty()).then_some(servers)
}

fn with_defaults(server: &Value) -> Option<Server> {
    let mut url = server.get("url")?.as_str()?.to_owned();
    for (name, variable) in members(server.get("variables")) {
        let default = text(variable.get("default"));
        if !default.is_empty() {
            url = url.replace(&format!("{{{name}}}"), &default);
        }
    }
    Some(Server::new(url))
}
