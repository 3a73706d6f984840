//! A database's report on itself.

use super::address::Engine;
use super::{Database, Result};
use bmap_model::clock::UnixTime;
use sqlx::Row;

/// A database's report on itself.
impl Database {
    /// The damage, in the database's own words; empty where there is none.
    pub async fn damage(&self) -> Result<Vec<String>> {
        if self.engine == Engine::Postgres {
            // It checks its own pages, where it was made with checksums.
            return Ok(Vec::new());
        }
        let rows = sqlx::query("PRAGMA quick_check").fetch_all(&self.pool).await?;
        let lines: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    /// The newest time in it: no clock of this installation was ever before it.
    pub async fn newest_time(&self) -> Result<Option<UnixTime>> {
        let row = sqlx::query(
            "SELECT MAX(newest) AS newest FROM (\
             SELECT MAX(created_at) AS newest FROM users UNION ALL SELECT MAX(created_at) FROM api_keys \
             UNION ALL SELECT MAX(created_at) FROM sessions UNION ALL SELECT MAX(created_at) FROM user_sessions \
             UNION ALL SELECT MAX(used_at) FROM refresh_tokens) AS times",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get::<Option<i64>, _>("newest")?.map(UnixTime))
    }
}
