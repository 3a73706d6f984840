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

const OPERATIONS: usize = 100;

pub(crate) fn run(rounds: usize) {
    for body in [true, false] {
        compare(rounds, body);
    }
    allocations();
}

fn decide(verifier: &Verifier, request: &Signed) -> bool {
    let body = Full::new(Bytes::from_static(request.body));
    let decision = pin!(verifier.verify(&request.head, body, None, UnixTime::from_seconds(NOW)));
    match decision.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => black_box(outcome).is_ok(),
        Poll::Pending => false,
    }
}

fn compare(rounds: usize, body: bool) {
    let world = World::new();
    let (verifier, mut floor) = (world.verifier(0), Floor::new());
    let token = world.mint(0, NOW.into());
    let today = Today::new(&world, &token);
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    let mut rows = [
        Row::new("floor: only the unavoidable"),
        Row::new("verify, token known"),
        Row::new("verify, token known, profile's order"),
        Row::new("verify, token new"),
        Row::new("verify, no valid MAC, token known"),
        Row::new("verify, no valid MAC, token unknown"),
        Row::new("httpsig-hyper + jsonwebtoken HS256"),
        Row::new("httpsig-hyper + jsonwebtoken EdDSA"),
    ];
    assert!(decide(&verifier, &world.request(&token, next(), NOW.into(), body)));
    for round in 0..rounds {
        let mut signed = |token: &Token| world.request(token, next(), NOW.into(), body);
        let known: Vec<Signed> = (0..OPERATIONS).map(|_| signed(&token)).collect();
        let floors: Vec<Signed> = (0..OPERATIONS).map(|_| signed(&token)).collect();
        let tokens: Vec<Token> =
            (0..OPERATIONS as u64).map(|i| world.mint((round as u64 + 1) << 20 | i, NOW.into())).collect();
        let new: Vec<Signed> = tokens.iter().map(&mut signed).collect();
        let mut spoil = |token: &Token| {
            let mut request = signed(token);
            let mac = "bmap=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
            request.head.headers.insert("signature", HeaderValue::from_static(mac));
            request
        };
        let garbage: Vec<Signed> = (0..OPERATIONS).map(|_| spoil(&token)).collect();
        let unknown = world.mint((round as u64 + 1) << 20 | 0xf_ffff, NOW.into());
        let garbage_unknown: Vec<Signed> = (0..OPERATIONS).map(|_| spoil(&unknown)).collect();
        let ordered: Vec<Signed> = (0..OPERATIONS as u64)
            .map(|i| world.request_in_order(&token, (round as u64 + 1) << 32 | i, NOW.into(), body))
            .collect();
        let others: Vec<_> = known.iter().map(|request| today.prepare(request)).collect();
        let others_eddsa: Vec<_> = known.iter().map(|request| today.prepare(request)).collect();

        let [floor_row, known_row, order_row, new_row, garbage_row, unknown_row, hs256_row, eddsa_row] = &mut rows;
        let id = [7; 16];
        floor.forget();
        floor_row
            .time(OPERATIONS, || assert!(floors.iter().all(|request| floor.verify(&world, &token.text, id, request))));
        known_row.time(OPERATIONS, || assert!(known.iter().all(|request| decide(&verifier, request))));
        order_row.time(OPERATIONS, || assert!(ordered.iter().all(|request| decide(&verifier, request))));
        new_row.time(OPERATIONS, || assert!(new.iter().all(|request| decide(&verifier, request))));
        garbage_row.time(OPERATIONS, || assert!(garbage.iter().all(|request| !decide(&verifier, request))));
        unknown_row.time(OPERATIONS, || assert!(garbage_unknown.iter().all(|request| !decide(&verifier, request))));
        hs256_row.time(OPERATIONS, || assert!(others.into_iter().all(|request| today.verify(request, false))));
        eddsa_row.time(OPERATIONS, || assert!(others_eddsa.into_iter().all(|request| today.verify(request, true))));
    }
    let what = if body { "POST with a JSON body of 97 bytes" } else { "GET" };
    let rows = &rows;
    table(
        &format!("One decision, {what}: {rounds} interleaved rounds of {OPERATIONS}"),
        &rows.iter().collect::<Vec<_>>(),
    );
    let [floor, known, _, _, garbage, unknown, hs256, _] = rows;
    goal("token known / floor", known.median() / floor.median(), 1.3, true);
    goal("crates of today / token known", hs256.median() / known.median(), 5.0, false);
    goal("garbage / valid, token known", garbage.median() / known.median(), 1.0, true);
    goal("garbage with an unknown token / valid", unknown.median() / known.median(), 1.0, true);
}

/// Heap allocations on the accept path.
fn allocations() {
    let world = World::new();
    let (verifier, token) = (world.verifier(0), world.mint(0, NOW.into()));
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
    for _ in 0..3000 {
        let verifier = world.verifier(0);
        assert!(decide(&verifier, &requests[0]));
        for _ in 0..10 {
            for request in &requests[1..] {
                black_box(decide(&verifier, request));
            }
        }
    }
}
