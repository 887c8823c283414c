//! What bounds the inventory, and what it counts.

use serde::{Deserialize, Serialize};

/// Bounds of the inventory. Each names its overflow policy and the [`Stats`] member that counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Workloads. Beyond: exchanges are counted in `workload_overflow`, not filed.
    pub workloads: usize,
    /// Path templates of one workload. Beyond: filed under `/{*overflow}` and counted in `template_overflow`.
    pub templates: usize,
    /// Endpoints in all. Beyond: exchanges are counted in `endpoint_overflow`, not filed.
    pub endpoints: usize,
    /// Fields of the messages of all endpoints together, some 400 bytes each. Beyond: values of new fields are counted in
    /// `field_overflow`, those of known ones as before.
    pub fields: usize,
    /// Endpoints that were asked for but never accepted. Beyond: the one not asked for the longest is forgotten
    /// and counted in `candidates_forgotten`.
    pub candidates: usize,
    /// Host names of one endpoint. Beyond: counted together and in `host_overflow`.
    pub hosts: usize,
    /// Callers of one endpoint or workload. Beyond: counted together and in `caller_overflow`.
    pub callers: usize,
    /// Hosts that one workload calls. Beyond: counted together and in `egress_overflow`.
    pub egress: usize,
    /// Paths whose endpoint is remembered. Beyond: the newest wins, at the price of one look-up.
    pub recent_paths: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workloads: 4096,
            templates: 2000,
            endpoints: 50_000,
            fields: 400_000,
            candidates: 1024,
            hosts: 16,
            callers: 64,
            egress: 256,
            recent_paths: 8192,
        }
    }
}

/// What the inventory counted since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Exchanges observed.
    pub exchanges: u64,
    /// Of these: the request was lost.
    pub without_request: u64,
    /// Of these: the method is no token of at most 32 bytes.
    pub malformed_method: u64,
    /// Of these: the target has no path that decodes.
    pub undecodable_path: u64,
    /// Of these: the path is too long or too deep.
    pub oversized_path: u64,
    /// Of these: led to no endpoint yet (not found, refused, unanswered).
    pub unrouted: u64,
    /// Of these: seen at the client, to a server off this host.
    pub egress: u64,
    /// Of these: seen at the client, to a server on this host, where they are seen again.
    pub local_client: u64,
    /// Callers beyond the bound.
    pub caller_overflow: u64,
    /// Hosts beyond the bound.
    pub host_overflow: u64,
    /// Called hosts beyond the bound.
    pub egress_overflow: u64,
    /// Exchanges filed under `/{*overflow}`.
    pub template_overflow: u64,
    /// New names at a position with too many: counted as values of a parameter.
    pub path_explosion: u64,
    /// Accepted paths of which nothing was learned, for lack of room.
    pub unlearned_paths: u64,
    /// Exchanges with JSON of which some was passed over: too deep, too long, or too many values.
    pub json_cut: u64,
    /// Exchanges not filed because there are too many endpoints.
    pub endpoint_overflow: u64,
    /// Values of fields that were not kept because there are too many fields.
    pub field_overflow: u64,
    /// Exchanges not filed because there are too many workloads.
    pub workload_overflow: u64,
    /// Of these: carried an attack, so that nothing was learned from them.
    pub suspects: u64,
    /// Candidates forgotten.
    pub candidates_forgotten: u64,
    /// Records not restored: of another version, beyond a bound, or of no known workload.
    pub records_skipped: u64,
}

impl Stats {
    /// All counters by the name `status` shows.
    pub fn list(self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self {
            exchanges,
            without_request,
            malformed_method,
            undecodable_path,
            oversized_path,
            unrouted,
            egress,
            local_client,
            caller_overflow,
            host_overflow,
            egress_overflow,
            template_overflow,
            path_explosion,
            unlearned_paths,
            json_cut,
            endpoint_overflow,
            field_overflow,
            workload_overflow,
            suspects,
            candidates_forgotten,
            records_skipped,
        } = self;
        [
            ("inventory_exchanges", exchanges),
            ("inventory_without_request", without_request),
            ("inventory_malformed_method", malformed_method),
            ("inventory_undecodable_path", undecodable_path),
            ("inventory_oversized_path", oversized_path),
            ("inventory_unrouted", unrouted),
            ("inventory_egress", egress),
            ("inventory_local_client", local_client),
            ("inventory_caller_overflow", caller_overflow),
            ("inventory_host_overflow", host_overflow),
            ("inventory_egress_overflow", egress_overflow),
            ("inventory_template_overflow", template_overflow),
            ("inventory_path_explosion", path_explosion),
            ("inventory_unlearned_paths", unlearned_paths),
            ("inventory_json_cut", json_cut),
            ("inventory_endpoint_overflow", endpoint_overflow),
            ("inventory_field_overflow", field_overflow),
            ("inventory_workload_overflow", workload_overflow),
            ("inventory_suspects", suspects),
            ("inventory_candidates_forgotten", candidates_forgotten),
            ("inventory_records_skipped", records_skipped),
        ]
        .into_iter()
    }
}
