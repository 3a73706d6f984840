//! Where passwords are hashed: on a few threads of their own, away from the runtime's, and after them where cores are short
//! (R40, T27).

use crate::error::IssuerError;
use crate::metrics;
use bmap_model::account::password::{Hasher, Memory};
use bmap_model::clock::Stopwatch;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// Most callers that wait for a worker; further ones are refused at once.
pub const QUEUE: usize = 32;
/// Longest wait for a worker.
pub const MAX_WAIT: Duration = Duration::from_secs(2);
/// How much nicer than the rest of the process a worker is (nice(2)). On Linux it is the thread's own: of a core that both
/// want, everything else gets nine tenths, and gets it at once.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// A bounded pool. Its memory is bounded too: 19 MiB for each worker.
#[derive(Debug)]
pub struct PasswordPool {
    hasher: Arc<Hasher>,
    workers: Arc<Semaphore>,
    places: Arc<Semaphore>,
    jobs: Sender<Job>,
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

impl PasswordPool {
    /// A pool that leaves one core to everything else.
    pub fn new(hasher: Hasher) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::with_workers(hasher, cores.saturating_sub(1).max(1))
    }

    /// A pool of that many workers, or as many as the system gives.
    pub fn with_workers(hasher: Hasher, workers: usize) -> Self {
        let (jobs, waiting) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let start = |number: &usize| {
            let waiting = Arc::clone(&waiting);
            let thread = std::thread::Builder::new().name(format!("password-{number}"));
            thread.spawn(move || work(&waiting)).map_err(|error| tracing::error!(%error, "no thread for passwords"))
        };
        let workers = (0..workers).map_while(|number| start(&number).ok()).count();
        Self {
            hasher: Arc::new(hasher),
            workers: Arc::new(Semaphore::new(workers)),
            places: Arc::new(Semaphore::new(workers.saturating_add(QUEUE))),
            jobs,
        }
    }

    /// The hasher, for what costs nothing.
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Does some work on a worker.
    ///
    /// # Errors
    /// [`IssuerError::PoolFull`] where no worker is free in time.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Hasher, &mut Memory) -> T + Send + 'static,
    ) -> Result<T, IssuerError> {
        let full = |_| IssuerError::PoolFull;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| IssuerError::PoolFull)?;
        let worker = tokio::time::timeout(MAX_WAIT, Arc::clone(&self.workers).acquire_owned()).await.map_err(full)?;
        let worker = worker.map_err(|_| IssuerError::PoolFull)?;
        let (hasher, (tell, told)) = (Arc::clone(&self.hasher), oneshot::channel());
        // The permits go with the work and not with the caller: one that hangs up frees nothing before the work ends.
        let job = move |memory: &mut Memory| {
            let held = (place, worker);
            let watch = Stopwatch::start();
            let done = work(&hasher, memory);
            metrics::hashed(watch.elapsed());
            drop(held);
            // The caller may have hung up.
            let _ = tell.send(done);
        };
        self.jobs.send(Box::new(job)).map_err(|_| IssuerError::Panicked)?;
        told.await.map_err(|_| IssuerError::Panicked)
    }
}

/// A worker, until its pool is gone.
fn work(waiting: &Mutex<Receiver<Job>>) {
    // Where the system does not let it be nicer, it works all the same. Elsewhere this would be the whole process.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICER);
    let mut memory = Memory::default();
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A job that panics has been heard of by its caller, and is not the end of its worker.
        let _ = catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
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
        // Callers that found no place were refused at once; the others hang up.
        let mut sent_away = 0;
        for call in calls {
            if call.is_finished() {
                assert!(matches!(call.await.unwrap(), Err(IssuerError::PoolFull)));
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
        pool.run(|_, _| ()).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let pool = pool();
        let _busy = pool.workers.acquire_many(2).await.unwrap();
        assert!(matches!(pool.run(|_, _| ()).await, Err(IssuerError::PoolFull)));
        assert_eq!(pool.places.available_permits(), 2 + QUEUE);
    }

    #[tokio::test]
    async fn a_job_that_panics_is_not_the_end_of_its_worker() {
        let pool = pool();
        for _ in 0..5 {
            assert!(matches!(pool.run(|_, _| assert_eq!(1, 2)).await, Err(IssuerError::Panicked)));
        }
        pool.run(|_, _| ()).await.unwrap();
        assert_eq!((pool.workers.available_permits(), pool.places.available_permits()), (2, 2 + QUEUE));
    }

    #[tokio::test]
    async fn workers_end_with_their_pool() {
        let pool = pool();
        let (alive, ended) = mpsc::channel::<()>();
        // A thread-local value is dropped when its thread ends.
        thread_local!(static KEPT: std::cell::RefCell<Option<mpsc::Sender<()>>> = const { std::cell::RefCell::new(None) });
        pool.run(move |_, _| KEPT.with(|kept| *kept.borrow_mut() = Some(alive))).await.unwrap();
        drop(pool);
        assert_eq!(ended.recv_timeout(Duration::from_secs(30)), Err(mpsc::RecvTimeoutError::Disconnected));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn r40_workers_are_nicer_than_the_rest_of_the_process() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let own = nice();
        let workers = pool().run(move |_, _| nice()).await.unwrap();
        // 19 is as nice as one can be.
        assert_eq!((workers, nice()), ((own + NICER).min(19), own));
    }
}
