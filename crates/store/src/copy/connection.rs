//! A connection of a copy: one, on which each statement has a deadline, so that a network that goes silent ends the copy and does not hold it.

use crate::Result;
use crate::address::Engine;
use crate::bounded::silent;
use sqlx::any::{Any, AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for a page of rows, or until one is written.
const STATEMENT_TIME: Duration = Duration::from_secs(30);
/// Longest wait for a statement that looks at a whole table.
const WHOLE_TIME: Duration = Duration::from_secs(900);

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) engine: Engine,
    inner: AnyConnection,
}

impl Connection {
    pub(crate) fn new(engine: Engine, inner: AnyConnection) -> Self {
        Self { engine, inner }
    }

    /// Statements without values, and without an answer.
    pub(crate) async fn run(&mut self, sql: impl Into<String>) -> Result<()> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(&mut self.inner);
        Ok(within(STATEMENT_TIME, done).await.map(|_| ())?)
    }

    /// The same, where a whole table is looked at.
    pub(crate) async fn run_long(&mut self, sql: &'static str) -> Result<()> {
        Ok(within(WHOLE_TIME, sqlx::raw_sql(sql).execute(&mut self.inner)).await.map(|_| ())?)
    }

    /// How many rows a statement changed.
    pub(crate) async fn execute(&mut self, query: Query<'_, Any, AnyArguments>) -> Result<u64> {
        Ok(within(STATEMENT_TIME, query.execute(&mut self.inner)).await?.rows_affected())
    }

    /// All rows.
    pub(crate) async fn fetch_all(&mut self, query: Query<'_, Any, AnyArguments>) -> Result<Vec<AnyRow>> {
        Ok(within(STATEMENT_TIME, query.fetch_all(&mut self.inner)).await?)
    }

    /// The one number of a statement that looks at a whole table.
    pub(crate) async fn number(&mut self, sql: String) -> Result<i64> {
        let row = within(WHOLE_TIME, sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut self.inner)).await?;
        Ok(sqlx::Row::try_get(&row, 0)?)
    }

    /// Closes it. Its work is done, so a failure changes nothing.
    pub(crate) async fn close(self) {
        let _ = timeout(STATEMENT_TIME, self.inner.close()).await;
    }
}

async fn within<T>(
    time: Duration,
    answer: impl Future<Output = std::result::Result<T, sqlx::Error>>,
) -> std::result::Result<T, sqlx::Error> {
    timeout(time, answer).await.unwrap_or_else(|_| Err(silent()))
}
