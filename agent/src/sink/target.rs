//! Where a sink delivers to, as one address: `syslog+tcp://collector:601?format=cef`.
//!
//! In: the text of the configuration. Out: a [`Target`]. Refuses what it does not know: a parameter that is misspelt is
//! an error, not ignored.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use url::Url;

use super::format::Format;
use crate::fleet::Address;

/// Size at which a file is rotated when the address names none, in bytes.
const ROTATE_BYTES: u64 = 64 * 1024 * 1024;

/// Rotated files that are kept when the address names no number.
const KEEP: u32 = 5;

/// One sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The address without secrets: names the sink in `status` and its position in the spool.
    pub name: String,
    /// Where to.
    pub place: Place,
    /// In which form.
    pub format: Format,
    /// What of.
    pub events: Events,
}

/// Which events a sink wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// Incidents; the only ones unless asked otherwise.
    pub incidents: bool,
    /// Anomalies.
    pub anomalies: bool,
    /// Findings.
    pub findings: bool,
}

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Standard output, a line each.
    Stdout,
    /// A file, a line each, rotated by size.
    File {
        /// The file; rotated ones are called like it with `.1`, `.2`, …
        path: PathBuf,
        /// Size at which it is rotated, in bytes.
        rotate_bytes: u64,
        /// Rotated files that are kept.
        keep: u32,
    },
    /// Syslog, RFC 5424.
    Syslog(Transport),
    /// The journal's socket.
    Journald(PathBuf),
    /// An HTTP server that is sent batches as a JSON array.
    Webhook {
        /// Address.
        url: String,
        /// File with the key of the signature.
        secret: Option<PathBuf>,
    },
    /// A database of ClickHouse: incidents and anomalies, and reports of everything else that is known.
    ClickHouse(Address),
    /// An OpenTelemetry collector, as logs.
    Otlp {
        /// Address of the server; the path of the signal is appended for HTTP.
        url: String,
        /// gRPC instead of HTTP.
        grpc: bool,
        /// Time between two reports of the agent's own metrics, if they are wanted.
        metrics: Option<Duration>,
        /// Time between two reports of what changed in the inventory and beside it, if they are wanted.
        inventory: Option<Duration>,
    },
}

/// How syslog travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// A datagram socket of this host.
    Unix(PathBuf),
    /// RFC 5426: may be lost on the way.
    Udp(String),
    /// RFC 6587, octet counting.
    Tcp(String),
    /// RFC 5425.
    Tls {
        /// Host and port.
        address: String,
        /// PEM file of the authorities to trust instead of those of the system.
        authorities: Option<PathBuf>,
    },
}

/// What every message about a sink's address may list.
const KINDS: &str = "stdout:, file:///PATH, syslog+unix:///PATH, syslog+udp://HOST:PORT, syslog+tcp://HOST:PORT, \
                     syslog+tls://HOST:PORT, journald:, webhook+https://HOST/PATH, otlp+http://HOST:PORT, otlp+grpc://HOST:PORT, \
                     clickhouse://HOST:PORT/DATABASE";

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text)
            .map_err(|error| format!("`{text}` is not an address ({error}): use one of {KINDS}"))?;
        let mut parameters = Parameters::of(&url);
        let path = || PathBuf::from(url.path());
        let host_and_port = |default: u16| match url.host_str() {
            Some(host) if !host.is_empty() => Ok(format!("{host}:{}", url.port().unwrap_or(default))),
            _ => Err(format!("`{text}` names no host")),
        };
        let absolute = |path: PathBuf| match path.is_absolute() && path != Path::new("/") {
            true => Ok(path),
            false => Err(format!(
                "`{text}` names no absolute path: write three slashes before it"
            )),
        };
        let place = match url.scheme() {
            "clickhouse" | "clickhouse+https" => {
                let address = Address::parse(text)?;
                for name in Address::PARAMETERS {
                    parameters.take(name);
                }
                Place::ClickHouse(address)
            }
            "stdout" => Place::Stdout,
            "file" => Place::File {
                path: absolute(path())?,
                rotate_bytes: parameters.number("rotate_bytes")?.unwrap_or(ROTATE_BYTES),
                keep: parameters.number("keep")?.unwrap_or(KEEP),
            },
            "syslog+unix" => Place::Syslog(Transport::Unix(absolute(path())?)),
            "syslog+udp" => Place::Syslog(Transport::Udp(host_and_port(514)?)),
            "syslog+tcp" => Place::Syslog(Transport::Tcp(host_and_port(601)?)),
            "syslog+tls" => Place::Syslog(Transport::Tls {
                address: host_and_port(6514)?,
                authorities: parameters.take("ca").map(PathBuf::from),
            }),
            "journald" => Place::Journald(match url.path() {
                "" | "/" => PathBuf::from("/run/systemd/journal/socket"),
                path => PathBuf::from(path),
            }),
            scheme @ ("webhook+http" | "webhook+https") => Place::Webhook {
                secret: parameters.take("secret_file").map(PathBuf::from),
                url: over(scheme, &url, &parameters)?,
            },
            scheme @ ("otlp+http" | "otlp+https") => Place::Otlp {
                url: over(scheme, &url, &Parameters::default())?,
                grpc: false,
                metrics: parameters.seconds("metrics")?,
                inventory: parameters.seconds("inventory")?,
            },
            "otlp+grpc" => Place::Otlp {
                url: format!("http://{}", host_and_port(4317)?),
                grpc: true,
                metrics: parameters.seconds("metrics")?,
                inventory: parameters.seconds("inventory")?,
            },
            other => return Err(format!("`{other}` is no kind of sink: use one of {KINDS}")),
        };
        let format = match parameters.take("format") {
            Some(name) => Format::parse(&name)?,
            None => Format::Native,
        };
        let events = match (&place, parameters.take("events")) {
            // A database is asked for them; nobody is woken.
            (Place::ClickHouse(_), None) => Events {
                incidents: true,
                anomalies: true,
                findings: false,
            },
            (_, list) => Events::parse(list.as_deref())?,
        };
        // What is left of a webhook's parameters is the server's.
        if !matches!(place, Place::Webhook { .. })
            && let Some((name, _)) = parameters.left.first()
        {
            return Err(format!(
                "`{text}` has the parameter `{name}`, which this kind of sink does not know"
            ));
        }
        Ok(Self {
            name: without_secrets(&url),
            place,
            format,
            events,
        })
    }

    /// Time between two reports of all that changed, if it wants any.
    pub fn reports(&self) -> Option<Duration> {
        match &self.place {
            Place::ClickHouse(address) => Some(address.every),
            Place::Otlp { inventory, .. } => *inventory,
            _ => None,
        }
    }

    /// Standard output, as `--alerts -` asks for.
    pub fn stdout() -> Self {
        Self::of_command_line("--alerts -", Place::Stdout)
    }

    /// A file that is never rotated, as `--alerts FILE` asks for.
    pub fn file(path: &Path) -> Self {
        let place = Place::File {
            path: path.to_owned(),
            rotate_bytes: u64::MAX,
            keep: 0,
        };
        Self::of_command_line(&format!("--alerts {}", path.display()), place)
    }

    fn of_command_line(name: &str, place: Place) -> Self {
        Self {
            name: name.to_owned(),
            place,
            format: Format::Native,
            events: Events {
                incidents: true,
                anomalies: false,
                findings: false,
            },
        }
    }
}

impl Events {
    fn parse(list: Option<&str>) -> Result<Self, String> {
        let mut events = Self {
            incidents: list.is_none(),
            anomalies: false,
            findings: false,
        };
        for name in list.into_iter().flat_map(|list| list.split(',')) {
            match name {
                "incident" => events.incidents = true,
                "anomaly" => events.anomalies = true,
                "finding" => events.findings = true,
                other => {
                    return Err(format!(
                        "`{other}` is no kind of event: use incident, anomaly, finding"
                    ));
                }
            }
        }
        Ok(events)
    }
}

/// The parameters of an address that nobody has taken yet.
#[derive(Default)]
struct Parameters {
    left: Vec<(String, String)>,
}

impl Parameters {
    fn of(url: &Url) -> Self {
        let left = url.query_pairs();
        Self {
            left: left
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.left.iter().position(|(known, _)| known == name)?;
        Some(self.left.remove(at).1)
    }

    fn number<T: std::str::FromStr>(&mut self, name: &str) -> Result<Option<T>, String> {
        self.take(name)
            .map(|value| {
                value
                    .parse()
                    .map_err(|_| format!("`{name}={value}` is not a number that fits"))
            })
            .transpose()
    }
}

impl Parameters {
    fn seconds(&mut self, name: &str) -> Result<Option<Duration>, String> {
        match self.number::<u32>(name)? {
            Some(0) => Err(format!("`{name}=0` is no number of seconds")),
            seconds => Ok(seconds.map(|seconds| Duration::from_secs(seconds.into()))),
        }
    }
}

/// The HTTP address behind `webhook+https` and the like, with the parameters that are the server's.
fn over(scheme: &str, url: &Url, parameters: &Parameters) -> Result<String, String> {
    let inner = scheme.split_once('+').map_or(scheme, |(_, inner)| inner);
    let text = format!("{inner}{}", url.as_str().get(scheme.len()..).unwrap_or_default());
    let mut inner = Url::parse(&text).map_err(|error| format!("`{text}` is not an address: {error}"))?;
    inner.set_query(None);
    let own = ["format", "events"];
    for (name, value) in parameters
        .left
        .iter()
        .filter(|(name, _)| !own.contains(&name.as_str()))
    {
        inner.query_pairs_mut().append_pair(name, value);
    }
    Ok(inner.into())
}

/// The address as it may be shown: without user, password, and parameters, which may hold tokens.
fn without_secrets(url: &Url) -> String {
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("//{host}:{port}"),
        (Some(host), None) => format!("//{host}"),
        (None, _) => String::new(),
    };
    format!("{}:{host}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_address() {
        let place = |text: &str| Target::parse(text).unwrap().place;
        assert_eq!(place("stdout:"), Place::Stdout);
        assert_eq!(
            place("file:///var/log/a.jsonl?rotate_bytes=1000&keep=2"),
            Place::File {
                path: "/var/log/a.jsonl".into(),
                rotate_bytes: 1000,
                keep: 2
            }
        );
        assert_eq!(
            place("syslog+unix:///dev/log"),
            Place::Syslog(Transport::Unix("/dev/log".into()))
        );
        assert_eq!(
            place("syslog+udp://h"),
            Place::Syslog(Transport::Udp("h:514".into()))
        );
        assert_eq!(
            place("syslog+tcp://h:7"),
            Place::Syslog(Transport::Tcp("h:7".into()))
        );
        assert_eq!(
            place("syslog+tls://h?ca=/etc/ca.pem"),
            Place::Syslog(Transport::Tls {
                address: "h:6514".into(),
                authorities: Some("/etc/ca.pem".into())
            })
        );
        assert_eq!(
            place("journald:"),
            Place::Journald("/run/systemd/journal/socket".into())
        );
        assert_eq!(
            place("webhook+https://h/x?secret_file=/k&token=t&format=ocsf"),
            Place::Webhook {
                url: "https://h/x?token=t".into(),
                secret: Some("/k".into())
            }
        );
        assert_eq!(
            place("otlp+http://127.0.0.1:4318"),
            Place::Otlp {
                url: "http://127.0.0.1:4318/".into(),
                grpc: false,
                metrics: None,
                inventory: None
            }
        );
        assert_eq!(
            place("clickhouse://c/db?node=n1"),
            Place::ClickHouse(Address::parse("clickhouse://c/db?node=n1").unwrap())
        );
        assert_eq!(
            place("otlp+grpc://c?metrics=60&inventory=300"),
            Place::Otlp {
                url: "http://c:4317".into(),
                grpc: true,
                metrics: Some(Duration::from_secs(60)),
                inventory: Some(Duration::from_secs(300))
            }
        );
        let reports = |text: &str| Target::parse(text).unwrap().reports();
        assert_eq!(reports("clickhouse://c/db?every=7"), Some(Duration::from_secs(7)));
        assert_eq!(reports("otlp+http://c?inventory=9"), Some(Duration::from_secs(9)));
        assert_eq!(reports("otlp+http://c"), None);
    }

    #[test]
    fn format_and_events_are_parameters_and_names_hold_no_secret() {
        let target =
            Target::parse("webhook+https://u:p@h:8443/x?token=t&format=ocsf&events=incident,finding")
                .unwrap();
        assert_eq!(target.format, Format::Ocsf);
        assert_eq!(
            target.events,
            Events {
                incidents: true,
                anomalies: false,
                findings: true
            }
        );
        assert_eq!(target.name, "webhook+https://h:8443/x");
    }

    #[test]
    fn what_is_wrong_is_said_in_a_sentence() {
        for (text, words) in [
            ("nonsense", "is not an address"),
            ("kafka://h", "is no kind of sink"),
            ("clickhouse://u:p@h/db", "holds a password"),
            ("clickhouse://h/db?format=cef", "no parameter `format`"),
            ("file://log", "three slashes"),
            ("syslog+tcp:///x", "names no host"),
            ("file:///a?rotate_bytes=many", "is not a number"),
            ("otlp+grpc://h?metrics=0", "no number of seconds"),
            ("stdout:?formt=cef", "does not know"),
            ("stdout:?format=xml", "native, ocsf, ecs, cef, leef"),
            ("stdout:?events=all", "is no kind of event"),
        ] {
            let problem = Target::parse(text).unwrap_err();
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }
}
