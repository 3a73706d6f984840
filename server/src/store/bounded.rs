//! Every statement with a deadline. A database that stops answering without closing its connections (a host that lost its
//! power, a firewall that forgot them) would otherwise hold its callers for as long as the kernel hopes: a quarter of an hour.

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use sqlx::any::{Any, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{AnyConnection, AnyPool, Describe, Either, Error, Execute, Executor, SqlStr};
use std::future::Future;
use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// Longest that a statement or a commit may take. A database that is well gives up earlier by itself (`statement_timeout`,
/// `busy_timeout`), so this is silence. What a commit that ran into it has done is not known, and nobody was told that it was.
pub(super) const STATEMENT_TIME: Duration = Duration::from_secs(8);

/// The connections, each statement with its deadline.
#[derive(Clone, Debug)]
pub(super) struct Pool(pub(super) AnyPool);

/// A transaction, each statement with its deadline. Dropped without [`Transaction::commit`] it is rolled back.
#[derive(Debug)]
pub(super) struct Transaction(InTransaction);

/// The inside of a [`Transaction`]: what statements are executed on.
#[derive(Debug)]
pub(super) struct InTransaction(sqlx::Transaction<'static, Any>);

impl Pool {
    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Transaction, Error> {
        Ok(Transaction(InTransaction(within(self.0.begin()).await?)))
    }
}

impl Transaction {
    /// Commits.
    pub(super) async fn commit(self) -> Result<(), Error> {
        within(self.0.0.commit()).await
    }
}

impl Deref for Transaction {
    type Target = InTransaction;

    fn deref(&self) -> &InTransaction {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut InTransaction {
        &mut self.0
    }
}

/// Forwards to an executor of sqlx's, with the deadline.
macro_rules! bounded {
    ($lifetime:lifetime, $type:ty, $executor:expr) => {
        impl<$lifetime> Executor<$lifetime> for $type {
            type Database = Any;

            fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
            where
                $lifetime: 'e,
                E: 'q + Execute<'q, Any>,
            {
                until_deadline($executor(self).fetch_many(query))
            }

            fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
            where
                $lifetime: 'e,
                E: 'q + Execute<'q, Any>,
            {
                Box::pin(within($executor(self).fetch_optional(query)))
            }

            fn prepare_with<'e>(
                self,
                sql: SqlStr,
                parameters: &'e [AnyTypeInfo],
            ) -> BoxFuture<'e, Result<AnyStatement, Error>>
            where
                $lifetime: 'e,
            {
                Box::pin(within($executor(self).prepare_with(sql, parameters)))
            }

            fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
            where
                $lifetime: 'e,
            {
                Box::pin(within($executor(self).describe(sql)))
            }
        }
    };
}

bounded!('p, &'p Pool, |pool: &'p Pool| &pool.0);
bounded!('t, &'t mut InTransaction, |inside: &'t mut InTransaction| -> &'t mut AnyConnection { &mut inside.0 });

/// The answer, or an error at the deadline. Giving up drops what was waited for, and with it the use of the connection.
pub(super) async fn within<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(STATEMENT_TIME, answer).await.unwrap_or_else(|_| Err(silent()))
}

fn until_deadline<'e, T: Send + 'e>(rows: BoxStream<'e, Result<T, Error>>) -> BoxStream<'e, Result<T, Error>> {
    // Time begins with the first row that is asked for.
    let state = (Some(rows), None);
    Box::pin(stream::unfold(state, |(rows, deadline)| async move {
        let mut rows = rows?;
        let deadline = deadline.unwrap_or_else(after_statement_time);
        match timeout_at(deadline, rows.next()).await {
            Ok(row) => row.map(|row| (row, (Some(rows), Some(deadline)))),
            Err(_) => Some((Err(silent()), (None, None))),
        }
    }))
}

#[expect(clippy::arithmetic_side_effects, reason = "seconds from now are within the range of a clock")]
fn after_statement_time() -> Instant {
    Instant::now() + STATEMENT_TIME
}

fn silent() -> Error {
    Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time"))
}
