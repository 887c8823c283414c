-- What agents know, one row for each host (`node`) and thing. A newer row replaces an older one with the same key: `v` is
-- when it was made, in milliseconds since the epoch. `gone` marks what is no more. `record` is the row as
-- `apiarist ... -o jsonl` prints it; the other columns are what is filtered, sorted and added up by.
-- Kept to what ClickHouse has understood since 18.16.

CREATE TABLE IF NOT EXISTS nodes (
    node String,
    version String,
    kernel String,
    tier UInt8,
    started DateTime,
    updated DateTime,
    exchanges UInt64,
    lost UInt64,
    memory_bytes UInt64,
    cpu_seconds Float64,
    v UInt64
) ENGINE = ReplacingMergeTree(v) ORDER BY node;

-- `id` is the same on every host that serves the same path of the same workload.
CREATE TABLE IF NOT EXISTS endpoints (
    id UInt64,
    node String,
    workload String,
    kind String,
    method String,
    template String,
    operation String,
    owner String,
    state String,
    exposure String,
    auth String,
    spec String,
    risk Float64,
    hits UInt64,
    status_1xx UInt64,
    status_2xx UInt64,
    status_3xx UInt64,
    status_4xx UInt64,
    status_5xx UInt64,
    latency_p50 Float64,
    latency_p90 Float64,
    latency_p99 Float64,
    sensitive Array(String),
    first_seen DateTime,
    last_seen DateTime,
    gone UInt8,
    record String,
    v UInt64
) ENGINE = ReplacingMergeTree(v) ORDER BY (id, node) SETTINGS index_granularity = 256;

CREATE TABLE IF NOT EXISTS workloads (
    id String,
    node String,
    name String,
    kind String,
    owner String,
    endpoints UInt64,
    hits UInt64,
    unrouted UInt64,
    first_seen DateTime,
    last_seen DateTime,
    gone UInt8,
    record String,
    v UInt64
) ENGINE = ReplacingMergeTree(v) ORDER BY (id, node) SETTINGS index_granularity = 256;

-- The edges of the graph: `direction` is `in` where the callee was observed, `out` where the caller was.
CREATE TABLE IF NOT EXISTS calls (
    caller String,
    callee String,
    direction String,
    node String,
    exchanges UInt64,
    gone UInt8,
    v UInt64
) ENGINE = ReplacingMergeTree(v) ORDER BY (caller, callee, direction, node);

-- What is usual, in a few numbers; `endpoint` is the id of the endpoint.
CREATE TABLE IF NOT EXISTS baselines (
    endpoint UInt64,
    node String,
    workload String,
    stage String,
    exchanges UInt64,
    sources UInt64,
    latency_ms_p50 Float64,
    latency_ms_p99 Float64,
    response_bytes_p50 Float64,
    response_bytes_p99 Float64,
    first DateTime,
    last DateTime,
    gone UInt8,
    v UInt64
) ENGINE = ReplacingMergeTree(v) ORDER BY (endpoint, node);

CREATE TABLE IF NOT EXISTS findings (
    id String,
    node String,
    rule String,
    owasp String,
    severity String,
    confidence Float64,
    workload String,
    endpoint UInt64,
    endpoint_name String,
    owner String,
    count UInt64,
    first_seen DateTime,
    last_seen DateTime,
    gone UInt8,
    record String,
    v UInt64
) ENGINE = ReplacingMergeTree(v) ORDER BY (id, node) SETTINGS index_granularity = 256;

-- `endpoint` is 0 in the row of a workload.
CREATE TABLE IF NOT EXISTS risks (
    endpoint UInt64,
    workload String,
    node String,
    endpoint_name String,
    score Float64,
    severity String,
    exposure String,
    owner String,
    gone UInt8,
    record String,
    v UInt64
) ENGINE = ReplacingMergeTree(v) ORDER BY (endpoint, workload, node) SETTINGS index_granularity = 256;

-- Incidents and anomalies. The same one, delivered twice, has the same key.
CREATE TABLE IF NOT EXISTS alerts (
    id String,
    node String,
    kind String,
    fingerprint String,
    class String,
    owasp String,
    severity String,
    confidence Float64,
    workload String,
    endpoint UInt64,
    endpoint_name String,
    actor String,
    owner String,
    state String,
    count UInt64,
    opened DateTime,
    updated DateTime,
    gone UInt8,
    record String,
    v UInt64
) ENGINE = ReplacingMergeTree(v) PARTITION BY toYYYYMM(opened) ORDER BY (id, node) SETTINGS index_granularity = 256;
