//! Looking into the log: newest first, a page at a time, filtered.

use bmap_model::audit::chain::Row;
use bmap_model::audit::query::{Cursor, Filter, MAX_PAGE};
use bmap_store::{Database, StoreError};

/// Entries that are looked at in one statement, and statements for one page: the bound on the cost of a filter that
/// finds little.
const WINDOW: i64 = 10_000;
const WINDOWS: usize = 10;
/// The same of one user's own, which an index finds one by one.
const OWN_WINDOW: i64 = 2_000;

/// A page, and where the next one begins; `None` on the last. A page of a filter that finds little may hold fewer than it could,
/// even none, and still have a next one.
///
/// # Errors
/// [`StoreError`].
pub async fn page(
    store: &Database,
    filter: &Filter,
    cursor: Option<Cursor>,
    limit: u32,
) -> Result<(Vec<Row>, Option<Cursor>), StoreError> {
    let limit = usize::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(1);
    let mut before = match cursor {
        Some(Cursor(before)) => before,
        None => store.newest_audit_row().await?.saturating_add(1),
    };
    let mut found = Vec::new();
    for _ in 0..WINDOWS {
        let floor = match &filter.of {
            // Entries of other users are not read, however many there are.
            Some(user) => store.audit_floor_of(user, before, OWN_WINDOW).await?.unwrap_or(1),
            None => before.saturating_sub(WINDOW).max(1),
        };
        let left = limit.saturating_sub(found.len());
        found.extend(store.audit_rows_before(filter, before, floor, u32::try_from(left).unwrap_or(1)).await?);
        before = floor;
        if found.len() >= limit {
            before = found.last().map_or(floor, |row| row.sequence);
            break;
        }
        if before <= 1 {
            break;
        }
    }
    Ok((found, (before > 1).then_some(Cursor(before))))
}
