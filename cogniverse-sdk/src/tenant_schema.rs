//! Tenant schemas, the only addresses of documents and searches.

use crate::{SchemaName, TenantId};
use std::{fmt, sync::Arc};

/// A tenant's copy of a base schema.
///
/// Only a ([`TenantId`], [`SchemaName`]) pair makes one, so no call reaches a backend without a tenant:
///
/// ```compile_fail
/// let schema = cogniverse_sdk::TenantSchema::parse("video_colpali_smol500_mv_frame_acme_corp");
/// ```
///
/// Two tenant schemas are equal where their pairs are, whatever their physical names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantSchema {
    tenant: TenantId,
    base: SchemaName,
    physical: Arc<str>,
}

/// As `{"tenant": …, "schema": …}`. It is not deserialized: a tenant schema is made from a tenant that the caller has checked.
impl serde::Serialize for TenantSchema {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut json = serializer.serialize_struct("TenantSchema", 2)?;
        json.serialize_field("tenant", &self.tenant)?;
        json.serialize_field("schema", &self.base)?;
        json.end()
    }
}

impl TenantSchema {
    /// Creates the tenant's copy of a base schema.
    #[must_use]
    pub fn new(tenant: &TenantId, base: &SchemaName) -> Self {
        let physical = format!("{base}_{}", escape(tenant.as_str())).into();
        Self { tenant: tenant.clone(), base: base.clone(), physical }
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Returns the base schema.
    #[must_use]
    pub fn base(&self) -> &SchemaName {
        &self.base
    }

    /// Returns the name under which a shared engine stores it: `<base>_<tenant>`, in `[a-z0-9_]`.
    ///
    /// Two pairs can share a plain name (`video` + `x_y`, `video_x` + `y`): the second deployment is refused
    /// ([invariant 2](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#2)), and the name is never parsed back into its parts ([invariant 3](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#3)).
    #[must_use]
    pub fn physical_name(&self) -> &str {
        &self.physical
    }
}

impl fmt::Display for TenantSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.physical)
    }
}

impl fmt::Debug for TenantSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantSchema({} x {})", self.base, self.tenant)
    }
}

/// Tenant ids in `[a-z0-9_]` stay as they are. Any other id becomes `__x` followed by its bytes: `[a-z0-9]`
/// unchanged, every other byte (including `_`) as `_` and two hex digits. A plain id never starts with `_`, so the
/// two forms cannot collide, and the escaped form decodes unambiguously: the mapping is injective.
fn escape(tenant: &str) -> String {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if tenant.bytes().all(|b| plain(b) || b == b'_') {
        return tenant.to_owned();
    }
    let mut out = String::from("__x");
    for byte in tenant.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("_{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn physical(tenant: &str) -> String {
        let schema = TenantSchema::new(&TenantId::parse(tenant).unwrap(), &SchemaName::parse("video").unwrap());
        schema.physical_name().to_owned()
    }

    #[test]
    fn the_guides_names_stand() {
        assert_eq!(physical("acme_corp"), "video_acme_corp");
        assert_eq!(physical("globex_inc"), "video_globex_inc");
        assert_eq!(physical("acme:prod"), "video___xacme_3aprod");
        assert_ne!(physical("Acme"), physical("acme"));
        assert_ne!(physical("a_b:c"), physical("a:b_c"));
    }

    proptest! {
        #[test]
        fn invariant_02_escaping_is_injective(a in "[A-Za-z0-9][A-Ca-c0-3_.:x-]{0,6}", b in "[A-Za-z0-9][A-Ca-c0-3_.:x-]{0,6}") {
            prop_assert_eq!(a == b, physical(&a) == physical(&b));
            prop_assert!(physical(&a).bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_'));
        }
    }
}
