//! HTTPS by rustls, for the live tests: `tls_rustls serve CERTIFICATE KEY`, which prints its port, or
//! `tls_rustls ask PORT RESOURCE one|all`.
//!
//! A server with a thread for each connection; a client with four connections, one after the other or all at once, each in
//! a thread, that does five of each kind of request on each, and names its addresses in them. Refuses to check certificates.

use std::{
    io::{self, BufRead, BufReader, IoSlice, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::{Timespec, poll};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ProtocolVersion, ServerConfig,
    ServerConnection, SignatureScheme, Stream, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};

/// First requests of the connections: each does those of five numbers.
const PARTS: [u32; 4] = [1, 6, 11, 16];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", certificate, key] => serve(certificate, key),
        ["ask", port, resource, "one"] => {
            let port = port.parse()?;
            let config = client_config()?;
            PARTS
                .into_iter()
                .try_for_each(|part| ask(&config, port, resource, part))?;
            linger()
        }
        ["ask", port, resource, "all"] => {
            let port = port.parse()?;
            let config = &client_config()?;
            thread::scope(|scope| {
                let asking = PARTS.map(|part| scope.spawn(move || ask(config, port, resource, part)));
                asking.into_iter().try_for_each(|one| match one.join() {
                    Ok(done) => done,
                    Err(_) => bail!("a thread has panicked"),
                })
            })?;
            linger()
        }
        _ => bail!("tls_rustls serve CERTIFICATE KEY | tls_rustls ask PORT RESOURCE one|all"),
    }
}

/// On a busy machine, who wants to know the name of this program comes a little later.
fn linger() -> Result<()> {
    let pause = Timespec {
        tv_sec: 4,
        tv_nsec: 0,
    };
    poll(&mut [], Some(&pause))?;
    Ok(())
}

fn serve(certificate: &str, key: &str) -> Result<()> {
    let certificates = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, PrivateKeyDer::from_pem_file(key)?)?;
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    writeln!(io::stdout(), "{}", listener.local_addr()?.port())?;
    for stream in listener.incoming() {
        let connection = ServerConnection::new(Arc::clone(&config))?;
        let stream = StreamOwned::new(connection, stream?);
        // A client that breaks off is no failure of the server's.
        thread::spawn(move || answer(stream).ok());
    }
    Ok(())
}

/// Answers the requests of one connection: a head and a body at once, as frameworks do.
fn answer(stream: StreamOwned<ServerConnection, TcpStream>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(first) = message(&mut stream)? {
        let (status, body) = match first.split(' ').next() {
            Some("GET") => ("200 OK", "{\"total\": 12.5}"),
            Some("POST") => ("201 Created", "{\"id\": 7}"),
            _ => ("409 Conflict", "{}"),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        let pieces = [IoSlice::new(head.as_bytes()), IoSlice::new(body.as_bytes())];
        // One that owns both takes the first piece only.
        let StreamOwned { conn, sock } = stream.get_mut();
        let written = Stream::new(conn, sock).write_vectored(&pieces)?;
        ensure!(written == head.len() + length, "only {written} bytes were taken");
        stream.get_mut().flush()?;
    }
    Ok(())
}

fn ask(config: &Arc<ClientConfig>, port: u16, resource: &str, first: u32) -> Result<()> {
    let connection = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?;
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    let query = format!("?from={}&to={}", stream.local_addr()?, stream.peer_addr()?);
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    for number in first..first + 5 {
        // As of keys that are worn out, which 1.2 has no way to change.
        let connection = &mut stream.get_mut().conn;
        if number > first && connection.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
            connection.refresh_traffic_keys()?;
        }
        for (method, path, body) in [
            ("GET", format!("/{resource}/{number}/orders/7"), ""),
            ("POST", format!("/{resource}/{number}/orders"), "{\"item\": 5}"),
            ("DELETE", format!("/{resource}/{number}"), ""),
        ] {
            let length = body.len();
            let head = format!(
                "{method} {path}{query} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.get_mut().write_all(head.as_bytes())?;
            stream.get_mut().write_all(body.as_bytes())?;
            stream.get_mut().flush()?;
            message(&mut stream)?.context("no answer")?;
        }
    }
    let StreamOwned { conn, sock } = stream.get_mut();
    conn.send_close_notify();
    conn.complete_io(sock)?;
    Ok(())
}

/// Reads one message and gives its first line; `None` when there is no further one.
fn message(stream: &mut impl BufRead) -> Result<Option<String>> {
    let (mut first, mut length) = (String::new(), 0);
    if stream.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some(first))
}

fn client_config() -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Takes the certificates of a test's servers for good: everybody's.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
