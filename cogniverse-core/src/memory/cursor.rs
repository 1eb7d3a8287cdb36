//! Pages of memories ([invariant 8](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#8)): which cursor belongs to which list.

use cogniverse_sdk::{
    Listing, MemoryReach, PageCursor, Result, TenantId, Timestamp,
    memory_store::{ListMemories, MemoryFilter},
};

/// What is listed. Its JSON is what cursors of a release before are bound to: do not reorder the fields.
#[derive(serde::Serialize)]
struct Bound<'r> {
    tenant: &'r TenantId,
    reach: &'r MemoryReach,
    filter: &'r MemoryFilter,
    expired: bool,
    /// Absent for the first, as before there were generations.
    #[serde(skip_serializing_if = "is_first")]
    generation: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_first(generation: &u64) -> bool {
    *generation == 1
}

impl<'r> Bound<'r> {
    fn of((tenant, generation): (&'r TenantId, u64), request: &'r ListMemories) -> Self {
        let ListMemories { reach, filter, expired, .. } = request;
        Self { tenant, reach, filter, expired: *expired, generation }
    }
}

/// Where the next page begins.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// The time at which the list began, which decides what is expired on all of its pages.
    pub(super) as_of: Timestamp,
    /// The store's own position; empty at the start.
    pub(super) at: String,
}

impl Place {
    /// Decodes the position where a request's page starts.
    ///
    /// # Errors
    /// As [`PageCursor::open`].
    pub(super) fn of(tenant: (&TenantId, u64), request: &ListMemories, now: Timestamp) -> Result<Self> {
        match &request.after {
            None => Ok(Self { as_of: now, at: String::new() }),
            Some(cursor) => cursor.open(Listing::Memories, &Bound::of(tenant, request)),
        }
    }

    /// The cursor of the page after this one.
    pub(super) fn next(mut self, tenant: (&TenantId, u64), request: &ListMemories, at: String) -> Result<PageCursor> {
        self.at = at;
        PageCursor::seal(Listing::Memories, &Bound::of(tenant, request), &self)
    }
}
