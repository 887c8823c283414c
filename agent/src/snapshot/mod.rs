//! What the inventory was at one time, in a form that can be kept and compared.
//!
//! In: rows of endpoints, and the OpenAPI documents of their workloads. Out: a [`Snapshot`], small and in a fixed order,
//! so that equal inventories give equal text; [`diff`] tells two apart. Leaves out what changes with every exchange:
//! counts, times, callers. Holds no value of any message.

mod diff;
mod fields;

use std::{
    borrow::Borrow,
    collections::BTreeMap,
    io::{BufWriter, IntoInnerError, Read as _},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};

pub use diff::{Aspect, Change, diff};

use crate::{
    inventory::{EndpointId, EndpointKind, EndpointView, Exposure},
    openapi::Specification,
};

/// Version of the format. A snapshot of another version is refused.
pub const VERSION: u16 = 1;

/// Longest snapshot that is unpacked, in bytes. Overflow policy: it is refused.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Bytes of a snapshot that are compressed together.
const WRITTEN_TOGETHER: usize = 64 * 1024;

/// An inventory at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`VERSION`] of the writer.
    pub apiarist_snapshot: u16,
    /// RFC 3339, UTC.
    pub taken: String,
    /// By workload, method, template and operation.
    pub endpoints: Vec<Entry>,
}

/// One endpoint of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Id.
    pub id: EndpointId,
    /// Name of its workload.
    pub workload: String,
    /// Method.
    pub method: String,
    /// Path template.
    pub template: String,
    /// Operation, for protocols that name their own.
    pub operation: Option<String>,
    /// Kind.
    pub kind: EndpointKind,
    /// From how far away it is called.
    pub exposure: Exposure,
    /// `consistent`, `mixed`, `missing` or `unknown`.
    pub auth: String,
    /// Schemes seen.
    pub schemes: Vec<String>,
    /// Type of sensitive data by direction and path; what was only suspected is left out.
    pub sensitive: BTreeMap<String, String>,
    /// Type by direction and path: `response 2XX $.id` is an `integer`.
    pub fields: BTreeMap<String, String>,
}

/// What names an endpoint in both of two snapshots: ids are of one host.
type Name<'a> = (&'a str, &'a str, &'a str, Option<&'a str>);

impl Snapshot {
    /// Takes one of these endpoints, with the fields that these documents tell of. Each is looked at as it comes: nobody
    /// needs to hold them all.
    pub fn of(
        endpoints: impl IntoIterator<Item = impl Borrow<EndpointView>>,
        documents: &[Specification],
        taken: String,
    ) -> Self {
        let documents = by_workload(documents);
        let entry = |view: &EndpointView| Entry::of(view, &documents);
        let endpoints = endpoints.into_iter();
        let mut endpoints: Vec<Entry> = endpoints.map(|view| entry(view.borrow())).collect();
        endpoints.sort_by(|a, b| a.name().cmp(&b.name()).then(a.id.cmp(&b.id)));
        Self {
            apiarist_snapshot: VERSION,
            taken,
            endpoints,
        }
    }

    /// Reads what [`Self::write`] wrote.
    ///
    /// # Errors
    /// One sentence: it is no snapshot, or one of another version.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let snapshot: Self =
            serde_json::from_slice(text).map_err(|error| format!("it is no snapshot: {error}"))?;
        match snapshot.apiarist_snapshot {
            VERSION => Ok(snapshot),
            other => Err(format!(
                "it is a snapshot of format {other}, this version reads {VERSION}"
            )),
        }
    }

    /// As text, one endpoint a line.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(&self, out: impl std::io::Write) -> std::io::Result<()> {
        write(out, &self.taken, self.endpoints.iter())
    }

    /// As a record of the store: JSON with the compressed text inside.
    ///
    /// # Errors
    /// When it cannot be compressed.
    pub fn pack(&self) -> std::io::Result<Vec<u8>> {
        pack(&self.taken, self.endpoints.iter())
    }

    /// The same, of endpoints that are in order already: by workload, template, method, operation and id. None is held longer
    /// than it takes to write it.
    ///
    /// # Errors
    /// As [`Self::pack`].
    pub fn pack_rows(
        endpoints: impl Iterator<Item = EndpointView>,
        documents: &[Specification],
        taken: &str,
    ) -> std::io::Result<Vec<u8>> {
        let documents = by_workload(documents);
        pack(taken, endpoints.map(|view| Entry::of(&view, &documents)))
    }

    /// Reads what [`Self::pack`] made.
    ///
    /// # Errors
    /// One sentence.
    pub fn unpack(record: &[u8]) -> Result<Self, String> {
        let packed: Packed = serde_json::from_slice(record).map_err(|error| error.to_string())?;
        let packed = BASE64_STANDARD
            .decode(packed.gzip)
            .map_err(|error| error.to_string())?;
        let mut text = Vec::new();
        GzDecoder::new(packed.as_slice())
            .take(MAX_BYTES)
            .read_to_end(&mut text)
            .map_err(|error| error.to_string())?;
        Self::read(&text)
    }
}

fn by_workload(documents: &[Specification]) -> BTreeMap<&str, &Specification> {
    let by_id = documents.iter();
    by_id
        .map(|document| (document.workload_id.as_str(), document))
        .collect()
}

fn write(
    mut out: impl std::io::Write,
    taken: &str,
    entries: impl Iterator<Item = impl Borrow<Entry>>,
) -> std::io::Result<()> {
    write!(out, "{{\"apiarist_snapshot\":{VERSION},\"taken\":")?;
    serde_json::to_writer(&mut out, taken)?;
    write!(out, ",\"endpoints\":[")?;
    for (number, entry) in entries.enumerate() {
        out.write_all(if number == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut out, entry.borrow())?;
    }
    writeln!(out, "\n]}}")
}

fn pack(taken: &str, entries: impl Iterator<Item = impl Borrow<Entry>>) -> std::io::Result<Vec<u8>> {
    let packed = GzEncoder::new(Vec::new(), Compression::default());
    // Each write to the encoder, be it of a comma, costs it the clearing of its buffer.
    let mut packed = BufWriter::with_capacity(WRITTEN_TOGETHER, packed);
    write(&mut packed, taken, entries)?;
    let packed = packed.into_inner().map_err(IntoInnerError::into_error)?;
    let packed = Packed {
        gzip: BASE64_STANDARD.encode(packed.finish()?),
    };
    Ok(serde_json::to_vec(&packed)?)
}

#[derive(Serialize, Deserialize)]
struct Packed {
    gzip: String,
}

impl Entry {
    fn of(view: &EndpointView, documents: &BTreeMap<&str, &Specification>) -> Self {
        let document = documents.get(view.workload_id.as_str());
        let sensitive = view.sensitive.iter().filter(|field| !field.suspected);
        Self {
            id: view.id,
            workload: view.workload.clone(),
            method: view.method.clone(),
            template: view.template.clone(),
            operation: view.operation.clone(),
            kind: view.kind,
            exposure: view.exposure,
            auth: view.auth.verdict.clone(),
            schemes: view.auth.schemes.clone(),
            sensitive: sensitive
                .map(|field| (format!("{} {}", field.direction, field.path), field.kind.clone()))
                .collect(),
            fields: document
                .map(|document| fields::of(&document.document, &view.template, &view.method))
                .unwrap_or_default(),
        }
    }

    fn name(&self) -> Name<'_> {
        (
            &self.workload,
            &self.template,
            &self.method,
            self.operation.as_deref(),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::Timestamp,
        inventory::{Inventory, Limits, fixture::call},
        workload::{Workload, WorkloadKind},
    };

    #[test]
    fn a_snapshot_reads_back_as_it_was_and_holds_no_value() {
        let workload = Arc::new(Workload {
            id: "w1".into(),
            ..Workload::named(WorkloadKind::Process, "shop")
        });
        let mut inventory = Inventory::new(Limits::default());
        for number in 0..3 {
            let answer = format!(r#"{{"id":{number},"email":"ada{number}@example.test","tags":["x"]}}"#);
            let exchange = call("GET", "/v1/users?full=1").answer(&answer).exchange();
            inventory.observe(&exchange, &workload, None);
        }
        let now = Timestamp(1_700_000_100_000_000_000);
        let snapshot = Snapshot::of(
            inventory.endpoint_views(now),
            &inventory.specifications(now),
            now.rfc3339(),
        );
        let fields = &snapshot.endpoints[0].fields;
        assert_eq!(fields["query full"], "integer");
        assert_eq!(fields["response 2XX $.id"], "integer");
        assert_eq!(fields["response 2XX $.tags[]"], "string");
        let mut text = Vec::new();
        snapshot.write(&mut text).unwrap();
        assert_eq!(Snapshot::read(&text), Ok(snapshot.clone()));
        assert!(!String::from_utf8(text).unwrap().contains("ada"));
        let views = inventory.endpoint_views(now).into_iter();
        let rows = Snapshot::pack_rows(views, &inventory.specifications(now), &snapshot.taken);
        assert_eq!(rows.unwrap(), snapshot.pack().unwrap());
        assert_eq!(Snapshot::unpack(&snapshot.pack().unwrap()), Ok(snapshot));
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        assert!(Snapshot::read(b"[]").is_err());
        let newer = br#"{"apiarist_snapshot":99,"taken":"","endpoints":[]}"#;
        assert!(Snapshot::read(newer).unwrap_err().contains("format 99"));
        assert!(Snapshot::unpack(b"{\"gzip\":\"AAAA\"}").is_err());
    }
}
