//! Entries as rows. Every value is a bound parameter, never part of a statement's text ([invariant 21](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#21)).

use super::error::Failure;
use cogniverse_sdk::config_store::cursor::Position;
use cogniverse_sdk::config_store::versioning::Head;
use cogniverse_sdk::config_store::{ConfigEntry, ConfigKey, ConfigOwner, ConfigScope, ListConfig};
use cogniverse_sdk::{TenantId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use serde::de::DeserializeOwned;

/// The columns of a row as stored.
struct Stored {
    owner: String,
    scope: String,
    service: String,
    key: String,
    version: i64,
    value: Option<String>,
    origin: String,
    created_at: String,
}

fn owner_text(owner: &ConfigOwner) -> &str {
    match owner {
        ConfigOwner::System => "",
        ConfigOwner::Tenant(tenant) => tenant.as_str(),
    }
}

/// Converts a version number, saturating: SQLite's integers end at `i64::MAX`, which no version exceeds.
fn number(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        owner: row.get(0)?,
        scope: row.get(1)?,
        service: row.get(2)?,
        key: row.get(3)?,
        version: row.get(4)?,
        value: row.get(5)?,
        origin: row.get(6)?,
        created_at: row.get(7)?,
    })
}

impl Stored {
    fn entry(self) -> Result<ConfigEntry, Failure> {
        let name = format!("version {} of {}/{}/{}/{}", self.version, self.owner, self.scope, self.service, self.key);
        let broken = |what: &str, source: Box<dyn std::error::Error + Send + Sync>| {
            Failure::Row(format!("an unreadable {what} in {name}"), source)
        };
        let owner = match self.owner.as_str() {
            "" => ConfigOwner::System,
            tenant => ConfigOwner::Tenant(TenantId::parse(tenant).map_err(|e| broken("owner", e.into()))?),
        };
        let scope: Result<ConfigScope, _> = serde_json::from_value(serde_json::Value::String(self.scope));
        let scope = scope.map_err(|e| broken("scope", e.into()))?;
        let version = u64::try_from(self.version).map_err(|e| broken("version", e.into()))?;
        let value = self.value.as_deref().map(json).transpose().map_err(|e| broken("value", e.into()))?;
        let origin = json(&self.origin).map_err(|e| broken("origin", e.into()))?;
        let created_at: Timestamp = self.created_at.parse().map_err(|e: jiff::Error| broken("time", e.into()))?;
        let key = ConfigKey::new(owner, scope, self.service, self.key);
        Ok(ConfigEntry { key, version, value, origin, created_at })
    }
}

fn json<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text)
}

fn query(connection: &Connection, sql: &str, parameters: &[&dyn ToSql]) -> Result<Vec<ConfigEntry>, Failure> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, stored)?;
    rows.map(|row| row?.entry()).collect()
}

const COLUMNS_OF_KEY: &str = "SELECT owner, scope, service, key, version, value, origin, created_at
    FROM config_versions WHERE owner = ?1 AND scope = ?2 AND service = ?3 AND key = ?4";

pub(super) fn head(connection: &Connection, key: &ConfigKey) -> Result<Option<Head>, Failure> {
    let sql = "SELECT version, value IS NOT NULL FROM config_versions
        WHERE owner = ?1 AND scope = ?2 AND service = ?3 AND key = ?4 ORDER BY version DESC LIMIT 1";
    let parameters = params![owner_text(&key.owner), key.scope.as_str(), key.service, key.key];
    let found = connection.query_row(sql, parameters, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)));
    let Some((version, has_value)) = found.optional()? else { return Ok(None) };
    let version = u64::try_from(version).map_err(|e| Failure::Row(format!("a version below 0 of {key}"), e.into()))?;
    Ok(Some(Head { version, has_value }))
}

pub(super) fn insert(connection: &Connection, entry: &ConfigEntry) -> Result<(), Failure> {
    let unwritable = |e: serde_json::Error| {
        cogniverse_sdk::Error::invalid(format!("configuration {} cannot be written as JSON", entry.key)).with_source(e)
    };
    let value = entry.value.as_ref().map(serde_json::to_string).transpose().map_err(unwritable)?;
    let origin = serde_json::to_string(&entry.origin).map_err(unwritable)?;
    let version = i64::try_from(entry.version).map_err(|e| {
        cogniverse_sdk::Error::invalid(format!("version {} is above {}", entry.version, i64::MAX)).with_source(e)
    })?;
    let ConfigKey { owner, scope, service, key } = &entry.key;
    let sql = "INSERT INTO config_versions (owner, scope, service, key, version, value, origin, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let created_at = entry.created_at.to_string();
    let parameters = params![owner_text(owner), scope.as_str(), service, key, version, value, origin, created_at];
    connection.execute(sql, parameters)?;
    Ok(())
}

pub(super) fn get(
    connection: &Connection,
    key: &ConfigKey,
    version: Option<u64>,
) -> Result<Option<ConfigEntry>, Failure> {
    let sql = format!("{COLUMNS_OF_KEY} AND (?5 IS NULL OR version = ?5) ORDER BY version DESC LIMIT 1");
    let version = version.map(number);
    let parameters = params![owner_text(&key.owner), key.scope.as_str(), key.service, key.key, version];
    Ok(query(connection, &sql, parameters)?.pop())
}

pub(super) fn history(
    connection: &Connection,
    key: &ConfigKey,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<ConfigEntry>, Failure> {
    let sql = format!("{COLUMNS_OF_KEY} AND (?5 IS NULL OR version < ?5) ORDER BY version DESC LIMIT ?6");
    let before = before.map(number);
    let limit = count(limit);
    query(connection, &sql, params![owner_text(&key.owner), key.scope.as_str(), key.service, key.key, before, limit])
}

/// Returns every version of a key, oldest first.
pub(super) fn all(connection: &Connection, key: &ConfigKey) -> Result<Vec<ConfigEntry>, Failure> {
    let sql = format!("{COLUMNS_OF_KEY} ORDER BY version");
    query(connection, &sql, params![owner_text(&key.owner), key.scope.as_str(), key.service, key.key])
}

/// Lists the newest version of each value. The index leads from one key to the next, so that the time grows with the keys
/// and not with their histories, or with what else the owner has.
pub(super) fn list(
    connection: &Connection,
    list: &ListConfig,
    from: &Position,
    limit: usize,
) -> Result<Vec<ConfigEntry>, Failure> {
    // All of one moment.
    let moment = connection.unchecked_transaction()?;
    let owner = owner_text(&list.owner);
    let scope = list.scope.map(ConfigScope::as_str);
    let mut place = (from.scope.clone(), from.service.clone(), from.key.clone());
    let mut may_be_here = false;
    if let Some(scope) = scope {
        let first = (scope.to_owned(), list.service.clone().unwrap_or_default(), String::new());
        if place < first {
            (place, may_be_here) = (first, true);
        }
    }
    let mut entries = Vec::new();
    while entries.len() < limit {
        let Some(next) = next_key(&moment, owner, &place, may_be_here)? else { break };
        (place, may_be_here) = (next, false);
        let is_service = list.service.as_ref().is_none_or(|service| *service == place.1);
        if scope.is_some_and(|scope| scope != place.0) || (scope.is_some() && !is_service) {
            break;
        }
        if !is_service {
            continue;
        }
        let sql = format!("{COLUMNS_OF_KEY} ORDER BY version DESC LIMIT 1");
        let newest = query(&moment, &sql, params![owner, place.0, place.1, place.2])?;
        entries.extend(newest.into_iter().filter(|entry| entry.value.is_some()));
    }
    Ok(entries)
}

type Place = (String, String, String);

/// Returns the first key after a place, or at it where `may_be_here`.
fn next_key(connection: &Connection, owner: &str, place: &Place, may_be_here: bool) -> Result<Option<Place>, Failure> {
    let sql = match may_be_here {
        true => {
            "SELECT scope, service, key FROM config_versions
            WHERE owner = ?1 AND (scope, service, key) >= (?2, ?3, ?4) ORDER BY scope, service, key LIMIT 1"
        }
        false => {
            "SELECT scope, service, key FROM config_versions
            WHERE owner = ?1 AND (scope, service, key) > (?2, ?3, ?4) ORDER BY scope, service, key LIMIT 1"
        }
    };
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row(params![owner, place.0, place.1, place.2], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    });
    Ok(found.optional()?)
}

pub(super) fn export(
    connection: &Connection,
    owner: &ConfigOwner,
    from: &Position,
    limit: usize,
) -> Result<Vec<ConfigEntry>, Failure> {
    let sql = "SELECT owner, scope, service, key, version, value, origin, created_at FROM config_versions
        WHERE owner = ?1 AND (scope, service, key, version) > (?2, ?3, ?4, ?5)
        ORDER BY scope, service, key, version LIMIT ?6";
    let version = number(from.version);
    let (owner, limit) = (owner_text(owner), count(limit));
    query(connection, sql, params![owner, from.scope, from.service, from.key, version, limit])
}

pub(super) fn erase(connection: &Connection, owner: &ConfigOwner) -> Result<u64, Failure> {
    Ok(connection.execute("DELETE FROM config_versions WHERE owner = ?1", params![owner_text(owner)])? as u64)
}
