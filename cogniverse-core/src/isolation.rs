//! The check that tenants are apart: every surface is planted with canaries of one tenant and attacked from another.

mod hidden;
mod report;

pub use hidden::HiddenCanaries;
pub use report::{IsolationCheck, IsolationReport, UncheckedSurface};

use crate::{
    failpoint,
    tenants::{Attendance, Gate, TenantState},
};
use cogniverse_sdk::{
    Error, ErrorCode, Operation, Result, TenantId, TenantSurface,
    isolation::{Attack, Canary, Planting},
};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Mutex;
use tracing::Instrument;

/// The number of tenants read at once.
const PAGE: usize = 500;
/// The number of tenants up to which each is attacked from each.
const EACH_FROM_EACH: usize = 12;
/// The longest that a canary is attacked by one tenant.
const LIMIT: Duration = Duration::from_secs(30);
/// The time without an end after which a check must have died.
const LEASE: Duration = Duration::from_secs(60);

/// Checks the isolation of tenants on what is stored. Cheap to clone; clones take turns.
#[derive(Debug, Clone)]
pub struct IsolationVerifier {
    gate: Gate,
    surfaces: Arc<Vec<Arc<dyn TenantSurface>>>,
    lease: Duration,
    turn: Arc<Mutex<()>>,
}

impl IsolationVerifier {
    /// Creates a verifier of all surfaces of a service.
    #[must_use]
    pub fn new(gate: Gate, surfaces: Vec<Arc<dyn TenantSurface>>) -> Self {
        Self { gate, surfaces: Arc::new(surfaces), lease: LEASE, turn: Arc::default() }
    }

    /// Sets the age from which the canary of another process may be replaced (default 60 s). Zero where no other process can
    /// use the backend.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Returns the same verifier for the caller of a gate.
    #[must_use]
    pub fn for_caller(&self, gate: Gate) -> Self {
        Self { gate, ..self.clone() }
    }

    /// Plants canaries of each of two tenants in every surface, and tries to reach them from the other. What is planted is
    /// removed, and what a check that died has left with it.
    ///
    /// Users meet no canary, and no quota counts one. A surface that cannot be checked, and a check that could not be made, are
    /// in the report.
    ///
    /// # Errors
    /// `InvalidInput` for one tenant twice; `NotFound` for a tenant that does not exist; those of [`Gate::permit`] for
    /// administering both; any error of the store of tenants' records.
    pub async fn verify(&self, a: &TenantId, b: &TenantId) -> Result<IsolationReport> {
        if a == b {
            return Err(Error::invalid("a tenant is not isolated from itself; give two tenants"));
        }
        for tenant in [a, b] {
            self.gate.permit(tenant, Operation::Administer).await?;
            let record = self.gate.registry().get(tenant).await?;
            if !record.state.exists() {
                let message = format!("tenant \"{tenant}\" is {}; check tenants that exist", record.state);
                return Err(Error::of(ErrorCode::FailedPrecondition, message));
            }
        }
        self.all_of(vec![(a.clone(), b.clone()), (b.clone(), a.clone())]).await
    }

    /// Does the same with all tenants that exist. Up to 12 are each attacked from each. Of more, each is attacked from the
    /// next by id, as it is similar names that a backend could mix up.
    ///
    /// # Errors
    /// Those of [`IsolationVerifier::verify`]; `FailedPrecondition` where there are fewer than two tenants.
    pub async fn verify_all(&self) -> Result<IsolationReport> {
        let (mut tenants, mut after) = (Vec::new(), None);
        loop {
            let page = self.gate.registry().list(after, PAGE).await?;
            tenants.extend(page.tenants.into_iter().filter(|record| record.state.exists()).map(|record| record.tenant));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if tenants.len() < 2 {
            let message = "there are fewer than two tenants; create another to check them against each other";
            return Err(Error::of(ErrorCode::FailedPrecondition, message));
        }
        for tenant in &tenants {
            self.gate.permit(tenant, Operation::Administer).await?;
        }
        let mut pairs = Vec::new();
        for (place, owner) in tenants.iter().enumerate() {
            match tenants.len() {
                ..=EACH_FROM_EACH => {
                    let others = tenants.iter().filter(|other| *other != owner);
                    pairs.extend(others.map(|other| (owner.clone(), other.clone())));
                }
                count => pairs.extend(tenants.get((place + 1) % count).map(|next| (owner.clone(), next.clone()))),
            }
        }
        self.all_of(pairs).await
    }

    /// Checks pairs of an owner and an attacker in a task of its own: what is planted is removed also where the caller gives up.
    async fn all_of(&self, pairs: Vec<(TenantId, TenantId)>) -> Result<IsolationReport> {
        let verifier = self.clone();
        let checking = async move {
            let mut report = IsolationReport::begun(verifier.gate.clock().now());
            for (owner, attacker) in &pairs {
                // Between two pairs another check may have its turn.
                let _turn = verifier.turn.lock().await;
                verifier.attack(owner, attacker, &mut report).await;
            }
            // Of what was not tried nobody knows whether it holds.
            report.isolated &= !report.checks.is_empty();
            report.ended_at = verifier.gate.clock().now();
            report
        };
        let checking = tokio::spawn(checking.in_current_span());
        checking.await.map_err(|e| Error::unexpected("the check of isolation ended early").with_source(e))
    }

    /// Returns whether a tenant is still there, counted as in flight so that an erasure waits.
    async fn attend(&self, tenant: &TenantId) -> Result<Option<Attendance>> {
        let attendance = self.gate.attend(tenant, Operation::Administer);
        let found = self.gate.registry().find(tenant).await?;
        let is_there =
            |state| matches!(state, TenantState::Active | TenantState::Suspended | TenantState::Provisioning);
        Ok(found.filter(|found| is_there(found.record.state)).map(|_| attendance))
    }

    /// Plants a canary of one tenant, lets another attack it, and removes it whatever comes of that.
    async fn attack(&self, owner: &TenantId, attacker: &TenantId, report: &mut IsolationReport) {
        let attending = async { Ok::<_, Error>((self.attend(owner).await?, self.attend(attacker).await?)) };
        let _both = match attending.await {
            Ok((Some(one), Some(other))) => (one, other),
            Ok(_) => {
                let reason = format!("\"{owner}\" or \"{attacker}\" is being erased, or was since the check began");
                return report.leave_out("tenants", reason);
            }
            Err(error) => {
                let evidence = format!("the record could not be read: {}", error.chain());
                return report.add("tenants", owner, attacker, Attack::failed("record", evidence));
            }
        };
        let random = || u128::from(RandomState::new().hash_one(std::process::id()));
        let canary = Canary::new(owner.clone(), self.gate.clock().now(), random() << 64 | random(), self.lease);
        let mut touched = Vec::new();
        let attempts = async {
            let mut planted = Vec::new();
            for surface in self.surfaces.iter() {
                touched.push(surface);
                match surface.plant(&canary).await {
                    Ok(Planting::Planted) => planted.push(surface),
                    Ok(Planting::NotChecked(reason)) => report.leave_out(surface.name(), reason),
                    Ok(_) => {
                        report.leave_out(surface.name(), "the surface gave an answer of another release".to_owned())
                    }
                    Err(error) => {
                        let evidence = format!("the canary could not be planted: {}", error.chain());
                        report.add(surface.name(), owner, attacker, Attack::failed("plant", evidence));
                    }
                }
                failpoint::reach("isolation.planted");
            }
            for surface in planted {
                match surface.attack(attacker, &canary).await {
                    Ok(attempts) if attempts.is_empty() => {
                        let nothing = Attack::failed("attack", "the surface made no attempt");
                        report.add(surface.name(), owner, attacker, nothing);
                    }
                    Ok(attempts) => {
                        attempts.into_iter().for_each(|attempt| report.add(surface.name(), owner, attacker, attempt));
                    }
                    Err(error) => {
                        let evidence = format!("the attack could not be made: {}", error.chain());
                        report.add(surface.name(), owner, attacker, Attack::failed("attack", evidence));
                    }
                }
            }
        };
        // Well before another process may take the canary for one that was left.
        if tokio::time::timeout(LIMIT, attempts).await.is_err() {
            let evidence = format!("the check did not end within {LIMIT:?}");
            report.add("tenants", owner, attacker, Attack::failed("time", evidence));
        }
        failpoint::reach("isolation.attacked");
        for surface in touched {
            if let Err(error) = surface.remove_canary(&canary).await {
                let evidence = format!("the canary is left until the next check: {}", error.chain());
                report.add(surface.name(), owner, attacker, Attack::failed("remove", evidence));
            }
        }
    }
}
