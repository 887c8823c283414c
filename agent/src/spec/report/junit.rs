//! JUnit XML, as Jenkins, GitLab and GitHub's actions read it: one test case for each operation or endpoint.

use std::fmt::Write as _;

use super::Report;

/// The report as JUnit XML. A case fails when one of its issues does; its other issues are its output.
pub fn junit(report: &Report<'_>) -> String {
    let cases = report.by_case();
    let is_failed = |issues: &Vec<&crate::spec::Issue>| issues.iter().any(|issue| report.gate.fails(issue));
    let failures = cases.values().filter(|issues| is_failed(issues)).count();
    let name = escape(&format!("apiarist {}", report.check));
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"0\" time=\"0\"",
        cases.len()
    );
    // Writing to a string cannot fail.
    writeln!(out, "<testsuites name=\"{name}\" {counts}>").ok();
    writeln!(out, "  <testsuite name=\"{name}\" {counts} skipped=\"0\">").ok();
    for (case, issues) in &cases {
        let case = escape(case);
        let lines = |fails: bool| {
            let chosen = issues.iter().filter(|issue| report.gate.fails(issue) == fails);
            let lines: Vec<String> = chosen
                .map(|issue| format!("{} ({}): {}", issue.rule, issue.severity.as_str(), issue.text))
                .collect();
            lines
        };
        let (failing, others) = (lines(true), lines(false));
        write!(
            out,
            "    <testcase classname=\"{name}\" name=\"{case}\" time=\"0\""
        )
        .ok();
        if failing.is_empty() && others.is_empty() {
            out.push_str("/>\n");
            continue;
        }
        out.push_str(">\n");
        if let Some(first) = failing.first() {
            let text = escape(&failing.join("\n"));
            let message = escape(first);
            writeln!(
                out,
                "      <failure message=\"{message}\" type=\"apiarist\">{text}</failure>"
            )
            .ok();
        }
        if !others.is_empty() {
            writeln!(
                out,
                "      <system-out>{}</system-out>",
                escape(&others.join("\n"))
            )
            .ok();
        }
        out.push_str("    </testcase>\n");
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// Text as XML 1.0 §2.2 and §2.4 allow it, in elements and attributes; what no XML can hold becomes `?`.
fn escape(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut out, c| {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\n' | '\t' => out.push(c),
                c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('?'),
                c => out.push(c),
            }
            out
        })
}
