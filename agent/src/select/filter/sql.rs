//! A filter expression as a condition of a database.
//!
//! In: an expression, and what the members are called there. Out: SQL that accepts the same rows, or the name of the first
//! member that the database does not know.

use serde_json::Value;

use super::{Filter, lex::Operator, parse::Expression};
use crate::{
    clock::Timestamp,
    fleet::{Kind, Member, column, quoted, rank},
    verdict::Severity,
};

impl Filter {
    /// The condition; `member` knows the members by name.
    ///
    /// # Errors
    /// Name of a member that is not known.
    pub(crate) fn to_sql(&self, member: &dyn Fn(&str) -> Option<&'static Member>) -> Result<String, String> {
        condition(&self.expression, member)
    }

    /// Conditions on what single hosts say: for every row that is accepted, each of them holds on at least one host.
    pub(crate) fn necessary(&self, member: &dyn Fn(&str) -> Option<&'static Member>) -> Vec<String> {
        let parts = match &self.expression {
            Expression::And(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        let on_one_host = |part: &Expression| {
            let Expression::Compare(path, operator, value) = part else {
                return None;
            };
            let or_above = match operator {
                Operator::Equal => false,
                Operator::Greater | Operator::GreaterOrEqual => true,
                _ => return None,
            };
            let member = member(&path.join("."))?;
            let column = member.on_one_host(or_above)?;
            (!value.is_null()).then(|| compare(column, member.kind, *operator, value))
        };
        parts.iter().filter_map(on_one_host).collect()
    }
}

fn condition(
    expression: &Expression,
    member: &dyn Fn(&str) -> Option<&'static Member>,
) -> Result<String, String> {
    let find = |path: &[String]| {
        let name = path.join(".");
        member(&name).ok_or(name)
    };
    let all = |all: &[Expression], word: &str| {
        let parts: Result<Vec<String>, String> = all.iter().map(|one| condition(one, member)).collect();
        parts.map(|parts| format!("({})", parts.join(word)))
    };
    Ok(match expression {
        Expression::Or(parts) => all(parts, " OR ")?,
        Expression::And(parts) => all(parts, " AND ")?,
        Expression::Not(inner) => format!("NOT ({})", condition(inner, member)?),
        Expression::Present(path) => {
            let member = find(path)?;
            present(&column(member.name), member.kind)
        }
        Expression::Compare(path, operator, value) => {
            let member = find(path)?;
            compare(&column(member.name), member.kind, *operator, value)
        }
        Expression::Matches(path, pattern, wanted) => {
            let member = find(path)?;
            let found = |text: &str| {
                let contains = format!("position({text}, {}) > 0", quoted(&pattern.text));
                match &pattern.regex {
                    Some(regex) => format!("({contains} OR match({text}, {}))", quoted(regex.as_str())),
                    None => contains,
                }
            };
            let column = column(member.name);
            let matches = match member.kind {
                Kind::Texts => format!("arrayExists(x -> {}, {column})", found("x")),
                Kind::Number => found(&format!("toString({column})")),
                Kind::Text | Kind::Severity | Kind::Time => found(&column),
            };
            if *wanted {
                matches
            } else {
                format!("NOT ({matches})")
            }
        }
    })
}

fn present(column: &str, kind: Kind) -> String {
    match kind {
        Kind::Text | Kind::Severity | Kind::Texts => format!("notEmpty({column})"),
        Kind::Number | Kind::Time => "1".to_owned(),
    }
}

fn compare(name: &str, kind: Kind, operator: Operator, value: &Value) -> String {
    let sign = match operator {
        Operator::Equal => "=",
        Operator::NotEqual => "!=",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        // The parser makes another expression of these.
        Operator::Matches | Operator::MatchesNot => return "0".to_owned(),
    };
    match (kind, value) {
        (_, Value::Null) => match operator {
            Operator::Equal => format!("NOT ({})", present(name, kind)),
            Operator::NotEqual => present(name, kind),
            _ => "0".to_owned(),
        },
        (Kind::Number, Value::Number(number)) => format!("{name} {sign} {number}"),
        (Kind::Severity, Value::String(text)) => match Severity::named(text) {
            Some(severity) => format!("{} {sign} {}", rank(name), severity as u8 + 1),
            None => format!("{name} {sign} {}", quoted(text)),
        },
        (Kind::Text, Value::String(text)) => format!("{name} {sign} {}", quoted(text)),
        (Kind::Time, Value::String(text)) => match Timestamp::from_rfc3339(text) {
            Some(time) => format!("{name} {sign} {}", time.0 / 1_000_000_000),
            None => differs(operator),
        },
        (Kind::Texts, Value::String(text)) => match operator {
            Operator::Equal => format!("has({name}, {})", quoted(text)),
            Operator::NotEqual => format!("NOT has({name}, {})", quoted(text)),
            _ => format!("arrayExists(x -> x {sign} {}, {name})", quoted(text)),
        },
        // Different types are never equal, and have no order.
        _ => differs(operator),
    }
}

fn differs(operator: Operator) -> String {
    u8::from(operator == Operator::NotEqual).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ENDPOINTS;

    fn sql(text: &str) -> Result<String, String> {
        Filter::parse(text)
            .unwrap()
            .to_sql(&|name| ENDPOINTS.member(name))
    }

    #[test]
    fn expressions_become_conditions() {
        for (text, condition) in [
            ("hits > 10", "m_hits > 10.0"),
            ("status.2xx == 3 or risk", "(m_status_2xx = 3.0 OR 1)"),
            ("not method == 'GET'", "NOT (m_method = 'GET')"),
            (
                r#"template ~ "us'er""#,
                r"(position(m_template, 'us\'er') > 0 OR match(m_template, 'us\'er'))",
            ),
            ("sensitive.type == 'iban'", "has(m_sensitive_type, 'iban')"),
            ("owner", "notEmpty(m_owner)"),
            ("owner == null", "NOT (notEmpty(m_owner))"),
            ("hits == 'x'", "0"),
            ("hits != 'x'", "1"),
            ("last_seen > '2026-01-31T08:00:00Z'", "m_last_seen > 1769846400"),
        ] {
            assert_eq!(sql(text).as_deref(), Ok(condition), "{text}");
        }
    }

    #[test]
    fn what_holds_for_all_is_looked_for_on_each() {
        let necessary = |text: &str| {
            let filter = Filter::parse(text).unwrap();
            filter.necessary(&|name| ENDPOINTS.member(name)).join(" & ")
        };
        for (text, conditions) in [
            (
                "exposure == 'internet' and sensitive.type == 'email' and risk > 50",
                "exposure = 'internet' & has(sensitive, 'email') & risk > 50.0",
            ),
            (
                "node == 'n1' and hits > 10 and template ~ 'x'",
                "has([node], 'n1')",
            ),
            // Added up, by its end, by another order, or one of two: nothing follows for single hosts.
            ("hits == 3 and last_seen > '2026-01-31T08:00:00Z'", ""),
            ("exposure > 'host' and risk < 3 and owner != 'x'", ""),
            ("auth.verdict == 'mixed' and owner == null", ""),
            ("risk > 50 or risk == 0", ""),
            ("not risk > 50", ""),
        ] {
            assert_eq!(necessary(text), conditions, "{text}");
        }
    }

    #[test]
    fn a_member_that_is_not_there_is_named() {
        assert_eq!(
            sql("hits > 1 and nature.name == 'x'"),
            Err("nature.name".to_owned())
        );
    }

    #[test]
    fn severities_are_compared_by_how_bad_they_are() {
        let filter = Filter::parse("severity >= 'high'").unwrap();
        let condition = filter.to_sql(&|name| crate::fleet::ALERTS.member(name)).unwrap();
        assert!(condition.ends_with("m_severity) >= 4"), "{condition}");
    }
}
