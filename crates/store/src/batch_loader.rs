//! Look-ups of many requests in one statement.
//!
//! A look-up goes to the database and back, and waking the thread that answers costs more than the reading. Ids that requests ask for while
//! statements are in flight wait for the next statement, and go together; where none is in flight, it begins at once. Nothing is cached:
//! every answer is read by a statement that began after its request asked, so a change takes effect at once.
//!
//! What can be had once, a ticket or the use of a nonce, is taken in the same way: one commit for many, and of several requests for one
//! id, one has it.

use super::bounded::{Line, Pool, silent};
use super::{Result, StoreError};
use crate::many::places;
use crate::row::Columns;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::timeout;

/// Most ids of one statement.
const MAX_IDS: usize = 64;
/// Ids of one statement: a few sizes, so that the engine has few statements to prepare. Unused places are null.
const SIZES: [usize; 4] = [1, 4, 16, MAX_IDS];
/// Waiting requests after which cancelled ones are dropped; a process has fewer requests at once than this.
const MAX_WAITING: usize = 4096;
/// Longest that a request waits, for its turn and its statement.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Look-ups of one kind, by an id.
#[derive(Debug)]
pub(crate) struct BatchLoader<V> {
    /// `{wanted}` stands for places of ids, which are `w.column1` and must be given back as column `wanted`.
    sql: Arc<str>,
    read: fn(&AnyRow) -> Result<V>,
    kind: Kind,
    queue: Arc<Mutex<Queue<V>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Take,
}

impl Kind {
    /// Statements in flight at once. More than one of those that read, so that a silent connection does not stop every request; one of
    /// those that write, because they would only wait for each other.
    const fn max_in_flight(self) -> usize {
        match self {
            Kind::Read => 2,
            Kind::Take => 1,
        }
    }
}

#[derive(Debug)]
struct Queue<V> {
    waiting: Vec<Waiting<V>>,
    /// Workers that send statements.
    in_flight: usize,
}

impl<V> Queue<V> {
    /// Drops cancelled requests: while the database is silent, clients that come and go must not fill the memory, and a ticket is not
    /// taken for a request that is gone.
    fn drop_cancelled(&mut self) {
        self.waiting.retain(|waiting| !waiting.answer.is_closed());
    }
}

#[derive(Debug)]
struct Waiting<V> {
    id: String,
    answer: oneshot::Sender<Answer<V>>,
}

/// What was found. An error goes to every request of its statement.
type Answer<V> = std::result::Result<Option<V>, Arc<StoreError>>;

impl<V: Clone + Send + 'static> BatchLoader<V> {
    /// Every request for an id gets the row that is there.
    pub(crate) fn reading(sql: impl Into<Arc<str>>, read: fn(&AnyRow) -> Result<V>) -> Self {
        let queue = Arc::new(Mutex::new(Queue { waiting: Vec::new(), in_flight: 0 }));
        Self { sql: sql.into(), read, kind: Kind::Read, queue }
    }

    /// The first request for an id gets the row, and the statement deletes it (or adds a row that was not there): the next request finds
    /// nothing.
    pub(crate) fn taking(sql: impl Into<Arc<str>>, read: fn(&AnyRow) -> Result<V>) -> Self {
        Self { kind: Kind::Take, ..Self::reading(sql, read) }
    }

    /// Looks up one id.
    pub(crate) async fn get(&self, pool: &Pool, id: &str) -> Result<Option<V>> {
        let (answer, answered) = oneshot::channel();
        let needs_worker = {
            let mut queue = locked(&self.queue);
            if queue.waiting.len() >= MAX_WAITING {
                queue.drop_cancelled();
            }
            queue.waiting.push(Waiting { id: id.to_owned(), answer });
            let needs_worker = queue.in_flight < self.kind.max_in_flight();
            queue.in_flight = queue.in_flight.saturating_add(usize::from(needs_worker));
            needs_worker
        };
        if needs_worker {
            // A task of its own: a request that is cancelled does not cancel the others' statement.
            let worker = Worker { queue: Arc::clone(&self.queue), is_done: false };
            tokio::spawn(worker.run(pool.clone(), Arc::clone(&self.sql), self.read, self.kind));
        }
        match timeout(MAX_WAIT, answered).await {
            Ok(Ok(answer)) => answer.map_err(StoreError::Shared),
            Ok(Err(_)) | Err(_) => Err(silent().into()),
        }
    }
}

/// Sends one statement after the other.
struct Worker<V> {
    queue: Arc<Mutex<Queue<V>>>,
    is_done: bool,
}

impl<V: Clone> Worker<V> {
    /// Runs as long as requests wait.
    async fn run(mut self, pool: Pool, sql: Arc<str>, read: fn(&AnyRow) -> Result<V>, kind: Kind) {
        let mut line = pool.line();
        loop {
            // Requests that are ready to run ask first, and join this statement.
            yield_now().await;
            let Some(waiting) = self.next() else { return };
            let mut ids: Vec<&str> = waiting.iter().map(|waiting| waiting.id.as_str()).collect();
            ids.sort_unstable();
            ids.dedup();
            let mut found = find(&mut line, &sql, read, &ids).await.map_err(Arc::new);
            for Waiting { id, answer } in waiting {
                let found = match (&mut found, kind) {
                    (Ok(found), Kind::Read) => found.get(&id).cloned().transpose(),
                    (Ok(found), Kind::Take) => found.remove(&id).transpose(),
                    (Err(error), _) => Err(Arc::clone(error)),
                };
                let _ = answer.send(found); // a cancelled request does not wait any more
            }
        }
    }

    /// The requests of the next statement. Without any the worker is done, under the same lock: no request can come in between.
    fn next(&mut self) -> Option<Vec<Waiting<V>>> {
        let mut queue = locked(&self.queue);
        queue.drop_cancelled();
        if queue.waiting.is_empty() {
            queue.in_flight = queue.in_flight.saturating_sub(1);
            self.is_done = true;
            return None;
        }
        let most = queue.waiting.len().min(MAX_IDS);
        Some(queue.waiting.drain(..most).collect())
    }
}

impl<V> Drop for Worker<V> {
    fn drop(&mut self) {
        if !self.is_done {
            // It panicked: the waiting requests fail at once, and the next one starts a worker.
            let mut queue = locked(&self.queue);
            queue.in_flight = queue.in_flight.saturating_sub(1);
            queue.waiting.clear();
        }
    }
}

/// The rows of these ids. A row that can't be read is an error for the requests that asked for it alone.
async fn find<V>(
    line: &mut Line,
    sql: &str,
    read: fn(&AnyRow) -> Result<V>,
    ids: &[&str],
) -> Result<HashMap<String, std::result::Result<V, Arc<StoreError>>>> {
    let size = SIZES.into_iter().find(|size| *size >= ids.len()).unwrap_or(MAX_IDS);
    let sql = sql.replace("{wanted}", &places(size, 1));
    let wanted = ids.iter().copied().map(Some).chain(std::iter::repeat(None)).take(size);
    let query = wanted.fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id));
    let rows = line.fetch_all(query).await?;
    let found = |row| Ok((Columns { table: "wanted", row }.text("wanted")?, read(row).map_err(Arc::new)));
    rows.iter().map(found).collect()
}

fn locked<V>(queue: &Mutex<Queue<V>>) -> MutexGuard<'_, Queue<V>> {
    // A panic while the lock is held leaves whole values: poisoning says nothing here.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::Database;
    use super::*;
    use tempfile::TempDir;

    const SQL: &str =
        "SELECT w.column1 AS wanted, s.value FROM (VALUES {wanted}) AS w JOIN settings s ON s.name = w.column1";

    /// Settings `n0` to `n99` with values `v0` to `v99`.
    async fn settings() -> (TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open_sqlite(&folder.path().join("bmap.sqlite")).await.unwrap();
        for number in 0..100 {
            store.set_setting(&format!("n{number}"), &format!("v{number}")).await.unwrap();
        }
        (folder, store)
    }

    /// Returns when no statement is in flight.
    async fn no_statement_in_flight(values: &BatchLoader<String>) {
        let done = async {
            while locked(&values.queue).in_flight > 0 {
                yield_now().await;
            }
        };
        timeout(MAX_WAIT, done).await.unwrap();
    }

    fn read(row: &AnyRow) -> Result<String> {
        let value = Columns { table: "settings", row }.text("value")?;
        assert!(value != "v13", "an unlucky row");
        if value == "v7" { Err(StoreError::Corrupt { table: "settings", column: "value" }) } else { Ok(value) }
    }

    #[tokio::test]
    async fn each_request_gets_its_row() {
        let ((_folder, store), values) = (settings().await, BatchLoader::reading(SQL, read));
        let ask = |number: usize| {
            let (store, values) = (&store, &values);
            async move { (number, values.get(&store.pool, &format!("n{number}")).await) }
        };
        // More than one statement holds, some of them twice, some of them unknown, and one whose row is bad.
        let asked = (0..150).chain(50..60).filter(|number| *number != 13).map(ask);
        for (number, found) in futures_util::future::join_all(asked).await {
            match (number, found) {
                (7, found) => assert!(
                    matches!(&found, Err(StoreError::Shared(error)) if matches!(**error, StoreError::Corrupt { .. }))
                ),
                (0..100, found) => assert_eq!(found.unwrap(), Some(format!("v{number}"))),
                (_, found) => assert_eq!(found.unwrap(), None),
            }
        }
        no_statement_in_flight(&values).await;
    }

    #[tokio::test]
    async fn nothing_is_kept() {
        let ((_folder, store), values) = (settings().await, BatchLoader::reading(SQL, read));
        assert_eq!(values.get(&store.pool, "n1").await.unwrap().as_deref(), Some("v1"));
        store.set_setting("n1", "changed").await.unwrap();
        assert_eq!(values.get(&store.pool, "n1").await.unwrap().as_deref(), Some("changed"));
        sqlx::query("DELETE FROM settings WHERE name = 'n1'").execute(&store.pool).await.unwrap();
        assert_eq!(values.get(&store.pool, "n1").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_cancelled_request_cancels_no_other() {
        let ((_folder, store), values) = (settings().await, BatchLoader::reading(SQL, read));
        let first = values.get(&store.pool, "n1");
        let others = futures_util::future::join_all((2..6).map(|number| {
            let (store, values) = (&store, &values);
            async move { values.get(&store.pool, &format!("n{number}")).await.unwrap().unwrap() }
        }));
        tokio::select! {
            biased;
            _ = first => panic!("it was answered before it was asked"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(others.await, ["v2", "v3", "v4", "v5"]);
    }

    #[tokio::test]
    async fn cancelled_requests_take_bounded_memory_and_no_ticket() {
        let take = "DELETE FROM settings WHERE name IN ({wanted}) RETURNING name AS wanted, value";
        let ((_folder, store), values) = (settings().await, BatchLoader::taking(take, read));
        // Nothing else runs meanwhile: as if the database was silent.
        for number in 0..3 * MAX_WAITING {
            tokio::select! {
                biased;
                _ = values.get(&store.pool, "n1") => panic!("{number} was answered before it was asked"),
                () = std::future::ready(()) => {}
            }
        }
        assert!(locked(&values.queue).waiting.len() <= MAX_WAITING);
        assert_eq!(values.get(&store.pool, "n1").await.unwrap().as_deref(), Some("v1"));
    }

    #[tokio::test]
    async fn an_error_goes_to_all_and_the_next_request_is_asked_again() {
        let ((_folder, store), values) = (settings().await, BatchLoader::reading(SQL, read));
        sqlx::query("ALTER TABLE settings RENAME TO gone").execute(&store.pool).await.unwrap();
        let asked = (20..25).map(|number| {
            let (store, values) = (&store, &values);
            async move { values.get(&store.pool, &format!("n{number}")).await }
        });
        for failed in futures_util::future::join_all(asked).await {
            assert!(matches!(&failed, Err(StoreError::Shared(error)) if matches!(**error, StoreError::Database(_))));
        }
        sqlx::query("ALTER TABLE gone RENAME TO settings").execute(&store.pool).await.unwrap();
        assert_eq!(values.get(&store.pool, "n20").await.unwrap().as_deref(), Some("v20"));
    }

    #[tokio::test]
    async fn a_line_keeps_one_connection_for_some_statements_and_none_in_doubt() {
        let (_folder, store) = settings().await;
        let in_use = || {
            let (open, idle) = store.pool.size();
            usize::try_from(open).unwrap() - idle
        };
        let none_in_use = || async {
            while in_use() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(MAX_WAIT, none_in_use()).await.unwrap();
        let mut line = store.pool.line();
        for statement in 1..=33 {
            line.fetch_all(sqlx::query("SELECT 1 AS one")).await.unwrap();
            if statement % 16 == 0 {
                // It goes back in the background.
                timeout(MAX_WAIT, none_in_use()).await.unwrap();
            } else {
                assert_eq!(in_use(), 1, "{statement}");
            }
        }
        let open = store.pool.size().0;
        assert!(line.fetch_all(sqlx::query("not a statement")).await.is_err());
        let closed = || async {
            while store.pool.size().0 >= open {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(MAX_WAIT, closed()).await.unwrap();
        assert_eq!(line.fetch_all(sqlx::query("SELECT 1 AS one")).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_panic_leaves_no_request_waiting() {
        let ((_folder, store), values) = (settings().await, BatchLoader::reading(SQL, read));
        let asked = (0..3).map(|_| values.get(&store.pool, "n13"));
        for failed in futures_util::future::join_all(asked).await {
            assert!(failed.is_err());
        }
        assert_eq!(values.get(&store.pool, "n14").await.unwrap().as_deref(), Some("v14"));
        no_statement_in_flight(&values).await;
    }

    #[tokio::test]
    async fn of_several_requests_one_takes_a_row() {
        const TAKE: &str = "DELETE FROM settings WHERE name IN ({wanted}) RETURNING name AS wanted, value";
        let ((_folder, store), values) = (settings().await, BatchLoader::taking(TAKE, read));
        let asked = (0..100).map(|number| {
            let (store, values) = (&store, &values);
            async move { values.get(&store.pool, &format!("n{}", number % 5)).await.unwrap() }
        });
        let mut taken: Vec<String> = futures_util::future::join_all(asked).await.into_iter().flatten().collect();
        taken.sort_unstable();
        assert_eq!(taken, ["v0", "v1", "v2", "v3", "v4"]);
        assert_eq!(store.setting("n5").await.unwrap().as_deref(), Some("v5"), "no request asked for it");
    }
}
