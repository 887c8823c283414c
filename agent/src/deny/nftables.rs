//! Sets of nftables (nft(8)): the kernel removes elements when their time is over.

use std::fmt::Write as _;

use super::{Denial, plain};

pub(super) fn write(denial: &Denial) -> String {
    let mut out = denial.heading(
        "Apply with `nft -f FILE`; then deny in a chain of yours: `ip saddr @denied4 drop`, `ip6 saddr @denied6 drop`.",
    );
    out.push_str("add table inet apiarist\n");
    for (set, kind, is_v4) in [("denied4", "ipv4_addr", true), ("denied6", "ipv6_addr", false)] {
        // Writing to a string cannot fail.
        writeln!(
            out,
            "add set inet apiarist {set} {{ type {kind}; flags timeout; }}"
        )
        .ok();
        for address in denial
            .addresses
            .iter()
            .filter(|address| address.is_ipv4() == is_v4)
        {
            writeln!(
                out,
                "add element inet apiarist {set} {{ {address} timeout {}s comment \"{}\" }}",
                denial.span.as_secs(),
                plain(&denial.incident)
            )
            .ok();
        }
    }
    out
}
