//! The `ConfigStore` on Vespa, with compare-and-set through conditional puts.
//!
//! The version before is kept as a document of its own first, and then the head is replaced, if it is still the one that was
//! read. A crash in between leaves a copy of the head, which the next write makes again; nothing is lost and nothing repeats.

use crate::{
    backend::VespaBackend,
    client::jittered,
    config_record::{Record, Records},
};
use async_trait::async_trait;
use cogniverse_sdk::{
    Clock, ConfigEntry, ConfigKey, ConfigOrigin, ConfigOwner, ConfigStore, Error, ErrorCode, ErrorKind, Expected,
    PageCursor, Result, Retry, TenantId,
    config_store::{
        ConfigPage, ConfigVersions, ListConfig, PutConfig,
        cursor::{self, ConfigListing, Position},
        versioning::{self, Head},
    },
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

/// How often a write begins anew because another one came first.
const ATTEMPTS: u32 = 40;
/// The longest pause before it begins anew.
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// Versions read at once.
const READS: usize = 16;

/// A store of configuration versions in the schema `config_metadata`, shared by all processes that use the
/// application.
///
/// A listing and an export read all of an owner's newest versions for each page, and keep one page of them. An import checks
/// everything before its first write, and takes its writes back where another writer came in between; a crash in the middle
/// leaves some keys imported, and running it again imports the rest.
#[derive(Debug)]
pub struct VespaConfigStore {
    records: Records,
    clock: Arc<dyn Clock>,
}

impl VespaBackend {
    /// Opens the configuration store of this application. The first call deploys its schema if needed.
    ///
    /// # Errors
    /// Those of [`cogniverse_sdk::SchemaStore::deploy`].
    pub async fn config_store(&self) -> Result<VespaConfigStore> {
        self.deployer().ensure_system().await?;
        Ok(VespaConfigStore { records: Records::new(Arc::clone(self.client())), clock: Arc::clone(self.clock()) })
    }
}

type Place = (&'static str, String, String);

fn place(key: &ConfigKey) -> Place {
    (key.scope.as_str(), key.service.clone(), key.key.clone())
}

fn at_or_past(key: &ConfigKey, from: &Position) -> std::cmp::Ordering {
    (key.scope.as_str(), &*key.service, &*key.key).cmp(&(&*from.scope, &*from.service, &*from.key))
}

impl VespaConfigStore {
    /// Appends a version whose number `number` decides from the head.
    async fn append(
        &self,
        key: &ConfigKey,
        content: (Option<Value>, ConfigOrigin),
        number: impl Fn(Option<Head>) -> Result<u64> + Send + Sync,
    ) -> Result<ConfigEntry> {
        let mut pause = Duration::from_millis(5);
        for _ in 0..ATTEMPTS {
            let old = self.records.head(key).await?;
            let version = number(old.as_ref().map(|old| Head::of(&old.entry)))?;
            let (value, origin) = content.clone();
            let entry = ConfigEntry { key: key.clone(), version, value, origin, created_at: self.clock.now() };
            let new = Record::after(old.as_ref(), entry);
            if self.replace(&new, old.as_ref()).await? {
                return Ok(new.entry);
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
        Err(Error::of(ErrorCode::ConfigConflict, format!("other writers of configuration {key} came first every time"))
            .with_retry(Retry::After(None)))
    }

    /// Moves the head on, with the version before it kept.
    async fn replace(&self, new: &Record, old: Option<&Record>) -> Result<bool> {
        if let Some(old) = old {
            self.records.write_past(old).await?;
        }
        let done = self.records.replace_head(new, old).await?;
        if let Some(old) = old.filter(|_| !done) {
            // Where the owner was erased in between, what was just kept is not to outlive it.
            let head = self.records.head(&old.entry.key).await?;
            if head.is_none_or(|head| head.epoch != old.epoch) {
                self.records.remove_past(old).await?;
            }
        }
        Ok(done)
    }

    /// Some versions of a key, in the order given.
    async fn versions(&self, head: &Record, versions: impl Iterator<Item = u64> + Send) -> Result<Vec<ConfigEntry>> {
        let read = |version| async move {
            if version == head.entry.version {
                return Ok(head.entry.clone());
            }
            let key = &head.entry.key;
            self.records.past(key, head.epoch, version).await?.ok_or_else(|| {
                Error::new(ErrorKind::Corrupt, format!("version {version} of configuration {key} is gone"))
                    .with_retry(Retry::After(None))
            })
        };
        stream::iter(versions).map(read).buffered(READS).try_collect().await
    }

    /// The first `count` heads of an owner by key that `wanted` takes.
    async fn first_heads(
        &self,
        owner: &ConfigOwner,
        count: usize,
        wanted: impl Fn(&ConfigEntry) -> bool,
    ) -> Result<Vec<Record>> {
        let mut first: BTreeMap<Place, Record> = BTreeMap::new();
        let mut token = None;
        loop {
            let (heads, next) = self.records.heads(owner, token.as_deref()).await?;
            for head in heads.into_iter().filter(|head| wanted(&head.entry)) {
                first.insert(place(&head.entry.key), head);
                if first.len() > count {
                    first.pop_last();
                }
            }
            token = next;
            if token.is_none() {
                return Ok(first.into_values().collect());
            }
        }
    }

    async fn whole_history(&self, key: &ConfigKey) -> Result<(Option<Record>, Vec<ConfigEntry>)> {
        let Some(head) = self.records.head(key).await? else { return Ok((None, Vec::new())) };
        let versions = self.versions(&head, 1..=head.entry.version).await?;
        Ok((Some(head), versions))
    }

    /// Writes a key's new versions, all but visible, and then its head.
    async fn import_key(&self, old: Option<&Record>, added: Vec<ConfigEntry>) -> Result<Option<Record>> {
        let mut before = old.cloned();
        let mut added = added.into_iter().peekable();
        while let Some(entry) = added.next() {
            let new = Record::after(before.as_ref(), entry);
            if added.peek().is_some() {
                self.records.write_past(&new).await?;
            } else {
                return Ok(self.replace(&new, old).await?.then_some(new));
            }
            before = Some(new);
        }
        Ok(old.cloned())
    }

    /// Takes imported heads back; those that others changed since stay.
    async fn take_back(&self, done: Vec<(Record, Option<Record>)>) -> Result<()> {
        for (new, old) in done.into_iter().rev() {
            match old {
                Some(old) => self.records.replace_head(&old, Some(&new)).await?,
                None => self.records.remove_head(&new).await?,
            };
        }
        Ok(())
    }
}

#[async_trait]
impl ConfigStore for VespaConfigStore {
    async fn put(&self, put: PutConfig) -> Result<ConfigEntry> {
        versioning::check_put(&put)?;
        let PutConfig { key, value, expected, origin, .. } = put;
        self.append(&key, (Some(value), origin), |head| versioning::next_version(&key, expected, head)).await
    }

    async fn get(&self, key: &ConfigKey, version: Option<u64>) -> Result<Option<ConfigEntry>> {
        let Some(head) = self.records.head(key).await? else { return Ok(None) };
        match version {
            None => Ok(Some(head.entry)),
            Some(version) if version == 0 || version > head.entry.version => Ok(None),
            Some(version) => Ok(self.versions(&head, std::iter::once(version)).await?.pop()),
        }
    }

    async fn history(&self, key: &ConfigKey, before: Option<u64>, limit: usize) -> Result<ConfigVersions> {
        let limit = versioning::page_limit(limit)?;
        let Some(head) = self.records.head(key).await? else {
            return Ok(ConfigVersions { entries: Vec::new(), next: None });
        };
        let newest = before.map_or(head.entry.version, |before| before.saturating_sub(1).min(head.entry.version));
        let entries = self.versions(&head, (1..=newest).rev().take(limit)).await?;
        let next = entries.last().map(|last| last.version).filter(|version| *version > 1);
        Ok(ConfigVersions { entries, next })
    }

    async fn list(&self, list: ListConfig) -> Result<ConfigPage> {
        let limit = versioning::page_limit(list.limit)?;
        let listing = ConfigListing::of(&list);
        let from = cursor::decode(&listing, list.after.as_ref())?;
        let wanted = |entry: &ConfigEntry| {
            entry.value.is_some()
                && list.scope.is_none_or(|scope| scope == entry.key.scope)
                && list.service.as_ref().is_none_or(|service| *service == entry.key.service)
                && at_or_past(&entry.key, &from).is_gt()
        };
        let heads = self.first_heads(&list.owner, limit.saturating_add(1), wanted).await?;
        let mut entries = heads.into_iter().map(|head| head.entry).collect();
        let next = cursor::cut(&listing, &mut entries, limit)?;
        Ok(ConfigPage { entries, next })
    }

    async fn delete(&self, key: &ConfigKey, expected: Expected) -> Result<ConfigEntry> {
        self.append(key, (None, ConfigOrigin::Deleted), |head| versioning::deletion_version(key, expected, head)).await
    }

    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        let owner = ConfigOwner::Tenant(tenant.clone());
        let (mut erased, mut token) = (0, None);
        loop {
            let (heads, next) = self.records.heads(&owner, token.as_deref()).await?;
            erased += heads.iter().map(|head| head.entry.version).sum::<u64>();
            token = next;
            if token.is_none() {
                break;
            }
        }
        // Also where no head is left: an erasure that broke off may have left versions behind.
        self.records.remove_all(&owner).await?;
        Ok(erased)
    }

    async fn export(&self, owner: &ConfigOwner, after: Option<PageCursor>, limit: usize) -> Result<ConfigPage> {
        let limit = versioning::page_limit(limit)?;
        let listing = ConfigListing::Export { owner: owner.clone() };
        let from = cursor::decode(&listing, after.as_ref())?;
        let wanted = |entry: &ConfigEntry| {
            let order = at_or_past(&entry.key, &from);
            order.is_gt() || (order.is_eq() && entry.version > from.version)
        };
        let mut entries = Vec::new();
        for head in self.first_heads(owner, limit.saturating_add(1), wanted).await? {
            let first = if at_or_past(&head.entry.key, &from).is_eq() { from.version.saturating_add(1) } else { 1 };
            let room = limit.saturating_add(1) - entries.len();
            entries.extend(self.versions(&head, (first..=head.entry.version).take(room)).await?);
            if entries.len() > limit {
                break;
            }
        }
        let next = cursor::cut(&listing, &mut entries, limit)?;
        Ok(ConfigPage { entries, next })
    }

    async fn import(&self, entries: Vec<ConfigEntry>) -> Result<u64> {
        let mut here: HashMap<ConfigKey, (Option<Record>, Vec<ConfigEntry>)> = HashMap::new();
        for entry in &entries {
            versioning::check_key(&entry.key)?;
            if !here.contains_key(&entry.key) {
                here.insert(entry.key.clone(), self.whole_history(&entry.key).await?);
            }
        }
        let present =
            |key: &ConfigKey| Ok::<_, Error>(here.get(key).map(|(_, known)| known.clone()).unwrap_or_default());
        let mut added: BTreeMap<ConfigKey, Vec<ConfigEntry>> = BTreeMap::new();
        for entry in versioning::import_plan(entries, present)? {
            added.entry(entry.key.clone()).or_default().push(entry);
        }
        let (mut done, mut count) = (Vec::new(), 0);
        for (key, versions) in added {
            let old = here.get(&key).and_then(|(head, _)| head.clone());
            count += versions.len() as u64;
            let failed = match self.import_key(old.as_ref(), versions).await {
                Ok(Some(new)) => {
                    done.push((new, old));
                    continue;
                }
                Ok(None) => Error::of(
                    ErrorCode::ConfigConflict,
                    format!("configuration {key} was written by another while it was imported; nothing was imported"),
                ),
                Err(error) => error,
            };
            self.take_back(done).await.map_err(|e| {
                Error::new(ErrorKind::Conflict, "a part was imported and could not be taken back; import again")
                    .with_source(e)
            })?;
            return Err(failed);
        }
        Ok(count)
    }

    /// Vespa has no cheap sign of a change.
    async fn change_mark(&self) -> Result<Option<u64>> {
        Ok(None)
    }
}
