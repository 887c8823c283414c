//! A webhook: batches as a JSON array over HTTP, signed.
//!
//! `X-Apiarist-Signature: t=SECONDS,v1=HEX` holds HMAC-SHA-256 (RFC 2104) over `SECONDS.BODY` with the shared key: the
//! receiver can tell who sent it, and that it is not an old one sent again.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{
    Event,
    deliver::{Deliver, PATIENCE},
    format::Format,
};
use crate::clock;

/// A way to a web server.
pub(super) struct Webhook {
    url: String,
    secret: Option<PathBuf>,
    format: Format,
    agent: ureq::Agent,
}

impl Webhook {
    pub(super) fn new(url: String, secret: Option<PathBuf>, format: Format) -> Self {
        Self {
            url,
            secret,
            format,
            agent: http_client(),
        }
    }
}

/// A client that trusts what the system trusts, and waits no longer than [`PATIENCE`].
pub(super) fn http_client() -> ureq::Agent {
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::PlatformVerifier)
        .build();
    ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .max_redirects(0)
        .user_agent(concat!("apiarist/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .into()
}

impl Deliver for Webhook {
    fn deliver(&mut self, events: &[Event]) -> Result<()> {
        let body = array(self.format, events);
        let mut request = self.agent.post(&self.url).content_type("application/json");
        if let Some(path) = &self.secret {
            // Read each time: a key that is rotated counts from the next batch on.
            let key = fs::read(path).with_context(|| format!("cannot read the key in {}", path.display()))?;
            let seconds = clock::now().as_secs_f64() as u64;
            let signature = signature(key.trim_ascii(), seconds, &body)?;
            request = request.header("X-Apiarist-Signature", signature);
        }
        let response = request.send(&body)?;
        // A redirect is not followed: it would take the body to somebody else.
        ensure!(
            response.status().is_success(),
            "the server answered {}",
            response.status()
        );
        Ok(())
    }
}

/// All of them in one array; formats that are not JSON become strings.
fn array(format: Format, events: &[Event]) -> Vec<u8> {
    let mut body = vec![b'['];
    for (number, event) in events.iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        let text = format.render(event);
        match format.is_json() {
            true => body.extend_from_slice(text.as_bytes()),
            false => body.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes()),
        }
    }
    body.push(b']');
    body
}

fn signature(key: &[u8], seconds: u64, body: &[u8]) -> Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)?;
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(format!("t={seconds},v1={hex}"))
}

#[cfg(test)]
mod tests {
    use super::{super::format::fixture, *};

    #[test]
    fn the_signature_is_hmac_sha256_over_time_and_body() {
        // Reference: printf '1700000000.[]' | openssl dgst -sha256 -hmac key
        assert_eq!(
            signature(b"key", 1_700_000_000, b"[]").unwrap(),
            "t=1700000000,v1=2afce10b4f37880815b715635811bcfa4d5334e7213eea5bc2e130e1008055c3"
        );
    }

    #[test]
    fn a_batch_is_one_json_array_in_every_format() {
        for format in [
            Format::Native,
            Format::Ocsf,
            Format::Ecs,
            Format::Cef,
            Format::Leef,
        ] {
            let body = array(format, &[fixture::incident(), fixture::finding()]);
            let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(value.as_array().unwrap().len(), 2);
        }
    }
}
