//! Keeps a checked connection: looks after the one that is there, and makes the next one.

use crate::fault::StoreFault;
use crate::session::{Before, Session, Store};
use crate::status::State;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// How often the connection is tried, where nothing else says that something is wrong.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Between two attempts to connect: at least this, and twice as long after each that failed.
const FIRST_DELAY: Duration = Duration::from_millis(25);
/// The longest between two attempts. With the second that an attempt may take, a server that is back is in use in less than 2 s.
const LONGEST_DELAY: Duration = Duration::from_millis(500);

/// What requests and the keeper share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    current: RwLock<Result<Arc<Session>, StoreFault>>,
    forgot_until: AtomicI64,
    connections: AtomicU64,
    /// Asks for a look at the connection at once.
    look: Notify,
}

impl Shared {
    pub(crate) fn new(store: Store, session: Session) -> Self {
        let forgot_until = AtomicI64::new(session.forgot_until);
        let current = RwLock::new(Ok(Arc::new(session)));
        Self { store, current, forgot_until, connections: AtomicU64::new(1), look: Notify::new() }
    }

    /// The connection that records go to.
    pub(crate) fn session(&self) -> Result<Arc<Session>, StoreFault> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A record failed: the keeper looks at once.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }

    pub(crate) fn forgot_until(&self) -> i64 {
        self.forgot_until.load(Ordering::Acquire)
    }

    pub(crate) fn state(&self) -> State {
        match self.session() {
            Err(fault) => State::Refusing(fault),
            Ok(session) => match session.ended() {
                Some(fault) => State::Refusing(fault.clone()),
                None => State::Ready { forgot_until: session.forgot_until },
            },
        }
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    fn enter(&self, session: Session) -> Arc<Session> {
        let session = Arc::new(session);
        // Before the session, so that a request which finds it has this rule too; the store compares once more.
        self.forgot_until.fetch_max(session.forgot_until, Ordering::AcqRel);
        self.connections.fetch_add(1, Ordering::Relaxed);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Ok(Arc::clone(&session));
        tracing::info!("replay store: connected; requests signed until {} are refused", session.forgot_until);
        session
    }

    fn refuse(&self, fault: &StoreFault) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().err() != Some(fault) {
            tracing::warn!("replay store: all signed requests are refused: {fault}");
            *current = Err(fault.clone());
        }
    }
}

/// Runs until it is aborted.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let Ok(mut session) = shared.session() else { return };
    let (mut delay, mut without_replicas) = (FIRST_DELAY, false);
    loop {
        let began = Instant::now();
        let mut fault = ended(&shared, &session).await;
        let run_id = session.run_id.clone();
        drop(session);
        // One that lasted was good: its successor is made at once.
        if began.elapsed() > PROBE_EVERY {
            delay = FIRST_DELAY;
        }
        session = loop {
            without_replicas |= fault == StoreFault::NoReplicas;
            shared.refuse(&fault);
            sleep(by_chance(delay)).await;
            delay = delay.saturating_mul(2).min(LONGEST_DELAY);
            let without_replicas = without_replicas.then(|| run_id.clone());
            let before = Before { forgot_until: shared.forgot_until(), without_replicas };
            match Session::connect(&shared.store, before).await {
                Ok(session) => break shared.enter(session),
                Err(found) => fault = found,
            }
        };
        without_replicas = false;
    }
}

/// Waits until the session is no good any more.
async fn ended(shared: &Shared, session: &Session) -> StoreFault {
    let check_every = shared.store.options.check_every;
    let mut checked = Instant::now();
    loop {
        tokio::select! {
            () = shared.look.notified() => {}
            () = sleep(PROBE_EVERY.min(check_every)) => {}
        }
        if let Some(fault) = session.ended() {
            return fault.clone();
        }
        if let Err(fault) = session.probe(&shared.store).await {
            return fault;
        }
        if checked.elapsed() >= check_every {
            checked = Instant::now();
            if let Err(fault) = session.check(&shared.store).await {
                return fault;
            }
        }
    }
}

/// Between half of it and all of it: verifiers that lost their server together do not come back together.
fn by_chance(delay: Duration) -> Duration {
    let chance = u32::try_from(RandomState::new().hash_one(0) % 1024).unwrap_or(0);
    let half = delay.checked_div(2).unwrap_or(delay);
    half.saturating_add(half.saturating_mul(chance).checked_div(1024).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f04_a_server_that_is_back_is_in_use_within_two_seconds_whenever_it_comes() {
        // It comes at the beginning of an attempt that has missed it.
        assert!(LONGEST_DELAY + crate::session::CONNECT < Duration::from_secs(2));
    }

    #[test]
    fn delays_differ_and_stay_within_their_bounds() {
        let delays: Vec<_> = (0..1000).map(|_| by_chance(LONGEST_DELAY)).collect();
        assert!(delays.iter().all(|delay| (LONGEST_DELAY / 2..=LONGEST_DELAY).contains(delay)));
        assert!(delays.iter().max().unwrap().abs_diff(*delays.iter().min().unwrap()) > LONGEST_DELAY / 8);
    }
}
