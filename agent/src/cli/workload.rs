//! `apiarist workload NAME`: everything that is known about one workload, and what it serves.

use serde_json::{Map, Value, json};

use super::{
    Context, Failure,
    describe::describe,
    list::{operation, text},
    output::{self, Format},
    source::{self, Topic},
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist workload shop
  apiarist workload shop -o json
  apiarist workload 0f3c --store /var/lib/apiarist";

/// Show everything that is known about one workload
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Its name, or the beginning of its id, as `apiarist workloads -o json` shows them
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    source: source::Args,
    /// Form of the result: an object, not a list, in JSON and YAML
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let workloads = args.source.rows(Topic::Workloads, context)?;
    let mut workload = find(&workloads, &args.name)?.clone();
    let endpoints = args.source.rows(Topic::Endpoints, context)?;
    let served = served(&workload, &endpoints, args.output == Format::Table);
    let called = called(&text(&workload, "name"), &workloads);
    if let Some(members) = workload.as_object_mut() {
        members.insert("calls_workloads".into(), called);
        members.insert("serves".into(), served);
    }
    match args.output {
        Format::Table => describe(context.out, &workload, 0),
        format => output::object(context.out, format, &workload),
    }
}

fn find<'r>(rows: &'r [Value], name: &str) -> Result<&'r Value, Failure> {
    let named: Vec<&Value> = rows.iter().filter(|row| text(row, "name") == name).collect();
    let by_id = || {
        rows.iter()
            .filter(|row| !name.is_empty() && text(row, "id").starts_with(name))
            .collect()
    };
    let found: Vec<&Value> = if named.is_empty() { by_id() } else { named };
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::usage(format!(
            "no workload is called `{}`: `apiarist workloads` lists them",
            name.escape_debug()
        ))),
        several => {
            let ids: Vec<String> = several.iter().map(|row| text(row, "id")).collect();
            Err(Failure::usage(format!(
                "{} workloads are called `{}`: give one of the ids {}",
                several.len(),
                name.escape_debug(),
                ids.join(", ")
            )))
        }
    }
}

/// Exchanges by workload of this host that it called.
fn called(name: &str, workloads: &[Value]) -> Value {
    let called = workloads.iter().filter_map(|row| {
        let calls = row.pointer("/calls_from")?.get(name)?;
        Some((text(row, "name"), calls.clone()))
    });
    called.collect::<Map<_, _>>().into()
}

/// The endpoints of a workload: a line each for people, the id and what it is for programs.
fn served(workload: &Value, endpoints: &[Value], for_people: bool) -> Value {
    let id = text(workload, "id");
    let own = endpoints
        .iter()
        .filter(|endpoint| text(endpoint, "workload_id") == id);
    own.map(|endpoint| match for_people {
        true => json!({
            "endpoint": format!("{} {}", text(endpoint, "method"), operation(endpoint)),
            "hits": endpoint.get("hits"),
            "exposure": endpoint.get("exposure"),
            "auth": endpoint.pointer("/auth/verdict"),
            "risk": endpoint.get("risk"),
        }),
        false => json!({
            "id": endpoint.get("id"),
            "method": endpoint.get("method"),
            "template": endpoint.get("template"),
            "operation": endpoint.get("operation"),
        }),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_before_an_id_and_has_to_be_the_only_one() {
        let rows = [
            json!({"id": "aa1", "name": "shop"}),
            json!({"id": "bb1", "name": "shop"}),
            json!({"id": "cc1", "name": "aa1"}),
        ];
        assert_eq!(find(&rows, "aa1").unwrap()["id"], "cc1");
        assert_eq!(find(&rows, "bb").unwrap()["id"], "bb1");
        let several = find(&rows, "shop").unwrap_err();
        assert!(several.sentence().unwrap().contains("aa1, bb1"));
        assert!(find(&rows, "x").is_err());
        assert!(find(&rows, "").is_err());
    }

    #[test]
    fn whom_it_calls_is_told_by_those() {
        let rows = [
            json!({"name": "shop", "calls_from": {"web": 3, "batch": 1}}),
            json!({"name": "stock", "calls_from": {"shop": 2}}),
            json!({"name": "web"}),
        ];
        assert_eq!(called("web", &rows), json!({"shop": 3}));
        assert_eq!(called("shop", &rows), json!({"stock": 2}));
        assert_eq!(called("stock", &rows), json!({}));
    }

    #[test]
    fn it_serves_its_own_endpoints_only() {
        let endpoints = [
            json!({"id": "1", "workload_id": "w", "method": "GET", "template": "/a"}),
            json!({"id": "2", "workload_id": "x", "method": "GET", "template": "/b"}),
        ];
        let served = served(&json!({"id": "w"}), &endpoints, true);
        assert_eq!(served.as_array().unwrap().len(), 1);
        assert_eq!(served[0]["endpoint"], "GET /a");
    }
}
