//! Bodies that do not come, or too many of them: deadlines, the minimum rate and the budgets (O05, O18, T24).

use crate::actors::{Draft, TestIssuer, get, post};
use crate::world::{Sender, UnderWay, World, slowly};
use axum::body::Body;
use bmap_verifier::PeerAddress;
use http::Request;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const KIB: &[u8] = &[b'x'; 1 << 10];
const MIB: usize = 1 << 20;

fn from(mut request: Request<Body>, address: &str) -> Request<Body> {
    request.extensions_mut().insert(PeerAddress(address.parse().unwrap()));
    request
}

/// A signed POST of so many bytes, of which `kib` KiB are there.
fn begun(world: &World<bmap_verifier::NoRevocations>, request: Request<Body>, kib: usize) -> (UnderWay, Sender) {
    let (request, sender) = slowly(request);
    (0..kib).for_each(|_| sender.send(KIB).unwrap());
    (world.begin(request), sender)
}

fn large() -> Draft {
    post("/a", &[b'x'; MIB - 1])
}

#[test]
fn o05_one_signed_head_four_hundred_times_holds_one_tokens_budget() {
    let issuer = TestIssuer::new();
    let (world, page) = (World::new(&issuer, |_| {}), issuer.mint(|_| {}));
    let request = large();
    let mut decisions: Vec<_> = (0..400).map(|_| begun(&world, request.sign(&page), 1023)).collect();
    let outcomes: Vec<_> = decisions.iter_mut().map(|(decision, _)| decision.now()).collect();
    let waiting = outcomes.iter().filter(|outcome| outcome.is_none()).count();
    let refused = outcomes.iter().filter(|outcome| **outcome == Some(Err("rate_limited"))).count();
    assert_eq!((waiting, refused), (2, 398));
    assert_eq!(world.verifier.body_bytes_held(), 2 * 1023 * 1024);
    // Nothing more comes, and they end by themselves.
    world.clock.pass(29 * SECOND);
    for ((decision, _), outcome) in decisions.iter_mut().zip(&outcomes) {
        assert!(outcome.is_some() || decision.now().is_none());
    }
    world.clock.pass(SECOND);
    for ((decision, _), outcome) in decisions.iter_mut().zip(outcomes) {
        assert!(outcome.is_some() || decision.now() == Some(Err("body_timeout")));
    }
    assert_eq!(world.verifier.body_bytes_held(), 0);
}

#[test]
fn o18_a_visitor_who_holds_slow_bodies_leaves_the_others_of_the_key_alone() {
    let issuer = TestIssuer::new();
    let (world, greedy, other) = (World::new(&issuer, |_| {}), issuer.mint(|_| {}), issuer.mint(|_| {}));
    let mut held: Vec<_> = (0..8).map(|_| begun(&world, from(large().sign(&greedy), "203.0.113.1"), 300)).collect();
    let refused = held.iter_mut().filter_map(|(decision, _)| decision.now()).collect::<Vec<_>>();
    assert_eq!(refused, [Err("rate_limited"); 2], "2 MiB are six of them");
    // Another visitor of the same API key, from the same network: a quick body, and a slow one.
    assert_eq!(world.decide(from(post("/a", b"{}").sign(&other), "203.0.113.2")), Ok(()));
    let (mut slow, sender) = begun(&world, from(post("/a", &KIB.repeat(301)).sign(&other), "203.0.113.2"), 300);
    assert_eq!(slow.now(), None);
    sender.send(KIB).unwrap();
    drop(sender);
    assert_eq!(slow.now(), Some(Ok(())));
    // The first visitor's requests that hold nothing go on too.
    assert_eq!(world.decide(from(get("/a").sign(&greedy), "203.0.113.1")), Ok(()));
}

#[test]
fn t24_a_network_has_an_eighth_of_all() {
    let issuer = TestIssuer::new();
    let world = World::new(&issuer, |_| {});
    let pages: Vec<_> = (0..12).map(|_| issuer.mint(|_| {})).collect();
    let mut held: Vec<_> = pages
        .iter()
        .enumerate()
        .map(|(number, page)| begun(&world, from(large().sign(page), &format!("203.0.113.{number}")), 1023))
        .collect();
    let refused = held.iter_mut().filter_map(|(decision, _)| decision.now()).collect::<Vec<_>>();
    assert_eq!(refused, [Err("rate_limited"); 4]);
    let (mut elsewhere, _sender) = begun(&world, from(large().sign(&pages[11]), "203.0.114.1"), 1023);
    assert_eq!(elsewhere.now(), None);
}

#[test]
fn t24_when_all_is_taken_the_slowest_body_makes_room() {
    let issuer = TestIssuer::new();
    let world = World::new(&issuer, |policy| policy.bodies.total = 4 * MIB);
    let pages: Vec<_> = (0..5).map(|_| issuer.mint(|_| {})).collect();
    let mut held = Vec::new();
    for page in &pages[..4] {
        let (mut decision, sender) = begun(&world, large().sign(page), 1023);
        assert_eq!(decision.now(), None);
        held.push((decision, sender));
        world.clock.pass(SECOND);
    }
    let (mut newcomer, sender) = begun(&world, post("/a", &KIB.repeat(101)).sign(&pages[4]), 100);
    assert_eq!(newcomer.now(), None);
    let outcomes: Vec<_> = held.iter_mut().map(|(decision, _)| decision.now()).collect();
    assert_eq!(outcomes, [Some(Err("body_timeout")), None, None, None]);
    sender.send(KIB).unwrap();
    drop(sender);
    assert_eq!(newcomer.now(), Some(Ok(())));
}

#[test]
fn t24_a_body_that_drips_is_ended_soon_and_a_slow_one_at_its_deadline() {
    let issuer = TestIssuer::new();
    let (world, page) = (World::new(&issuer, |_| {}), issuer.mint(|_| {}));
    // One byte a second; and 2 KiB a second, for ever.
    for (piece, ended_after) in [(&KIB[..1], 6), (KIB, 30)] {
        let (mut decision, sender) = begun(&world, large().sign(&page), 0);
        let mut seconds = 0;
        let outcome = loop {
            if let Some(outcome) = decision.now() {
                break outcome;
            }
            seconds += 1;
            assert!(seconds < 60, "it goes on for ever");
            world.clock.pass(SECOND);
            let _ = (sender.send(piece), sender.send(piece));
        };
        assert_eq!((outcome, seconds), (Err("body_timeout"), ended_after));
    }
    // The bytes that are sent before the rate counts are enough for the seconds that follow.
    let (mut decision, _sender) = begun(&world, large().sign(&page), 10);
    assert_eq!(decision.now(), None);
    world.clock.pass(14 * SECOND);
    assert_eq!(decision.now(), None);
    world.clock.pass(SECOND);
    assert_eq!(decision.now(), Some(Err("body_timeout")));
}

#[test]
fn t24_a_body_gives_back_its_share_however_its_request_ends() {
    let issuer = TestIssuer::new();
    let (world, page) = (World::new(&issuer, |_| {}), issuer.mint(|_| {}));
    let request = || post("/a", &KIB.repeat(4)).sign(&page);
    let (decision, _sender) = begun(&world, request(), 2);
    let mut decision = decision;
    assert_eq!((decision.now(), world.verifier.body_bytes_held()), (None, 2 << 10));
    drop(decision);
    assert_eq!(world.verifier.body_bytes_held(), 0, "the caller hung up");
    for (pieces, outcome) in [(4, Ok(())), (3, Err("digest_mismatch"))] {
        let (mut decision, sender) = begun(&world, request(), 2);
        assert_eq!(decision.now(), None);
        (2..pieces).for_each(|_| sender.send(KIB).unwrap());
        drop(sender);
        assert_eq!(decision.now(), Some(outcome));
        assert_eq!(world.verifier.body_bytes_held(), 0);
    }
}

#[test]
fn t24_without_a_valid_mac_nothing_is_read() {
    let issuer = TestIssuer::new();
    let (world, page) = (World::new(&issuer, |_| {}), issuer.mint(|_| {}));
    let body =
        Body::from_stream(futures_util::stream::poll_fn(|_| -> std::task::Poll<Option<std::io::Result<&[u8]>>> {
            panic!("the body is read")
        }));
    let forged = crate::actors::set(
        post("/a", b"{}").sign(&page),
        "signature",
        "bmap=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:",
    );
    assert_eq!(world.decide(forged.map(|_| body)), Err("invalid_signature"));
}
