//! Callers, operations and the role that decides who may do what.

use crate::{Result, TenantId, id::string_id};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

string_id! {
    /// The id of a caller: 1 to 128 bytes without control characters. `embedder` is reserved for
    /// [`Caller::embedder`].
    CallerId, caller
}

/// The id of [`Caller::embedder`] in audit logs.
const EMBEDDER: &str = "embedder";

fn caller(text: &str) -> Result<(), &'static str> {
    match text.len() {
        0 => return Err("it is empty"),
        1..=128 => {}
        _ => return Err("it is longer than 128 bytes"),
    }
    if text.chars().any(char::is_control) {
        return Err("it has a control character");
    }
    if text == EMBEDDER { Err("it is reserved for the embedding service") } else { Ok(()) }
}

/// A role of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Searches, reads documents and recalls memories.
    Reader,
    /// Ingests, writes documents and remembers, besides what a reader may do.
    Member,
    /// Changes configuration and schemas, reads telemetry and the audit log, besides what a member may do.
    Admin,
    /// Creates, suspends and erases any tenant and shares access, without access to any tenant's content.
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Member, Self::Admin, Self::Operator];

    /// Returns the stored form, such as `"reader"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An operation on a tenant, as policies and audit logs name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Operation {
    /// Searching videos.
    Search,
    /// Reading documents by id or in pages.
    ReadDocuments,
    /// Storing, changing and deleting documents.
    WriteDocuments,
    /// Ingesting videos.
    Ingest,
    /// Searching and reading memories.
    Recall,
    /// Adding, changing and deleting memories.
    Remember,
    /// Reading configuration.
    ReadConfig,
    /// Changing configuration.
    WriteConfig,
    /// Listing and describing schemas.
    ReadSchemas,
    /// Deploying and dropping schemas.
    WriteSchemas,
    /// Reading traces, statistics and metrics.
    ReadTelemetry,
    /// Reading the audit log.
    ReadAudit,
    /// Creating, suspending, reactivating and erasing the tenant, and sharing access to it.
    Administer,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 13] = [
        Self::Search,
        Self::ReadDocuments,
        Self::WriteDocuments,
        Self::Ingest,
        Self::Recall,
        Self::Remember,
        Self::ReadConfig,
        Self::WriteConfig,
        Self::ReadSchemas,
        Self::WriteSchemas,
        Self::ReadTelemetry,
        Self::ReadAudit,
        Self::Administer,
    ];

    /// Returns the stored form, such as `"search"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::ReadDocuments => "read_documents",
            Self::WriteDocuments => "write_documents",
            Self::Ingest => "ingest",
            Self::Recall => "recall",
            Self::Remember => "remember",
            Self::ReadConfig => "read_config",
            Self::WriteConfig => "write_config",
            Self::ReadSchemas => "read_schemas",
            Self::WriteSchemas => "write_schemas",
            Self::ReadTelemetry => "read_telemetry",
            Self::ReadAudit => "read_audit",
            Self::Administer => "administer",
        }
    }

    /// Returns whether the operation changes nothing. Only such operations can be shared across tenants.
    #[must_use]
    pub fn is_read(self) -> bool {
        match self {
            Self::Search
            | Self::ReadDocuments
            | Self::Recall
            | Self::ReadConfig
            | Self::ReadSchemas
            | Self::ReadTelemetry
            | Self::ReadAudit => true,
            Self::WriteDocuments
            | Self::Ingest
            | Self::Remember
            | Self::WriteConfig
            | Self::WriteSchemas
            | Self::Administer => false,
        }
    }

    /// Returns the role that is needed for the operation.
    #[must_use]
    pub fn needs(self) -> Role {
        match self {
            Self::Search | Self::ReadDocuments | Self::Recall | Self::ReadSchemas => Role::Reader,
            Self::WriteDocuments | Self::Ingest | Self::Remember => Role::Member,
            Self::ReadConfig | Self::WriteConfig | Self::WriteSchemas | Self::ReadTelemetry | Self::ReadAudit => {
                Role::Admin
            }
            Self::Administer => Role::Operator,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Operation {
    type Err = crate::Error;
    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|operation| operation.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str);
            crate::Error::invalid(crate::Error::unknown("operation", text, known).message().to_owned())
        })
    }
}

/// The user or service that makes a call.
///
/// ```
/// use cogniverse_sdk::{Caller, CallerId, Role, TenantId};
///
/// let acme = TenantId::parse("acme_corp")?;
/// let anna = Caller::new(CallerId::parse("anna@acme.example")?).with_tenant(acme).with_role(Role::Reader);
/// # assert!(!anna.is_embedder());
/// # Ok::<(), cogniverse_sdk::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    id: Option<CallerId>,
    tenants: BTreeSet<TenantId>,
    roles: BTreeSet<Role>,
}

impl Caller {
    /// Returns the embedding service itself, which may do everything.
    #[must_use]
    pub fn embedder() -> Self {
        Self { id: None, tenants: BTreeSet::new(), roles: BTreeSet::new() }
    }

    /// Creates a named caller, who may do nothing yet.
    #[must_use]
    pub fn new(id: CallerId) -> Self {
        Self { id: Some(id), tenants: BTreeSet::new(), roles: BTreeSet::new() }
    }

    /// Adds a tenant that the caller belongs to.
    #[must_use]
    pub fn with_tenant(mut self, tenant: TenantId) -> Self {
        self.tenants.insert(tenant);
        self
    }

    /// Adds a role, which applies to every tenant of the caller; [`Role::Operator`] applies to all tenants.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.roles.insert(role);
        self
    }

    /// Returns whether this is the embedding service itself.
    #[must_use]
    pub fn is_embedder(&self) -> bool {
        self.id.is_none()
    }

    /// Returns the id of a named caller.
    #[must_use]
    pub fn id(&self) -> Option<&CallerId> {
        self.id.as_ref()
    }

    /// Returns the name under which audit logs record the caller.
    #[must_use]
    pub fn name(&self) -> &str {
        self.id.as_ref().map_or(EMBEDDER, CallerId::as_str)
    }

    /// Returns whether the caller belongs to a tenant.
    #[must_use]
    pub fn is_of(&self, tenant: &TenantId) -> bool {
        self.tenants.contains(tenant)
    }

    /// Returns whether the caller has a role, or one that includes it.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        match role {
            Role::Operator => self.roles.contains(&Role::Operator),
            ordered => self.roles.iter().any(|held| *held != Role::Operator && *held >= ordered),
        }
    }
}

/// A policy that decides which caller may do what. The gate asks it for every call of a named caller; the embedding
/// service itself is not asked about.
///
/// # Contract
/// - A caller without tenants and roles is denied everything.
/// - Tenants are compared exactly: no prefix, suffix or other spelling is the same tenant
///   ([invariant 3](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#3)).
/// - The answer depends on nothing but its arguments and what the policy stores; it does not say whether the tenant
///   exists.
///
/// # Errors
/// Any error is taken as a denial by the gate, and reported as that error.
#[async_trait]
pub trait AccessPolicy: fmt::Debug + Send + Sync + 'static {
    /// Returns whether the caller may do the operation in the tenant.
    async fn allows(&self, caller: &Caller, tenant: &TenantId, operation: Operation) -> Result<bool>;
}

const _: fn(&dyn AccessPolicy) = |_| {};

/// The default policy: a caller acts in its own tenants, as far as its roles go. [`Role::Operator`] administers all
/// tenants, and only that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SameTenant;

#[async_trait]
impl AccessPolicy for SameTenant {
    async fn allows(&self, caller: &Caller, tenant: &TenantId, operation: Operation) -> Result<bool> {
        Ok(match operation.needs() {
            Role::Operator => caller.has(Role::Operator),
            role => caller.is_of(tenant) && caller.has(role),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_caller_cannot_pass_for_the_embedder() {
        assert!(CallerId::parse("embedder").is_err());
        assert_eq!(Caller::embedder().name(), "embedder");
        assert!(
            CallerId::parse("Embedder").is_ok() && CallerId::parse("a\nb").is_err() && CallerId::parse("").is_err()
        );
    }

    #[test]
    fn operations_have_one_spelling() {
        for operation in Operation::ALL {
            assert_eq!(operation.as_str().parse::<Operation>().unwrap(), operation);
            assert_eq!(serde_json::to_value(operation).unwrap(), operation.as_str());
        }
        assert!("Search".parse::<Operation>().unwrap_err().to_string().contains("read_documents"));
    }
}
