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

/// What a member is over all hosts, of what it is on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// The same on every host: that of any.
    Same,
    /// The sum.
    Total,
    /// The largest.
    Largest,
    /// The smallest.
    Smallest,
    /// The one that comes last in this list, in SQL.
    Worst(&'static str),
    /// All of them: the column is an array.
    All,
    /// What the column says, which is an aggregate already.
    Written,
}

/// A member that rows can be filtered and sorted by.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name in the JSON, with dots.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Where it is in the table, in SQL.
    column: &'static str,
    over: Over,
    /// Whether what it is over all hosts takes the place of what one host says.
    pub(super) replaces: bool,
}

impl Member {
    /// What it is over all hosts, in SQL.
    pub(super) fn sum(&self) -> String {
        let Self { column, kind, .. } = self;
        let sum = match self.over {
            Over::Same => format!("any({column})"),
            Over::Total => format!("sum({column})"),
            Over::Largest => format!("max({column})"),
            Over::Smallest => format!("min({column})"),
            Over::Worst(order) => format!("arrayElement({order}, max(indexOf({order}, {column})))"),
            Over::All => format!("groupUniqArrayArray({column})"),
            Over::Written => (*column).to_owned(),
        };
        match kind {
            Kind::Time => format!("toUInt32({sum})"),
            _ => sum,
        }
    }

    /// What it is on one host, in SQL, if what holds over all hosts holds on at least one of them: an equality, or, for what
    /// is the largest (`or_above`), that it is above something.
    pub fn on_one_host(&self, or_above: bool) -> Option<&'static str> {
        let carries = match self.over {
            Over::Same | Over::All => !or_above,
            Over::Worst(_) => !or_above || self.kind == Kind::Severity,
            Over::Largest => self.kind == Kind::Number,
            Over::Total | Over::Smallest | Over::Written => false,
        };
        carries.then_some(self.column)
    }
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

/// The same on all hosts, in a column of the same name.
const fn text(name: &'static str) -> Member {
    one(name, Kind::Text, name, Over::Same)
}

/// What one host says stands for all.
const fn one(name: &'static str, kind: Kind, column: &'static str, over: Over) -> Member {
    Member {
        name,
        kind,
        column,
        over,
        replaces: false,
    }
}

/// Takes the place of what one host says.
const fn whole(name: &'static str, kind: Kind, column: &'static str, over: Over) -> Member {
    Member {
        replaces: true,
        ..one(name, kind, column, over)
    }
}

/// A number that is added up.
const fn total(name: &'static str, column: &'static str) -> Member {
    whole(name, Kind::Number, column, Over::Total)
}

/// A number of which the largest counts.
const fn largest(name: &'static str, column: &'static str) -> Member {
    whole(name, Kind::Number, column, Over::Largest)
}

const NODES: Member = whole("nodes", Kind::Number, "count()", Over::Written);
const NODE: Member = one("node", Kind::Texts, "[node]", Over::All);
const OWNER: Member = text("owner");
const FIRST: Member = whole("first_seen", Kind::Time, "first_seen", Over::Smallest);
const LAST: Member = whole("last_seen", Kind::Time, "last_seen", Over::Largest);
const EXPOSURE: Member = whole(
    "exposure",
    Kind::Text,
    "exposure",
    Over::Worst("['unknown','host','cluster','internet']"),
);
const SEVERITY: Member = one("severity", Kind::Severity, "severity", Over::Worst(SEVERITIES));

/// Severities by how bad they are, in SQL.
pub(super) const SEVERITIES: &str = "['info','low','medium','high','critical']";

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
        text("workload"),
        text("kind"),
        text("method"),
        text("template"),
        text("operation"),
        OWNER,
        text("state"),
        EXPOSURE,
        whole(
            "auth.verdict",
            Kind::Text,
            "if(uniq(auth) = 1, any(auth), 'mixed')",
            Over::Written,
        ),
        text("spec"),
        largest("risk", "risk"),
        total("hits", "hits"),
        total("status.1xx", "status_1xx"),
        total("status.2xx", "status_2xx"),
        total("status.3xx", "status_3xx"),
        total("status.4xx", "status_4xx"),
        total("status.5xx", "status_5xx"),
        largest("latency_ms.p50", "latency_p50"),
        largest("latency_ms.p90", "latency_p90"),
        largest("latency_ms.p99", "latency_p99"),
        one("sensitive.type", Kind::Texts, "sensitive", Over::All),
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
        text("name"),
        text("kind"),
        OWNER,
        largest("endpoints", "endpoints"),
        total("hits", "hits"),
        total("unrouted", "unrouted"),
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
        text("id"),
        text("rule"),
        text("owasp"),
        SEVERITY,
        largest("confidence", "confidence"),
        text("workload"),
        text("endpoint_name"),
        OWNER,
        total("count", "count"),
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
        largest("score", "score"),
        SEVERITY,
        text("workload"),
        text("endpoint_name"),
        EXPOSURE,
        OWNER,
        NODES,
        NODE,
    ],
};

const OF_ALERT: &[Member] = &[
    text("id"),
    text("fingerprint"),
    text("class"),
    text("owasp"),
    SEVERITY,
    one("confidence", Kind::Number, "confidence", Over::Same),
    text("workload"),
    text("endpoint_name"),
    text("actor"),
    OWNER,
    text("state"),
    one("count", Kind::Number, "count", Over::Same),
    one("opened", Kind::Time, "opened", Over::Same),
    one("updated", Kind::Time, "updated", Over::Same),
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
