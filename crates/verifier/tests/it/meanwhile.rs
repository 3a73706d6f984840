//! Changes while a body is waited for count: keys, standing, what a store remembers (O01, F06).

use crate::actors::{NOW, TestIssuer, get, post};
use crate::api_keys::{KEY, hmac, signed};
use crate::world::{FakeClock, begin, slowly};
use bmap_protocol::check::Window;
use bmap_protocol::ids::{ApiKeyId, Issuer, ToolId, UserId};
use bmap_protocol::keys::ToolKey;
use bmap_protocol::refusal::{Denial, Refusal};
use bmap_protocol::token::UnverifiedToken;
use bmap_verifier::replay::Record;
use bmap_verifier::{
    ApiKeyGrant, ApiKeyProof, Fresh, Keys, MemoryReplayStore, NoRevocations, Policy, Principal, ReplayLimits,
    ReplayStore, Standing, ToolKeys, Verifier,
};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The rows of one API key, and how often they were read.
#[derive(Clone)]
struct Rows(Arc<Mutex<Row>>);

struct Row {
    proof: ApiKeyProof,
    revoked: bool,
    looked_up: u32,
    standing_asked: u32,
}

impl Keys for Rows {
    fn try_tool_keys(&self, _: &UnverifiedToken<'_>, _: &mut dyn FnMut(&ToolId, u32, &ToolKey) -> bool) {}

    async fn api_key(&self, id: &ApiKeyId) -> Result<Option<ApiKeyGrant>, Refusal> {
        let mut row = self.0.lock().unwrap();
        row.looked_up += 1;
        let (proof, owner) = (row.proof.clone(), UserId::from_uuid([1; 16]));
        Ok(Some(ApiKeyGrant { id: id.clone(), owner, proof, former: None, allowed_ips: Vec::new() }))
    }
}

impl Standing for Rows {
    async fn check(&self, _: &Principal) -> Result<(), Refusal> {
        let mut row = self.0.lock().unwrap();
        row.standing_asked += 1;
        if row.revoked { Err(Refusal::Denied(Denial::KeyRevoked)) } else { Ok(()) }
    }
}

fn gateway() -> (Arc<Verifier<Rows, MemoryReplayStore, Rows>>, Rows) {
    let row = Row { proof: hmac(1).1, revoked: false, looked_up: 0, standing_asked: 0 };
    let rows = Rows(Arc::new(Mutex::new(row)));
    let verifier = Verifier::new(
        Issuer::parse("https://auth.example").unwrap(),
        Vec::new(),
        vec!["https://geo.example".parse().unwrap()],
        Policy::default(),
        rows.clone(),
        MemoryReplayStore::new(ReplayLimits::default(), Window::DEFAULT, i64::from(NOW) - 1000),
        rows.clone(),
    );
    (Arc::new(verifier), rows)
}

#[test]
fn o01_an_api_key_that_changes_while_its_body_comes_is_refused() {
    type Change = fn(&mut Row);
    for (change, outcome) in [
        ((|_| {}) as Change, Ok(())),
        (|row| row.revoked = true, Err("key_revoked")),
        // A new secret without a grace is the end of the old one.
        (|row| row.proof = hmac(2).1, Err("invalid_signature")),
    ] {
        let ((verifier, rows), clock) = (gateway(), FakeClock::new());
        let (request, sender) = slowly(signed(&post("/a", b"{}"), hmac(1).0, KEY));
        let mut decision = begin(&verifier, &clock, request);
        assert_eq!(decision.now(), None);
        change(&mut rows.0.lock().unwrap());
        sender.send(b"{}").unwrap();
        drop(sender);
        assert_eq!(decision.now(), Some(outcome));
    }
}

#[test]
fn a_body_that_is_there_at_once_has_its_key_and_standing_looked_up_once() {
    let ((verifier, rows), clock) = (gateway(), FakeClock::new());
    for draft in [get("/a"), post("/a", b"{}")] {
        assert_eq!(begin(&verifier, &clock, signed(&draft, hmac(1).0, KEY)).now(), Some(Ok(())));
    }
    let row = rows.0.lock().unwrap();
    assert_eq!((row.looked_up, row.standing_asked), (2, 2));
}

/// A shared store that may fail over, and that may be slow.
#[derive(Clone, Default)]
struct SharedStore(Arc<Shared>);

#[derive(Default)]
struct Shared {
    forgot_until: AtomicI64,
    /// Seconds of the times at which something was recorded.
    recorded_at: AtomicI64,
    waits: AtomicU32,
}

impl ReplayStore for SharedStore {
    async fn record(&self, _: Record, fresh: Fresh) -> Result<(), Refusal> {
        self.0.recorded_at.store(fresh.at().seconds(), Ordering::SeqCst);
        std::future::poll_fn(|_| match self.0.waits.load(Ordering::SeqCst) {
            0 => std::task::Poll::Ready(Ok(())),
            _ => std::task::Poll::Pending,
        })
        .await
    }

    fn forgot_until(&self) -> Option<i64> {
        Some(self.0.forgot_until.load(Ordering::SeqCst))
    }
}

fn tool(issuer: &TestIssuer) -> (Arc<Verifier<ToolKeys, SharedStore>>, SharedStore) {
    let (credential, store) = (issuer.credential("geo"), SharedStore::default());
    let keys = ToolKeys::new(credential.tool, credential.epochs);
    let (own, issuer_keys) = (credential.own, credential.issuer_keys);
    let (policy, replay) = (Policy::default(), store.clone());
    (Arc::new(Verifier::new(credential.issuer, issuer_keys, own, policy, keys, replay, NoRevocations)), store)
}

#[test]
fn f06_a_store_that_fails_over_while_a_body_comes_refuses_it() {
    let issuer = TestIssuer::new();
    for (forgot_until, outcome) in [(NOW - 1, Ok(())), (NOW, Err("replay_store_unavailable"))] {
        let ((verifier, store), page, clock) = (tool(&issuer), issuer.mint(|_| {}), FakeClock::new());
        let (request, sender) = slowly(post("/a", b"{}").sign(&page));
        let mut decision = begin(&verifier, &clock, request);
        assert_eq!(decision.now(), None);
        store.0.forgot_until.store(forgot_until.into(), Ordering::SeqCst);
        clock.pass(Duration::from_secs(3));
        sender.send(b"{}").unwrap();
        drop(sender);
        assert_eq!(decision.now(), Some(outcome));
        let recorded_at = if outcome.is_ok() { i64::from(NOW) + 3 } else { 0 };
        assert_eq!(store.0.recorded_at.load(Ordering::SeqCst), recorded_at, "by the time after the body");
    }
}

#[test]
fn t24_a_body_counts_while_its_nonce_is_recorded() {
    let issuer = TestIssuer::new();
    let ((verifier, store), page, clock) = (tool(&issuer), issuer.mint(|_| {}), FakeClock::new());
    store.0.waits.store(1, Ordering::SeqCst);
    let body = vec![b'x'; 1 << 20];
    let mut held: Vec<_> = (0..3).map(|_| begin(&verifier, &clock, post("/a", &body).sign(&page))).collect();
    let outcomes: Vec<_> = held.iter_mut().map(|decision| decision.now()).collect();
    assert_eq!(outcomes, [None, None, Some(Err("rate_limited"))]);
    assert_eq!(verifier.body_bytes_held(), 2 << 20);
    store.0.waits.store(0, Ordering::SeqCst);
    assert_eq!(held[0].now(), Some(Ok(())));
    assert_eq!(verifier.body_bytes_held(), 1 << 20, "from here on it is the tool's");
}
