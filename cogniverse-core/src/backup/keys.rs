//! The keys of backups: one a tenant, wrapped by the operator's, in a folder of their own.

use super::{
    seal::{self, hex, unhex},
    service::forget_last,
};
use crate::{tenants::Gate, worker::blocking};
use async_trait::async_trait;
use cogniverse_sdk::{
    BackupKey, BackupKeys, Error, ErrorCode, ErrorKind, Inventory, Remains, Result, Retention, SurfaceErasure,
    TenantId, TenantSurface,
    isolation::{Attack, Canary, Planting},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The key of the operator, which wraps the keys of tenants: 32 bytes. Without it no backup can be read again.
#[derive(Clone)]
pub struct OperatorKey([u8; 32]);

impl OperatorKey {
    /// Creates a key from its bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a key from 64 hexadecimal digits, as a secret in a file or a variable has it. White space around them is ignored.
    ///
    /// # Errors
    /// `InvalidInput` for anything else. The error does not show it.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong =
            || Error::invalid("the operator's key is not 64 hexadecimal digits; make one by OperatorKey::generate");
        let digits = text.trim();
        if digits.len() != 64 || !digits.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(place * 2..place * 2 + 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl OperatorKey {
    /// Returns the text of a new key, as [`OperatorKey::parse`] reads it. It is a secret.
    ///
    /// # Errors
    /// `Unexpected` where the machine gives no random numbers.
    pub fn generate() -> Result<String> {
        Ok(hex(&seal::random()?))
    }
}

/// Shows nothing of the key.
impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorKey")
    }
}

/// Keys in a folder, one file a key, each wrapped by the operator's. They are what an erasure destroys, so that the folder is
/// copied elsewhere as a whole and each copy is replaced by the next: a copy that is kept keeps the keys of erased tenants.
#[derive(Debug, Clone)]
pub struct FolderKeys {
    folder: PathBuf,
    operator: OperatorKey,
}

/// A key as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    tenant: TenantId,
    /// Nonce and key, encrypted, in hexadecimal digits.
    wrapped: String,
}

impl FolderKeys {
    /// Creates a store of keys. The folder is made with the first key.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, operator: OperatorKey) -> Self {
        Self { folder: folder.into(), operator }
    }

    fn folder_of(&self, tenant: &TenantId) -> PathBuf {
        self.folder.join(tenant.file_name())
    }

    fn read(&self, tenant: &TenantId, path: &Path) -> Result<Option<BackupKey>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(unusable(path, e)),
        };
        let unreadable = || {
            let message = format!("the key {} cannot be read; put a copy of it in its place", path.display());
            Error::new(ErrorKind::Corrupt, message)
        };
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
        if stored.tenant != *tenant {
            return Err(unreadable());
        }
        let wrapped = unhex(&stored.wrapped).ok_or_else(unreadable)?;
        let opened = seal::decrypt(&wrapped, &self.operator.0, &bound(tenant, &stored.name)).map_err(|e| {
            let message = format!(
                "the operator's key does not open the key {}; give the one that it was made with",
                path.display()
            );
            Error::of(ErrorCode::BackupKeyWrong, message).with_source(e)
        })?;
        let key: [u8; 32] = opened.try_into().map_err(|_| unreadable())?;
        Ok(Some(BackupKey::new(stored.name, key)))
    }

    fn make(&self, tenant: &TenantId) -> Result<BackupKey> {
        let name: String = hex(&seal::random()?).chars().take(16).collect();
        let key = BackupKey::new(&name, seal::random()?);
        let wrapped = hex(&seal::encrypt(key.expose(), &self.operator.0, &bound(tenant, &name))?);
        let stored = Stored { name, tenant: tenant.clone(), wrapped };
        let bytes =
            serde_json::to_vec(&stored).map_err(|e| Error::unexpected("a key cannot be written").with_source(e))?;
        let path = self.folder_of(tenant).join(CURRENT);
        match create(&path, &bytes) {
            Ok(()) => Ok(key),
            // Another process was first.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                self.read(tenant, &path)?.ok_or_else(|| Error::unexpected("a key came and went"))
            }
            Err(e) => Err(unusable(&path, e)),
        }
    }
}

/// The name of a tenant's key in its folder.
const CURRENT: &str = "key.json";

fn bound(tenant: &TenantId, name: &str) -> String {
    format!("cogniverse backup key {name} of {tenant}")
}

/// Writes a file that is not there yet, as a whole.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|e| e.error)?;
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}

#[async_trait]
impl BackupKeys for FolderKeys {
    async fn current(&self, tenant: &TenantId) -> Result<BackupKey> {
        let (keys, tenant) = (self.clone(), tenant.clone());
        blocking(move || match keys.read(&tenant, &keys.folder_of(&tenant).join(CURRENT))? {
            Some(key) => Ok(key),
            None => keys.make(&tenant),
        })
        .await
    }

    async fn find(&self, tenant: &TenantId, name: &str) -> Result<Option<BackupKey>> {
        let (keys, tenant, name) = (self.clone(), tenant.clone(), name.to_owned());
        blocking(move || {
            let found = keys.read(&tenant, &keys.folder_of(&tenant).join(CURRENT))?;
            Ok(found.filter(|key| key.name == name))
        })
        .await
    }

    async fn count(&self, tenant: &TenantId) -> Result<u64> {
        let path = self.folder_of(tenant).join(CURRENT);
        blocking(move || match fs::symlink_metadata(&path) {
            Ok(_) => Ok(1),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(e) => Err(unusable(&path, e)),
        })
        .await
    }

    async fn destroy(&self, tenant: &TenantId) -> Result<u64> {
        let folder = self.folder_of(tenant);
        blocking(move || {
            let path = folder.join(CURRENT);
            let destroy = || -> io::Result<u64> {
                let length = match fs::metadata(&path) {
                    Ok(found) => found.len(),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
                    Err(e) => return Err(e),
                };
                // Overwritten first: on a disk that writes in place, the name alone would be gone.
                let mut file = fs::OpenOptions::new().write(true).open(&path)?;
                file.write_all(&vec![0; usize::try_from(length).unwrap_or_default()])?;
                file.sync_all()?;
                drop(file);
                fs::remove_dir_all(&folder)?;
                Ok(1)
            };
            destroy().map_err(|e| unusable(&path, e))
        })
        .await
    }
}

/// The keys of a tenant's backups, and the backups that need none.
#[derive(Debug, Clone)]
pub struct BackupSurface {
    keys: Option<Arc<dyn BackupKeys>>,
    gate: Gate,
}

impl BackupSurface {
    /// Creates the surface of a store of keys, where there is one.
    #[must_use]
    pub fn new(keys: Option<Arc<dyn BackupKeys>>, gate: Gate) -> Self {
        Self { keys, gate }
    }

    async fn count(&self, tenant: &TenantId) -> Result<u64> {
        match &self.keys {
            Some(keys) => keys.count(tenant).await,
            None => Ok(0),
        }
    }
}

#[async_trait]
impl TenantSurface for BackupSurface {
    fn name(&self) -> &'static str {
        "backups"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        Ok(Inventory::of(self.count(tenant).await?))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        let destroyed = match &self.keys {
            Some(keys) => keys.destroy(tenant).await?,
            None => 0,
        };
        forget_last(&self.gate, tenant).await?;
        let reason = "backups lie where they were put, and are not removed by this: those that were encrypted say nothing without the key, others are to be removed by hand";
        Ok(SurfaceErasure::of(destroyed).with_retained(Retention::for_good(reason)))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(self.count(tenant).await?))
    }

    /// Nothing is planted: the key that is there is what is looked for.
    async fn plant(&self, canary: &Canary) -> Result<Planting> {
        Ok(match self.count(&canary.tenant).await? {
            0 => Planting::NotChecked(
                "the tenant has no key of backups, and those in plain lie where they were put".to_owned(),
            ),
            _ => Planting::Planted,
        })
    }

    async fn attack(&self, attacker: &TenantId, canary: &Canary) -> Result<Vec<Attack>> {
        let Some(keys) = &self.keys else { return Ok(Vec::new()) };
        let own = keys.current(&canary.tenant).await?;
        Ok(vec![match keys.find(attacker, &own.name).await {
            Ok(found) => Attack::of("key:name", found.is_none(), "a key by the name of the other tenant's"),
            Err(error) => Attack::refused("key:name", &error, canary),
        }])
    }

    fn not_carried(&self) -> Option<String> {
        Some("a key in the backup that it opens would protect nothing".to_owned())
    }
}

fn unusable(path: &Path, e: io::Error) -> Error {
    let message = format!("{} cannot be used for keys; check the space and rights of the folder", path.display());
    Error::new(ErrorKind::Unavailable, message).with_source(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_made_once_is_wrapped_and_is_gone_when_it_was_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let operator = OperatorKey::parse(&format!(" {}\n", "0f".repeat(32))).unwrap();
        let keys = FolderKeys::new(folder.path(), operator);
        let (acme, globex) = (TenantId::parse("acme").unwrap(), TenantId::parse("globex").unwrap());
        let key = keys.current(&acme).await.unwrap();
        assert_eq!(keys.current(&acme).await.unwrap(), key);
        assert_eq!(keys.find(&acme, &key.name).await.unwrap(), Some(key.clone()));
        assert_ne!(keys.current(&globex).await.unwrap().expose(), key.expose());
        assert_eq!(keys.find(&globex, &key.name).await.unwrap(), None);
        let stored = fs::read_to_string(folder.path().join("acme").join(CURRENT)).unwrap();
        assert!(!stored.contains(&hex(key.expose())), "{stored}");
        let other = FolderKeys::new(folder.path(), OperatorKey::new([1; 32]));
        assert_eq!(other.current(&acme).await.unwrap_err().code(), ErrorCode::BackupKeyWrong);
        // The key of one tenant in the place of another's opens nothing.
        fs::copy(folder.path().join("acme").join(CURRENT), folder.path().join("globex").join(CURRENT)).unwrap();
        assert_eq!(keys.current(&globex).await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!((keys.destroy(&acme).await.unwrap(), keys.count(&acme).await.unwrap()), (1, 0));
        assert_eq!(keys.destroy(&acme).await.unwrap(), 0);
        assert_ne!(keys.current(&acme).await.unwrap().name, key.name);
    }

    #[test]
    fn an_operators_key_is_64_digits_and_not_shown() {
        for wrong in ["", "0f", &"0g".repeat(32), &"0f".repeat(33), &"é".repeat(32)] {
            let error = OperatorKey::parse(wrong).unwrap_err();
            assert!(!error.to_string().contains(wrong) || wrong.is_empty());
        }
        assert_eq!(format!("{:?}", OperatorKey::new([7; 32])), "OperatorKey");
    }
}
