//! One conversation with the API server, for as long as the agent runs.
//!
//! In: where the server is, what to ask for, and where to put what it says. Out: [`Update`]s, in order, into a bounded channel:
//! a core that is behind makes the server wait. Ends when nobody takes the updates any more, or when told to.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};

use super::{
    Update,
    access::Place,
    client::Client,
    object::{Object, Pod, Service},
    session::{Change, Kind, Session, Trouble},
};

/// Says when to stop: by being dropped at the other end.
pub type Stop = Receiver<()>;

/// Lists and watches one kind of object until told to stop.
pub fn follow(place: &Place, kind: Kind, node: &str, updates: &SyncSender<Update>, stop: &Stop) {
    match kind {
        Kind::Pods => converse::<Pod>(
            place,
            Session::new(kind, node),
            &|change| give(updates, Update::Pods(change)),
            stop,
        ),
        Kind::Services => {
            converse::<Service>(
                place,
                Session::new(kind, node),
                &|change| give(updates, Update::Services(change)),
                stop,
            );
        }
    }
}

/// Why a conversation is interrupted.
enum Interruption {
    Trouble(Trouble),
    /// Nobody listens any more.
    Over,
}

impl From<Trouble> for Interruption {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

type Give<'a, T> = &'a dyn Fn(Change<T>) -> Result<(), Interruption>;

fn give(updates: &SyncSender<Update>, update: Update) -> Result<(), Interruption> {
    updates.send(update).map_err(|_| Interruption::Over)
}

fn converse<T: Object>(place: &Place, mut session: Session<T>, give: Give<'_, T>, stop: &Stop) {
    // Said when it changes, not each time.
    let mut said = None;
    loop {
        let trouble = match once(place, &mut session, give, &mut said) {
            Ok(()) => continue,
            Err(Interruption::Over) => return,
            Err(Interruption::Trouble(trouble)) => trouble,
        };
        let pause = session.failed(trouble);
        if said != Some(trouble) && !pause.is_zero() {
            said = Some(trouble);
            warn(&session, trouble);
        }
        match stop.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// One request: a page, or a watch until it ends.
fn once<T: Object>(
    place: &Place,
    session: &mut Session<T>,
    give: Give<'_, T>,
    said: &mut Option<Trouble>,
) -> Result<(), Interruption> {
    let access = place.read().map_err(|error| {
        tracing::debug!(%error, "no way to the API server");
        Trouble::Network
    })?;
    let watches = session.watches();
    let mut answer = Client::new(access).get(&session.path())?;
    if !watches {
        let change = session.page(&answer.whole()?)?;
        *said = None;
        return change.map_or(Ok(()), give);
    }
    let mut line = Vec::new();
    while answer.line(&mut line)? {
        if let Some(change) = session.line(&line)? {
            give(change)?;
        }
    }
    Ok(())
}

fn warn<T: Object>(session: &Session<T>, trouble: Trouble) {
    let kind = session.kind().resource();
    match trouble {
        Trouble::Status(status @ (401 | 403)) => tracing::warn!(
            status,
            "the API server does not let the agent list and watch {kind}: give its account the rights in deploy/kubernetes; \
             pods are named by the files of the runtime"
        ),
        Trouble::Status(status) => tracing::warn!(status, "the API server does not list {kind} now"),
        Trouble::Network => {
            tracing::warn!(
                "the API server cannot be reached for {kind}: pods are named by the files of the runtime"
            );
        }
    }
}
