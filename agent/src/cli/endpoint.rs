//! `apiarist endpoint ID`: everything that is known about one endpoint.

use serde_json::Value;

use super::{
    Context, Failure,
    describe::describe,
    output::{self, Format},
    source::{self, Topic},
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist endpoint 9f31c2
  apiarist endpoint 9f31c2 -o json
  apiarist endpoint 9f31c2 --store /var/lib/apiarist";

/// Show everything that is known about one endpoint
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Its id as `apiarist endpoints` shows it, or the beginning of it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    source: source::Args,
    /// Form of the result: an object, not a list, in JSON and YAML
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let rows = args.source.rows(Topic::Endpoints, context)?;
    let row = find(&rows, &args.id)?;
    match args.output {
        Format::Table => describe(context.out, row, 0),
        format => output::object(context.out, format, row),
    }
}

fn find<'r>(rows: &'r [Value], id: &str) -> Result<&'r Value, Failure> {
    let id_of = |row: &'r Value| row.get("id").and_then(Value::as_str).unwrap_or_default();
    if let Some(exact) = rows.iter().find(|row| id_of(row) == id) {
        return Ok(exact);
    }
    let mut matching = rows
        .iter()
        .filter(|row| !id.is_empty() && id_of(row).starts_with(id));
    match (matching.next(), matching.count()) {
        (Some(one), 0) => Ok(one),
        (Some(_), more) => Err(Failure::usage(format!(
            "{} endpoints have ids that begin with `{}`: give more of it",
            more + 1,
            id.escape_debug()
        ))),
        (None, _) => Err(Failure::usage(format!(
            "no endpoint has the id `{}`: `apiarist endpoints` lists them",
            id.escape_debug()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_beginning_of_an_id_is_enough_if_it_is_the_only_one() {
        let rows = [
            json!({"id": "aa1"}),
            json!({"id": "aa2"}),
            json!({"id": "aa"}),
            json!({"id": "b"}),
        ];
        assert_eq!(find(&rows, "aa").unwrap()["id"], "aa");
        assert_eq!(find(&rows, "aa2").unwrap()["id"], "aa2");
        assert!(
            find(&rows, "a")
                .unwrap_err()
                .sentence()
                .unwrap()
                .starts_with("3 endpoints")
        );
        assert!(find(&rows, "x").is_err());
        assert!(find(&rows, "").is_err());
    }
}
