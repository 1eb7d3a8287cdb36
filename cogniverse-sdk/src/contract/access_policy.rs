//! The contract suite of [`AccessPolicy`].

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::Outcome;
use crate::{AccessPolicy, Caller, CallerId, Operation, Role, TenantId};

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).expect("a literal tenant")
}

fn caller(id: &str) -> Caller {
    Caller::new(CallerId::parse(id).expect("a literal caller"))
}

async fn allowed(policy: &dyn AccessPolicy, caller: &Caller, of: &str) -> Vec<Operation> {
    let mut allowed = Vec::new();
    for operation in Operation::ALL {
        if policy.allows(caller, &tenant(of), operation).await.expect("an answer") {
            allowed.push(operation);
        }
    }
    allowed
}

/// A caller without tenants and roles is denied everything, as is one that has only one of them.
pub async fn nothing_is_allowed_by_default(policy: &dyn AccessPolicy) -> Outcome {
    let (bare, in_tenant) = (caller("bare"), caller("in_tenant").with_tenant(tenant("acme")));
    for caller in [bare, in_tenant, caller("reader").with_role(Role::Reader), caller("admin").with_role(Role::Admin)] {
        assert_eq!(allowed(policy, &caller, "acme").await, [], "{caller:?}");
    }
    Outcome::Ran
}

/// Only the exact tenant is the caller's.
pub async fn invariant_03_tenants_are_exact(policy: &dyn AccessPolicy) -> Outcome {
    let admin = caller("admin").with_tenant(tenant("acme")).with_role(Role::Admin);
    assert!(!allowed(policy, &admin, "acme").await.is_empty(), "its own tenant is denied");
    for near in ["acm", "acme_", "ACME", "acme.corp", "globex_acme"] {
        assert_eq!(allowed(policy, &admin, near).await, [], "{near}");
    }
    Outcome::Ran
}

/// A reader changes nothing, and an operator sees no content.
pub async fn roles_stay_within_their_bounds(policy: &dyn AccessPolicy) -> Outcome {
    let reader = caller("reader").with_tenant(tenant("acme")).with_role(Role::Reader);
    for operation in allowed(policy, &reader, "acme").await {
        assert!(operation.is_read(), "a reader may {operation}");
    }
    let operator = caller("operator").with_role(Role::Operator);
    assert_eq!(allowed(policy, &operator, "acme").await, [Operation::Administer]);
    let admin = caller("admin").with_tenant(tenant("acme")).with_role(Role::Admin);
    assert!(!allowed(policy, &admin, "acme").await.contains(&Operation::Administer), "an admin erases its own tenant");
    Outcome::Ran
}

/// Expands to one test per case; `make` returns the policy and a value that must live as long.
#[macro_export]
macro_rules! access_policy_contract {
    ($make:expr) => {
        $crate::contract_cases! { access_policy, $make, [];
            nothing_is_allowed_by_default,
            invariant_03_tenants_are_exact,
            roles_stay_within_their_bounds,
        }
    };
}
