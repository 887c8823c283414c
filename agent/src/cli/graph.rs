//! `apiarist graph`: who calls whom, for a drawing program or another tool.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{
    Context, Failure, fleet,
    list::text,
    source::{self, Topic},
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist graph
  apiarist graph -o mermaid
  apiarist graph -o dot > calls.dot
  apiarist graph -o json --store /var/lib/apiarist
  apiarist --fleet clickhouse://clickhouse.example.net/apiarist graph -o mermaid";

/// Show who calls whom
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: source::Args,
    /// Form of the graph: for Graphviz, for programs, or for a page that draws Mermaid
    #[arg(short, long, value_enum, default_value_t = Format::Dot, value_name = "FORMAT")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Dot,
    Json,
    Mermaid,
}

/// What a node is: decides its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    /// Seen on this host.
    Workload,
    /// Somebody who calls from elsewhere.
    Caller,
    /// A host that is called.
    Egress,
}

impl Node {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Caller => "caller",
            Self::Egress => "egress",
        }
    }
}

/// Nodes by name, and calls between them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Graph {
    nodes: BTreeMap<String, Node>,
    edges: BTreeMap<(String, String), u64>,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let workloads = match &context.fleet {
        Some(address) => fleet::graph(address)?,
        None => args.source.rows(Topic::Workloads, context)?,
    };
    let graph = Graph::of(&workloads);
    let drawn = match args.output {
        Format::Dot => graph.dot(),
        Format::Json => format!("{:#}\n", graph.json()),
        Format::Mermaid => graph.mermaid(),
    };
    Ok(context.out.write_all(drawn.as_bytes())?)
}

impl Graph {
    fn of(workloads: &[Value]) -> Self {
        let mut graph = Self::default();
        let names: BTreeSet<String> = workloads.iter().map(|row| text(row, "name")).collect();
        for name in &names {
            graph.nodes.insert(name.clone(), Node::Workload);
        }
        for row in workloads {
            let name = text(row, "name");
            for (other, count) in counts(row, "calls_from") {
                graph.nodes.entry(other.clone()).or_insert(Node::Caller);
                *graph.edges.entry((other, name.clone())).or_default() += count;
            }
            for (host, count) in counts(row, "calls_to") {
                graph.nodes.entry(host.clone()).or_insert(Node::Egress);
                *graph.edges.entry((name.clone(), host)).or_default() += count;
            }
        }
        graph
    }

    /// The DOT language (graphviz.org).
    fn dot(&self) -> String {
        let mut out = String::from("digraph calls {\n  rankdir=LR;\n");
        for (name, node) in &self.nodes {
            let shape = match node {
                Node::Workload => "box",
                Node::Caller => "ellipse",
                Node::Egress => "cds",
            };
            out.push_str(&format!("  {} [shape={shape}];\n", quoted(name)));
        }
        for ((from, to), count) in &self.edges {
            out.push_str(&format!(
                "  {} -> {} [label=\"{count}\"];\n",
                quoted(from),
                quoted(to)
            ));
        }
        out + "}\n"
    }

    /// A flowchart (mermaid.js.org). Nodes are numbered: names may hold anything.
    fn mermaid(&self) -> String {
        let number: BTreeMap<&String, usize> = self.nodes.keys().zip(0..).collect();
        let mut out = String::from("flowchart LR\n");
        for ((name, node), number) in self.nodes.iter().zip(0..) {
            let (open, close) = match node {
                Node::Workload => ("[", "]"),
                Node::Caller => ("([", "])"),
                Node::Egress => ("[[", "]]"),
            };
            out.push_str(&format!("  n{number}{open}\"{}\"{close}\n", entities(name)));
        }
        for ((from, to), count) in &self.edges {
            if let (Some(from), Some(to)) = (number.get(from), number.get(to)) {
                out.push_str(&format!("  n{from} -->|{count}| n{to}\n"));
            }
        }
        out
    }

    fn json(&self) -> Value {
        let nodes: Vec<Value> = self
            .nodes
            .iter()
            .map(|(name, node)| json!({"name": name, "kind": node.as_str()}))
            .collect();
        let edges: Vec<Value> = self
            .edges
            .iter()
            .map(|((from, to), count)| json!({"from": from, "to": to, "exchanges": count}))
            .collect();
        json!({"nodes": nodes, "edges": edges})
    }
}

fn counts(row: &Value, member: &str) -> Vec<(String, u64)> {
    let members = row.get(member).and_then(Value::as_object).into_iter().flatten();
    members
        .filter_map(|(name, count)| Some((name.clone(), count.as_u64()?)))
        .collect()
}

/// A quoted id of DOT: only the quote ends it, and a backslash before a line break joins lines.
fn quoted(name: &str) -> String {
    let escaped: String = name.escape_debug().collect();
    format!("\"{escaped}\"")
}

/// Entity codes for what ends a quoted text of Mermaid or begins markup in it.
fn entities(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            c if c.is_alphanumeric() || "-._/: ".contains(c) => c.to_string(),
            other => format!("#{};", u32::from(other)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        Graph::of(&[
            json!({"name": "shop", "calls_from": {"web": 3, "10.0.0.7": 1}, "calls_to": {"api.pay.test": 2}}),
            json!({"name": "web", "calls_from": {}, "calls_to": {}}),
            json!({"name": "a\"b", "calls_from": {"shop": 1}}),
        ])
    }

    #[test]
    fn workloads_callers_and_hosts_are_nodes_and_calls_are_edges() {
        let graph = graph();
        assert_eq!(graph.nodes["web"], Node::Workload);
        assert_eq!(graph.nodes["10.0.0.7"], Node::Caller);
        assert_eq!(graph.nodes["api.pay.test"], Node::Egress);
        assert_eq!(graph.edges[&("web".to_owned(), "shop".to_owned())], 3);
        assert_eq!(graph.json()["edges"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn names_cannot_break_out_of_a_drawing() {
        let dot = graph().dot();
        assert!(dot.contains(r#"  "shop" -> "a\"b" [label="1"];"#), "{dot}");
        let mermaid = graph().mermaid();
        assert!(mermaid.contains("\"a#34;b\""), "{mermaid}");
        assert!(mermaid.contains("-->|3|"), "{mermaid}");
    }
}
