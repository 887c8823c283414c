//! Which database: `clickhouse://HOST:PORT/DATABASE`.
//!
//! In: text of the configuration or the command line. Out: an [`Address`]. Refuses a password in it: arguments can be read by
//! every user of the host. It comes from a file or from the environment.

use std::{env, fs, path::PathBuf, time::Duration};

use url::Url;

/// Port of ClickHouse's HTTP interface, without and with TLS.
const PORTS: (u16, u16) = (8123, 8443);

/// Database when the address names none.
const DATABASE: &str = "apiarist";

/// Time between two reports of what changed, when the address names none.
const EVERY: Duration = Duration::from_secs(60);

/// Variables that hold the user and the password.
const USER: &str = "APIARIST_CLICKHOUSE_USER";
const PASSWORD: &str = "APIARIST_CLICKHOUSE_PASSWORD";

/// A database of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The HTTP interface.
    pub url: String,
    /// The database: letters, digits, underscores.
    pub database: String,
    /// Name of this host in the rows, if it is not the host's own.
    pub node: Option<String>,
    /// Time between two reports of what changed.
    pub every: Duration,
    user: Option<String>,
    password_file: Option<PathBuf>,
}

/// Name and password for one request.
#[derive(Default)]
pub(super) struct Credentials {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

impl Address {
    /// What may stand behind the `?`.
    pub const PARAMETERS: [&'static str; 4] = ["user", "password_file", "node", "every"];

    /// Reads an address.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = "write clickhouse://HOST:PORT/DATABASE, or clickhouse+https:// for TLS";
        let shown = text.split(['?', '@']).next().unwrap_or_default();
        let url =
            Url::parse(text).map_err(|error| format!("`{shown}` is not an address ({error}): {form}"))?;
        let (scheme, port) = match url.scheme() {
            "clickhouse" => ("http", PORTS.0),
            "clickhouse+https" => ("https", PORTS.1),
            other => return Err(format!("`{other}` is no kind of fleet: {form}")),
        };
        if url.password().is_some() {
            return Err(format!(
                "the address holds a password, which others can read: use ?password_file=FILE or {PASSWORD}"
            ));
        }
        let host = match url.host_str() {
            Some(host) if !host.is_empty() => host,
            _ => return Err(format!("`{shown}` names no host: {form}")),
        };
        let database = match url.path().trim_matches('/') {
            "" => DATABASE,
            name if is_name(name) => name,
            name => {
                return Err(format!(
                    "`{name}` cannot be a database: use letters, digits and underscores"
                ));
            }
        };
        let mut address = Self {
            url: format!("{scheme}://{host}:{}/", url.port().unwrap_or(port)),
            database: database.to_owned(),
            node: None,
            every: EVERY,
            user: (!url.username().is_empty()).then(|| url.username().to_owned()),
            password_file: None,
        };
        for (name, value) in url.query_pairs() {
            match &*name {
                "user" => address.user = Some(value.into_owned()),
                "password_file" => address.password_file = Some(PathBuf::from(&*value)),
                "node" => address.node = Some(value.into_owned()),
                "every" => {
                    let seconds = value.trim_end_matches('s').parse::<u32>().ok();
                    let seconds = seconds.filter(|seconds| *seconds > 0);
                    let seconds =
                        seconds.ok_or_else(|| format!("`every={value}` is no number of seconds"))?;
                    address.every = Duration::from_secs(seconds.into());
                }
                // Whose alerts: the sink's.
                "events" => {}
                other => {
                    return Err(format!(
                        "the address of a fleet has no parameter `{other}`: there are {}",
                        Self::PARAMETERS.join(", ")
                    ));
                }
            }
        }
        Ok(address)
    }

    /// Name and password as they are now: a password that is rotated counts from the next request on.
    pub(super) fn credentials(&self) -> Result<Credentials, String> {
        let password = match &self.password_file {
            Some(path) => Some(
                fs::read_to_string(path)
                    .map_err(|error| format!("cannot read the password in {}: {error}", path.display()))?
                    .trim()
                    .to_owned(),
            ),
            None => env::var(PASSWORD).ok(),
        };
        Ok(Credentials {
            user: self.user.clone().or_else(|| env::var(USER).ok()),
            password,
        })
    }
}

/// A name that needs no quotes.
fn is_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(is_letter) && text.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_host_and_database() {
        let address = Address::parse("clickhouse://reader@ch.example.test").unwrap();
        assert_eq!(address.url, "http://ch.example.test:8123/");
        assert_eq!(address.database, "apiarist");
        assert_eq!(address.user.as_deref(), Some("reader"));
        let address = Address::parse("clickhouse+https://h:1/db?node=n1&every=5s&user=w&password_file=/p");
        let address = address.unwrap();
        assert_eq!(
            (address.url.as_str(), address.database.as_str()),
            ("https://h:1/", "db")
        );
        assert_eq!(
            (address.node.as_deref(), address.every.as_secs()),
            (Some("n1"), 5)
        );
    }

    #[test]
    fn what_is_wrong_is_said_and_passwords_are_not() {
        for (text, words) in [
            ("clickhouse://u:geheim@h/db", "APIARIST_CLICKHOUSE_PASSWORD"),
            ("clickhouse://h/db?password=geheim", "no parameter `password`"),
            ("clickhouse://h/a;drop", "cannot be a database"),
            ("clickhouse://h/1a", "cannot be a database"),
            ("clickhouse:///db", "names no host"),
            ("mysql://h", "no kind of fleet"),
            ("h:8123", "no kind of fleet"),
            ("clickhouse://h?every=soon", "no number of seconds"),
        ] {
            let problem = Address::parse(text).unwrap_err();
            assert!(problem.contains(words), "{text}: {problem}");
            assert!(!problem.contains("geheim"), "{problem}");
        }
    }

    #[test]
    fn the_password_comes_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "geheim\n").unwrap();
        let text = format!("clickhouse://h/db?user=w&password_file={}", file.path().display());
        let credentials = Address::parse(&text).unwrap().credentials().unwrap();
        assert_eq!(credentials.user.as_deref(), Some("w"));
        assert_eq!(credentials.password.as_deref(), Some("geheim"));
    }
}
