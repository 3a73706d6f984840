//! Where passwords are hashed: away from the runtime's threads, on a bounded number of its blocking ones (R40, T27).

use super::password::{Hasher, Memory};
use crate::clock::Stopwatch;
use crate::domain::refusal::Refusal;
use crate::metrics;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Most callers that wait for a worker; whoever comes then is sent away at once.
pub const QUEUE: usize = 32;
/// Longest wait for a worker.
pub const MAX_WAIT: Duration = Duration::from_secs(2);

/// A bounded pool. Its memory is bounded too: 19 MiB for each worker.
#[derive(Debug)]
pub struct PasswordPool {
    hasher: Arc<Hasher>,
    workers: Arc<Semaphore>,
    places: Arc<Semaphore>,
    memories: Arc<Mutex<Vec<Memory>>>,
}

impl PasswordPool {
    /// A pool that leaves one core to everything else.
    pub fn new(hasher: Hasher) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::with_workers(hasher, cores.saturating_sub(1).max(1))
    }

    /// A pool of that many workers.
    pub fn with_workers(hasher: Hasher, workers: usize) -> Self {
        Self {
            hasher: Arc::new(hasher),
            workers: Arc::new(Semaphore::new(workers)),
            places: Arc::new(Semaphore::new(workers.saturating_add(QUEUE))),
            memories: Arc::default(),
        }
    }

    /// The hasher, for what costs nothing.
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Does some work on a worker.
    ///
    /// # Errors
    /// [`Refusal::PoolFull`] where no worker is free in time.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Hasher, &mut Memory) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let full = |_| Refusal::PoolFull;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::PoolFull)?;
        let worker = tokio::time::timeout(MAX_WAIT, Arc::clone(&self.workers).acquire_owned()).await.map_err(full)?;
        let worker = worker.map_err(|_| Refusal::PoolFull)?;
        let (hasher, memories) = (Arc::clone(&self.hasher), Arc::clone(&self.memories));
        // The permits go with the work and not with the caller: one that hangs up frees nothing before the work ends.
        let task = tokio::task::spawn_blocking(move || {
            let _held = (place, worker);
            // There are never more of them than workers.
            let mut memory = memories.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
            let watch = Stopwatch::start();
            let done = work(&hasher, &mut memory);
            metrics::hashed(watch.elapsed());
            memories.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
            done
        });
        task.await.map_err(|_| Refusal::Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_protocol::keys::RootSecret;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    fn pool() -> PasswordPool {
        PasswordPool::with_workers(Hasher::new(RootSecret::from_bytes([7; 32]).epoch(1)), 2)
    }

    #[tokio::test]
    async fn r40_callers_that_hang_up_free_no_worker_and_the_queue_is_bounded() {
        let pool = Arc::new(pool());
        let (release, wait) = mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let calls: Vec<_> = (0..100)
            .map(|_| {
                let (pool, wait) = (Arc::clone(&pool), Arc::clone(&wait));
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                tokio::spawn(async move {
                    let work = move |_: &Hasher, _: &mut Memory| {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        let _ = wait.lock().unwrap().recv();
                        running.fetch_sub(1, Ordering::SeqCst);
                    };
                    pool.run(work).await
                })
            })
            .collect();
        while running.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
        // Whoever found no place was sent away at once; the others hang up.
        let mut sent_away = 0;
        for call in calls {
            if call.is_finished() {
                assert!(matches!(call.await.unwrap(), Err(Refusal::PoolFull)));
                sent_away += 1;
            } else {
                call.abort();
                let _ = call.await;
            }
        }
        assert_eq!(sent_away, 100 - 2 - QUEUE);
        // Their two workers are still at work, and count.
        assert_eq!((pool.workers.available_permits(), pool.places.available_permits()), (0, QUEUE));
        drop(release);
        while pool.places.available_permits() < 2 + QUEUE {
            tokio::task::yield_now().await;
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
        assert!(pool.memories.lock().unwrap().len() <= 2);
        pool.run(|_, _| ()).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let pool = pool();
        let _busy = pool.workers.acquire_many(2).await.unwrap();
        assert!(matches!(pool.run(|_, _| ()).await, Err(Refusal::PoolFull)));
        assert_eq!(pool.places.available_permits(), 2 + QUEUE);
    }
}
