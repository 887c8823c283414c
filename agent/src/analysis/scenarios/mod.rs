//! Labelled replays: attacks and harmless oddities, each with normal traffic around.
//!
//! Each scenario says what it must come to, and within how many events. What the customers do meanwhile must never be
//! an incident.

mod attacks;
mod harmless;
mod kit;
mod lasting;

use crate::verdict::Verdict;
use kit::World;

/// What a scenario must come to.
#[derive(Debug, Clone, Copy)]
enum Expect {
    /// An incident of one of these classes, within so many events.
    Incident(&'static [&'static str], usize),
    /// An anomaly of this class, and no incident.
    Anomaly(&'static str),
    /// No incident.
    Silence,
}

/// One labelled replay.
struct Scenario {
    name: &'static str,
    expect: Expect,
    play: fn(&mut World),
}

const fn scenario(name: &'static str, expect: Expect, play: fn(&mut World)) -> Scenario {
    Scenario { name, expect, play }
}

/// What is wrong with the outcome of a scenario; nothing if it is as labelled.
fn check(scenario: &Scenario) -> Option<String> {
    let mut world = World::learned();
    let before = world.incidents();
    if !before.is_empty() || !world.normal.is_empty() {
        return Some(format!("while learning: {before:?}"));
    }
    (scenario.play)(&mut world);
    let (incidents, anomalies) = (world.incidents(), world.anomalies());
    let first = world
        .special
        .iter()
        .position(|verdict| *verdict == Verdict::Incident);
    let problem = match scenario.expect {
        Expect::Incident(classes, within) => {
            let has_class = incidents.iter().any(|class| classes.contains(&class.as_str()));
            let in_time = first.is_some_and(|first| first < within);
            (!has_class || !in_time).then(|| format!("{classes:?} within {within}: first at {first:?}"))
        }
        Expect::Anomaly(class) => {
            let has_class = anomalies.iter().any(|found| found == class);
            (!has_class || !incidents.is_empty()).then(|| format!("anomaly {class} alone"))
        }
        Expect::Silence => (!incidents.is_empty() || first.is_some()).then(|| "silence".to_owned()),
    };
    let problem =
        problem.or_else(|| (!world.normal.is_empty()).then(|| format!("customers: {:?}", world.normal)));
    problem.map(|problem| {
        format!(
            "{}: expected {problem}; incidents {incidents:?}, anomalies {anomalies:?}",
            scenario.name
        )
    })
}

fn check_all(scenarios: &[Scenario]) {
    let wrong: Vec<String> = scenarios.iter().filter_map(check).collect();
    println!(
        "{} of {} scenarios as labelled",
        scenarios.len() - wrong.len(),
        scenarios.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_at_least_forty() {
    assert!(attacks::SCENARIOS.len() + harmless::SCENARIOS.len() >= 40);
}
