//! What can be asked of all hosts: which table, what makes rows of several hosts one, and how each member is added up.
//!
//! Data only. Members are named as in the JSON of the query commands.

/// Type of a member: decides how it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// Seconds since the epoch; RFC 3339 text in JSON.
    Time,
    /// A severity, by how bad it is.
    Severity,
    /// Several texts.
    Texts,
}

/// A member that rows can be filtered and sorted by.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name in the JSON, with dots.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What it is over all hosts, in SQL.
    pub(super) sum: &'static str,
    /// Whether that takes the place of what one host says.
    pub(super) replaces: bool,
}

/// What is asked for.
#[derive(Debug)]
pub struct View {
    pub(super) table: &'static str,
    /// Rows with the same values of these are one.
    pub(super) key: &'static [&'static str],
    /// Of these hosts, the one whose record is shown: where this is largest.
    pub(super) largest: &'static str,
    /// Method and path of a row in SQL, if it has any.
    pub(super) place: Option<(&'static str, &'static str)>,
    /// Name and id of the workload in SQL.
    pub(super) workload: &'static str,
    /// A condition that always holds.
    pub(super) only: &'static str,
    /// Member that says when it was last seen, if there is one.
    pub(super) seen: Option<&'static str>,
    /// Order when none is asked for: a member, the largest first.
    pub(super) order: &'static str,
    /// Members.
    pub members: &'static [Member],
}

impl View {
    /// The member with this name.
    pub fn member(&self, name: &str) -> Option<&'static Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// What one host says holds for all.
const fn same(name: &'static str, kind: Kind, sum: &'static str) -> Member {
    Member {
        name,
        kind,
        sum,
        replaces: false,
    }
}

/// Has to be added up.
const fn added(name: &'static str, kind: Kind, sum: &'static str) -> Member {
    Member {
        name,
        kind,
        sum,
        replaces: true,
    }
}

const NODES: Member = added("nodes", Kind::Number, "count()");
const NODE: Member = same("node", Kind::Texts, "groupUniqArray(node)");
const OWNER: Member = same("owner", Kind::Text, "any(owner)");
const FIRST: Member = added("first_seen", Kind::Time, "toUInt32(min(first_seen))");
const LAST: Member = added("last_seen", Kind::Time, "toUInt32(max(last_seen))");
const EXPOSURE: Member = added(
    "exposure",
    Kind::Text,
    "arrayElement(['unknown','host','cluster','internet'], \
     max(indexOf(['unknown','host','cluster','internet'], exposure)))",
);
const SEVERITY: Member = same(
    "severity",
    Kind::Severity,
    "arrayElement(['info','low','medium','high','critical'], \
     max(indexOf(['info','low','medium','high','critical'], severity)))",
);

/// Method and template in `GET /v1/users`.
const NAMED: (&str, &str) = (
    "substring(endpoint_name, 1, position(endpoint_name, ' ') - 1)",
    "substring(endpoint_name, position(endpoint_name, ' ') + 1)",
);

/// Endpoints of all hosts: one row for those with the same id.
pub const ENDPOINTS: View = View {
    table: "endpoints",
    key: &["id"],
    largest: "last_seen",
    place: Some(("method", "template")),
    workload: "workload",
    only: "",
    seen: Some("last_seen"),
    order: "hits",
    members: &[
        same("workload", Kind::Text, "any(workload)"),
        same("kind", Kind::Text, "any(kind)"),
        same("method", Kind::Text, "any(method)"),
        same("template", Kind::Text, "any(template)"),
        same("operation", Kind::Text, "any(operation)"),
        OWNER,
        same("state", Kind::Text, "any(state)"),
        EXPOSURE,
        added(
            "auth.verdict",
            Kind::Text,
            "if(uniq(auth) = 1, any(auth), 'mixed')",
        ),
        same("spec", Kind::Text, "any(spec)"),
        added("risk", Kind::Number, "max(risk)"),
        added("hits", Kind::Number, "sum(hits)"),
        added("status.1xx", Kind::Number, "sum(status_1xx)"),
        added("status.2xx", Kind::Number, "sum(status_2xx)"),
        added("status.3xx", Kind::Number, "sum(status_3xx)"),
        added("status.4xx", Kind::Number, "sum(status_4xx)"),
        added("status.5xx", Kind::Number, "sum(status_5xx)"),
        added("latency_ms.p50", Kind::Number, "max(latency_p50)"),
        added("latency_ms.p90", Kind::Number, "max(latency_p90)"),
        added("latency_ms.p99", Kind::Number, "max(latency_p99)"),
        same("sensitive.type", Kind::Texts, "groupUniqArrayArray(sensitive)"),
        FIRST,
        LAST,
        NODES,
        NODE,
    ],
};

/// Workloads of all hosts.
pub const WORKLOADS: View = View {
    table: "workloads",
    key: &["id"],
    largest: "last_seen",
    place: None,
    workload: "name",
    only: "",
    seen: Some("last_seen"),
    order: "hits",
    members: &[
        same("name", Kind::Text, "any(name)"),
        same("kind", Kind::Text, "any(kind)"),
        OWNER,
        added("endpoints", Kind::Number, "max(endpoints)"),
        added("hits", Kind::Number, "sum(hits)"),
        added("unrouted", Kind::Number, "sum(unrouted)"),
        FIRST,
        LAST,
        NODES,
        NODE,
    ],
};

/// Findings of all hosts.
pub const FINDINGS: View = View {
    table: "findings",
    key: &["id"],
    largest: "last_seen",
    place: Some(NAMED),
    workload: "workload",
    only: "",
    seen: Some("last_seen"),
    order: "severity",
    members: &[
        same("id", Kind::Text, "any(id)"),
        same("rule", Kind::Text, "any(rule)"),
        same("owasp", Kind::Text, "any(owasp)"),
        SEVERITY,
        added("confidence", Kind::Number, "max(confidence)"),
        same("workload", Kind::Text, "any(workload)"),
        same("endpoint_name", Kind::Text, "any(endpoint_name)"),
        OWNER,
        added("count", Kind::Number, "sum(count)"),
        FIRST,
        LAST,
        NODES,
        NODE,
    ],
};

/// Risks of all hosts: of each endpoint and workload where it is highest.
pub const RISKS: View = View {
    table: "risks",
    key: &["endpoint", "workload"],
    largest: "score",
    place: Some(NAMED),
    workload: "workload",
    only: "",
    seen: None,
    order: "score",
    members: &[
        added("score", Kind::Number, "max(score)"),
        SEVERITY,
        same("workload", Kind::Text, "any(workload)"),
        same("endpoint_name", Kind::Text, "any(endpoint_name)"),
        EXPOSURE,
        OWNER,
        NODES,
        NODE,
    ],
};

const OF_ALERT: &[Member] = &[
    same("id", Kind::Text, "any(id)"),
    same("fingerprint", Kind::Text, "any(fingerprint)"),
    same("class", Kind::Text, "any(class)"),
    same("owasp", Kind::Text, "any(owasp)"),
    SEVERITY,
    same("confidence", Kind::Number, "any(confidence)"),
    same("workload", Kind::Text, "any(workload)"),
    same("endpoint_name", Kind::Text, "any(endpoint_name)"),
    same("actor", Kind::Text, "any(actor)"),
    OWNER,
    same("state", Kind::Text, "any(state)"),
    same("count", Kind::Number, "any(count)"),
    same("opened", Kind::Time, "toUInt32(any(opened))"),
    same("updated", Kind::Time, "toUInt32(any(updated))"),
    NODE,
];

/// Incidents of all hosts: one row each.
pub const ALERTS: View = View {
    table: "alerts",
    key: &["id", "node"],
    largest: "updated",
    place: Some(NAMED),
    workload: "workload",
    only: "kind = 'incident'",
    seen: Some("updated"),
    order: "updated",
    members: OF_ALERT,
};

/// Anomalies of all hosts: one row each.
pub const ANOMALIES: View = View {
    only: "kind = 'anomaly'",
    ..ALERTS
};
