//! The protocol of lists and watches, without a network (kubernetes.io, "Kubernetes API Concepts").
//!
//! In: what the server answered. Out: what to ask next, after which pause, and [`Change`]s. A list comes in pages and ends in a
//! version; a watch begins there, and bookmarks move the version on while nothing happens, so that a watch that ends is taken up
//! again where it was. A version that the server no longer has (410 Gone) is answered by a new list. Refuses to go on from a
//! version that it was not given.

use std::{marker::PhantomData, time::Duration};

use serde::Deserialize;

use super::object::{Object, Raw};

/// Objects in one page of a list.
const PAGE: usize = 100;

/// Seconds after which the server ends a watch: not too long, so that a new token is soon used.
const WATCH_SECONDS: u64 = 240;

/// Objects taken from one list. Overflow policy: the rest is not known; nodes have some hundred pods at most.
const MAX_OBJECTS: usize = 4096;

/// Pauses after failures: doubled each time, from the first to the last.
const PAUSES: std::ops::RangeInclusive<u64> = 1..=30;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Pods of one node.
    Pods,
    /// Services of all namespaces: one may stand before pods of this node.
    Services,
}

/// One right that the agent uses, as a role writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// Name of the API group; empty for the core.
    pub group: &'static str,
    /// Resource.
    pub resource: &'static str,
    /// Verb.
    pub verb: &'static str,
}

/// Every right that the agent uses: each path that [`Session`] asks for takes one of these.
pub const REQUESTS: [Right; 4] = {
    const fn right(resource: &'static str, verb: &'static str) -> Right {
        Right {
            group: "",
            resource,
            verb,
        }
    }
    [
        right("pods", "list"),
        right("pods", "watch"),
        right("services", "list"),
        right("services", "watch"),
    ]
};

impl Kind {
    /// Name of the resource in paths and roles.
    pub const fn resource(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Services => "services",
        }
    }
}

/// What became of the objects of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T> {
    /// These are all there are.
    All(Vec<T>),
    /// This one is new, or different.
    Put(T),
    /// This one is gone.
    Gone(T),
}

/// What the server says instead of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A status other than 200.
    Status(u16),
    /// No connection, or one that broke, or an answer that is not understood.
    Network,
}

/// Where the conversation about one kind of object stands.
#[derive(Debug)]
pub(super) struct Session<T> {
    kind: Kind,
    selector: String,
    step: Step<T>,
    failures: u32,
    objects: PhantomData<T>,
}

#[derive(Debug)]
enum Step<T> {
    /// Objects so far, and where the next page begins.
    List { found: Vec<T>, from: Option<String> },
    /// The version from which on changes are wanted.
    Watch(String),
}

/// A page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Page {
    metadata: PageMetadata,
    items: Option<Vec<Raw>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PageMetadata {
    resource_version: String,
    r#continue: Option<String>,
}

/// What a line of a watch is about; the object of an error is no pod, and its members have other forms.
#[derive(Debug, Deserialize)]
struct EventType {
    r#type: String,
}

/// A line of a watch that brings an object.
#[derive(Debug, Deserialize)]
struct Event {
    object: Raw,
}

/// A line of a watch that brings an error.
#[derive(Debug, Deserialize)]
struct ErrorEvent {
    object: ErrorStatus,
}

#[derive(Debug, Deserialize)]
struct ErrorStatus {
    #[serde(default)]
    code: Option<u16>,
}

impl<T: Object> Session<T> {
    /// Begins with a list. `node` limits pods to those of one node.
    pub(super) fn new(kind: Kind, node: &str) -> Self {
        let selector = match kind {
            Kind::Pods => {
                let field = format!("spec.nodeName={node}");
                let encoded: String = form_urlencoded::byte_serialize(field.as_bytes()).collect();
                format!("fieldSelector={encoded}&")
            }
            Kind::Services => String::new(),
        };
        Self {
            kind,
            selector,
            step: Step::start(),
            failures: 0,
            objects: PhantomData,
        }
    }

    /// The path to ask for, with its query.
    pub(super) fn path(&self) -> String {
        let Self {
            kind, selector, step, ..
        } = self;
        let resource = kind.resource();
        match step {
            Step::List { from: None, .. } => format!("/api/v1/{resource}?{selector}limit={PAGE}"),
            Step::List { from: Some(from), .. } => {
                let from: String = form_urlencoded::byte_serialize(from.as_bytes()).collect();
                format!("/api/v1/{resource}?{selector}limit={PAGE}&continue={from}")
            }
            Step::Watch(version) => format!(
                "/api/v1/{resource}?{selector}watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}\
                 &resourceVersion={version}"
            ),
        }
    }

    /// What is asked for.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the answer to [`Self::path`] is a stream of lines.
    pub(super) fn watches(&self) -> bool {
        matches!(self.step, Step::Watch(_))
    }

    /// Takes a page. After the last one all objects are there.
    pub(super) fn page(&mut self, text: &[u8]) -> Result<Option<Change<T>>, Trouble> {
        let page: Page = serde_json::from_slice(text).map_err(|_| Trouble::Network)?;
        let Step::List { found, from } = &mut self.step else {
            return Err(Trouble::Network);
        };
        let room = MAX_OBJECTS.saturating_sub(found.len());
        found.extend(page.items.into_iter().flatten().take(room).map(T::of));
        *from = page.metadata.r#continue.filter(|from| !from.is_empty());
        if from.is_some() && found.len() < MAX_OBJECTS {
            return Ok(None);
        }
        if page.metadata.resource_version.is_empty() {
            return Err(Trouble::Network);
        }
        let all = std::mem::take(found);
        self.step = Step::Watch(page.metadata.resource_version);
        self.failures = 0;
        Ok(Some(Change::All(all)))
    }

    /// Takes a line of a watch.
    pub(super) fn line(&mut self, text: &[u8]) -> Result<Option<Change<T>>, Trouble> {
        let EventType { r#type } = serde_json::from_slice(text).map_err(|_| Trouble::Network)?;
        if r#type == "ERROR" {
            let error: ErrorEvent = serde_json::from_slice(text).map_err(|_| Trouble::Network)?;
            return Err(Trouble::Status(error.object.code.unwrap_or(500)));
        }
        let event: Event = serde_json::from_slice(text).map_err(|_| Trouble::Network)?;
        let version = event.object.metadata.resource_version.clone();
        let change = match r#type.as_str() {
            "ADDED" | "MODIFIED" => Some(Change::Put(T::of(event.object))),
            "DELETED" => Some(Change::Gone(T::of(event.object))),
            // A bookmark, or something that later servers say.
            _ => None,
        };
        if let Step::Watch(at) = &mut self.step
            && !version.is_empty()
        {
            *at = version;
        }
        self.failures = 0;
        Ok(change)
    }

    /// What was asked for did not come: how long to wait before [`Self::path`] is asked for.
    pub(super) fn failed(&mut self, trouble: Trouble) -> Duration {
        match trouble {
            // The version, or the page, is too old: from the beginning, at once the first time.
            Trouble::Status(410) => self.step = Step::start(),
            // A broken line may have hidden a change; a broken page is asked for again.
            Trouble::Status(_) | Trouble::Network => {}
        }
        let pause = if trouble == Trouble::Status(410) && self.failures == 0 {
            0
        } else {
            let (first, last) = (*PAUSES.start(), *PAUSES.end());
            first
                .checked_shl(self.failures.saturating_sub(1))
                .unwrap_or(last)
                .min(last)
        };
        self.failures = self.failures.saturating_add(1);
        Duration::from_secs(pause)
    }
}

impl<T> Step<T> {
    fn start() -> Self {
        Self::List {
            found: Vec::new(),
            from: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Pod, *};

    fn session() -> Session<Pod> {
        Session::new(Kind::Pods, "node-1")
    }

    fn page(version: &str, from: &str, names: &[&str]) -> Vec<u8> {
        let items: Vec<_> = names
            .iter()
            .map(|name| serde_json::json!({"metadata": {"name": name, "uid": name}}))
            .collect();
        let metadata = serde_json::json!({"resourceVersion": version, "continue": from});
        serde_json::json!({"metadata": metadata, "items": items})
            .to_string()
            .into_bytes()
    }

    fn line(kind: &str, version: &str) -> Vec<u8> {
        let object = serde_json::json!({"metadata": {"name": "a", "uid": "a", "resourceVersion": version}});
        serde_json::json!({"type": kind, "object": object})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn a_list_in_pages_then_a_watch_that_bookmarks_move_on() {
        let mut session = session();
        assert_eq!(
            session.path(),
            "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1&limit=100"
        );
        assert_eq!(session.page(&page("5", "c/1", &["a"])), Ok(None));
        assert!(session.path().ends_with("&continue=c%2F1"));
        let Ok(Some(Change::All(all))) = session.page(&page("5", "", &["b"])) else {
            panic!("no list");
        };
        assert_eq!(all.len(), 2);
        assert!(session.watches() && session.path().ends_with("&resourceVersion=5"));
        assert!(matches!(
            session.line(&line("ADDED", "6")),
            Ok(Some(Change::Put(_)))
        ));
        // As a server of version 1.20 writes it.
        let bookmark = br#"{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"9",
            "creationTimestamp":null},"spec":{"containers":null},"status":{}}}"#;
        assert_eq!(session.line(bookmark), Ok(None));
        // The stream ends: it is taken up where it was.
        assert_eq!(session.failed(Trouble::Network).as_secs(), 1);
        assert!(session.path().ends_with("&resourceVersion=9"));
    }

    #[test]
    fn a_version_that_is_gone_takes_a_new_list() {
        let mut session = session();
        session.page(&page("5", "", &[])).unwrap();
        // As a server of version 1.20 writes it.
        let error =
            br#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",
            "message":"too old resource version: 5 (9)","reason":"Expired","code":410}}"#;
        assert_eq!(session.line(error), Err(Trouble::Status(410)));
        assert_eq!(session.failed(Trouble::Status(410)).as_secs(), 0);
        assert!(!session.watches());
        // Again and again: not at once.
        assert!(session.failed(Trouble::Status(410)).as_secs() > 0);
        // In the middle of a list, too: its first part is forgotten.
        session.page(&page("7", "c", &["a"])).unwrap();
        session.failed(Trouble::Status(410));
        let Ok(Some(Change::All(all))) = session.page(&page("8", "", &["b"])) else {
            panic!("no list");
        };
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn pauses_grow_to_half_a_minute_and_end_with_success() {
        let mut session = session();
        let pauses: Vec<u64> = (0..9)
            .map(|_| session.failed(Trouble::Status(403)).as_secs())
            .collect();
        assert_eq!(pauses, [1, 1, 2, 4, 8, 16, 30, 30, 30]);
        session.page(&page("5", "", &[])).unwrap();
        assert_eq!(session.failed(Trouble::Network).as_secs(), 1);
    }

    #[test]
    fn what_is_no_answer_changes_nothing() {
        let mut session = session();
        for text in ["", "{", "[]", "null", r#"{"items": 7}"#, r#"{"items": null}"#] {
            assert_eq!(session.page(text.as_bytes()), Err(Trouble::Network), "{text}");
            assert!(!session.watches());
        }
        session.page(&page("5", "", &[])).unwrap();
        assert_eq!(session.line(b"{}"), Err(Trouble::Network));
        assert!(session.path().ends_with("&resourceVersion=5"));
    }

    #[test]
    fn a_list_without_end_is_cut() {
        let mut session = session();
        let names = vec!["a"; MAX_OBJECTS];
        let Ok(Some(Change::All(all))) = session.page(&page("5", "more", &names)) else {
            panic!("no list");
        };
        assert_eq!(all.len(), MAX_OBJECTS);
    }

    #[test]
    fn every_path_takes_a_right_that_is_listed() {
        for kind in [Kind::Pods, Kind::Services] {
            for verb in ["list", "watch"] {
                let right = Right {
                    group: "",
                    resource: kind.resource(),
                    verb,
                };
                assert!(REQUESTS.contains(&right));
            }
        }
    }
}
