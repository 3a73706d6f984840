//! Time is read again after the body: a request that was fresh at its head and is not fresh any more is refused (O01, O02, F12).

use crate::actors::{NOW, PageToken, TestIssuer, get, post};
use crate::world::{UnderWay, World, slowly};
use axum::body::Body;
use http::Request;
use proptest::prelude::*;
use proptest::test_runner::Config;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A policy that waits for bodies for ever, so that freshness alone decides.
fn patient(policy: &mut bmap_verifier::Policy) {
    policy.bodies.deadline = 10_000 * SECOND;
    policy.bodies.min_rate = 0;
}

/// A signed POST of which everything but the end of its body is there.
fn all_but_the_end<S: bmap_verifier::Standing>(
    world: &World<S>,
    request: Request<Body>,
) -> (UnderWay, crate::world::Sender) {
    let (request, sender) = slowly(request);
    sender.send(b"{\"a\":").unwrap();
    let mut decision = world.begin(request);
    assert_eq!(decision.now(), None);
    (decision, sender)
}

#[test]
fn o01_a_body_that_ends_after_the_window_is_refused() {
    let issuer = TestIssuer::new();
    for (seconds, outcome) in [
        (59, Ok(())),
        (60, Ok(())),
        (61, Err("clock_skew")),
        (70, Err("clock_skew")),
        (90, Err("clock_skew")),
        (320, Err("clock_skew")),
    ] {
        let (world, page) = (World::new(&issuer, patient), issuer.mint(|_| {}));
        let (mut decision, sender) = all_but_the_end(&world, post("/a", b"{\"a\":1}").sign(&page));
        world.clock.pass(seconds * SECOND);
        sender.send(b"1}").unwrap();
        drop(sender);
        assert_eq!(decision.now(), Some(outcome), "{seconds} s");
    }
}

#[test]
fn o01_a_token_that_ends_while_its_body_comes_is_refused() {
    let issuer = TestIssuer::new();
    let (world, page) = (World::new(&issuer, patient), issuer.mint(|claims| claims["exp"] = (NOW + 20).into()));
    let (mut decision, sender) = all_but_the_end(&world, post("/a", b"{\"a\":1}").sign(&page));
    world.clock.pass(20 * SECOND);
    sender.send(b"1}").unwrap();
    drop(sender);
    assert_eq!(decision.now(), Some(Err("token_expired")));
}

#[test]
fn o01_by_default_a_body_is_ended_long_before() {
    let issuer = TestIssuer::new();
    for seconds in [70, 90, 320] {
        let (world, page) = (World::new(&issuer, |_| {}), issuer.mint(|_| {}));
        let (mut decision, _sender) = all_but_the_end(&world, post("/a", b"{\"a\":1}").sign(&page));
        world.clock.pass(seconds * SECOND);
        assert_eq!(decision.now(), Some(Err("body_timeout")), "nothing more came, and it ends");
    }
}

#[test]
fn o01_a_user_who_is_deactivated_while_the_body_comes_is_refused() {
    let issuer = TestIssuer::new();
    let ((world, users), page) = (World::with_users(&issuer, |_| {}), issuer.mint(|_| {}));
    let (mut decision, sender) = all_but_the_end(&world, post("/a", b"{\"a\":1}").sign(&page));
    users.deactivate();
    sender.send(b"1}").unwrap();
    drop(sender);
    assert_eq!(decision.now(), Some(Err("user_inactive")), "in the same second");
}

#[test]
fn t22_a_clock_that_goes_back_while_a_body_comes_is_not_believed() {
    let issuer = TestIssuer::new();
    for (back, outcome) in [(5, Ok(())), (6, Err("clock_unreliable"))] {
        let (world, page) = (World::new(&issuer, patient), issuer.mint(|_| {}));
        let (mut decision, sender) = all_but_the_end(&world, post("/a", b"{\"a\":1}").sign(&page));
        world.clock.set(u64::from(NOW) - back);
        sender.send(b"1}").unwrap();
        drop(sender);
        assert_eq!(decision.now(), Some(outcome), "{back} s");
    }
}

#[test]
fn o02_copies_held_open_are_not_let_in_when_the_record_has_gone() {
    let issuer = TestIssuer::new();
    let (world, page) = (World::new(&issuer, patient), issuer.mint(|claims| claims["exp"] = (NOW + 400).into()));
    let original = post("/a", b"{\"a\":1}");
    assert_eq!(world.decide(original.sign(&page)), Ok(()));
    world.clock.pass(58 * SECOND);
    let mut copies: Vec<_> = (0..40).map(|_| all_but_the_end(&world, original.sign(&page))).collect();
    // The record lives for 66 s after `created`. Fresh tokens take its room and its key's number.
    for step in 0..40_u64 {
        world.clock.pass(SECOND);
        let now = u64::from(NOW) + 59 + step;
        for _ in 0..10 {
            let fresh = issuer.mint(|claims| {
                claims["iat"] = now.into();
                claims["exp"] = (now + 300).into();
            });
            let request = crate::actors::Draft { created: now, ..get("/b") }.sign(&fresh);
            assert_eq!(world.decide(request), Ok(()));
        }
        let (mut copy, sender) = copies.pop().unwrap();
        sender.send(b"1}").unwrap();
        drop(sender);
        let outcome = copy.now().unwrap();
        assert!(matches!(outcome, Err("replayed" | "clock_skew")), "{step} s: {outcome:?}");
    }
}

/// Acts of an attacker with a hand on the clock and on the network.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// The clock is set.
    Set(u64),
    /// Time passes.
    Pass(u64),
    /// Another copy of the request begins.
    Begin,
    /// The body of the oldest copy is complete.
    Finish,
    /// Another token's request is decided.
    Other,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let now = u64::from(NOW);
    let act = prop_oneof![
        2 => (now - 100..now + 200).prop_map(Act::Set),
        1 => prop_oneof![Just(0), Just(u64::from(u32::MAX)), Just(now + 3600), Just(now - 3600)].prop_map(Act::Set),
        4 => (0..70_u64).prop_map(Act::Pass),
        6 => Just(Act::Begin),
        6 => Just(Act::Finish),
        3 => Just(Act::Other),
    ];
    prop::collection::vec(act, 1..60)
}

fn other(issuer: &TestIssuer, now: u64) -> Request<Body> {
    let page: PageToken = issuer.mint(|claims| {
        claims["iat"] = now.into();
        claims["exp"] = (now + 300).into();
    });
    crate::actors::Draft { created: now, ..get("/b") }.sign(&page)
}

proptest! {
    #![proptest_config(Config { cases: 400, failure_persistence: None, ..Config::default() })]

    #[test]
    fn f12_o02_no_clock_makes_a_request_fresh_again(acts in acts()) {
        use bmap_verifier::Clock;
        let issuer = TestIssuer::new();
        let (world, page) = (World::new(&issuer, patient), issuer.mint(|claims| claims["exp"] = (NOW + 500).into()));
        let original = post("/a", b"{\"a\":1}");
        let (mut copies, mut let_in) = (std::collections::VecDeque::new(), 0);
        for act in acts {
            match act {
                Act::Set(seconds) => world.clock.set(seconds),
                Act::Pass(seconds) => world.clock.pass(Duration::from_secs(seconds)),
                Act::Begin => {
                    let (request, sender) = slowly(original.sign(&page));
                    let mut copy = world.begin(request);
                    if copy.now().is_none() {
                        copies.push_back((copy, sender));
                    }
                }
                Act::Finish => if let Some((mut copy, sender)) = copies.pop_front() {
                    sender.send(b"{\"a\":1}").unwrap();
                    drop(sender);
                    let outcome = copy.now().unwrap();
                    if outcome.is_ok() {
                        let_in += 1;
                        let age = world.clock.now().seconds() - i64::from(NOW);
                        prop_assert!((-5..=60).contains(&age), "let in at an age of {age} s");
                    }
                }
                Act::Other => drop(world.begin(other(&issuer, u64::try_from(world.clock.now().seconds()).unwrap())).now()),
            }
        }
        prop_assert!(let_in <= 1, "let in {let_in} times");
    }
}
