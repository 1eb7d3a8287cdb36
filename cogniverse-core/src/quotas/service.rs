//! The quotas of all tenants in this process.

use super::{
    counter::{Exchange, Room, set_lease, signed},
    reservation::{CallReservation, QuotaCounter, QuotaReservation, TenantQuotas},
};
use cogniverse_foundation::{ConfigManager, QuotaConfig, QuotaMode};
use cogniverse_sdk::{
    Clock, Error, ErrorCode, ErrorKind, Quota, QuotaState, QuotaStore, Result, Retry, TenantId, Timestamp,
};
use dashmap::DashMap;
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// The interval in which what was used is stored.
const STORE_EVERY: Duration = Duration::from_millis(500);
/// The time for which a tenant's limits are used without a look at its configuration.
const STALENESS: Duration = Duration::from_secs(1);
/// The number of times that an exchange with the store is tried again because another process came first.
const ATTEMPTS: usize = 64;
/// The number of tenants whose use is stored at the same time.
const STORED_AT_ONCE: usize = 16;
/// The retry time of a call that found too many others at the same moment.
const SOON: Duration = Duration::from_millis(100);

/// The behaviour while the store of quotas cannot be used. A quota is never silently unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnQuotaStoreUnavailable {
    /// Refuse calls that the last lease does not cover, with `Unavailable`.
    #[default]
    Refuse,
    /// Count in memory against the whole limit, beyond what was known last, and log it. Other processes do the same, so
    /// that together they may serve as many times the limit.
    CountInMemory,
}

/// The use of one quota of a tenant, in the units of its limit, rounded up.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct QuotaUsage {
    /// The quota.
    pub quota: Quota,
    /// The amount that all processes used or hold; `None` where it is not counted, as the quota is not limited.
    pub used: Option<u64>,
    /// The limit; `None` where there is none.
    pub limit: Option<u64>,
    /// The time at which the window ends and the use begins at 0; `None` for quotas without a window.
    pub window_ends: Option<Timestamp>,
}

/// Counts what tenants use and refuses what is beyond their quotas.
///
/// Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Quotas {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn QuotaStore>,
    config: ConfigManager,
    clock: Arc<dyn Clock>,
    holder: String,
    on_unavailable: OnQuotaStoreUnavailable,
    tenants: DashMap<TenantId, Arc<TenantQuotas>>,
    keeper: AtomicBool,
    /// The beginning of the times in [`TenantQuotas::seen`].
    since: Instant,
    would_refuse: AtomicU64,
}

impl Quotas {
    /// Creates the quotas of tenants whose limits are in a configuration.
    #[must_use]
    pub fn new(store: Arc<dyn QuotaStore>, config: ConfigManager, clock: Arc<dyn Clock>) -> Self {
        let inner = Inner {
            store,
            config,
            clock,
            holder: holder(),
            on_unavailable: OnQuotaStoreUnavailable::default(),
            tenants: DashMap::new(),
            keeper: AtomicBool::new(false),
            since: Instant::now(),
            would_refuse: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Sets the behaviour while the store cannot be used (default: refuse). Called before the first call.
    #[must_use]
    pub fn with_on_unavailable(mut self, behaviour: OnQuotaStoreUnavailable) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.on_unavailable = behaviour;
        }
        self
    }

    /// Returns the number of calls that a dry run would have refused so far.
    #[must_use]
    pub fn would_have_refused(&self) -> u64 {
        self.inner.would_refuse.load(Ordering::Relaxed)
    }

    /// Admits a call of a tenant with the given limits.
    ///
    /// # Errors
    /// `RateLimited` with quota, use, limit and the time of the next try; `Unavailable` where the store cannot be used.
    pub async fn admit(&self, config: &Arc<QuotaConfig>) -> Result<CallReservation> {
        let tenant = self.of(config);
        let place = self.reserve(&tenant, Quota::ConcurrentRequests, 1).await?;
        let call = self.reserve(&tenant, Quota::ApiCalls, 1).await?;
        Ok(CallReservation { call: Some(call), _place: place, is_free: AtomicBool::new(false) })
    }

    /// Reserves an amount, in counted units: seconds for minutes, bytes for megabytes.
    ///
    /// # Errors
    /// `QuotaExceeded` or `RateLimited`; `Unavailable` where the store cannot be used; `NotFound` for a tenant that
    /// does not exist.
    pub async fn reserve_for(&self, tenant: &TenantId, quota: Quota, amount: u64) -> Result<QuotaReservation> {
        let tenant = self.known(tenant).await?;
        self.reserve(&tenant, quota, amount).await
    }

    /// Returns what a tenant used of each quota, over all processes that share the store.
    ///
    /// # Errors
    /// `NotFound` for a tenant that does not exist; `Unavailable` where the store cannot be read.
    pub async fn usage(&self, tenant: &TenantId) -> Result<Vec<QuotaUsage>> {
        let tenant = self.reloaded(tenant).await?;
        let config = tenant.config();
        let mut usage = Vec::new();
        for quota in Quota::ALL {
            let limit = config.limit(quota);
            let (window, ends) = self.inner.window(&config, quota);
            self.inner.exchange(&tenant, tenant.counter(quota)?, 0).await?;
            let (used, counted) = {
                let mut local = tenant.counter(quota)?.local.lock();
                local.enter(window);
                (local.used(), local.counted)
            };
            let is_counted = limit.is_some() && counted || !matches!(quota, Quota::Documents | Quota::StorageMb);
            usage.push(QuotaUsage {
                quota,
                used: is_counted.then(|| used.div_ceil(quota.units())),
                limit,
                window_ends: ends,
            });
        }
        Ok(usage)
    }

    /// Stores what was used and returns what was leased in advance. Done twice a second anyway; a process that is about
    /// to end calls this, so that what it leased is not counted as used.
    ///
    /// # Errors
    /// `Unavailable` where the store cannot be written; what was used is then kept and stored later.
    pub async fn flush(&self) -> Result<()> {
        self.inner.flush().await
    }

    /// Returns the tenant's quotas with the given limits, as its configuration says now.
    fn of(&self, config: &Arc<QuotaConfig>) -> Arc<TenantQuotas> {
        let found = self.inner.tenants.get(&config.tenant_id).map(|found| Arc::clone(&found));
        let tenant = found.unwrap_or_else(|| {
            let new = || Arc::new(TenantQuotas::new(Arc::clone(config)));
            Arc::clone(&self.inner.tenants.entry(config.tenant_id.clone()).or_insert_with(new))
        });
        tenant.seen.store(self.inner.elapsed(), Ordering::Relaxed);
        if !Arc::ptr_eq(&tenant.config.read(), config) {
            let former = std::mem::replace(&mut *tenant.config.write(), Arc::clone(config));
            if former != *config {
                // What was leased under other limits is not handed out under these.
                tenant.counters.iter().for_each(|counter| counter.local.lock().give_up_spare());
            }
        }
        tenant
    }

    /// Returns a tenant's quotas with limits that are a second old at most.
    pub(super) async fn known(&self, tenant: &TenantId) -> Result<Arc<TenantQuotas>> {
        let found = self.inner.tenants.get(tenant).map(|found| Arc::clone(&found));
        match found {
            Some(found) if self.inner.elapsed() < found.seen.load(Ordering::Relaxed) + STALENESS.as_millis() as u64 => {
                Ok(found)
            }
            _ => self.reloaded(tenant).await,
        }
    }

    async fn reloaded(&self, tenant: &TenantId) -> Result<Arc<TenantQuotas>> {
        let config = self.inner.config.get::<QuotaConfig>(tenant).await?.value;
        Ok(self.of(&Arc::new(config)))
    }

    pub(super) async fn reserve(
        &self,
        tenant: &Arc<TenantQuotas>,
        quota: Quota,
        amount: u64,
    ) -> Result<QuotaReservation> {
        let config = tenant.config();
        let limit = config.limit(quota).map(|limit| limit.saturating_mul(quota.units()));
        let counter = tenant.counter(quota)?;
        let (window, ends) = self.inner.window(&config, quota);
        self.keep();
        for _ in 0..ATTEMPTS {
            {
                let mut local = counter.local.lock();
                local.enter(window);
                let is_taken = match limit {
                    Some(_) => local.take(amount),
                    None => {
                        local.take_unlimited(amount);
                        true
                    }
                };
                if is_taken {
                    return Ok(QuotaReservation { tenant: Arc::clone(tenant), quota, window, amount });
                }
            }
            match self.inner.exchange(tenant, counter, amount).await {
                Ok(Room::Enough) => {}
                Ok(Room::Full { used }) if config.mode == QuotaMode::DryRun => {
                    self.inner.would_refuse.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(tenant.id = %tenant.tenant, %quota, used, "a dry run would have refused this call");
                    counter.local.lock().take_unlimited(amount);
                    return Ok(QuotaReservation { tenant: Arc::clone(tenant), quota, window, amount });
                }
                Ok(Room::Full { used }) => return Err(self.refused(&config, quota, used, amount, ends)),
                Err(error) if self.inner.on_unavailable == OnQuotaStoreUnavailable::CountInMemory => {
                    let mut local = counter.local.lock();
                    local.enter(window);
                    let used = local.used();
                    if limit.is_some_and(|limit| used.saturating_add(amount) > limit) {
                        return Err(self.refused(&config, quota, used, amount, ends));
                    }
                    tracing::warn!(tenant.id = %tenant.tenant, %quota, "the store of quotas cannot be used, counting in memory: {}", error.chain());
                    local.take_unlimited(amount);
                    return Ok(QuotaReservation { tenant: Arc::clone(tenant), quota, window, amount });
                }
                Err(error) => return Err(away(error)),
            }
        }
        Err(overtaken(quota))
    }

    fn refused(&self, config: &QuotaConfig, quota: Quota, used: u64, more: u64, ends: Option<Timestamp>) -> Error {
        let (tenant, units) = (&config.tenant_id, quota.units());
        let (limit, used) = (config.limit(quota).unwrap_or_default(), used.div_ceil(units));
        let now = self.inner.clock.now();
        let wait = ends.map(|ends| Duration::try_from(ends.duration_since(now)).unwrap_or_default());
        let what = format!("tenant \"{tenant}\" used {used} of {limit} {quota}");
        let needs =
            if more > units { format!(", and this needs {} more", more.div_ceil(units)) } else { String::new() };
        let (code, retry, remedy) = match (quota, ends) {
            (Quota::ApiCalls, Some(ends)) => {
                (ErrorCode::RateLimited, Retry::After(wait), format!("try again after {ends}, or raise the quota"))
            }
            (Quota::ConcurrentRequests, _) => (
                ErrorCode::RateLimited,
                Retry::After(Some(SOON)),
                "try again once one of them has ended, or raise the quota".to_owned(),
            ),
            (_, Some(ends)) => {
                (ErrorCode::QuotaExceeded, Retry::After(wait), format!("try again after {ends}, or raise the quota"))
            }
            (_, None) => (ErrorCode::QuotaExceeded, Retry::Never, "remove documents, or raise the quota".to_owned()),
        };
        Error::of(code, format!("{what}{needs}; {remedy}"))
            .with_retry(retry)
            .with_context("tenant", tenant)
            .with_context("quota", quota)
            .with_context("used", used)
            .with_context("limit", limit)
    }

    /// Sets the stored use of a quota to what was counted. What is reserved stays so.
    pub(super) async fn set_counted(&self, tenant: &TenantQuotas, quota: Quota, used: u64) -> Result<()> {
        let counter = tenant.counter(quota)?;
        let _alone = counter.exchanging.lock().await;
        for _ in 0..ATTEMPTS {
            let (mut state, version) = self.inner.state(&tenant.tenant, quota).await?;
            (state.used, state.counted) = (used, true);
            let reserved = counter.local.lock().reserved;
            set_lease(&mut state, &self.inner.holder, reserved, self.inner.clock.now());
            if self.inner.store.replace(&tenant.tenant, quota, version, &state).await.map_err(away)?.is_some() {
                let others = state.leases.iter().filter(|lease| lease.holder != self.inner.holder);
                let elsewhere = used.saturating_add(others.map(|lease| lease.amount).sum());
                counter.local.lock().recounted(elsewhere);
                tenant.measured.store(true, Ordering::Release);
                return Ok(());
            }
        }
        Err(overtaken(quota))
    }

    /// Returns whether the tenant's documents were ever counted.
    pub(super) async fn is_measured(&self, tenant: &TenantQuotas) -> Result<bool> {
        if !tenant.measured.load(Ordering::Acquire) {
            for quota in [Quota::Documents, Quota::StorageMb] {
                if self.inner.state(&tenant.tenant, quota).await?.1.is_none() {
                    return Ok(false);
                }
            }
            tenant.measured.store(true, Ordering::Release);
        }
        Ok(true)
    }

    /// Takes an amount off what is used.
    pub(super) fn give_back(&self, tenant: &TenantQuotas, quota: Quota, amount: u64) -> Result<()> {
        tenant.counter(quota)?.local.lock().settle(0, -signed(amount));
        self.keep();
        Ok(())
    }

    /// Returns whether the stored use of a quota was counted.
    pub(super) async fn is_counted(&self, tenant: &TenantQuotas, quota: Quota) -> Result<bool> {
        let counter = tenant.counter(quota)?;
        if counter.local.lock().counted {
            return Ok(true);
        }
        Ok(self.inner.state(&tenant.tenant, quota).await?.0.counted)
    }

    /// Says that the use of documents and storage must be counted again before it is relied on.
    pub(super) async fn forget_count(&self, tenant: &TenantId) -> Result<()> {
        let Some(tenant) = self.inner.tenants.get(tenant).map(|found| Arc::clone(&found)) else {
            return self.inner.uncount(tenant).await;
        };
        for quota in [Quota::Documents, Quota::StorageMb] {
            tenant.counter(quota)?.local.lock().counted = false;
        }
        self.inner.uncount(&tenant.tenant).await
    }

    /// Forgets a tenant in this process; what it has in flight is stored nowhere.
    pub(super) fn close(&self, tenant: &TenantId) {
        if let Some((_, tenant)) = self.inner.tenants.remove(tenant) {
            tenant.closed.store(true, Ordering::Release);
        }
    }

    pub(super) fn store(&self) -> &Arc<dyn QuotaStore> {
        &self.inner.store
    }

    /// Starts the task that stores what was used, where none runs.
    fn keep(&self) {
        if self.inner.keeper.load(Ordering::Acquire) || self.inner.keeper.swap(true, Ordering::AcqRel) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            self.inner.keeper.store(false, Ordering::Release);
            return;
        };
        let guard = KeeperGuard(Arc::downgrade(&self.inner));
        runtime.spawn(async move {
            let guard = guard;
            loop {
                tokio::time::sleep(STORE_EVERY).await;
                let Some(inner) = guard.0.upgrade() else { return };
                if let Err(error) = inner.flush().await {
                    tracing::warn!("the use of quotas is not stored: {}", error.chain());
                }
                inner.tenants.retain(|_, tenant| Arc::strong_count(tenant) > 1 || !tenant.is_clean());
            }
        });
    }
}

/// Lets another task start where the keeper ended with its runtime.
struct KeeperGuard(Weak<Inner>);

impl Drop for KeeperGuard {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.keeper.store(false, Ordering::Release);
        }
    }
}

impl Inner {
    fn elapsed(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the start of the present window in seconds, and its end.
    fn window(&self, config: &QuotaConfig, quota: Quota) -> (i64, Option<Timestamp>) {
        let Some(length) = config.window_seconds(quota) else { return (0, None) };
        let (now, length) = (self.clock.now().as_second(), signed(length.max(1)));
        let start = now - now.rem_euclid(length);
        (start, Timestamp::from_second(start.saturating_add(length)).ok())
    }

    /// Reads a stored state; one that was never stored is empty, and of documents not counted.
    async fn state(&self, tenant: &TenantId, quota: Quota) -> Result<(QuotaState, Option<u64>)> {
        Ok(match self.store.get(tenant, quota).await.map_err(away)? {
            Some((state, version)) => (state, Some(version)),
            None => {
                let mut state = QuotaState::default();
                state.counted = !matches!(quota, Quota::Documents | Quota::StorageMb);
                (state, None)
            }
        })
    }

    /// Stores what was used of a quota, and leases `more`.
    async fn exchange(&self, tenant: &TenantQuotas, counter: &QuotaCounter, more: u64) -> Result<Room> {
        let quota = counter.quota;
        let _alone = counter.exchanging.lock().await;
        for attempt in 0..ATTEMPTS {
            if tenant.closed.load(Ordering::Acquire) {
                return Err(gone(&tenant.tenant));
            }
            let (mut state, version) = self.state(&tenant.tenant, quota).await?;
            match version {
                Some(_) => counter.stored.store(true, Ordering::Release),
                None => self.require_kept(tenant, counter, more).await?,
            }
            let config = tenant.config();
            let limit = config.limit(quota).map(|limit| limit.saturating_mul(quota.units()));
            let window = self.window(&config, quota).0;
            let before = state.clone();
            let (room, settled) = {
                let mut local = counter.local.lock();
                local.enter(window);
                if more > 0 && limit.is_some() && local.slack() >= more {
                    return Ok(Room::Enough);
                }
                let exchange = Exchange { holder: &self.holder, now: self.clock.now(), limit, more };
                local.exchange(quota, &mut state, &exchange)
            };
            let is_unchanged = state == before || (version.is_none() && state.used == 0 && state.leases.is_empty());
            if is_unchanged || self.store.replace(&tenant.tenant, quota, version, &state).await.map_err(away)?.is_some()
            {
                counter.stored.fetch_or(!is_unchanged, Ordering::AcqRel);
                let mut local = counter.local.lock();
                if local.window == state.window {
                    local.stored(&state, &self.holder, settled);
                }
                return Ok(room);
            }
            tokio::time::sleep(Duration::from_micros(200 * (attempt as u64 + 1))).await;
        }
        Err(overtaken(quota))
    }

    /// Decides whether a state that is not in the store may be put there: not where the tenant was erased, by this process or
    /// another, or its use would outlive it.
    async fn require_kept(&self, tenant: &TenantQuotas, counter: &QuotaCounter, more: u64) -> Result<()> {
        if !counter.stored.load(Ordering::Acquire) {
            return Ok(());
        }
        // A call that was admitted asks for more, where the state was lost and the tenant is there. What is stored
        // afterwards was used before the erasure.
        if more > 0 {
            match self.config.get_quota_config(&tenant.tenant).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        tenant.closed.store(true, Ordering::Release);
        self.tenants.remove_if(&tenant.tenant, |_, held| std::ptr::eq(Arc::as_ptr(held), tenant));
        Err(gone(&tenant.tenant))
    }

    /// Stores what every tenant used, some tenants at a time, so that no lease runs out where the store is far away.
    async fn flush(self: &Arc<Self>) -> Result<()> {
        let tenants: Vec<Arc<TenantQuotas>> = self.tenants.iter().map(|entry| Arc::clone(entry.value())).collect();
        let mut failed = None;
        for some in tenants.chunks(STORED_AT_ONCE) {
            let mut running = JoinSet::new();
            for tenant in some {
                let (inner, tenant) = (Arc::clone(self), Arc::clone(tenant));
                running.spawn(async move { inner.store_tenant(&tenant).await });
            }
            while let Some(joined) = running.join_next().await {
                let stored = joined.map_err(|e| Error::unexpected("the use of quotas was not stored").with_source(e));
                failed = stored.and_then(|stored| stored).err().or(failed);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn store_tenant(&self, tenant: &TenantQuotas) -> Result<()> {
        for counter in &tenant.counters {
            let is_due = {
                let mut local = counter.local.lock();
                let is_due = local.touched || !local.is_clean();
                if is_due {
                    local.give_up_spare();
                }
                is_due
            };
            if !is_due {
                continue;
            }
            match self.exchange(tenant, counter, 0).await {
                Ok(_) => {}
                // One that was erased meanwhile has nothing to be stored.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn uncount(&self, tenant: &TenantId) -> Result<()> {
        for quota in [Quota::Documents, Quota::StorageMb] {
            let mut attempts = 0;
            loop {
                let (mut state, version) = self.state(tenant, quota).await?;
                state.counted = false;
                if version.is_none()
                    || self.store.replace(tenant, quota, version, &state).await.map_err(away)?.is_some()
                {
                    break;
                }
                attempts += 1;
                if attempts == ATTEMPTS {
                    return Err(overtaken(quota));
                }
            }
        }
        Ok(())
    }
}

fn overtaken(quota: Quota) -> Error {
    Error::of(ErrorCode::QuotaStoreUnavailable, "other processes changed the quota each time; try again")
        .with_retry(Retry::After(Some(SOON)))
        .with_context("quota", quota)
}

fn away(error: Error) -> Error {
    let message = "the store of quotas cannot be used; see the cause, or serve without it by CountInMemory";
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Timeout => {
            Error::of(ErrorCode::QuotaStoreUnavailable, message).with_retry(Retry::After(Some(SOON))).with_source(error)
        }
        _ => error,
    }
}

/// Returns an id that no other process has.
fn holder() -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{}-{:016x}{:016x}", std::process::id(), random(), random())
}

fn gone(tenant: &TenantId) -> Error {
    Error::of(ErrorCode::TenantUnknown, format!("tenant \"{tenant}\" is erased")).with_context("tenant", tenant)
}
