//! A `geo` map of NGINX (ngx_http_geo_module): a variable that is 1 for those who are denied.

use std::fmt::Write as _;

use super::Denial;

pub(super) fn write(denial: &Denial) -> String {
    let mut out = denial.heading(
        "Include it in `http`; then `if ($apiarist_denied) { return 403; }`. NGINX knows no end: remove it then.",
    );
    out.push_str("geo $apiarist_denied {\n    default 0;\n");
    for address in &denial.addresses {
        // Writing to a string cannot fail.
        writeln!(out, "    {address} 1;").ok();
    }
    out.push_str("}\n");
    out
}
