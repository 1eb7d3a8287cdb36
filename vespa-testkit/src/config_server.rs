//! The config server: Vespa's deploy API, version 2.
//!
//! The only tenant, application and instance are called "default", as in a Vespa that one runs oneself.

mod application;
mod convergence;
mod form;
mod package;
mod refusal;
mod reindexing;
mod sessions;
mod tree;

pub(crate) use refusal::{Refusal, code_of, error};

use crate::{
    content::{Checked, Content, Files},
    faults::Struck,
    message::{Reply, Request},
    rollout::{Activation, Rollout},
};
use http::{Method, StatusCode};
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use refusal::Outcome;
use reindexing::Reindexing;
use serde_json::{Value, json};
use sessions::{Sessions, Status};
use std::{sync::Arc, time::Duration};
use tree::{Found, Place, Tree};

const TENANT: &str = "/application/v2/tenant/default";
const INSTANCE: &str =
    "/application/v2/tenant/default/application/default/environment/prod/region/default/instance/default";
/// What may not stand in a path as it is.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');
/// The version that the server claims to be.
pub(crate) const VERSION: &str = "8.700.24";

/// Sessions, the application, and what becomes of it.
#[derive(Debug)]
pub(crate) struct ConfigServer {
    content: Arc<Content>,
    rollout: Rollout,
    container_port: u16,
    sessions: Mutex<Sessions>,
    reindexing: Mutex<Reindexing>,
}

/// What a deployment came to.
#[derive(Debug)]
struct Activated {
    previous: Option<u64>,
    activation: Activation,
}

impl ConfigServer {
    pub(crate) fn new(
        content: Arc<Content>,
        rollout: Rollout,
        container_port: u16,
        first: u64,
        lifetime: Duration,
    ) -> Self {
        let sessions = Mutex::new(Sessions::new(first, lifetime));
        Self { content, rollout, container_port, sessions, reindexing: Mutex::default() }
    }

    /// The active generation.
    pub(crate) fn generation(&self) -> Option<u64> {
        self.sessions.lock().active_id()
    }

    /// The generation that the container runs.
    pub(crate) fn generation_in_force(&self) -> Option<u64> {
        self.rollout.in_force().generation
    }

    /// The files of the application.
    pub(crate) fn application_files(&self) -> Files {
        self.sessions.lock().active().map(|(_, session)| session.tree.files.clone()).unwrap_or_default()
    }

    /// Deploys without the wire: the new generation, in force.
    pub(crate) async fn deploy(&self, files: Files) -> Outcome<u64> {
        let id = self.sessions.lock().create(Tree::new(package::with_schemas_moved(files)));
        self.prepare(id, false)?;
        self.activate(id, false)?.activation.in_force().await;
        Ok(id)
    }

    pub(crate) async fn answer(&self, request: &Request, struck: &Struck) -> Reply {
        match self.route(request, struck).await {
            Ok(reply) => reply,
            Err(refusal) => refusal.reply(),
        }
    }

    async fn route(&self, request: &Request, struck: &Struck) -> Outcome<Reply> {
        let segments: Vec<&str> = request.path.split('/').filter(|segment| !segment.is_empty()).collect();
        let ["application", "v2", "tenant", tenant, below @ ..] = segments.as_slice() else {
            return Err(nothing_at(request));
        };
        if *tenant != "default" {
            return Err(Refusal::not_found(format!("Tenant '{tenant}' was not found.")));
        }
        match (below, &request.method) {
            (["prepareandactivate"], &Method::POST) => self.prepare_and_activate(request, struck).await,
            (["session"], &Method::POST) => self.create(request),
            (["session", id, "content", ..], _) => self.session_content(session_id(id)?, request),
            (["session", id, "prepared"], &Method::PUT) => self.put_prepared(session_id(id)?, request),
            (["session", id, "prepared"], &Method::GET) => self.get_prepared(session_id(id)?, request),
            (["session", id, "active"], &Method::PUT) => self.put_active(session_id(id)?, request).await,
            (["prepareandactivate"] | ["session"] | ["session", _, "prepared" | "active"], method) => {
                Err(Refusal::method(method))
            }
            (["application"], &Method::GET) => Ok(self.applications(request)),
            (["application"], method) => Err(Refusal::method(method)),
            (["application", "default"], _) => self.application(request, struck, &[]).await,
            (["application", "default", "environment", _, "region", _, "instance", "default", below @ ..], _) => {
                self.application(request, struck, below).await
            }
            (["application", name, ..], _) if *name != "default" => {
                Err(Refusal::not_found(format!("No such application: 'default.{name}.default'")))
            }
            _ => Err(nothing_at(request)),
        }
    }

    fn create(&self, request: &Request) -> Outcome<Reply> {
        let id = match request.parameter("from") {
            Some(from) => {
                application_in(from)?;
                self.sessions.lock().create_from_active()?
            }
            None => {
                let sent = package::read(request)?;
                self.sessions.lock().create(Tree::new(sent.files))
            }
        };
        let session = format!("{}{TENANT}/session/{id}", request.origin);
        Ok(ok(&json!({
            "log": [],
            "tenant": "default",
            "session-id": id.to_string(),
            "prepared": format!("{session}/prepared"),
            "content": format!("{session}/content/"),
            "message": format!("Session {id} for tenant 'default' created."),
        })))
    }

    fn session_content(&self, id: u64, request: &Request) -> Outcome<Reply> {
        let place = Place::parse(&decoded(below(&request.path, 7))?)?;
        let session = format!("{}{TENANT}/session/{id}", request.origin);
        let mut sessions = self.sessions.lock();
        match request.method {
            Method::GET => {
                let tree = &sessions.get(id)?.tree;
                return read_content(tree, &place, request, &format!("{session}/content/"));
            }
            Method::PUT => sessions.inactive(id)?.tree.put(&place, &request.body)?,
            Method::DELETE => sessions.inactive(id)?.tree.delete(&place)?,
            ref other => return Err(Refusal::method(other)),
        }
        let edited = sessions.get(id)?;
        edited.status = Status::New;
        edited.edits += 1;
        Ok(ok(&json!({"prepared": format!("{session}/prepared")})))
    }

    /// Checks a session. One that fails is gone.
    fn prepare(&self, id: u64, dry_run: bool) -> Outcome<Checked> {
        let (files, edits, previous) = {
            let mut sessions = self.sessions.lock();
            let previous = sessions.active().ok().map(|(_, session)| session.tree.files.clone());
            let session = sessions.inactive(id)?;
            session.tree.files = package::with_schemas_moved(std::mem::take(&mut session.tree.files));
            (session.tree.files.clone(), session.edits, previous)
        };
        let checked = if files.contains_key("services.xml") {
            self.content.check(&files, previous.as_ref())
        } else {
            Err("Invalid application package: services.xml does not exist in application package".to_owned())
        };
        let mut sessions = self.sessions.lock();
        match checked {
            Err(message) => {
                sessions.delete(id);
                let known = message.starts_with("Invalid application");
                let message = if known { message } else { format!("Invalid application package: {message}") };
                Err(Refusal::invalid_package(message))
            }
            Ok(checked) => {
                let session = sessions.inactive(id)?;
                if !dry_run && session.edits == edits {
                    session.status = Status::Prepared;
                }
                Ok(checked)
            }
        }
    }

    fn put_prepared(&self, id: u64, request: &Request) -> Outcome<Reply> {
        expect_default(&request.query)?;
        let checked = self.prepare(id, request.flag("dryRun"))?;
        Ok(ok(&prepared(id, request, &checked)))
    }

    fn get_prepared(&self, id: u64, request: &Request) -> Outcome<Reply> {
        if self.sessions.lock().inactive(id)?.status != Status::Prepared {
            return Err(Refusal::bad_request(format!("session {id} is not prepared")));
        }
        let actions = json!({"restart": [], "refeed": [], "reindex": []});
        Ok(ok(&prepared(id, request, &Checked { actions, log: Vec::new() })))
    }

    /// Makes a session the application, and sends its package on its way.
    fn activate(&self, id: u64, force: bool) -> Outcome<Activated> {
        let mut sessions = self.sessions.lock();
        let previous = sessions.activate(id, force)?;
        let files = sessions.get(id)?.tree.files.clone();
        // Under the lock, so that packages come into force in the order of their activation.
        let activation = self.rollout.queue(Some(id), files);
        Ok(Activated { previous, activation })
    }

    async fn put_active(&self, id: u64, request: &Request) -> Outcome<Reply> {
        let Activated { previous, activation } = self.activate(id, request.flag("force"))?;
        activation.settle().await;
        Ok(ok(&json!({
            "deploy": {"timestamp": now(), "internalRedeploy": false},
            "application": {
                "id": "default:default:default",
                "generation": id,
                "previousActiveGeneration": previous.unwrap_or(0),
            },
            "tenant": "default",
            "session-id": id.to_string(),
            "message": format!("Session {id} for tenant 'default' activated."),
            "url": format!("{}{INSTANCE}", request.origin),
        })))
    }

    async fn prepare_and_activate(&self, request: &Request, struck: &Struck) -> Outcome<Reply> {
        let sent = package::read(request)?;
        let mut parameters = sent.parameters;
        parameters.extend(request.query.iter().cloned());
        expect_default(&parameters)?;
        let flag =
            |name: &str| parameters.iter().rev().find(|(key, _)| key == name).is_some_and(|(_, set)| set == "true");
        let id = self.sessions.lock().create(Tree::new(sent.files));
        let checked = self.prepare(id, flag("dryRun"))?;
        let message = if struck.not_activated {
            format!("Session {id} for tenant 'default' prepared, but activation failed: the host is not available.")
        } else if flag("dryRun") {
            format!("Session {id} for tenant 'default' prepared.")
        } else {
            self.activate(id, flag("force"))?.activation.settle().await;
            format!("Session {id} for tenant 'default' prepared and activated.")
        };
        Ok(ok(&json!({
            "log": log_of(&checked),
            "tenant": "default",
            "session-id": id.to_string(),
            "activated": !struck.not_activated && !flag("dryRun"),
            "message": message,
            "url": format!("{}{INSTANCE}", request.origin),
            "configChangeActions": checked.actions,
        })))
    }
}

fn ok(body: &Value) -> Reply {
    Reply::json(StatusCode::OK, body)
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn nothing_at(request: &Request) -> Refusal {
    Refusal::not_found(format!("Nothing at path '{}'", request.path))
}

fn session_id(text: &str) -> Outcome<u64> {
    text.parse().map_err(|_| Refusal::bad_request(format!("'{text}' is no session's number")))
}

/// Returns the rest of a path after its first segments, with a trailing slash.
fn below(path: &str, segments: usize) -> &str {
    let path = path.trim_start_matches('/');
    (0..segments).fold(path, |rest, _| rest.split_once('/').map_or("", |(_, rest)| rest))
}

fn decoded(text: &str) -> Outcome<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| Refusal::bad_request(format!("'{text}' is not UTF-8")))
}

/// The address that `from` takes must be one of an application: the server's own, or any other name of it.
fn application_in(from: &str) -> Outcome<()> {
    let illegal = || Refusal::bad_request(format!("'{from}' is no address of an application to copy from"));
    let rest = from.strip_prefix("http://").ok_or_else(illegal)?;
    match rest.split('/').collect::<Vec<_>>().as_slice() {
        [
            _,
            "application",
            "v2",
            "tenant",
            tenant,
            "application",
            application,
            "environment",
            _,
            "region",
            _,
            "instance",
            instance,
        ] => {
            if (*tenant, *application, *instance) == ("default", "default", "default") {
                Ok(())
            } else {
                Err(Refusal::not_found(format!("No such application: '{tenant}.{application}.{instance}'")))
            }
        }
        _ => Err(illegal()),
    }
}

/// The only application is "default".
fn expect_default(parameters: &[(String, String)]) -> Outcome<()> {
    let other =
        parameters.iter().find(|(key, name)| matches!(&**key, "applicationName" | "instance") && name != "default");
    match other {
        Some((key, name)) => Err(Refusal::not_found(format!("there is no {key} '{name}' here, only 'default'"))),
        None => Ok(()),
    }
}

fn log_of(checked: &Checked) -> Value {
    let entry = |(level, message): &(&'static str, String)| json!({"time": now(), "level": level, "message": message, "applicationPackage": true});
    checked.log.iter().map(entry).collect()
}

fn prepared(id: u64, request: &Request, checked: &Checked) -> Value {
    json!({
        "log": log_of(checked),
        "tenant": "default",
        "session-id": id.to_string(),
        "activate": format!("{}{TENANT}/session/{id}/active", request.origin),
        "message": format!("Session {id} for tenant 'default' prepared."),
        "configChangeActions": checked.actions,
    })
}

/// A file, the listing of a folder, or the status of either.
fn read_content(tree: &Tree, place: &Place, request: &Request, base: &str) -> Outcome<Reply> {
    let recursive = request.flag("recursive");
    if request.parameter("return") == Some("status") {
        return Ok(ok(&tree.status(place, recursive, base)?));
    }
    Ok(match tree.get(place, recursive)? {
        Found::File(content) => Reply::bytes(StatusCode::OK, "application/octet-stream", content),
        Found::Folder(paths) => {
            ok(&paths.iter().map(|path| format!("{base}{}", utf8_percent_encode(path, ESCAPED))).collect())
        }
    })
}
