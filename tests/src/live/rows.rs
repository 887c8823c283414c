//! Rows of `endpoints` as lines that can be compared and read.

use apiarist::inventory::EndpointView;

/// The endpoints of one workload: method, template, answers by class, completeness, callers.
pub(crate) fn of(endpoints: &[EndpointView], workload: &str) -> Vec<String> {
    let mut lines: Vec<String> = endpoints
        .iter()
        .filter(|row| row.workload == workload)
        .map(line)
        .collect();
    lines.sort();
    lines
}

fn line(row: &EndpointView) -> String {
    let status: Vec<String> = row
        .status
        .iter()
        .map(|(class, count)| format!("{class}: {count}"))
        .collect();
    let mut callers = row.callers.clone();
    callers.sort();
    format!(
        "{} {} [{}], {} of {} complete, by {}",
        row.method,
        row.template,
        status.join(", "),
        row.completeness.complete,
        row.hits,
        callers.join(", ")
    )
}

/// What [`of`] gives for an endpoint all of whose exchanges were complete and answered in one class.
pub(crate) fn row(method: &str, template: &str, class: &str, count: u64, caller: &str) -> String {
    format!("{method} {template} [{class}: {count}], {count} of {count} complete, by {caller}")
}

/// Sorted as [`of`] sorts.
pub(crate) fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}
