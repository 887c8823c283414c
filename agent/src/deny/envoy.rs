//! An HTTP filter of Envoy (envoy.extensions.filters.http.rbac.v3.RBAC) that denies the endpoint to the addresses.

use std::fmt::Write as _;

use super::{Denial, plain};

pub(super) fn write(denial: &Denial) -> String {
    let mut out =
        denial.heading("Put it before the router among http_filters. Envoy knows no end: remove it then.");
    out.push_str(
        "name: envoy.filters.http.rbac\n\
         typed_config:\n  \"@type\": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC\n  \
         rules:\n    action: DENY\n    policies:\n",
    );
    // Writing to a string cannot fail.
    writeln!(out, "      \"apiarist-{}\":", plain(&denial.incident)).ok();
    out.push_str("        permissions:\n");
    match &denial.endpoint {
        None => out.push_str("          - any: true\n"),
        Some((method, path)) => {
            out.push_str("          - and_rules:\n              rules:\n");
            writeln!(
                out,
                "                - header: {{ name: \":method\", string_match: {{ exact: \"{}\" }} }}",
                plain(method)
            )
            .ok();
            writeln!(
                out,
                "                - url_path: {{ path: {{ safe_regex: {{ regex: '{}' }} }} }}",
                pattern(path)
            )
            .ok();
        }
    }
    out.push_str("        principals:\n          - or_ids:\n              ids:\n");
    for address in &denial.addresses {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        writeln!(
            out,
            "                - remote_ip: {{ address_prefix: \"{address}\", prefix_len: {bits} }}"
        )
        .ok();
    }
    out
}

/// A path template as a regular expression (RE2): parameters are any segment, all else itself.
fn pattern(path: &str) -> String {
    let mut out = String::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        out.push('/');
        if segment.starts_with('{') && segment.ends_with('}') {
            out.push_str(if segment.starts_with("{*") { ".*" } else { "[^/]+" });
            continue;
        }
        for c in segment.chars() {
            match c {
                c if c.is_ascii_alphanumeric() || "-_~%".contains(c) => out.push(c),
                // A quote would end the string of YAML.
                '\'' => out.push_str("\\x27"),
                c if c.is_ascii_graphic() => {
                    out.push('\\');
                    out.push(c);
                }
                _ => out.push('.'),
            }
        }
    }
    match out.is_empty() {
        true => "/".to_owned(),
        false => out,
    }
}
