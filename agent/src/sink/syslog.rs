//! Syslog as of RFC 5424, over datagrams (RFC 5426), TCP with octet counting (RFC 6587) and TLS (RFC 5425).
//!
//! Syslog has no acknowledgement. Over TCP and TLS a batch has a connection of its own, which is closed in our direction
//! when all is written: only when the collector closes its direction in turn has it read everything, and only then
//! counts the batch as delivered.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::{Shutdown, TcpStream, ToSocketAddrs as _, UdpSocket},
    os::unix::net::UnixDatagram,
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use super::{
    Event,
    deliver::{Deliver, PATIENCE},
    format::{Format, about},
    target::Transport,
};
use crate::verdict::Severity;

/// Facility 10: security and authorization messages (RFC 5424 §6.2.1).
const FACILITY: u8 = 10;

/// Longest datagram that is sent, in bytes. Overflow policy: the message is cut there, as RFC 5426 §3.2 allows.
const MAX_DATAGRAM: usize = 60_000;

/// A way to a syslog server.
pub(super) struct Syslog {
    transport: Transport,
    format: Format,
    host: String,
    process: u32,
}

impl Syslog {
    pub(super) fn new(transport: Transport, format: Format) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            transport,
            format,
            host: token(&host, 255),
            process: std::process::id(),
        }
    }

    /// One message (RFC 5424 §6).
    fn message(&self, event: &Event) -> String {
        let about = about(event);
        let priority = FACILITY * 8 + severity(about.severity);
        let mut text = String::new();
        // Writing to a string cannot fail.
        write!(
            text,
            "<{priority}>1 {time} {host} apiarist {process} {class} - {message}",
            time = about.time,
            host = self.host,
            process = self.process,
            class = token(about.class, 32),
            message = self.format.render(event),
        )
        .ok();
        text
    }
}

impl Deliver for Syslog {
    fn deliver(&mut self, events: &[Event]) -> Result<()> {
        let messages = events.iter().map(|event| self.message(event));
        match &self.transport {
            Transport::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(PATIENCE))?;
                socket
                    .connect(path)
                    .with_context(|| format!("nobody listens on {}", path.display()))?;
                for message in messages {
                    socket.send(datagram(&message))?;
                }
                Ok(())
            }
            Transport::Udp(address) => {
                let to = resolve(address)?;
                let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any)?;
                socket.connect(to)?;
                for message in messages {
                    socket.send(datagram(&message))?;
                }
                Ok(())
            }
            Transport::Tcp(address) => {
                let mut stream = connect(address)?;
                stream.write_all(&counted(messages))?;
                stream.shutdown(Shutdown::Write)?;
                read_to_the_end(&mut stream)
            }
            Transport::Tls { address, authorities } => {
                let stream = connect(address)?;
                let name = address
                    .rsplit_once(':')
                    .map_or(address.as_str(), |(host, _)| host);
                let name = ServerName::try_from(name.to_owned())
                    .context("not a name that a certificate can have")?;
                let client = ClientConnection::new(trusting(authorities.as_deref())?, name)?;
                let mut stream = StreamOwned::new(client, stream);
                stream.write_all(&counted(messages))?;
                stream.conn.send_close_notify();
                stream.flush()?;
                stream.sock.shutdown(Shutdown::Write)?;
                read_to_the_end(&mut stream)
            }
        }
    }
}

/// Messages with their lengths before them (RFC 6587 §3.4.1).
fn counted(messages: impl Iterator<Item = String>) -> Vec<u8> {
    let mut text = Vec::new();
    for message in messages {
        text.extend_from_slice(message.len().to_string().as_bytes());
        text.push(b' ');
        text.extend_from_slice(message.as_bytes());
    }
    text
}

fn datagram(message: &str) -> &[u8] {
    let end = message.floor_char_boundary(MAX_DATAGRAM);
    message.get(..end).unwrap_or_default().as_bytes()
}

fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&resolve(address)?, PATIENCE)
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn resolve(address: &str) -> Result<std::net::SocketAddr> {
    let mut found = address
        .to_socket_addrs()
        .with_context(|| format!("{address} cannot be resolved"))?;
    found.next().with_context(|| format!("{address} has no address"))
}

/// Waits until the other end has read everything and closes.
fn read_to_the_end(stream: &mut impl io::Read) -> Result<()> {
    let mut ignored = [0; 512];
    let mut left = 64;
    loop {
        match stream.read(&mut ignored) {
            // A server that closes without the alert that TLS wants has closed all the same.
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(_) if left > 0 => left -= 1,
            Ok(_) => bail!("the collector talks instead of closing the connection"),
            Err(error) => return Err(error).context("the collector did not say that it has read everything"),
        }
    }
}

fn trusting(authorities: Option<&Path>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(path) => {
            for certificate in CertificateDer::pem_file_iter(path)
                .with_context(|| format!("cannot read the authorities in {}", path.display()))?
            {
                roots.add(certificate?)?;
            }
        }
        None => {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // One that rustls does not take is one less to trust.
                roots.add(certificate).ok();
            }
        }
    }
    anyhow::ensure!(
        !roots.is_empty(),
        "there is no authority to trust: name a PEM file with ?ca="
    );
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A header field: printable ASCII without spaces, `-` when nothing is left (RFC 5424 §6).
fn token(text: &str, longest: usize) -> String {
    let kept: String = text
        .chars()
        .filter(char::is_ascii_graphic)
        .take(longest)
        .collect();
    match kept.is_empty() {
        true => "-".to_owned(),
        false => kept,
    }
}

/// Numerical code of a severity (RFC 5424 §6.2.1).
pub(super) fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Info => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::format::fixture, *};

    #[test]
    fn a_message_has_the_form_of_rfc_5424() {
        let syslog = Syslog {
            transport: Transport::Udp("h:514".into()),
            format: Format::Native,
            host: "node-1".into(),
            process: 7,
        };
        let message = syslog.message(&fixture::incident());
        assert!(
            message.starts_with("<83>1 2026-01-02T03:04:05Z node-1 apiarist 7 sqli - {\"id\":"),
            "{message}"
        );
    }

    #[test]
    fn octets_are_counted() {
        let text = counted(["<1>1 a".to_owned(), "é".to_owned()].into_iter());
        assert_eq!(text, "6 <1>1 a2 é".as_bytes());
    }

    #[test]
    fn a_datagram_is_cut_between_characters() {
        let long = "é".repeat(MAX_DATAGRAM);
        assert!(std::str::from_utf8(datagram(&long)).is_ok());
        assert!(datagram(&long).len() <= MAX_DATAGRAM);
    }

    #[test]
    fn names_with_odd_characters_stay_one_field() {
        assert_eq!(token("a b\nc", 10), "abc");
        assert_eq!(token(" ", 10), "-");
    }
}
