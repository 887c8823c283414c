//! Errors that show the inside of the program: stack traces, messages of databases. Seen twice, they are no accident.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::{Evidence, Fact, Message, Posture, Rule, Subject};
use crate::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "verbose_errors",
    title: "Errors show the inside of the program",
    advice: "Answer errors with a short message and an id, write the details to the log, and turn debugging off.",
    owasp: Some("API8:2023"),
    notice: Some(notice),
    check,
};

/// Bytes of an answer that are looked at. Overflow policy: what is behind them does not count.
const MAX_BYTES: usize = 8 * 1024;

/// How often it must have been seen.
const TWICE: u64 = 2;

/// How stack traces of common languages read; the last ones as JSON writes line feeds.
const TRACES: &[&str] = &[
    "Traceback (most recent call last)",
    "Werkzeug Debugger",
    "werkzeug.debug",
    "site-packages/",
    "Exception in thread \"",
    "java.lang.",
    "org.springframework.",
    "javax.servlet.",
    "\tat sun.",
    "System.NullReferenceException",
    "System.InvalidOperationException",
    "   at System.",
    "   at Microsoft.",
    "goroutine 1 [running]",
    "panic: runtime error",
    "runtime/debug.Stack",
    "Fatal error: Uncaught",
    "<b>Fatal error</b>:",
    "Stack trace:\n#0",
    "Stack trace:\\n#0",
    "NoMethodError",
    "ActionController::",
    "node_modules/",
    "node:internal/",
    "at Object.<anonymous>",
    "at processTicksAndRejections",
    "&nbsp;at ",
    "\n    at ",
    "\\n    at ",
    "vendor/laravel/",
    "thread 'main' panicked at",
];

/// How databases and their drivers complain.
const DATABASES: &[&str] = &[
    "You have an error in your SQL syntax",
    "SQLSTATE[",
    "ORA-00",
    "ORA-01",
    "PG::SyntaxError",
    "psycopg2.",
    "pg_query()",
    "org.postgresql.util.PSQLException",
    "unterminated quoted string at or near",
    "syntax error at or near",
    "sqlite3.OperationalError",
    "SQLITE_ERROR",
    "SQLite3::",
    ": syntax error\")",
    "unrecognized token: ",
    "sqlalchemy.exc.",
    "mysql_fetch",
    "MySqlException",
    "com.mysql.jdbc",
    "Unclosed quotation mark",
    "quoted string not properly terminated",
    "System.Data.SqlClient.",
    "ODBC SQL Server Driver",
    "java.sql.SQL",
    "ActiveRecord::StatementInvalid",
    "MongoServerError",
    "MongoError",
    "CastError: Cast to",
];

static MATCHER: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(TRACES.iter().chain(DATABASES)).ok());

fn notice(message: &Message<'_>, posture: &mut Posture) {
    // Documentation and source code are answered with success.
    if message.response.status < 400 {
        return;
    }
    let sample = &message.response.body.sample;
    let text = sample.get(..MAX_BYTES).unwrap_or(sample);
    let Some(matcher) = MATCHER.as_ref() else {
        return;
    };
    let (mut trace, mut database) = (false, false);
    for found in matcher.find_iter(text) {
        match found.pattern().as_usize() < TRACES.len() {
            true => trace = true,
            false => database = true,
        }
    }
    if trace {
        posture.note(Fact::StackTrace, message);
    }
    if database {
        posture.note(Fact::SqlError, message);
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let often = |fact| subject.seen(fact).filter(|seen| seen.count >= TWICE);
    let (seen, what) = match (often(Fact::SqlError), often(Fact::StackTrace)) {
        (Some(seen), Some(_)) => (seen, "messages of a database, and stack traces"),
        (Some(seen), None) => (seen, "messages of a database"),
        (None, Some(seen)) => (seen, "stack traces"),
        (None, None) => return None,
    };
    let text = format!("{} error answers carried {what}", seen.count);
    Some(Evidence::new(Severity::Medium, seen, text))
}
