//! One report in every form.

use super::*;
use crate::{spec::Place, verdict::Severity};

fn issues() -> Vec<Issue> {
    let issue = |rule: &'static str, severity, endpoint: &str, text: &str, place| Issue {
        rule: rule.into(),
        severity,
        endpoint: endpoint.to_owned(),
        workload: None,
        text: text.to_owned(),
        advice: "Do it.".into(),
        place,
    };
    let place = Place {
        document: "a dir/api.yml".into(),
        pointer: "/paths/~1a/get".into(),
        line: 7,
    };
    vec![
        issue(
            "shadow_endpoint",
            Severity::Medium,
            "GET /<b>\u{1b}|x",
            "served & not documented: 3",
            None,
        ),
        issue(
            "undocumented_status",
            Severity::Low,
            "GET /a",
            "answered with 500",
            Some(place),
        ),
    ]
}

fn with_report<T>(gate: &str, test: impl Fn(&Report<'_>) -> T) -> T {
    let (cases, gate, issues) = (vec!["GET /a".to_owned()], gate.parse().expect("a gate"), issues());
    test(&Report {
        check: "spec diff",
        cases: &cases,
        issues: &issues,
        gate: &gate,
    })
}

#[test]
fn sarif_places_results_and_describes_rules() {
    let log = with_report("medium", sarif);
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "shadow_endpoint");
    let result = &run["results"][1];
    assert_eq!(
        (&result["ruleIndex"], &result["level"]),
        (&1.into(), &"note".into())
    );
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%20dir/api.yml");
    assert_eq!(place["region"]["startLine"], 7);
}

#[test]
fn junit_counts_what_fails_and_escapes() {
    let xml = with_report("medium", junit);
    assert!(xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
    assert!(xml.contains("name=\"GET /&lt;b&gt;?|x\""), "{xml}");
    assert!(
        xml.contains("<system-out>undocumented_status (low): answered with 500</system-out>"),
        "{xml}"
    );
    assert!(with_report("none", junit).contains("failures=\"0\""));
}

#[test]
fn markdown_shows_what_failed_first() {
    let text = with_report("low", |report| {
        markdown(report, &["5 of 7 operations".to_owned()])
    });
    assert!(
        text.starts_with("## Apiarist spec diff: failed: 2 issues\n\n- 5 of 7 operations\n"),
        "{text}"
    );
    assert!(
        text.contains("| ❌ | medium | `GET /<b>  x` | `shadow_endpoint` |"),
        "{text}"
    );
    assert!(with_report("none", |report| markdown(report, &[])).contains("passed"));
}
