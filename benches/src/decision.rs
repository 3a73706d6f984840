//! One decision: with the token known, with the token new, without a valid MAC; beside the floor and the crates of today.

use crate::floor::Floor;
use crate::inputs::{NOW, Signed, Token, World};
use crate::stats::{Row, goal, table};
use crate::today::Today;
use bmap_verifier::{UnixTime, Verifier};
use bytes::Bytes;
use http::HeaderValue;
use http_body_util::Full;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

const OPERATIONS: usize = 50;

pub(crate) fn run(rounds: usize) {
    for body in [true, false] {
        compare(rounds, body);
    }
    allocations();
}

fn decide(verifier: &Verifier, request: &Signed) -> bool {
    let body = Full::new(Bytes::from_static(request.body));
    let clock = || UnixTime::from_seconds(NOW);
    let decision = pin!(verifier.verify(&request.head, body, None, &clock));
    match decision.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => black_box(outcome).is_ok(),
        Poll::Pending => false,
    }
}

fn compare(rounds: usize, body: bool) {
    let world = World::new();
    let token = world.mint(0, NOW.into());
    let (verifier, mut floor) = (world.verifier(0, NOW), Floor::new(&token));
    let today = Today::new(&world, &token);
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    let mut rows = [
        Row::new("floor: only the unavoidable, token known"),
        Row::new("floor, token new"),
        Row::new("verify, token known"),
        Row::new("verify, token known, profile's order"),
        Row::new("verify, token new"),
        Row::new("verify, no valid MAC, token known"),
        Row::new("verify, no valid MAC, token unknown"),
        Row::new("httpsig-hyper + jsonwebtoken HS256"),
        Row::new("httpsig-hyper + jsonwebtoken EdDSA"),
    ];
    assert!(decide(&verifier, &world.request(&token, next(), NOW.into(), body)));
    for round in 0..rounds as u64 {
        // Each set is made right before it is timed: a request that was just received is in the cache.
        let mut signed = |token: &Token| world.request(token, next(), NOW.into(), body);
        let spoiled = |mut request: Signed| {
            let mac = "bmap=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
            request.head.headers.insert("signature", HeaderValue::from_static(mac));
            request
        };
        let block = (round + 1) << 20;
        let many = || 0..OPERATIONS as u64;
        let [floor_row, new_floor_row, known_row, order_row, new_row, garbage_row, unknown_row, hs256_row, eddsa_row] =
            &mut rows;

        let set: Vec<Signed> = many().map(|_| signed(&token)).collect();
        floor_row.time(OPERATIONS, || assert!(set.iter().all(|request| floor.verify_known([7; 16], request))));

        let set: Vec<Signed> = many().map(|_| signed(&token)).collect();
        new_floor_row.time(OPERATIONS, || {
            assert!(set.iter().all(|request| floor.verify_new(&world, &token.text, [7; 16], request)))
        });

        let set: Vec<Signed> = many().map(|_| signed(&token)).collect();
        known_row.time(OPERATIONS, || assert!(set.iter().all(|request| decide(&verifier, request))));

        let in_order = |i| world.request_in_order(&token, (round + 1) << 32 | i, NOW.into(), body);
        let set: Vec<Signed> = many().map(in_order).collect();
        order_row.time(OPERATIONS, || assert!(set.iter().all(|request| decide(&verifier, request))));

        let set: Vec<Signed> = many().map(|i| signed(&world.mint(block | i, NOW.into()))).collect();
        new_row.time(OPERATIONS, || assert!(set.iter().all(|request| decide(&verifier, request))));

        let set: Vec<Signed> = many().map(|_| spoiled(signed(&token))).collect();
        garbage_row.time(OPERATIONS, || assert!(!set.iter().any(|request| decide(&verifier, request))));

        let unknown = world.mint(block | 0xf_ffff, NOW.into());
        let set: Vec<Signed> = many().map(|_| spoiled(signed(&unknown))).collect();
        unknown_row.time(OPERATIONS, || assert!(!set.iter().any(|request| decide(&verifier, request))));

        let set: Vec<_> = many().map(|_| today.prepare(&signed(&token))).collect();
        hs256_row.time(OPERATIONS, || assert!(set.into_iter().all(|request| today.verify(request, false))));

        let set: Vec<_> = many().map(|_| today.prepare(&signed(&token))).collect();
        eddsa_row.time(OPERATIONS, || assert!(set.into_iter().all(|request| today.verify(request, true))));
    }
    let what = if body { "POST with a JSON body of 97 bytes" } else { "GET" };
    let rows = &rows;
    table(
        &format!("One decision, {what}: {rounds} interleaved rounds of {OPERATIONS}"),
        &rows.iter().collect::<Vec<_>>(),
    );
    let [floor, _, known, _, new, garbage, unknown, hs256, _] = rows;
    goal("token known / floor", known.median() / floor.median(), 1.4, true);
    goal("crates of today / token known", hs256.median() / known.median(), 5.0, false);
    goal("garbage / valid, token known", garbage.median() / known.median(), 1.0, true);
    goal("garbage / valid, token new", unknown.median() / new.median(), 1.0, true);
}

/// Heap allocations on the accept path.
fn allocations() {
    let world = World::new();
    let (verifier, token) = (world.verifier(0, NOW), world.mint(0, NOW.into()));
    println!("\nHeap allocations of one accepted decision, token known");
    for body in [false, true] {
        let requests: Vec<Signed> =
            (0..1001).map(|i| world.request(&token, i + u64::from(body) * 10_000, NOW.into(), body)).collect();
        assert!(decide(&verifier, &requests[0]));
        let counted = allocation_counter::measure(|| {
            assert!(requests[1..].iter().all(|request| decide(&verifier, request)));
        });
        goal(if body { "POST" } else { "GET" }, counted.count_total as f64 / 1000.0, 0.0, true);
    }
}

/// Only accepted decisions with a known token, for a profiler.
pub(crate) fn profile() {
    let world = World::new();
    let token = world.mint(0, NOW.into());
    let requests: Vec<Signed> = (0..100).map(|i| world.request(&token, i, NOW.into(), false)).collect();
    let verifier = world.verifier(0, NOW);
    for _ in 0..50_000 {
        for request in &requests {
            black_box(decide(&verifier, request));
        }
    }
}
