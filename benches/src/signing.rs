//! Signing natively; in a browser it is measured by `browser/run.mjs`.

use crate::inputs::{NOW, World};
use crate::stats::{Row, table};
use bmap_protocol::keys::MacKey;
use bmap_protocol::sign::{Request, RequestKey, Stamp, authorization, sign};
use std::hint::black_box;

const OPERATIONS: usize = 200;

pub(crate) fn run(rounds: usize) {
    let world = World::new();
    let token = world.mint(0, NOW.into());
    let value = authorization(&token.text);
    let request = Request {
        method: "GET",
        authority: world.host,
        path: "/v1/search",
        query: Some("q=Sofia"),
        authorization: Some(&value),
        ..Request::default()
    };
    let stamp = Stamp { created: NOW.into(), nonce: [1; 16], key_id: &token.jti };
    let (prepared, plain) =
        (RequestKey::token(&token.key, &token.text).unwrap(), RequestKey::Hmac(MacKey::new(&token.key)));
    let base = world.request_in_order(&token, 1, NOW.into(), false).base;
    let mac = MacKey::new(&token.key);
    let (mut bare, mut once, mut each) = (
        Row::new("MAC of the whole base alone"),
        Row::new("sign a GET, token hashed once"),
        Row::new("sign a GET, token hashed each time"),
    );
    for _ in 0..rounds {
        let repeat = |work: &dyn Fn()| (0..OPERATIONS).for_each(|_| work());
        bare.time(OPERATIONS, || {
            repeat(&|| {
                black_box(mac.mac(black_box(&base)));
            })
        });
        once.time(OPERATIONS, || repeat(&|| drop(black_box(sign(black_box(&request), &stamp, &prepared)))));
        each.time(OPERATIONS, || repeat(&|| drop(black_box(sign(black_box(&request), &stamp, &plain)))));
    }
    table(&format!("Signing natively: {rounds} interleaved rounds of {OPERATIONS}"), &[&bare, &once, &each]);
    println!("  A request over a network takes milliseconds: signing is a thousandth of it.");
}
