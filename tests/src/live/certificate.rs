//! A certificate of this host's loopback device, by OpenSSL.

use anyhow::Result;

use super::{place::Place, program::output};

/// A certificate and its key, as files.
pub(super) struct Certificate {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Certificate {
    /// Made for one test.
    pub(super) fn new(place: &Place) -> Result<Self> {
        let (certificate, key) = (place.file("certificate.pem"), place.file("key.pem"));
        let arguments = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ];
        output("openssl", &arguments, place)?;
        Ok(Self { certificate, key })
    }

    /// Both in one file, as some servers want them.
    pub(super) fn together(&self, place: &Place) -> Result<String> {
        let both = [std::fs::read(&self.certificate)?, std::fs::read(&self.key)?].concat();
        place.write("both.pem", both)
    }
}
