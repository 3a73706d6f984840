//! Tries at the password behind a mailed link: counted before the password is looked at, and bounded.

use crate::{Database, Result};
use bmap_model::account::opaque::TokenHash;
use bmap_model::clock::UnixTime;
use sqlx::any::AnyRow;

/// The statements of one kind of links. Each names the link by `$1`; the first two also have the time and the most tries.
pub(super) struct Tries {
    /// Whether the link is there and has tries left.
    pub(super) known: &'static str,
    /// Counts one, and returns the row.
    pub(super) count: &'static str,
    /// Takes one back.
    pub(super) give_back: &'static str,
}

impl Database {
    /// Counts a try. `None` if the link is not there, has ended, or had as many tries as it may have.
    pub(super) async fn count_try(
        &self,
        of: &Tries,
        token: &TokenHash,
        now: UnixTime,
        most: i64,
    ) -> Result<Option<AnyRow>> {
        // Noise takes no turn at writing: SQLite has one writer at a time.
        let known = sqlx::query(of.known).bind(token.as_str()).bind(now.0).bind(most);
        if known.fetch_optional(&self.pool).await?.is_none() {
            return Ok(None);
        }
        let counted = sqlx::query(of.count).bind(token.as_str()).bind(now.0).bind(most);
        Ok(counted.fetch_optional(&self.pool).await?)
    }

    /// Takes back a try in which no password was looked at.
    pub(super) async fn return_try(&self, of: &Tries, token: &TokenHash) -> Result<()> {
        sqlx::query(of.give_back).bind(token.as_str()).execute(&self.pool).await?;
        Ok(())
    }
}
