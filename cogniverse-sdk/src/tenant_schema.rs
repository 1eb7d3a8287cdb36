//! Base schema x tenant: the only address of documents and searches.

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
/// Equality is that of the pair, never that of the physical name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantSchema {
    tenant: TenantId,
    base: SchemaName,
    physical: Arc<str>,
}

impl TenantSchema {
    /// The pair's schema.
    #[must_use]
    pub fn new(tenant: &TenantId, base: &SchemaName) -> Self {
        let physical = format!("{base}_{}", escape(tenant.as_str())).into();
        Self { tenant: tenant.clone(), base: base.clone(), physical }
    }

    /// Whose it is.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The base schema it is a copy of.
    #[must_use]
    pub fn base(&self) -> &SchemaName {
        &self.base
    }

    /// The name a shared engine knows it by: `<base>_<tenant>`, in `[a-z0-9_]`.
    ///
    /// Two pairs can still meet in one plain name (`video` + `x_y`, `video_x` + `y`): a deployment refuses the second
    /// (invariant 2), and nothing is ever parsed back out of this text (invariant 3).
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

/// Tenants in `[a-z0-9_]` stand as they are. Any other is written `__x` and then byte for byte, `[a-z0-9]` as it is and
/// the rest (`_` too) as `_` and two hex digits. A plain id never starts with `_`, so the two forms cannot meet, and
/// the second can be read back from left to right: the whole is injective.
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
