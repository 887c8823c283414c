//! The way to a collector: protobuf over HTTP, or gRPC. Any signal.

use anyhow::{Context as _, Result, ensure};
use prost::Message;
use tonic::{
    Response, Status,
    transport::{Channel, Endpoint},
};

use crate::sink::{deliver::PATIENCE, webhook::http_client};

/// A way to a collector.
pub(super) enum Way {
    /// OTLP/HTTP: address of the server.
    Http { url: String, agent: Box<ureq::Agent> },
    /// OTLP/gRPC: address of the server.
    Grpc { url: String, client: Option<Client> },
}

/// A connection, and the runtime that moves it.
pub(super) struct Client {
    runtime: tokio::runtime::Runtime,
    channel: Channel,
}

impl Way {
    /// Nothing is opened yet.
    pub(super) fn new(url: &str, grpc: bool) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        match grpc {
            true => Self::Grpc { url, client: None },
            false => Self::Http {
                url,
                agent: Box::new(http_client()),
            },
        }
    }

    /// Sends a request: to `path` over HTTP, by `call` over gRPC.
    pub(super) fn send<Q: Message, A: Message + Default>(
        &mut self,
        path: &str,
        request: Q,
        call: impl AsyncFnOnce(Channel, Q) -> Result<Response<A>, Status>,
    ) -> Result<A> {
        match self {
            Self::Http { url, agent } => {
                let post = agent
                    .post(format!("{url}/{path}"))
                    .content_type("application/x-protobuf");
                let mut response = post.send(request.encode_to_vec())?;
                ensure!(
                    response.status().is_success(),
                    "the collector answered {}",
                    response.status()
                );
                let bytes = response.body_mut().read_to_vec()?;
                // A collector that answers in another form has accepted all the same.
                Ok(A::decode(bytes.as_slice()).unwrap_or_default())
            }
            Self::Grpc { url, client } => {
                let open = match client.take() {
                    Some(open) => open,
                    None => connect(url)?,
                };
                let answer = open
                    .runtime
                    .block_on(call(open.channel.clone(), request))
                    .context("the collector refused")?;
                *client = Some(open);
                Ok(answer.into_inner())
            }
        }
    }
}

fn connect(url: &str) -> Result<Client> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let endpoint = Endpoint::from_shared(url.to_owned())?
        .connect_timeout(PATIENCE)
        .timeout(PATIENCE);
    let channel = runtime
        .block_on(endpoint.connect())
        .with_context(|| format!("cannot connect to {url}"))?;
    Ok(Client { runtime, channel })
}
