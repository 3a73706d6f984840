//! Facts about this installation.

use super::{Database, Result, StoreError};
use sqlx::Row;
use std::time::Duration;
use tokio::time::Instant;

/// How long the answer to "can it be written" holds: strangers may ask.
const TRIED_FOR: Duration = Duration::from_secs(1);

/// Facts about this installation.
impl Database {
    /// The value of a setting.
    pub async fn setting(&self, name: &str) -> Result<Option<String>> {
        let row =
            sqlx::query("SELECT value FROM settings WHERE name = $1").bind(name).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get("value")).transpose()?)
    }

    /// Sets it.
    pub async fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(value)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Sets it where it is not set; its value then, which another process may have been first to set.
    pub async fn setting_or(&self, name: &str, value: &str) -> Result<String> {
        sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(name)
            .bind(value)
            .execute(&self.pool)
            .await?;
        Ok(self.setting(name).await?.unwrap_or_else(|| value.to_owned()))
    }

    /// Whether the database answers and takes writes. It is tried at most once a second, however many ask.
    pub async fn ping(&self) -> Result<()> {
        // A caller that asks meanwhile waits for this answer.
        let mut tried = self.tried.lock().await;
        if let Some((at, was_written)) = *tried
            && at.elapsed() < TRIED_FOR
        {
            return if was_written { Ok(()) } else { Err(StoreError::Unwritable) };
        }
        // Reading would not do: with a full disk, or one that loses written data, everything can still be read (F02, F03).
        // Another value each time: SQLite does not write an unchanged value.
        let written = sqlx::query(
            "INSERT INTO settings (name, value) VALUES ('readiness', 'even') ON CONFLICT (name) \
             DO UPDATE SET value = CASE settings.value WHEN 'even' THEN 'odd' ELSE 'even' END",
        )
        .execute(&self.pool)
        .await;
        *tried = Some((Instant::now(), written.is_ok()));
        Ok(written.map(|_| ())?)
    }
}
