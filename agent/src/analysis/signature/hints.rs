//! Which detectors have something to look for in a value: one pass over all their words.
//!
//! In: a value in lower case. Out: [`Hints`]. A detector whose words are all absent does not run: what a clean value costs is
//! this pass and little else.

use std::sync::LazyLock;

use aho_corasick::{Anchored, MatchKind, automaton::Automaton as _, dfa::DFA};

use super::{code, command, deserialisation, inclusion, java, php, script, template};

/// Sets of words of which one was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Hints(u32);

impl Hints {
    pub(super) const SQL: Self = Self(1);
    pub(super) const SCRIPT: Self = Self(1 << 1);
    pub(super) const STYLE: Self = Self(1 << 2);
    pub(super) const COMMAND: Self = Self(1 << 3);
    pub(super) const TEMPLATE: Self = Self(1 << 4);
    pub(super) const NOSQL: Self = Self(1 << 5);
    pub(super) const XPATH: Self = Self(1 << 6);
    pub(super) const OBJECT: Self = Self(1 << 7);
    pub(super) const INCLUSION: Self = Self(1 << 8);
    pub(super) const PHP: Self = Self(1 << 9);
    pub(super) const JAVA: Self = Self(1 << 10);
    pub(super) const CODE: Self = Self(1 << 11);
    pub(super) const PATH: Self = Self(1 << 12);

    /// Whether one of `other` is in this set.
    pub(super) const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// What every rule on SQL needs one of.
const SQL: &[&str] = &[
    "=",
    "<",
    ">",
    "like",
    "--",
    "#",
    "/*",
    "select",
    "between",
    "null",
    "sleep",
    "benchmark",
    "waitfor",
    "order",
    "exec",
    "drop",
    "delete",
    "insert",
    "update",
    "shutdown",
    "declare",
    "truncate",
    "alter",
    "create",
    "copy",
    "into",
    "case",
    "xp_",
    "utl_",
    "dbms_",
    "ctxsys",
    "sp_oa",
    "fn_varbin",
    "load_",
    "extractvalue",
    "updatexml",
    "randomblob",
    "regexp",
    "crypt_key",
    "schema",
    "sysobjects",
    "syscolumns",
    "sysusers",
    "sysdatabases",
    "sqlite_",
    "pg_",
    "all_tables",
    "user_tables",
    "all_users",
    "msys",
    "rdb$",
    "sysibm",
    "mysql.",
    "user_tab",
    "user_constraints",
    "all_objects",
    "v$version",
    "@@",
    "domain.",
    "sysmaster",
    "xmltype",
    "httpuritype",
    "make_set",
    "elt(",
    "generate_series",
    "lo_",
    "dblink",
    "name_const",
    "gtid_",
    "polygon",
    "exp(",
    "row_count",
    "openrowset",
    "openquery",
    "||",
    "opendatasource",
    "json",
    "analyse",
    "sysdate",
    "call",
    "replace",
    "begin",
    "set ",
    "merge",
    "if(",
    "similar",
    "glob",
    "match",
    " in",
    " is",
    "limit",
    "(1",
    "))",
    "collate",
    "or '",
];

const STYLE: &[&str] = &["-moz-binding", "expression", "url(javascript", "behavior", "adw-"];

const NOSQL: &[&str] = &[
    "var ", "return", "while", "do{", "throw", "this.", "obj.", "db.", "sleep(",
];

const XPATH: &[&str] = &[
    "]|",
    "] |",
    "()=",
    "count(/",
    "length(//",
    "string(",
    "::",
    "/text()",
    "substring(//",
];

static ALL: LazyLock<Option<(DFA, Vec<Hints>)>> = LazyLock::new(|| {
    let sets: [(Hints, &[&str]); 14] = [
        (Hints::SQL, SQL),
        (Hints::SCRIPT, script::NAMES),
        (Hints::STYLE, STYLE),
        (Hints::COMMAND, command::SPELLED),
        (Hints::TEMPLATE, template::MEMBERS),
        (Hints::NOSQL, NOSQL),
        (Hints::XPATH, XPATH),
        (Hints::OBJECT, deserialisation::TYPES),
        (
            Hints::OBJECT,
            &["ro0ab", "kztaau", "cs7qaf", "aaeaaad/////", "o:"],
        ),
        (Hints::INCLUSION, inclusion::STREAMS),
        (Hints::PHP, php::MARKED),
        (Hints::JAVA, java::CLASSES),
        (Hints::JAVA, java::GADGET_CLASSES),
        (Hints::CODE, code::WAYS_OUT),
    ];
    let words = sets
        .iter()
        .flat_map(|(hint, words)| words.iter().map(|word| (*hint, *word)));
    let words = words.chain([
        (Hints::JAVA, "runtime"),
        (Hints::CODE, "__proto__"),
        (Hints::CODE, "prototype"),
    ]);
    let (hints, needles): (Vec<_>, Vec<_>) = words.unzip();
    let automaton = DFA::builder()
        .match_kind(MatchKind::Standard)
        .build(needles)
        .ok()?;
    Some((automaton, hints))
});

/// All words of a value in lower case.
pub(super) fn hints(lower: &[u8]) -> Hints {
    let Some((automaton, of)) = ALL.as_ref() else {
        return Hints(u32::MAX);
    };
    let Ok(mut state) = automaton.start_state(Anchored::No) else {
        return Hints(u32::MAX);
    };
    let mut found = 0;
    // What the searches of the crate do, but for telling where a word is.
    for byte in lower {
        state = automaton.next_state(Anchored::No, state, *byte);
        if automaton.is_special(state) && automaton.is_match(state) {
            for at in 0..automaton.match_len(state) {
                let word = automaton.match_pattern(state, at).as_usize();
                found |= of.get(word).map_or(0, |hint| hint.0);
            }
        }
    }
    Hints(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_to_their_detectors() {
        assert!(hints(b"1 union select 2").any(Hints::SQL));
        assert!(hints(b"alert(1)").any(Hints::SCRIPT));
        assert!(hints(b"php://x").any(Hints::INCLUSION));
        assert_eq!(hints(b"we would have some friends over"), Hints::default());
    }
}
