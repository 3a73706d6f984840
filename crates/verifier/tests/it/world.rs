//! A world whose time stands still until it is moved, and bodies that come when a test sends them.

use crate::actors::{NOW, TestIssuer};
use axum::body::Body;
use bmap_protocol::refusal::{Denial, Refusal};
use bmap_verifier::test::ManualClock;
use bmap_verifier::{
    Clock, Keys, MemoryReplayStore, NoRevocations, Policy, Principal, ReplayLimits, ReplayStore, Standing, ToolKeys,
    UnixTime, Verifier,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Request;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A clock, and the timers that wait on it.
#[derive(Clone)]
pub(crate) struct FakeClock(ManualClock);

impl FakeClock {
    pub(crate) fn new() -> Self {
        Self(ManualClock::at_seconds(NOW))
    }

    /// Time passes.
    pub(crate) fn pass(&self, duration: Duration) {
        self.0.advance(duration);
    }

    /// The clock is set; no time passes.
    pub(crate) fn set(&self, seconds: u64) {
        self.0.set(UnixTime::from_millis((seconds * 1000).cast_signed()));
    }
}

impl Clock for FakeClock {
    fn now(&self) -> UnixTime {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        self.0.sleep(duration)
    }
}

/// Users and keys that can be ended while a request is on its way.
#[derive(Clone, Default)]
pub(crate) struct Users(Arc<AtomicBool>);

impl Users {
    pub(crate) fn deactivate(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Standing for Users {
    async fn check(&self, _: &Principal) -> Result<(), Refusal> {
        if self.0.load(Ordering::SeqCst) { Err(Refusal::Denied(Denial::UserInactive)) } else { Ok(()) }
    }
}

/// A body's sender. Dropped, the body is complete.
pub(crate) type Sender = tokio::sync::mpsc::UnboundedSender<&'static [u8]>;

/// The request with a body that comes as the sender sends it, of unknown length.
pub(crate) fn slowly(request: Request<Body>) -> (Request<Body>, Sender) {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<&'static [u8]>();
    let pieces = futures_util::stream::poll_fn(move |context| {
        receiver.poll_recv(context).map(|piece| piece.map(Ok::<_, std::convert::Infallible>))
    });
    (request.map(|_| Body::from_stream(pieces)), sender)
}

/// A tool's verifier, its users and its clock.
pub(crate) struct World<S: Standing = Users> {
    pub(crate) verifier: Arc<Verifier<ToolKeys, MemoryReplayStore, S>>,
    pub(crate) clock: FakeClock,
}

/// A decision that is under way.
pub(crate) struct UnderWay(BoxFuture<'static, Result<(), &'static str>>);

impl World<Users> {
    pub(crate) fn with_users(issuer: &TestIssuer, change: impl FnOnce(&mut Policy)) -> (Self, Users) {
        let users = Users::default();
        (Self::with_standing(issuer, change, users.clone()), users)
    }
}

impl World<NoRevocations> {
    pub(crate) fn new(issuer: &TestIssuer, change: impl FnOnce(&mut Policy)) -> Self {
        Self::with_standing(issuer, change, NoRevocations)
    }
}

impl<S: Standing> World<S> {
    fn with_standing(issuer: &TestIssuer, change: impl FnOnce(&mut Policy), standing: S) -> Self {
        let (credential, mut policy) = (issuer.credential("geo"), Policy::default());
        change(&mut policy);
        let replay =
            MemoryReplayStore::new(ReplayLimits { entries: 4096, per_key: 1024 }, policy.window, i64::from(NOW) - 1000);
        let keys = ToolKeys::new(credential.tool, credential.epochs);
        let (own, issuer_keys) = (credential.own, credential.issuer_keys);
        let verifier = Verifier::new(credential.issuer, issuer_keys, own, policy, keys, replay, standing);
        Self { verifier: Arc::new(verifier), clock: FakeClock::new() }
    }

    /// Begins a decision, which goes as far as it is asked to.
    pub(crate) fn begin(&self, request: Request<Body>) -> UnderWay {
        begin(&self.verifier, &self.clock, request)
    }

    /// A decision that needs no waiting.
    pub(crate) fn decide(&self, request: Request<Body>) -> Result<(), &'static str> {
        self.begin(request).now().expect("the request is complete")
    }
}

/// Begins a decision of any verifier.
pub(crate) fn begin<K: Keys, R: ReplayStore, S: Standing>(
    verifier: &Arc<Verifier<K, R, S>>,
    clock: &FakeClock,
    request: Request<Body>,
) -> UnderWay {
    let (verifier, clock) = (Arc::clone(verifier), clock.clone());
    let (head, body) = request.into_parts();
    let peer = head.extensions.get::<bmap_verifier::PeerAddress>().map(|peer| peer.0);
    let decision = async move {
        verifier.verify(&head, body, peer, &clock).await.map(|_| ()).map_err(|refusal| refusal.code().as_str())
    };
    UnderWay(decision.boxed())
}

impl UnderWay {
    /// Takes it as far as it goes now: the outcome, where there is one.
    pub(crate) fn now(&mut self) -> Option<Result<(), &'static str>> {
        match self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }
}
