//! The first stage of a search: which profiles are searched, and why.

use crate::{
    cursor::Position,
    encoding::QueryEncoders,
    plan::Planner,
    request::SearchRequest,
    routing::{Decision, LeftOut, Route, Router},
};
use cogniverse_core::tenants::TenantGrant;
use cogniverse_foundation::ResolvedProfile;
use cogniverse_sdk::{Error, ErrorCode, Modality, ProfileName, Result};

/// The outcome of the stage.
#[derive(Debug, Clone)]
pub(crate) struct Routed {
    /// The profiles to search: those of the request, or those of the route.
    pub(crate) profiles: Vec<ProfileName>,
    /// The route, where the request names no profile.
    pub(crate) route: Option<Route>,
    /// What the fast path said, whatever decided in the end.
    pub(crate) decision: Option<Decision>,
}

/// Routes a search that names no profile.
///
/// # Errors
/// `NotFound` where the tenant has no deployed profile; those of the router and of listing schemas.
pub(crate) async fn route(
    (router, planner, encoders): (&Router, &Planner, &QueryEncoders),
    grant: &TenantGrant,
    request: &SearchRequest,
    position: &Position,
) -> Result<Routed> {
    if !request.profiles.is_empty() {
        return Ok(Routed { profiles: request.profiles.clone(), route: None, decision: None });
    }
    let decision = router.decide(grant, &request.query).await?;
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
    match position.profiles() {
        // A later page is of the profiles of the first.
        Some(first) => route.profiles = first.to_vec(),
        None => choose(planner, encoders, grant, &mut route).await?,
    }
    Ok(Routed { profiles: route.profiles.clone(), route: Some(route), decision: Some(decision) })
}

/// Chooses the deployed profiles that serve the kind of content that is asked for; all of them where none does.
async fn choose(planner: &Planner, encoders: &QueryEncoders, grant: &TenantGrant, route: &mut Route) -> Result<()> {
    let deployed = planner.deployed(grant.tenant()).await?;
    let (known, unreadable) = grant.config().each_profile();
    route
        .left_out
        .extend(unreadable.map(|(name, error)| LeftOut { profile: name.clone(), reason: error.code().to_string() }));
    let mut usable: Vec<&ResolvedProfile> = Vec::new();
    for profile in known.filter(|profile| deployed.contains(&profile.config.value.schema)) {
        match profile.config.value.encoder.as_deref().map(|encoder| encoders.get(encoder)) {
            Some(Err(error)) => {
                route.left_out.push(LeftOut { profile: profile.name.clone(), reason: error.message().to_owned() });
            }
            _ => usable.push(profile),
        }
    }
    let serves = |profile: &&ResolvedProfile| {
        route.modality == Modality::Mixed || profile.config.value.routed_for().contains(&route.modality)
    };
    let mut fitting: Vec<&ResolvedProfile> = usable.iter().copied().filter(serves).collect();
    if fitting.is_empty() && !usable.is_empty() {
        route.reason.push_str(&format!("; no deployed profile is for {}, all are searched", route.modality));
        fitting = usable;
    }
    if fitting.is_empty() {
        let tenant = grant.tenant();
        let message = match route.left_out.first() {
            None => format!(
                "tenant \"{tenant}\" has no profile deployed to route a query to; deploy one: cargo run --example deploy_schemas -- --tenant-id {tenant} --profile PROFILE"
            ),
            Some(LeftOut { profile, reason }) => {
                format!("no deployed profile of tenant \"{tenant}\" can be searched here; \"{profile}\": {reason}")
            }
        };
        return Err(Error::of(ErrorCode::SchemaNotDeployed, message).with_context("tenant", tenant));
    }
    fitting.truncate(crate::request::MAX_PROFILES);
    route.profiles = fitting.into_iter().map(|profile| profile.name.clone()).collect();
    Ok(())
}
