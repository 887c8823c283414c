//! A NetworkPolicy of Kubernetes: everybody may call the pods but those addresses.
//!
//! It admits what no other policy admits as well; where the pods have policies already, the exception belongs into them.

use std::fmt::Write as _;

use super::{Denial, plain};

pub(super) fn write(denial: &Denial) -> String {
    let mut out = denial.heading(
        "Apply with `kubectl apply -n NAMESPACE -f FILE`. It admits all others: if the pods have policies, add the exceptions there.",
    );
    let name: String = denial
        .incident
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    // Writing to a string cannot fail.
    writeln!(
        out,
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: apiarist-deny-{}\n  annotations:\n    apiarist.dev/incident: \"{}\"\n    apiarist.dev/until: \"{}\"\nspec:",
        name.trim_matches('-'),
        plain(&denial.incident),
        denial.until.rfc3339()
    )
    .ok();
    match denial.labels.as_slice() {
        [] => out.push_str("  podSelector: {}\n"),
        labels => {
            out.push_str("  podSelector:\n    matchLabels:\n");
            for (label, value) in labels {
                writeln!(out, "      \"{}\": \"{}\"", plain(label), plain(value)).ok();
            }
        }
    }
    out.push_str("  policyTypes: [Ingress]\n  ingress:\n    - from:\n");
    for (all, bits, is_v4) in [("0.0.0.0/0", 32, true), ("::/0", 128, false)] {
        writeln!(out, "        - ipBlock:\n            cidr: \"{all}\"").ok();
        let denied: Vec<String> = denial
            .addresses
            .iter()
            .filter(|address| address.is_ipv4() == is_v4)
            .map(|address| format!("\"{address}/{bits}\""))
            .collect();
        if !denied.is_empty() {
            writeln!(out, "            except: [{}]", denied.join(", ")).ok();
        }
    }
    out
}
