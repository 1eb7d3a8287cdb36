//! The first stage of a search: which profiles are searched, and why.

use crate::{
    cursor::{PinnedRoute, Position},
    plan::Planner,
    request::{MAX_PROFILES, SearchRequest},
    routing::{Decision, LeftOut, Route, Router},
};
use cogniverse_core::tenants::TenantGrant;
use cogniverse_foundation::ResolvedProfile;
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, Modality, ProfileName, Result};

/// The outcome of the stage.
#[derive(Debug, Clone)]
pub(crate) struct Routed {
    /// The profiles to search: those of the request, or those of the route.
    pub(crate) profiles: Vec<ProfileName>,
    /// The route, where the request names no profile.
    pub(crate) route: Option<Route>,
    /// The other deployed profiles, which are searched where none of the route's can be.
    others: Vec<ProfileName>,
}

/// Returns the profiles of a request that names them; `None` where it is to be routed.
pub(crate) fn named(request: &SearchRequest) -> Option<Routed> {
    (!request.profiles.is_empty()).then(|| Routed {
        profiles: request.profiles.clone(),
        route: None,
        others: Vec::new(),
    })
}

/// Returns the route of the first page, for a later one.
pub(crate) fn pinned(position: &Position) -> Option<Routed> {
    let PinnedRoute { modality, generation, tier, confidence, profiles } = position.pinned()?.route.clone()?;
    let reason = "as on the first page".to_owned();
    let (took_ms, left_out) = (0.0, Vec::new());
    let route = Route { modality, generation, profiles, confidence, tier, reason, took_ms, left_out };
    Some(Routed { profiles: route.profiles.clone(), route: Some(route), others: Vec::new() })
}

/// Decides what a query asks for.
///
/// # Errors
/// Those of the router.
pub(crate) async fn decide(router: &Router, grant: &TenantGrant, request: &SearchRequest) -> Result<Decision> {
    if request.query_vectors.is_some() {
        let message = "query vectors are given and no profile; name the profiles whose model made them";
        return Err(Error::invalid(message).with_public_message("The request has vectors and names no profile."));
    }
    router.decide(grant, &request.query).await
}

/// Chooses the deployed profiles that serve the kind of content that is asked for; all of them where none does.
///
/// # Errors
/// `NotFound` where the tenant has no deployed profile; those of listing schemas.
pub(crate) async fn choose(planner: &Planner, grant: &TenantGrant, decision: &Decision) -> Result<Routed> {
    let verdict = &decision.verdict;
    let mut route = Route {
        modality: verdict.modality,
        generation: verdict.generation,
        profiles: Vec::new(),
        confidence: verdict.confidence,
        tier: verdict.tier,
        reason: verdict.reason.clone(),
        took_ms: decision.took.as_secs_f64() * 1000.0,
        left_out: Vec::new(),
    };
    let deployed = planner.deployed(grant.tenant()).await?;
    let (known, unreadable) = grant.config().each_profile();
    // What a profile that cannot be read would be for, nobody knows.
    route.left_out.extend(unreadable.map(|(name, error)| left_out(name, error)));
    let deployed: Vec<&ResolvedProfile> =
        known.filter(|profile| deployed.contains(&profile.config.value.schema)).collect();
    let serves = |profile: &&ResolvedProfile| {
        route.modality == Modality::Mixed || profile.config.value.routed_for().contains(&route.modality)
    };
    let mut fitting: Vec<&ResolvedProfile> = deployed.iter().copied().filter(serves).collect();
    let mut others: Vec<ProfileName> = Vec::new();
    if fitting.is_empty() && !deployed.is_empty() {
        route.reason.push_str(&format!("; no deployed profile is for {}, all are searched", route.modality));
        fitting = deployed;
    } else {
        let fits = |profile: &&&ResolvedProfile| fitting.iter().any(|fitting| fitting.name == profile.name);
        others.extend(
            deployed.iter().filter(|profile| !fits(profile)).take(MAX_PROFILES).map(|other| other.name.clone()),
        );
    }
    if fitting.is_empty() {
        let tenant = grant.tenant();
        let message = format!(
            "tenant \"{tenant}\" has no profile deployed to route a query to; deploy one: cargo run --example deploy_schemas -- --tenant-id {tenant} --profile PROFILE"
        );
        return Err(Error::of(ErrorCode::SchemaNotDeployed, message).with_context("tenant", tenant));
    }
    for profile in fitting.split_off(fitting.len().min(MAX_PROFILES)) {
        let reason = format!("a search is of {MAX_PROFILES} profiles at most; name it to search it");
        route.left_out.push(LeftOut { profile: profile.name.clone(), reason });
    }
    route.profiles = fitting.into_iter().map(|profile| profile.name.clone()).collect();
    Ok(Routed { profiles: route.profiles.clone(), route: Some(route), others })
}

impl Routed {
    /// Leaves out a profile that a routed search cannot search, where its plan failed because of how it is set up.
    ///
    /// # Errors
    /// The given one, where the request names its profiles, or where it says nothing about the profile: a search without
    /// that list would look complete.
    pub(crate) fn leave_out(&mut self, profile: &ProfileName, error: Error) -> Result<()> {
        let is_set_up_so = matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::FailedPrecondition | ErrorKind::InvalidInput | ErrorKind::Corrupt
        ) && error.code() != ErrorCode::InvalidInput;
        match &mut self.route {
            Some(route) if is_set_up_so && (self.profiles.len() > 1 || !self.others.is_empty()) => {
                route.left_out.push(left_out(profile, &error));
                self.profiles.retain(|known| known != profile);
                if self.profiles.is_empty() {
                    self.profiles = std::mem::take(&mut self.others);
                    let reason = format!("; no profile for {} can be searched, the others are", route.modality);
                    route.reason.push_str(&reason);
                }
                route.profiles.clone_from(&self.profiles);
                Ok(())
            }
            _ => Err(error),
        }
    }
}

/// Returns the part of an error about a profile that a customer may be told.
fn left_out(profile: &ProfileName, error: &Error) -> LeftOut {
    LeftOut { profile: profile.clone(), reason: format!("{}: {}", error.code(), error.public().message()) }
}
