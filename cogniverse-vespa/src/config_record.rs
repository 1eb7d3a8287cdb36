//! Configuration versions as documents: one head per key, which is the truth, and one document for each version before it.
//!
//! | document | user part of its id | changes |
//! |---|---|---|
//! | head | SHA-256 of the key | replaced by a put whose condition names the stamp of the head that was read |
//! | past | the same, `.epoch.version` | never: written before the head moves on |
//! | use of a quota | SHA-256 of the key, with `.quota` | as a head; it has no past |
//!
//! The epoch is drawn when a key gets its first version, and the stamp with every write: so a head that was erased and made
//! anew is never taken for the one before. An owner's documents form one group, and are visited without reading others'.

use crate::{
    client::{VespaClient, with_json},
    config_schema::NAME,
    document_json::write_text,
    document_path::{FullId, escape, group_path},
    documents::remove_selected,
    error::{self, Api},
    manifest::hash,
};
use bytes::Bytes;
use cogniverse_http::{Method, StatusCode};
use cogniverse_sdk::{
    ConfigEntry, ConfigKey, ConfigOwner, Error, ErrorCode, ErrorKind, Result, Retry, deadline_in, json_problem,
};
use serde::Deserialize;
use std::sync::Arc;

/// Documents asked for at once in a listing.
const PAGE: usize = 200;
const HEAD: &str = "head";
const PAST: &str = "past";
const QUOTA: &str = "quota";

/// One version, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) epoch: i64,
    pub(crate) stamp: i64,
    pub(crate) entry: ConfigEntry,
}

impl Record {
    /// The version after `before`, with a stamp of its own.
    pub(crate) fn after(before: Option<&Self>, entry: ConfigEntry) -> Self {
        let draw = || fastrand::i64(1..);
        Self { epoch: before.map_or_else(draw, |before| before.epoch), stamp: draw(), entry }
    }
}

#[derive(Deserialize)]
struct StoredDocument {
    id: String,
    fields: Option<StoredFields>,
}

#[derive(Deserialize)]
struct StoredFields {
    kind: String,
    epoch: i64,
    stamp: i64,
    entry: String,
}

#[derive(Deserialize)]
struct StoredPage {
    #[serde(default)]
    documents: Vec<StoredDocument>,
    continuation: Option<String>,
    message: Option<String>,
}

/// Reads and writes records, one call each.
#[derive(Debug)]
pub(crate) struct Records {
    client: Arc<VespaClient>,
}

impl Records {
    pub(crate) fn new(client: Arc<VespaClient>) -> Self {
        Self { client }
    }

    /// The newest version of a key.
    pub(crate) async fn head(&self, key: &ConfigKey) -> Result<Option<Record>> {
        let found = self.read(&self.path(&key.owner, &user(key)), HEAD).await?;
        found.map(|record| of_key(record, key)).transpose()
    }

    /// The use of a quota, under a key of its own that no configuration has.
    pub(crate) async fn quota(&self, key: &ConfigKey) -> Result<Option<Record>> {
        let found = self.read(&self.path(&key.owner, &quota_user(key)), QUOTA).await?;
        found.map(|record| of_key(record, key)).transpose()
    }

    /// Replaces the use of a quota, if its stamp is still `old`; tells whether it was.
    pub(crate) async fn replace_quota(&self, new: &Record, old: Option<i64>) -> Result<bool> {
        self.replace(new, QUOTA, old).await
    }

    /// Removes the use of every quota of an owner.
    pub(crate) async fn remove_quotas(&self, owner: &ConfigOwner) -> Result<u64> {
        let selection = format!("{} and {NAME}.kind == \"{QUOTA}\"", owned(owner));
        remove_selected(&self.client, &self.path(owner, ""), &selection).await
    }

    /// Counts the quotas whose use an owner has stored.
    pub(crate) async fn count_quotas(&self, owner: &ConfigOwner) -> Result<u64> {
        let (mut count, mut token) = (0, None);
        loop {
            let (found, next) = self.listed(owner, QUOTA, token.as_deref()).await?;
            count += found.len() as u64;
            token = next;
            if token.is_none() {
                return Ok(count);
            }
        }
    }

    /// A version before the newest.
    pub(crate) async fn past(&self, key: &ConfigKey, epoch: i64, version: u64) -> Result<Option<ConfigEntry>> {
        let found = self.read(&self.path(&key.owner, &past_user(key, epoch, version)), PAST).await?;
        found
            .map(|record| of_key(record, key))
            .transpose()?
            .map(|record| of_version(record, epoch, version))
            .transpose()
    }

    /// Keeps a version that is about to be no head any more. The same twice ends the same.
    pub(crate) async fn write_past(&self, record: &Record) -> Result<()> {
        let entry = &record.entry;
        let path = self.path(&entry.key.owner, &past_user(&entry.key, record.epoch, entry.version));
        let body = body(record, PAST)?;
        let answer = self.send(Method::POST, &format!("{path}?{}", self.timeout()), Some(body)).await?;
        if answer.is_success() { Ok(()) } else { Err(answer.error()) }
    }

    /// Takes back a version that was kept for a head that is gone.
    pub(crate) async fn remove_past(&self, record: &Record) -> Result<()> {
        let entry = &record.entry;
        let path = self.path(&entry.key.owner, &past_user(&entry.key, record.epoch, entry.version));
        let answer = self.send(Method::DELETE, &format!("{path}?{}", self.timeout()), None).await?;
        if answer.is_success() { Ok(()) } else { Err(answer.error()) }
    }

    /// Makes a record the head, if the head is still `old`; tells whether it was.
    pub(crate) async fn replace_head(&self, new: &Record, old: Option<&Record>) -> Result<bool> {
        self.replace(new, HEAD, old.map(|old| old.stamp)).await
    }

    async fn replace(&self, new: &Record, kind: &str, old: Option<i64>) -> Result<bool> {
        let condition = match old {
            // Never true of a document that is there, and waived where there is none.
            None => "condition=false&create=true".to_owned(),
            Some(stamp) => format!("condition={}", escape(&format!("{NAME}.stamp == {stamp}"))),
        };
        let key = &new.entry.key;
        let user = if kind == QUOTA { quota_user(key) } else { user(key) };
        let path = self.path(&key.owner, &user);
        let conditional = format!("{path}?{}&{condition}", self.timeout());
        let happened = |found: Option<&Record>| found.is_some_and(|found| found.stamp == new.stamp);
        self.conditional(Method::POST, &conditional, Some(body(new, kind)?), (&path, kind), happened).await
    }

    /// Removes a head, if it is still `old`.
    pub(crate) async fn remove_head(&self, old: &Record) -> Result<bool> {
        let condition = escape(&format!("{NAME}.stamp == {}", old.stamp));
        let key = &old.entry.key;
        let path = self.path(&key.owner, &user(key));
        let conditional = format!("{path}?{}&condition={condition}", self.timeout());
        self.conditional(Method::DELETE, &conditional, None, (&path, HEAD), |head| head.is_none()).await
    }

    /// Heads of an owner, in Vespa's order, and where to go on.
    pub(crate) async fn heads(
        &self,
        owner: &ConfigOwner,
        token: Option<&str>,
    ) -> Result<(Vec<Record>, Option<String>)> {
        self.listed(owner, HEAD, token).await
    }

    async fn listed(
        &self,
        owner: &ConfigOwner,
        kind: &str,
        token: Option<&str>,
    ) -> Result<(Vec<Record>, Option<String>)> {
        let selection = escape(&format!("{} and {NAME}.kind == \"{kind}\"", owned(owner)));
        let mut path = format!(
            "{}?cluster={}&wantedDocumentCount={PAGE}&{}&selection={selection}",
            self.path(owner, ""),
            self.client.config.content_cluster,
            self.timeout()
        );
        if let Some(token) = token {
            path.push_str(&format!("&continuation={}", escape(token)));
        }
        let answer = self.send(Method::GET, &path, None).await?;
        let page: StoredPage = answer.json()?;
        if let Some(message) = page.message {
            return Err(Error::of(
                ErrorCode::BackendUnavailable,
                format!("the listing was broken off: {}", error::quote(&message)),
            )
            .with_retry(Retry::After(None)));
        }
        let mut heads = Vec::with_capacity(page.documents.len());
        for document in page.documents {
            let record = understood(document, kind)?;
            if record.entry.key.owner != *owner {
                return Err(Error::unexpected("a listing of one owner's configuration gave another's"));
            }
            heads.push(record);
        }
        Ok((heads, page.continuation))
    }

    /// Removes everything of an owner.
    pub(crate) async fn remove_all(&self, owner: &ConfigOwner) -> Result<()> {
        remove_selected(&self.client, &self.path(owner, ""), &owned(owner)).await.map(|_| ())
    }

    fn path(&self, owner: &ConfigOwner, user: &str) -> String {
        group_path(&self.client.config.namespace, NAME, &group(owner), user)
    }

    fn timeout(&self) -> String {
        format!("timeout={}s", self.client.config.timeout.as_secs().max(1))
    }

    async fn send(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<crate::client::Answer> {
        let deadline = deadline_in(self.client.config.timeout);
        let request = self.client.document(method, path)?;
        let request = body.into_iter().fold(request, with_json);
        self.client.send(Api::Document, deadline, &request).await
    }

    async fn read(&self, path: &str, kind: &str) -> Result<Option<Record>> {
        let answer = self.send(Method::GET, &format!("{path}?{}", self.timeout()), None).await?;
        if answer.is_absence()? {
            return Ok(None);
        }
        understood(answer.json()?, kind).map(Some)
    }

    /// Writes on a condition. The response may be lost, and a retry then fails on the first attempt's own effect:
    /// a "no", or no answer, is followed by a look whether the write was applied.
    async fn conditional(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        (place, kind): (&str, &str),
        happened: impl Fn(Option<&Record>) -> bool,
    ) -> Result<bool> {
        let error = match self.send(method, path, body).await {
            Ok(answer) if answer.is_success() => return Ok(true),
            Ok(answer) if answer.status() == StatusCode::PRECONDITION_FAILED => None,
            Ok(answer) => Some(answer.error()),
            Err(error) => Some(error),
        };
        let head = self.read(place, kind).await;
        match (error, head) {
            (_, Ok(head)) if happened(head.as_ref()) => Ok(true),
            (None, Ok(_)) => Ok(false),
            (Some(error), _) | (None, Err(error)) => Err(error),
        }
    }
}

fn group(owner: &ConfigOwner) -> String {
    hash(owner_text(owner).as_bytes()).chars().take(32).collect()
}

/// No tenant id holds a slash.
fn owner_text(owner: &ConfigOwner) -> String {
    match owner {
        ConfigOwner::System => "system".to_owned(),
        ConfigOwner::Tenant(tenant) => format!("tenant/{tenant}"),
    }
}

fn owned(owner: &ConfigOwner) -> String {
    format!("{NAME}.owner == \"{}\"", owner_text(owner))
}

fn user(key: &ConfigKey) -> String {
    // Lengths stand before the names, so that no two keys are written alike.
    let (service, name) = (&key.service, &key.key);
    hash(format!("{}/{}/{service}/{}/{name}", key.scope.as_str(), service.len(), name.len()).as_bytes())
}

fn quota_user(key: &ConfigKey) -> String {
    format!("{}.quota", user(key))
}

fn past_user(key: &ConfigKey, epoch: i64, version: u64) -> String {
    format!("{}.{epoch:x}.{version}", user(key))
}

fn body(record: &Record, kind: &str) -> Result<Bytes> {
    let entry = serde_json::to_string(&record.entry)
        .map_err(|e| Error::unexpected("a configuration version cannot be written as JSON").with_source(e))?;
    let mut out = Vec::with_capacity(entry.len() + 256);
    out.extend_from_slice(b"{\"fields\":{\"owner\":");
    write_text(&mut out, &owner_text(&record.entry.key.owner));
    let Record { epoch, stamp, entry: ConfigEntry { version, .. } } = record;
    let numbers = format!(",\"kind\":\"{kind}\",\"epoch\":{epoch},\"version\":{version},\"stamp\":{stamp},\"entry\":");
    out.extend_from_slice(numbers.as_bytes());
    write_text(&mut out, &plain(&entry));
    out.extend_from_slice(b"}}");
    Ok(out.into())
}

/// JSON in ASCII: Vespa refuses texts with code points that are no characters, which a key may hold.
fn plain(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

fn understood(document: StoredDocument, kind: &str) -> Result<Record> {
    let damaged = |why: &str| {
        Error::new(
            ErrorKind::Corrupt,
            format!("the configuration document \"{}\" cannot be used: {why}", error::quote(&document.id)),
        )
    };
    let named = FullId::parse(&document.id).is_some_and(|id| id.schema == NAME);
    let Some(fields) = document.fields.as_ref().filter(|fields| named && fields.kind == kind) else {
        return Err(damaged("it is of another kind"));
    };
    let entry: ConfigEntry =
        serde_json::from_str(&fields.entry).map_err(|e| damaged("its entry").with_source(json_problem(&e)))?;
    Ok(Record { epoch: fields.epoch, stamp: fields.stamp, entry })
}

fn of_key(record: Record, key: &ConfigKey) -> Result<Record> {
    if record.entry.key == *key {
        return Ok(record);
    }
    Err(Error::unexpected(format!("Vespa gave configuration {} for {key}", record.entry.key)))
}

fn of_version(record: Record, epoch: i64, version: u64) -> Result<ConfigEntry> {
    if record.entry.version == version && record.epoch == epoch {
        return Ok(record.entry);
    }
    Err(Error::unexpected(format!("Vespa gave version {} of {} for {version}", record.entry.version, record.entry.key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::{ConfigOrigin, ConfigScope, TenantId, Timestamp};
    use serde_json::json;

    fn key(service: &str, name: &str) -> ConfigKey {
        ConfigKey::tenant(&TenantId::parse("acme").unwrap(), ConfigScope::Agent, service, name)
    }

    #[test]
    fn invariant_03_no_two_keys_share_a_document() {
        let ids = [key("a", "b/c"), key("a/b", "c"), key("a/1/b", "c"), key("a", "1/b/c"), key("", "a/b/c")]
            .map(|k| user(&k));
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    #[test]
    fn any_text_is_written_so_that_vespa_takes_it_and_read_as_it_was() {
        let text = "nul\0 \u{fdd0}\u{ffff} \u{1F600} é \u{7} \" \\";
        let entry = ConfigEntry {
            key: key(text, text),
            version: 3,
            value: Some(json!({ text: [text, 0.1, u64::MAX] })),
            origin: ConfigOrigin::Set,
            created_at: Timestamp::UNIX_EPOCH,
        };
        let record = Record::after(None, entry);
        let body = body(&record, HEAD).unwrap();
        assert!(body.is_ascii());
        #[derive(Deserialize)]
        struct Put {
            fields: StoredFields,
        }
        let put: Put = serde_json::from_slice(&body).unwrap();
        assert!(put.fields.entry.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        let document = StoredDocument { id: format!("id:ns:{NAME}:g=x:y"), fields: Some(put.fields) };
        assert_eq!(understood(document, HEAD).unwrap(), record);
    }

    #[test]
    fn invariant_09_a_document_that_cannot_be_read_is_no_missing_one() {
        for (id, kind, entry) in [
            (format!("id:ns:{NAME}:g=x:y"), PAST, "{}"),
            (format!("id:ns:{NAME}:g=x:y"), HEAD, "{}"),
            ("id:ns:other::y".to_owned(), HEAD, "{}"),
        ] {
            let fields = StoredFields { kind: kind.to_owned(), epoch: 1, stamp: 1, entry: entry.to_owned() };
            let error = understood(StoredDocument { id, fields: Some(fields) }, HEAD).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }
}
