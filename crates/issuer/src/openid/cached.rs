//! A provider's document, remembered: one flight at a time, the last good one for an hour, and no hammering (R23, F19).

use crate::openid::fault::ProviderFault;
use bmap_model::clock::{UnixTime, WallClock};
use std::future::Future;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use tokio::sync::Mutex;

/// For so long a document is taken as it is, in seconds.
pub const FRESH_SECONDS: i64 = 300;
/// For so long the last good one is used while no newer one can be had, in seconds.
pub const LAST_GOOD_SECONDS: i64 = 3600;
/// After a failure nothing is asked for so long, in seconds.
pub const RETRY_SECONDS: i64 = 5;
/// A key that is not in the set may be a new one: that is looked into once in so many seconds.
pub const UNKNOWN_KEY_SECONDS: i64 = 30;

/// A document and when it was read.
#[derive(Debug)]
pub struct Read<T> {
    /// The document.
    pub document: T,
    /// When.
    pub at: UnixTime,
}

/// A remembered document.
#[derive(Debug)]
pub struct Cached<T> {
    what: &'static str,
    good: StdMutex<Option<Arc<Read<T>>>>,
    /// Held by the one flight; when the last one began.
    flight: Mutex<Option<UnixTime>>,
}

impl<T: Send + Sync + 'static> Cached<T> {
    /// A document that was not read yet.
    pub fn new(what: &'static str) -> Self {
        Self { what, good: StdMutex::default(), flight: Mutex::default() }
    }

    /// The document: remembered, or read by `fetch`.
    ///
    /// # Errors
    /// [`ProviderFault`] where none can be had, and the last good one is too old.
    pub async fn get<F>(
        self: &Arc<Self>,
        clock: &Arc<dyn WallClock>,
        fetch: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Arc<Read<T>>, ProviderFault>
    where
        F: Future<Output = Result<T, ProviderFault>> + Send,
    {
        match self.younger_than(FRESH_SECONDS, clock.now()) {
            Some(good) => Ok(good),
            None => self.renew(clock, FRESH_SECONDS, RETRY_SECONDS, fetch).await,
        }
    }

    /// A newer document than the one that holds no answer; the same one where it is too soon to ask again.
    ///
    /// # Errors
    /// [`ProviderFault`] where none can be had, and the last good one is too old.
    pub async fn newer<F>(
        self: &Arc<Self>,
        clock: &Arc<dyn WallClock>,
        fetch: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Arc<Read<T>>, ProviderFault>
    where
        F: Future<Output = Result<T, ProviderFault>> + Send,
    {
        self.renew(clock, UNKNOWN_KEY_SECONDS, UNKNOWN_KEY_SECONDS, fetch).await
    }

    /// Reads it unless it was read within `fresh` seconds or asked for within `retry`. In a task of its own: a caller who hangs
    /// up ends no flight that others wait for.
    async fn renew<F>(
        self: &Arc<Self>,
        clock: &Arc<dyn WallClock>,
        fresh: i64,
        retry: i64,
        fetch: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Arc<Read<T>>, ProviderFault>
    where
        F: Future<Output = Result<T, ProviderFault>> + Send,
    {
        let (this, clock) = (Arc::clone(self), Arc::clone(clock));
        let flight = tokio::spawn(async move {
            let mut began = this.flight.lock().await;
            let now = clock.now();
            if let Some(good) = this.younger_than(fresh, now) {
                return Ok(good);
            }
            let fault = if began.is_some_and(|began| is_within(began, retry, now)) {
                ProviderFault::JustFailed { what: this.what }
            } else {
                *began = Some(now);
                match fetch().await {
                    Ok(document) => return Ok(this.remember(Read { document, at: now })),
                    Err(fault) => fault,
                }
            };
            tracing::warn!("an OpenID provider: {fault}");
            this.younger_than(LAST_GOOD_SECONDS, now).ok_or(fault)
        });
        flight.await.unwrap_or(Err(ProviderFault::JustFailed { what: self.what }))
    }

    fn younger_than(&self, seconds: i64, now: UnixTime) -> Option<Arc<Read<T>>> {
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner).clone();
        good.filter(|good| is_within(good.at, seconds, now))
    }

    fn remember(&self, read: Read<T>) -> Arc<Read<T>> {
        let read = Arc::new(read);
        *self.good.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&read));
        read
    }
}

/// A clock that went back counts as within: the cached document is used on.
fn is_within(at: UnixTime, seconds: i64, now: UnixTime) -> bool {
    now < at.plus_seconds(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_model::clock::ManualClock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const FAULT: ProviderFault = ProviderFault::Form { what: "test" };

    struct World {
        clock: Arc<ManualClock>,
        cached: Arc<Cached<usize>>,
        asked: Arc<AtomicUsize>,
    }

    impl World {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::at(UnixTime(1_795_000_000_000)));
            Self { clock, cached: Arc::new(Cached::new("test")), asked: Arc::default() }
        }

        fn clock(&self) -> Arc<dyn WallClock> {
            self.clock.clone()
        }

        fn fetch(&self, good: bool) -> impl Future<Output = Result<usize, ProviderFault>> + Send + 'static {
            let asked = Arc::clone(&self.asked);
            async move {
                let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::task::yield_now().await;
                if good { Ok(number) } else { Err(FAULT) }
            }
        }

        async fn get(&self, good: bool) -> Result<usize, ProviderFault> {
            let fetch = self.fetch(good);
            self.cached.get(&self.clock(), || fetch).await.map(|read| read.document)
        }

        async fn newer(&self, good: bool) -> Result<usize, ProviderFault> {
            let fetch = self.fetch(good);
            self.cached.newer(&self.clock(), || fetch).await.map(|read| read.document)
        }
    }

    #[tokio::test]
    async fn r23_the_last_good_one_is_kept_for_an_hour_and_then_there_is_none() {
        let world = World::new();
        assert_eq!(world.get(true).await, Ok(1));
        world.clock.advance_seconds(299);
        assert_eq!(world.get(false).await, Ok(1), "fresh: the provider is not asked");
        world.clock.advance_seconds(1);
        assert_eq!(world.get(false).await, Ok(1), "asked, failed, the last good one counts");
        assert_eq!(world.asked.load(Ordering::SeqCst), 2);
        assert_eq!(world.get(false).await, Ok(1), "and is not asked again at once");
        assert_eq!(world.asked.load(Ordering::SeqCst), 2);
        world.clock.advance_seconds(3299);
        assert_eq!(world.get(false).await, Ok(1));
        world.clock.advance_seconds(1);
        assert_eq!(world.get(false).await, Err(ProviderFault::JustFailed { what: "test" }));
        world.clock.advance_seconds(5);
        assert_eq!(world.get(false).await, Err(FAULT));
        world.clock.advance_seconds(5);
        assert_eq!(world.get(true).await, Ok(5), "and it recovers by itself");
    }

    #[tokio::test]
    async fn r23_a_thousand_at_once_are_one_flight() {
        for (good, expected) in [(true, 1000), (false, 0)] {
            let world = World::new();
            let calls = (0..1000).map(|_| {
                let (cached, clock, fetch) = (Arc::clone(&world.cached), world.clock(), world.fetch(good));
                tokio::spawn(async move { cached.get(&clock, || fetch).await.is_ok() })
            });
            let calls = futures_util::future::join_all(calls).await;
            assert_eq!(calls.into_iter().filter(|call| *call.as_ref().unwrap()).count(), expected);
            assert_eq!(world.asked.load(Ordering::SeqCst), 1);
        }
    }

    #[tokio::test]
    async fn f19_an_unknown_key_is_looked_into_once_in_thirty_seconds() {
        let world = World::new();
        assert_eq!(world.get(true).await, Ok(1));
        assert_eq!(world.newer(true).await, Ok(1), "read just now");
        world.clock.advance_seconds(30);
        assert_eq!((world.newer(true).await, world.newer(true).await), (Ok(2), Ok(2)));
        world.clock.advance_seconds(30);
        assert_eq!((world.newer(false).await, world.newer(true).await), (Ok(2), Ok(2)));
        assert_eq!(world.asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn whoever_hangs_up_ends_nobody_elses_flight() {
        let world = World::new();
        let (cached, clock, fetch) = (Arc::clone(&world.cached), world.clock(), world.fetch(true));
        let call = tokio::spawn(async move { cached.get(&clock, || fetch).await.map(|read| read.document) });
        while world.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        call.abort();
        assert_eq!(world.get(false).await, Ok(1));
    }
}
