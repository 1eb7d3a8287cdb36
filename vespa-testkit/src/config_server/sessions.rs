//! Sessions and which of them is active: the compare-and-set of deployments.

use super::{
    refusal::{Outcome, Refusal},
    tree::Tree,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What may be done with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Made or edited: must be prepared.
    New,
    /// May be activated.
    Prepared,
    /// The application.
    Active,
    /// Was the application.
    Deactivated,
}

/// A package on its way to be the application.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) status: Status,
    pub(crate) tree: Tree,
    /// The active session when this one's package was stored; 0 for none.
    pub(crate) active_at_create: u64,
    /// Counts the edits, so that a check of the files can tell whether it is still about them.
    pub(crate) edits: u64,
    created: Instant,
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    next: u64,
    lifetime: Duration,
    sessions: BTreeMap<u64, Session>,
    active: Option<u64>,
    /// The one that was active before.
    previous: Option<u64>,
}

impl Sessions {
    pub(crate) fn new(first: u64, lifetime: Duration) -> Self {
        Self { next: first, lifetime, sessions: BTreeMap::new(), active: None, previous: None }
    }

    /// A session with a package.
    pub(crate) fn create(&mut self, tree: Tree) -> u64 {
        self.expire();
        let id = self.next;
        self.next += 1;
        let active_at_create = self.active.unwrap_or(0);
        let session = Session { status: Status::New, tree, active_at_create, edits: 0, created: Instant::now() };
        self.sessions.insert(id, session);
        id
    }

    /// A session with a copy of the application.
    pub(crate) fn create_from_active(&mut self) -> Outcome<u64> {
        let copy = self.active()?.1.tree.copy();
        Ok(self.create(copy))
    }

    fn expire(&mut self) {
        let lifetime = self.lifetime;
        self.sessions.retain(|_, session| session.status == Status::Active || session.created.elapsed() < lifetime);
    }

    pub(crate) fn get(&mut self, id: u64) -> Outcome<&mut Session> {
        self.expire();
        self.sessions.get_mut(&id).ok_or_else(|| Refusal::not_found(format!("Session {id} was not found")))
    }

    /// A session that is not the application: that one is not edited or prepared.
    pub(crate) fn inactive(&mut self, id: u64) -> Outcome<&mut Session> {
        let session = self.get(id)?;
        if session.status == Status::Active {
            return Err(Refusal::bad_request(format!("session {id} is the active one")));
        }
        Ok(session)
    }

    pub(crate) fn active(&self) -> Outcome<(u64, &Session)> {
        let active = self.active.and_then(|id| Some((id, self.sessions.get(&id)?)));
        active.ok_or_else(no_application)
    }

    /// The generation that is told: the one before where the teller is behind.
    pub(crate) fn told_generation(&self, stale: bool) -> Outcome<u64> {
        let told = if stale { self.previous } else { self.active };
        told.ok_or_else(no_application)
    }

    pub(crate) fn active_id(&self) -> Option<u64> {
        self.active
    }

    pub(crate) fn previous_id(&self) -> Option<u64> {
        self.previous
    }

    pub(crate) fn delete(&mut self, id: u64) {
        self.sessions.remove(&id);
    }

    /// Makes a session the application, unless another one came first: the session that was active before.
    pub(crate) fn activate(&mut self, id: u64, force: bool) -> Outcome<Option<u64>> {
        let active = self.active.unwrap_or(0);
        let session = self.get(id)?;
        match session.status {
            Status::New => return Err(Refusal::bad_request(format!("Session {id} is not prepared"))),
            Status::Active => return Err(Refusal::bad_request(format!("Session {id} is already active"))),
            Status::Prepared | Status::Deactivated => {}
        }
        let seen = session.active_at_create;
        if seen != 0 && active > seen && !force {
            return Err(Refusal::conflict(format!(
                "session {active} was activated since session {id} was made, when session {seen} was active: refusing to activate \
                 this session, please redeploy"
            )));
        }
        if id < active {
            return Err(Refusal::conflict(format!("session {id} is older than current active session {active}")));
        }
        session.status = Status::Active;
        if let Some(before) = self.active.and_then(|before| self.sessions.get_mut(&before)) {
            before.status = Status::Deactivated;
        }
        self.previous = self.active.replace(id);
        Ok(self.previous)
    }

    /// The end of the application.
    pub(crate) fn remove_application(&mut self) -> Outcome<()> {
        let (id, _) = self.active()?;
        self.sessions.remove(&id);
        (self.active, self.previous) = (None, None);
        Ok(())
    }
}

fn no_application() -> Refusal {
    Refusal::not_found("No such application: 'default.default.default'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(sessions: &mut Sessions) -> u64 {
        let id = sessions.create(Tree::default());
        sessions.get(id).unwrap().status = Status::Prepared;
        id
    }

    /// (active when the session was made, active now, force) to whether it is let in.
    #[test]
    fn invariant_10_activation_is_a_compare_and_set() {
        let mut sessions = Sessions::new(10, Duration::MAX);
        let (first, second) = (prepared(&mut sessions), prepared(&mut sessions));
        sessions.activate(first, false).unwrap();
        // Nothing was active when it was made: no check, as in Vespa.
        sessions.activate(second, false).unwrap();
        let (third, fourth, fifth) = (prepared(&mut sessions), prepared(&mut sessions), prepared(&mut sessions));
        sessions.activate(fourth, false).unwrap();
        assert!(sessions.activate(fifth, false).is_err(), "another one came first");
        assert!(sessions.activate(third, true).is_err(), "force does not make an older session the newer one");
        assert_eq!(sessions.activate(fifth, true).unwrap(), Some(fourth), "force is let in");
        assert_eq!(sessions.active_id(), Some(fifth));
    }

    #[test]
    fn sessions_expire_and_the_application_does_not() {
        let mut sessions = Sessions::new(1, Duration::MAX);
        let application = prepared(&mut sessions);
        sessions.activate(application, false).unwrap();
        let other = prepared(&mut sessions);
        assert!(sessions.get(other).is_ok());
        sessions.lifetime = Duration::ZERO;
        assert!(sessions.get(other).is_err());
        assert!(sessions.get(application).is_ok());
    }
}
