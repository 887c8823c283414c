//! Questions to all hosts, in SQL that ClickHouse has understood since 18.16.
//!
//! In: a [`View`] and what is wanted of it. Out: rows as the query commands know them, with `node`, the host that speaks, and
//! `nodes`, how many there are. Three statements: which rows, what they add up to, and the records of the hosts that speak for
//! them. The large column is read for the rows that are shown, nothing else.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    client::{Client, FleetError},
    view::{Kind, SEVERITIES, View},
};
use crate::clock::Timestamp;

/// Rows that one statement names. Overflow policy: several statements.
const MAX_NAMED: usize = 1000;

/// Edges of a graph. Overflow policy: those with the fewest exchanges are left out.
const MAX_EDGES: usize = 10_000;

/// What is wanted of a view.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Conditions on members, as `column` names them.
    pub conditions: Vec<String>,
    /// Conditions that each hold on at least one host for every row that is wanted: what is looked at is narrowed by them.
    pub necessary: Vec<String>,
    /// Name of the workload; `*` stands for any characters.
    pub workload: Option<String>,
    /// Methods.
    pub methods: Vec<String>,
    /// Beginning of a path, or a pattern with `*`.
    pub path: Option<String>,
    /// Last seen since.
    pub since: Option<Timestamp>,
    /// Member to sort by, and whether the largest come first.
    pub sort: Option<(String, bool)>,
    /// Rows to leave out.
    pub offset: usize,
    /// Rows at the most.
    pub limit: usize,
}

/// Name of a member in conditions.
pub fn column(member: &str) -> String {
    format!("m_{}", member.replace('.', "_"))
}

/// A text as SQL writes it.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A pattern in which `*` stands for any characters, as `LIKE` writes it.
fn like(pattern: &str) -> String {
    let escaped = pattern
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    quoted(&escaped.replace('*', "%"))
}

/// The rows of a view, as the query commands show them.
///
/// # Errors
/// See [`FleetError`].
pub fn ask(client: &Client, view: &View, wanted: &Wanted) -> Result<Vec<Value>, FleetError> {
    let keys: Vec<Vec<Value>> = client
        .select(&which(view, wanted))?
        .iter()
        .map(|row| values(row, view.key))
        .collect();
    let mut rows = Vec::with_capacity(keys.len());
    for some in keys.chunks(MAX_NAMED) {
        let mut sums = by_key(view, client.select(&sums(view, some))?);
        let pairs: Vec<(&[Value], &Value)> = some
            .iter()
            .filter_map(|key| Some((key.as_slice(), sums.get(&text_of(key))?.get("speaker")?)))
            .collect();
        let mut records = by_key(view, client.select(&records(view, &pairs))?);
        // One that vanished between the statements is left out.
        rows.extend(some.iter().filter_map(|key| {
            let key = text_of(key);
            row(view, &records.remove(&key)?, &sums.remove(&key)?)
        }));
    }
    Ok(rows)
}

/// Who calls whom over all hosts, as rows of workloads.
///
/// # Errors
/// See [`FleetError`].
pub fn graph(client: &Client) -> Result<Vec<Value>, FleetError> {
    let names = client.select("SELECT DISTINCT name FROM workloads FINAL WHERE gone = 0 ORDER BY name")?;
    let edges = client.select(&format!(
        "SELECT caller, callee, sumIf(exchanges, direction = 'in') AS inward, \
         sumIf(exchanges, direction = 'out') AS outward FROM calls FINAL WHERE gone = 0 \
         GROUP BY caller, callee ORDER BY greatest(inward, outward) DESC, caller, callee LIMIT {MAX_EDGES}"
    ))?;
    let mut workloads: BTreeMap<String, Calls> = BTreeMap::new();
    for row in &names {
        workloads.entry(text(row, "name")).or_default();
    }
    for edge in &edges {
        let (caller, callee) = (text(edge, "caller"), text(edge, "callee"));
        let (inward, outward) = (number(edge, "inward"), number(edge, "outward"));
        // Seen at both ends it is one edge.
        if inward >= outward {
            workloads
                .entry(callee)
                .or_default()
                .from
                .insert(caller, inward.into());
        } else {
            workloads
                .entry(caller)
                .or_default()
                .to
                .insert(callee, outward.into());
        }
    }
    let row = |(name, Calls { from, to })| json!({"name": name, "calls_from": from, "calls_to": to});
    Ok(workloads.into_iter().map(row).collect())
}

/// Exchanges of a workload, by who called it and by whom it called.
#[derive(Default)]
struct Calls {
    from: Map<String, Value>,
    to: Map<String, Value>,
}

/// The keys of the rows that are wanted, in their order.
fn which(view: &View, wanted: &Wanted) -> String {
    let key = view.key.join(", ");
    let mut conditions = wanted.conditions.clone();
    if let (Some(since), Some(seen)) = (wanted.since, view.seen) {
        conditions.push(format!("{} >= {}", column(seen), since.0 / 1_000_000_000));
    }
    let (by, descending) = match &wanted.sort {
        Some((member, descending)) => (member.as_str(), *descending),
        None => (view.order, true),
    };
    let direction = if descending { "DESC" } else { "ASC" };
    let order = format!("{} {direction}, {key}", sortable(view, by));
    // Only what is asked for is added up.
    let used: String = view
        .members
        .iter()
        .filter(|member| {
            let name = column(member.name);
            order.contains(&name) || conditions.iter().any(|condition| condition.contains(&name))
        })
        .map(|member| format!(", {} AS {}", member.sum(), column(member.name)))
        .collect();
    let outer = match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    };
    let mut inner = vec!["gone = 0".to_owned()];
    inner.extend((!view.only.is_empty()).then(|| view.only.to_owned()));
    let of_rows = row_conditions(view, wanted);
    let narrow = narrow(view, &of_rows, &wanted.necessary);
    inner.extend(of_rows);
    format!(
        "SELECT {key} FROM (SELECT {key}{used} FROM {} FINAL{narrow} WHERE {} GROUP BY {key}){outer} \
         ORDER BY {order} LIMIT {}, {}",
        view.table,
        inner.join(" AND "),
        wanted.offset,
        wanted.limit
    )
}

/// Leaves out the keys of which no row, old or new, is what is wanted. `FINAL` compares all versions of what it reads, so that
/// it is the better the fewer keys it reads; and this one can be looked up by all processors at once.
fn narrow(view: &View, of_rows: &[String], necessary: &[String]) -> String {
    if of_rows.is_empty() && necessary.is_empty() {
        return String::new();
    }
    let (key, table) = (view.key.join(", "), view.table);
    let list = |word: &str, conditions: Vec<String>| match conditions.is_empty() {
        true => String::new(),
        false => format!(" {word} {}", conditions.join(" AND ")),
    };
    let rows = list("WHERE", of_rows.to_vec());
    // Each may hold on another host.
    let hosts = necessary.iter().map(|condition| format!("max({condition})"));
    let keys = list("HAVING", hosts.collect());
    format!(" PREWHERE ({key}) IN (SELECT {key} FROM {table}{rows} GROUP BY {key}{keys})")
}

/// Conditions on single rows: on what is the same on every host.
fn row_conditions(view: &View, wanted: &Wanted) -> Vec<String> {
    let mut conditions = Vec::new();
    if let Some(name) = &wanted.workload {
        conditions.push(match name.contains('*') {
            true => format!("{} LIKE {}", view.workload, like(name)),
            false => format!("{} = {}", view.workload, quoted(name)),
        });
    }
    if let Some((method, path)) = view.place {
        if !wanted.methods.is_empty() {
            let methods: Vec<String> = wanted
                .methods
                .iter()
                .map(|method| quoted(&method.to_uppercase()))
                .collect();
            conditions.push(format!("upper({method}) IN ({})", methods.join(", ")));
        }
        if let Some(pattern) = &wanted.path {
            let pattern = match pattern.contains('*') {
                true => like(pattern),
                false => like(&format!("{}*", pattern.replace('*', ""))),
            };
            conditions.push(format!("{path} LIKE {pattern}"));
        }
    }
    conditions
}

/// A member as it is sorted by.
fn sortable(view: &View, name: &str) -> String {
    match view.member(name).map(|member| member.kind) {
        Some(Kind::Severity) => rank(&column(name)),
        Some(Kind::Texts) => format!("length({})", column(name)),
        _ => column(name),
    }
}

/// A severity as a number.
pub fn rank(column: &str) -> String {
    format!("indexOf({SEVERITIES}, {column})")
}

/// What the rows with these keys add up to, and the host that speaks for each.
fn sums(view: &View, keys: &[Vec<Value>]) -> String {
    let key = view.key.join(", ");
    let added: String = view
        .members
        .iter()
        .filter(|member| member.replaces)
        .map(|member| format!(", {} AS {}", member.sum(), column(member.name)))
        .collect();
    let named: Vec<String> = keys.iter().map(|key| tuple(key)).collect();
    format!(
        "SELECT {key}, argMax(node, {}) AS speaker{added} FROM {} FINAL WHERE ({key}) IN ({}) AND gone = 0 GROUP BY {key}",
        view.largest,
        view.table,
        named.join(", ")
    )
}

/// What these hosts say of the rows with these keys.
fn records(view: &View, pairs: &[(&[Value], &Value)]) -> String {
    let key = view.key.join(", ");
    let grouped = match view.key.contains(&"node") {
        true => key.clone(),
        false => format!("{key}, node"),
    };
    let named: Vec<String> = pairs
        .iter()
        .map(|(key, node)| {
            let mut values = key.to_vec();
            values.push((*node).clone());
            tuple(&values)
        })
        .collect();
    let named = match named.is_empty() {
        true => "0".to_owned(),
        false => format!("({key}, node) IN ({})", named.join(", ")),
    };
    // By hand what FINAL does: the large column is read by the index, in no order.
    let latest = |column: &str| format!("argMax({column}, v)");
    let (record, gone) = (latest("record"), latest("gone"));
    format!(
        "SELECT {key}, node AS speaker, {record} AS said FROM {} WHERE {named} GROUP BY {grouped} HAVING {gone} = 0",
        view.table
    )
}

fn tuple(values: &[Value]) -> String {
    let written: Vec<String> = values
        .iter()
        .map(|value| match value {
            Value::String(text) => quoted(text),
            other => other.to_string(),
        })
        .collect();
    match written.as_slice() {
        [one] => one.clone(),
        all => format!("({})", all.join(", ")),
    }
}

/// The row that is shown: what one host says, with what has to be added up.
fn row(view: &View, record: &Value, sums: &Value) -> Option<Value> {
    let mut shown: Value = serde_json::from_str(record.get("said")?.as_str()?).ok()?;
    for member in view.members.iter().filter(|member| member.replaces) {
        let name = column(member.name);
        let value = match member.kind {
            Kind::Time => Timestamp(number(sums, &name) * 1_000_000_000).rfc3339().into(),
            Kind::Number => numeric(sums.get(&name)?),
            Kind::Text | Kind::Severity | Kind::Texts => sums.get(&name)?.clone(),
        };
        // What no host knows stays as it is: unknown, or left out.
        if value.as_f64() != Some(0.0) {
            put(&mut shown, member.name, value);
        }
    }
    put(&mut shown, "node", record.get("speaker")?.clone());
    Some(shown)
}

fn put(shown: &mut Value, path: &str, value: Value) {
    match (path.split_once('.'), shown) {
        (Some((name, rest)), Value::Object(members)) => {
            put(members.entry(name).or_insert_with(|| json!({})), rest, value);
        }
        (None, Value::Object(members)) => {
            members.insert(path.to_owned(), value);
        }
        _ => {}
    }
}

fn by_key(view: &View, rows: Vec<Value>) -> BTreeMap<String, Value> {
    rows.into_iter()
        .map(|row| (text_of(&values(&row, view.key)), row))
        .collect()
}

/// The values of a key. Large numbers may come as text: they stay numbers where the column is one.
fn values(row: &Value, key: &[&str]) -> Vec<Value> {
    key.iter()
        .map(|name| match row.get(*name) {
            Some(value) if matches!(*name, "id" | "endpoint") => numeric(value),
            Some(value) => value.clone(),
            None => Value::Null,
        })
        .collect()
}

fn text_of(key: &[Value]) -> String {
    key.iter().map(|value| format!("{value} ")).collect()
}

/// A number, also one that was written as text because it has 64 bits.
fn numeric(value: &Value) -> Value {
    let parsed = value.as_str().and_then(|text| text.parse::<u64>().ok());
    parsed.map_or_else(|| value.clone(), Value::from)
}

fn number(row: &Value, name: &str) -> u64 {
    row.get(name)
        .map(numeric)
        .and_then(|value| value.as_u64())
        .unwrap_or(0)
}

fn text(row: &Value, name: &str) -> String {
    row.get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::{super::view, *};

    #[test]
    fn literals_cannot_end_early() {
        assert_eq!(quoted(r"a'b\"), r"'a\'b\\'");
        assert_eq!(like("50%_*"), r"'50\\%\\_%'");
    }

    #[test]
    fn only_what_is_asked_for_is_added_up() {
        let wanted = Wanted {
            conditions: vec!["m_hits > 10".to_owned()],
            necessary: vec!["risk > 50".to_owned()],
            workload: Some("shop-*".to_owned()),
            methods: vec!["get".to_owned()],
            path: Some("/v1".to_owned()),
            since: Some(Timestamp(5_000_000_000)),
            limit: 7,
            ..Wanted::default()
        };
        assert_eq!(
            which(&view::ENDPOINTS, &wanted),
            "SELECT id FROM (SELECT id, sum(hits) AS m_hits, toUInt32(max(last_seen)) AS m_last_seen FROM endpoints FINAL \
             PREWHERE (id) IN (SELECT id FROM endpoints WHERE workload LIKE 'shop-%' AND upper(method) IN ('GET') AND \
             template LIKE '/v1%' GROUP BY id HAVING max(risk > 50)) \
             WHERE gone = 0 AND workload LIKE 'shop-%' AND upper(method) IN ('GET') AND template LIKE '/v1%' GROUP BY id) \
             WHERE m_hits > 10 AND m_last_seen >= 5 ORDER BY m_hits DESC, id LIMIT 0, 7"
        );
    }

    #[test]
    fn a_row_is_what_one_host_says_with_sums() {
        let record = json!({"id": "18446744073709551615", "speaker": "n7",
            "said": json!({"hits": 1, "status": {"2xx": 1}, "latency_ms": {"p99": null}, "template": "/a"}).to_string()});
        let sums = json!({"m_hits": "12", "m_status_2xx": 9, "m_status_1xx": 0, "m_status_3xx": 0, "m_status_4xx": 3, "m_status_5xx": 0,
            "m_latency_ms_p50": 0, "m_latency_ms_p90": 0, "m_latency_ms_p99": 0, "m_risk": 7.5, "m_nodes": 3,
            "m_first_seen": 1_769_846_400, "m_last_seen": 1_769_846_401, "m_exposure": "internet", "m_auth_verdict": "mixed"});
        let shown = row(&view::ENDPOINTS, &record, &sums).unwrap();
        assert_eq!(
            shown,
            json!({"hits": 12, "status": {"2xx": 9, "4xx": 3}, "latency_ms": {"p99": null}, "template": "/a", "risk": 7.5,
                "first_seen": "2026-01-31T08:00:00.000Z", "last_seen": "2026-01-31T08:00:01.000Z", "exposure": "internet",
                "auth": {"verdict": "mixed"}, "nodes": 3, "node": "n7"})
        );
        assert_eq!(
            values(&record, &["id"]),
            [Value::from(u64::MAX)],
            "an id stays a number"
        );
    }

    #[test]
    fn every_view_orders_by_a_member_it_has() {
        for view in [
            view::ENDPOINTS,
            view::WORKLOADS,
            view::FINDINGS,
            view::RISKS,
            view::ALERTS,
            view::ANOMALIES,
        ] {
            assert!(view.member(view.order).is_some(), "{}", view.table);
            assert!(view.seen.is_none_or(|seen| view.member(seen).is_some()));
        }
    }
}
