//! The active application: its generation, its files, its services, its end.

use super::{
    ConfigServer, INSTANCE, VERSION, below, convergence, decoded, nothing_at, ok, read_content,
    refusal::{Outcome, Refusal},
    reindexing::Reindexing,
    tree::Place,
};
use crate::{
    content::Files,
    faults::Struck,
    message::{Reply, Request},
    topology::Topology,
};
use http::Method;
use serde_json::json;

impl ConfigServer {
    /// The addresses of all applications: there is one at most.
    pub(super) fn applications(&self, request: &Request) -> Reply {
        let active = self.generation().map(|_| format!("{}{INSTANCE}", request.origin));
        ok(&active.into_iter().collect())
    }

    /// A request to the application, or to something below its instance.
    pub(super) async fn application(
        &self,
        request: &Request,
        struck: &Struck,
        below_instance: &[&str],
    ) -> Outcome<Reply> {
        match (below_instance, &request.method) {
            ([], &Method::GET) => self.generation_answer(struck),
            ([], &Method::DELETE) => self.delete_application().await,
            (["content", ..], &Method::GET) => {
                let place = Place::parse(&decoded(below(&request.path, 13))?)?;
                let sessions = self.sessions.lock();
                let (_, session) = sessions.active()?;
                read_content(&session.tree, &place, request, &format!("{}{INSTANCE}/content/", request.origin))
            }
            (["serviceconverge"], &Method::GET) => convergence::list(self, request, struck),
            (["serviceconverge", service], &Method::GET) => {
                convergence::single(self, request, struck, &decoded(service)?)
            }
            (["reindexing"], &Method::GET) => Ok(ok(&self.reindexing.lock().status(&self.topology()?))),
            (["reindexing"], &Method::POST | &Method::DELETE) => {
                self.topology()?;
                Ok(ok(&self.reindexing.lock().enable(request.method == Method::POST)))
            }
            (["reindex"], &Method::POST | &Method::PUT) => {
                let topology = self.topology()?;
                Ok(ok(&self.reindexing.lock().trigger(&topology, request)?))
            }
            ([] | ["content", ..] | ["serviceconverge" | "reindexing" | "reindex", ..], method) => {
                Err(Refusal::method(method))
            }
            _ => Err(nothing_at(request)),
        }
    }

    fn topology(&self) -> Outcome<Topology> {
        self.sessions.lock().active().map(|(_, session)| Topology::of(&session.tree.files))
    }

    fn generation_answer(&self, struck: &Struck) -> Outcome<Reply> {
        let generation = self.sessions.lock().told_generation(struck.stale)?;
        Ok(ok(&json!({
            "generation": generation,
            "applicationPackageFileReference": format!("package-{generation}"),
            "modelVersions": [VERSION],
        })))
    }

    async fn delete_application(&self) -> Outcome<Reply> {
        let activation = {
            let mut sessions = self.sessions.lock();
            sessions.remove_application()?;
            *self.reindexing.lock() = Reindexing::default();
            self.rollout.queue(None, Files::new())
        };
        activation.settle().await;
        Ok(ok(&json!({"message": "Application 'default.default.default' deleted"})))
    }
}
