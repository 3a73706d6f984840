//! Deletes rows that have ended, a portion at a time: however many there are, no other writer waits for longer than one portion
//! takes, and the deadline of a statement is met. In one statement, the rows that gathered while no process cleaned up could be
//! too many for ever.

use super::{Database, Result};

/// Rows of a portion.
pub(crate) const PORTION: i64 = 5_000;

impl Database {
    /// Runs a statement that deletes `$2` rows at most of those before `$1`, until there is none; how many there were.
    pub(crate) async fn delete_before(&self, sql: &'static str, before: i64) -> Result<u64> {
        let mut deleted: u64 = 0;
        loop {
            let done = sqlx::query(sql).bind(before).bind(PORTION).execute(&self.pool).await?.rows_affected();
            deleted = deleted.saturating_add(done);
            if i64::try_from(done).unwrap_or(i64::MAX) < PORTION {
                return Ok(deleted);
            }
        }
    }
}
