//! HTTPS by hyper on tokio-rustls, as most services in Rust speak it, for the live tests: `tls_hyper serve CERTIFICATE KEY`, which
//! prints its port, or `tls_hyper ask PORT RESOURCE one|all|on|h2`.
//!
//! A server of HTTP/1 and HTTP/2, by what the client offers; a client with four connections, one after the other or all at once on
//! one event loop, that does five of each kind of request on each, or goes on and on; or all of them at once on one connection of
//! HTTP/2. Refuses to check certificates.

use std::{
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    },
};

/// First requests of the connections: each does those of five numbers.
const PARTS: [u32; 4] = [1, 6, 11, 16];

/// Of who goes on and on.
const PAUSE: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", certificate, key] => serve(certificate, key).await,
        ["ask", port, resource, order] => {
            let port = port.parse()?;
            match order {
                "one" => {
                    for part in PARTS {
                        ask(port, resource.to_owned(), part, 1).await?;
                    }
                }
                "all" => all(PARTS.map(|part| ask(port, resource.to_owned(), part, 1))).await?,
                "on" => all(PARTS.map(|part| ask(port, resource.to_owned(), part, u32::MAX))).await?,
                "h2" => ask_by_streams(port, resource).await?,
                _ => bail!("one, all, on or h2"),
            }
            // On a busy machine, who wants to know the name of this program comes a little later.
            sleep(Duration::from_secs(4)).await;
            Ok(())
        }
        _ => bail!("tls_hyper serve CERTIFICATE KEY | tls_hyper ask PORT RESOURCE one|all|on|h2"),
    }
}

async fn serve(certificate: &str, key: &str) -> Result<()> {
    let certificates = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    writeln!(io::stdout(), "{}", listener.local_addr()?.port())?;
    loop {
        let (stream, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that breaks off is no failure of the server's.
            if let Ok(stream) = acceptor.accept(stream).await {
                Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                    .await
                    .ok();
            }
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    body.collect().await?;
    let (status, body) = match head.method {
        Method::GET => (StatusCode::OK, "{\"total\": 12.5}"),
        Method::POST => (StatusCode::CREATED, "{\"id\": 7}"),
        _ => (StatusCode::CONFLICT, "{}"),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    Ok(response)
}

/// The requests of a number: method, path and body.
fn requests(resource: &str, number: u32) -> [(Method, String, &'static str); 3] {
    [
        (Method::GET, format!("/{resource}/{number}/orders/7"), ""),
        (
            Method::POST,
            format!("/{resource}/{number}/orders"),
            "{\"item\": 5}",
        ),
        (Method::DELETE, format!("/{resource}/{number}"), ""),
    ]
}

/// A connection, the name of the server's port, and what the requests on it say of its addresses.
async fn connect(port: u16, protocol: Option<&[u8]>) -> Result<(TlsStream<TcpStream>, String)> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let query = format!("?from={}&to={}", stream.local_addr()?, stream.peer_addr()?);
    let connector = TlsConnector::from(Arc::new(config));
    Ok((
        connector
            .connect(ServerName::try_from("localhost")?, stream)
            .await?,
        query,
    ))
}

fn request(method: Method, target: &str, body: &'static str) -> Result<Request<Full<Bytes>>> {
    let request = Request::builder().method(method).uri(target);
    Ok(request.header("host", "localhost").body(Full::from(body))?)
}

/// Asks on one connection for five numbers, so many times; when that is more than once, with a pause after each request.
async fn ask(port: u16, resource: String, first: u32, times: u32) -> Result<()> {
    let (stream, query) = connect(port, None).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    for number in (0..times).flat_map(|_| first..first + 5) {
        for (method, path, body) in requests(&resource, number) {
            sender.ready().await?;
            let answer = sender
                .send_request(request(method, &format!("{path}{query}"), body)?)
                .await?;
            answer.into_body().collect().await?;
            if times > 1 {
                sleep(PAUSE).await;
            }
        }
    }
    drop(sender);
    connection.await??;
    Ok(())
}

/// All requests at once, each in a stream of its own.
async fn ask_by_streams(port: u16, resource: &str) -> Result<()> {
    let (stream, query) = connect(port, Some(b"h2")).await?;
    ensure!(stream.get_ref().1.alpn_protocol() == Some(b"h2"), "no HTTP/2");
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut asked = Vec::new();
    for number in 1..=20 {
        for (method, path, body) in requests(resource, number) {
            let target = format!("https://localhost{path}{query}");
            let request = Request::builder()
                .method(method)
                .uri(target)
                .body(Full::from(body))?;
            let mut sender: http2::SendRequest<Full<Bytes>> = sender.clone();
            asked.push(async move {
                sender.ready().await?;
                let answer = sender.send_request(request).await?;
                answer.into_body().collect().await?;
                Ok(())
            });
        }
    }
    drop(sender);
    all(asked).await?;
    connection.await??;
    Ok(())
}

/// Does all of them side by side.
async fn all(
    asked: impl IntoIterator<Item = impl Future<Output = Result<()>> + Send + 'static>,
) -> Result<()> {
    let mut running: JoinSet<Result<()>> = asked.into_iter().collect();
    while let Some(done) = running.join_next().await {
        done.context("a task has panicked")??;
    }
    Ok(())
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
