//! Backups: one tenant with everything that is kept of it, in bounded memory, verified by checksums.
//!
//! ```text
//! <target>/<tenant>/<time>-<random>/parts/00000001-<sum>   records of one surface, compressed and perhaps encrypted
//!                                  /progress.json          while it is being made
//!                                  /manifest.json          written last: what there is, with a checksum each and one over all
//! ```

mod create;
mod folder;
mod frame;
mod keys;
mod manifest;
mod read;
mod restore;
mod seal;
mod service;
mod writer;

pub use create::CreateBackup;
pub use folder::FolderTarget;
pub use keys::{BackupSurface, FolderKeys, OperatorKey};
pub use manifest::{BackupManifest, Consistency, Encryption, Part, SurfaceShare};
pub use restore::{RestoreBackup, RestoreReport};
pub(crate) use service::last_of;
pub use service::{BackupService, BackupVerification, LastBackup, ListedBackup};
pub use writer::{BackupProgress, OnProgress};
