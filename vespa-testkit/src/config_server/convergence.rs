//! Convergence: the generation that each service runs.

use super::{
    ConfigServer,
    refusal::{Outcome, error},
};
use crate::{
    faults::Struck,
    message::{Reply, Request},
    topology::{HOST, Service, Topology},
};
use http::StatusCode;
use serde_json::{Value, json};

/// The services with the generation that each of them runs.
struct View {
    wanted: u64,
    services: Vec<(Service, i64)>,
    failure: Option<String>,
}

impl View {
    fn current(&self) -> i64 {
        self.services.iter().map(|(_, generation)| *generation).min().unwrap_or(-1)
    }

    fn has_converged(&self, generation: i64) -> bool {
        u64::try_from(generation).is_ok_and(|generation| generation >= self.wanted)
    }
}

/// -1 where there is none.
fn number(generation: Option<u64>) -> i64 {
    generation.and_then(|generation| i64::try_from(generation).ok()).unwrap_or(-1)
}

fn view(server: &ConfigServer, struck: &Struck) -> Outcome<View> {
    let (wanted, previous, topology) = {
        let sessions = server.sessions.lock();
        let topology = Topology::of(&sessions.active()?.1.tree.files);
        (sessions.told_generation(struck.stale)?, sessions.previous_id(), topology)
    };
    let in_force = server.rollout.in_force();
    let current = if struck.stale { in_force.generation.min(Some(wanted)) } else { in_force.generation };
    let current = number(current);
    let before = number(previous.filter(|_| struck.half_converged));
    let services = topology.services(server.container_port);
    let late = |index: usize| struck.half_converged && index % 2 == 1;
    let services = services
        .into_iter()
        .enumerate()
        .map(|(index, service)| (service, if late(index) { before } else { current }))
        .collect();
    Ok(View { wanted, services, failure: in_force.failure })
}

/// `…/serviceconverge`
pub(super) fn list(server: &ConfigServer, request: &Request, struck: &Struck) -> Outcome<Reply> {
    let view = view(server, struck)?;
    let address = format!("{}{}", request.origin, request.path.trim_end_matches('/'));
    let services: Vec<Value> = view
        .services
        .iter()
        .map(|(service, generation)| {
            json!({
                "clusterName": service.cluster,
                "host": HOST,
                "port": service.port,
                "type": service.kind,
                "url": format!("{address}/{HOST}:{}", service.port),
                "currentGeneration": generation,
            })
        })
        .collect();
    let mut answer = json!({
        "services": services,
        "url": address,
        "currentGeneration": view.current(),
        "wantedGeneration": view.wanted,
        "converged": view.has_converged(view.current()),
    });
    if let (Some(message), Some((service, _)), Some(answer)) =
        (&view.failure, view.services.first(), answer.as_object_mut())
    {
        let failure = json!({
            "status": "error", "clusterName": service.cluster, "host": HOST, "type": service.kind, "message": message,
        });
        answer.insert("config".to_owned(), failure);
    }
    Ok(Reply::json(StatusCode::OK, &answer))
}

/// `…/serviceconverge/host:port`
pub(super) fn single(server: &ConfigServer, request: &Request, struck: &Struck, service: &str) -> Outcome<Reply> {
    let view = view(server, struck)?;
    let address = format!("{}{}", request.origin, request.path);
    let Some((host, port)) = service.split_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
    else {
        return Ok(error(StatusCode::BAD_REQUEST, "BAD_REQUEST", &format!("'{service}' is not host:port")));
    };
    let mut answer = json!({"url": address, "host": service, "wantedGeneration": view.wanted});
    let found = view.services.iter().find(|(known, _)| host == HOST && known.port == port);
    let (status, more) = match found {
        Some((_, generation)) => {
            (StatusCode::OK, json!({"converged": view.has_converged(*generation), "currentGeneration": generation}))
        }
        None => {
            let problem = "the application has no such service; list its services again";
            (StatusCode::GONE, json!({"problem": problem}))
        }
    };
    if let (Some(answer), Value::Object(more)) = (answer.as_object_mut(), more) {
        answer.extend(more);
    }
    Ok(Reply::json(status, &answer))
}
