//! Waits for changes that verifiers are told of. Being woken only saves time: a caller looks again by itself.

use crate::address::Engine;
use crate::bounded::Transaction;
use crate::{Database, Result};
use sqlx::postgres::PgListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

const CHANNEL: &str = "bmap_link";
/// Time between two tries to listen.
const AGAIN: Duration = Duration::from_secs(5);

/// Waits for the next change of this process, and with PostgreSQL of every other one.
#[derive(Debug)]
pub struct LinkWaker {
    database: Database,
    told: watch::Receiver<u64>,
    listener: Option<PgListener>,
    tried: Option<Instant>,
}

impl Database {
    /// Wakes the waiting when the transaction is committed: those of this process, and with PostgreSQL those of the others.
    pub(crate) async fn wake(&self, transaction: &mut Transaction) -> Result<()> {
        transaction.wakes(Arc::clone(&self.told));
        if self.engine == Engine::Postgres {
            sqlx::raw_sql("NOTIFY bmap_link").execute(&mut **transaction).await?;
        }
        Ok(())
    }

    /// What waits for the next change.
    pub fn link_waker(&self) -> LinkWaker {
        LinkWaker { database: self.clone(), told: self.told.subscribe(), listener: None, tried: None }
    }
}

impl LinkWaker {
    /// Returns when there may be a change, at the latest after `at_most`.
    pub async fn wait(&mut self, at_most: Duration) {
        let now = Instant::now();
        let until = now.checked_add(at_most).unwrap_or(now);
        self.listen(at_most).await;
        let heard = async {
            match &mut self.listener {
                // A connection that was lost is made anew by the listener; what was said meanwhile is gone.
                Some(listener) => listener.try_recv().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The sender lives as long as the database that this waiter has.
            _ = self.told.changed() => {}
            is_well = heard => if !is_well {
                self.listener = None;
                sleep_until(until).await;
            },
            () = sleep_until(until) => {}
        }
    }

    async fn listen(&mut self, at_most: Duration) {
        let Some(address) = self.database.listens_at.as_ref().filter(|_| self.listener.is_none()) else { return };
        if self.tried.is_some_and(|tried| tried.elapsed() < AGAIN) {
            return;
        }
        self.tried = Some(Instant::now());
        let connected = timeout(at_most, async {
            let mut listener = PgListener::connect(address.expose()).await?;
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        });
        match connected.await {
            Ok(Ok(listener)) => self.listener = Some(listener),
            Ok(Err(error)) => {
                tracing::warn!("changes for verifiers are polled, since this can't be listened to: {error}")
            }
            Err(_) => tracing::warn!("changes for verifiers are polled, since PostgreSQL did not answer in time"),
        }
    }
}
