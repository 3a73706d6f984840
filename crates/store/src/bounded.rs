//! Every statement with a deadline, and no connection used again whose state is in doubt.
//!
//! A database that stops answering without closing its connections (a host that lost its power, a firewall that forgot them)
//! would otherwise hold its callers for as long as the kernel hopes: a quarter of an hour. And a connection on which a commit
//! failed may still be inside that transaction: what came next would be acknowledged and never be there (F03).

use super::address::Engine;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, TryStreamExt};
use sqlx::any::{Any, AnyArguments, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::error::ErrorKind;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{AnyConnection, AnyPool, Describe, Either, Error, Execute, Executor, SqlStr};
use std::future::Future;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

/// Longest that a statement or a commit may take. A database that is well gives up earlier by itself (`statement_timeout`,
/// `busy_timeout`), so this is silence. Whether a commit that ran into it was done is not known, and no
/// client was told that it was.
const STATEMENT_TIME: Duration = Duration::from_secs(8);

/// What a statement gives: numbers of rows, and rows.
type Step = Either<AnyQueryResult, AnyRow>;

/// The connections.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    connections: AnyPool,
    begin: &'static str,
    /// Statements that a [`Line`] executes on one connection.
    in_line: u32,
}

/// A caller with many statements, one after the other, each by itself. In SQLite it keeps its connection for some of them: to give one back costs
/// as much as a short statement. In PostgreSQL it takes one for each, because taking it looks at whether that node may be read (F10).
#[derive(Debug)]
pub(crate) struct Line {
    pool: Pool,
    kept: Option<(PoolConnection<Any>, u32)>,
}

/// A transaction. Dropped without [`Transaction::commit`] it is rolled back.
#[derive(Debug)]
pub(crate) struct Transaction(InTransaction);

/// The inside of a [`Transaction`]: what statements are executed on.
#[derive(Debug)]
pub(crate) struct InTransaction {
    /// `None` once it is over.
    connection: Option<PoolConnection<Any>>,
    /// Woken once it is committed.
    wakes: Option<Arc<watch::Sender<u64>>>,
}

impl Pool {
    pub(crate) fn new(connections: AnyPool, engine: Engine) -> Self {
        let (begin, in_line) = match engine {
            // Every transaction writes. One that began by reading could find that it may not go on.
            Engine::Sqlite => ("BEGIN IMMEDIATE", 16),
            Engine::Postgres => ("BEGIN", 1),
        };
        Self { connections, begin, in_line }
    }

    /// For a caller with many statements.
    pub(crate) fn line(&self) -> Line {
        Line { pool: self.clone(), kept: None }
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&self) -> Result<Transaction, Error> {
        let mut inside = InTransaction { connection: Some(self.connections.acquire().await?), wakes: None };
        inside.run(self.begin).await?;
        Ok(Transaction(inside))
    }
}

impl Pool {
    /// Closes every connection, once none is in use.
    pub(crate) async fn close(&self) {
        self.connections.close().await;
    }

    /// How many connections there are, and how many of them wait for work.
    pub(crate) fn size(&self) -> (u32, usize) {
        (self.connections.size(), self.connections.num_idle())
    }

    fn used<T>(&self, connection: PoolConnection<Any>, done: Result<T, Error>) -> Result<T, Error> {
        if done.as_ref().is_err_and(is_doubtful) {
            discard(connection);
        }
        done
    }
}

impl Line {
    /// All rows of a statement.
    pub(crate) async fn fetch_all(&mut self, query: Query<'_, Any, AnyArguments>) -> Result<Vec<AnyRow>, Error> {
        let (mut connection, left) = match self.kept.take() {
            Some(kept) => kept,
            None => (self.pool.connections.acquire().await?, self.pool.in_line),
        };
        // Given up in the middle, the connection goes back as any other does.
        let done = within(query.fetch_all(&mut *connection)).await;
        match (&done, left.saturating_sub(1)) {
            (Err(error), _) if is_doubtful(error) => discard(connection),
            (_, 0) => drop(connection),
            (_, left) => self.kept = Some((connection, left)),
        }
        done
    }
}

impl Transaction {
    /// Commits.
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        self.0.run("COMMIT").await?;
        self.0.connection = None; // back to the others
        if let Some(wakes) = self.0.wakes.take() {
            wakes.send_modify(|commits| *commits = commits.wrapping_add(1));
        }
        Ok(())
    }
}

impl InTransaction {
    /// Wakes these once the transaction is committed.
    pub(crate) fn wakes(&mut self, waiting: Arc<watch::Sender<u64>>) {
        self.wakes = Some(waiting);
    }

    fn connection(&mut self) -> Result<&mut AnyConnection, Error> {
        self.connection.as_deref_mut().ok_or_else(over)
    }

    /// In doubt, the transaction is over.
    fn used<T>(&mut self, done: Result<T, Error>) -> Result<T, Error> {
        if done.as_ref().is_err_and(is_doubtful)
            && let Some(connection) = self.connection.take()
        {
            discard(connection);
        }
        done
    }

    /// Begins or commits. Where that fails, the state of the transaction is unknown.
    async fn run(&mut self, statement: &'static str) -> Result<(), Error> {
        let done = within(sqlx::raw_sql(statement).execute(self.connection()?)).await;
        if done.is_err()
            && let Some(connection) = self.connection.take()
        {
            discard(connection);
        }
        done.map(|_| ())
    }
}

impl Drop for InTransaction {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let mut abandoned = AbandonedTransaction(Some(connection));
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { abandoned.roll_back().await })),
            Err(_) => drop(abandoned),
        }
    }
}

/// The connection of a transaction that was not committed. It is good again once that was rolled back.
struct AbandonedTransaction(Option<PoolConnection<Any>>);

impl AbandonedTransaction {
    async fn roll_back(&mut self) {
        let Some(connection) = self.0.as_mut() else { return };
        if within(sqlx::raw_sql("ROLLBACK").execute(&mut **connection)).await.is_ok() {
            self.0 = None;
        }
    }
}

impl Drop for AbandonedTransaction {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            discard(connection);
        }
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

impl<'p> Executor<'p> for &'p Pool {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        steps(async move {
            let mut connection = self.connections.acquire().await?;
            let done = within(connection.fetch_many(query).try_collect()).await;
            self.used(connection, done)
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move {
            let mut connection = self.connections.acquire().await?;
            let done = within(connection.fetch_optional(query)).await;
            self.used(connection, done)
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'p: 'e,
    {
        Box::pin(async move {
            let mut connection = self.connections.acquire().await?;
            let done = within(connection.prepare_with(sql, parameters)).await;
            self.used(connection, done)
        })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
    where
        'p: 'e,
    {
        Box::pin(async move {
            let mut connection = self.connections.acquire().await?;
            let done = within(connection.describe(sql)).await;
            self.used(connection, done)
        })
    }
}

impl<'t> Executor<'t> for &'t mut InTransaction {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, Error>>
    where
        't: 'e,
        E: 'q + Execute<'q, Any>,
    {
        steps(async move {
            let done = within(self.connection()?.fetch_many(query).try_collect()).await;
            self.used(done)
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        't: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move {
            let done = within(self.connection()?.fetch_optional(query)).await;
            self.used(done)
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        't: 'e,
    {
        Box::pin(async move {
            let done = within(self.connection()?.prepare_with(sql, parameters)).await;
            self.used(done)
        })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
    where
        't: 'e,
    {
        Box::pin(async move {
            let done = within(self.connection()?.describe(sql)).await;
            self.used(done)
        })
    }
}

/// Rows as a stream, once all are there: what reads them is never between two of them when the deadline comes.
fn steps<'e>(all: impl Future<Output = Result<Vec<Step>, Error>> + Send + 'e) -> BoxStream<'e, Result<Step, Error>> {
    Box::pin(stream::once(all).map_ok(|steps| stream::iter(steps.into_iter().map(Ok))).try_flatten())
}

/// The answer, or an error at the deadline.
async fn within<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(STATEMENT_TIME, answer).await.unwrap_or_else(|_| Err(silent()))
}

/// No answer in time.
pub(crate) fn silent() -> Error {
    Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time"))
}

/// Whether an error says nothing about the state of its connection: everything but a broken rule of the schema, and a value
/// that is not what was asked for.
fn is_doubtful(error: &Error) -> bool {
    match error {
        Error::Database(cause) => matches!(cause.kind(), ErrorKind::Other),
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed | Error::AnyDriverError(_) => true,
        _ => false,
    }
}

/// Closes a connection, in the background.
fn discard(mut connection: PoolConnection<Any>) {
    tracing::debug!("a connection to the database is closed after an error");
    connection.close_on_drop();
}

fn over() -> Error {
    Error::Io(io::Error::new(io::ErrorKind::NotConnected, "the transaction is over"))
}
