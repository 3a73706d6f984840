//! Limits on requests, and whom they are counted to.

use crate::actors::{Host, exchange};
use crate::http_client::{Answer, Call};
use crate::person::{PASSWORD, Pair, login, me, refresh, register};
use crate::rows::sealed_rows::edit;
use crate::world::{PAGE, World};
use base64ct::{Base64, Encoding};
use bmap_issuer::account::service::LinkDelivery;
use bmap_issuer::request_limits::RequestRates;
use bmap_model::clock::WallClock;
use bmap_model::ticket::MAX_LIVE_TICKETS;
use bmap_protocol::api_key::ApiSecret;
use bmap_server::http::app::App;
use std::net::SocketAddr;
use std::sync::Arc;

/// Another server for the same world, with these limits, which believes its peer about addresses.
async fn limited(world: &World, address: u32, key: u32, user: u32) -> SocketAddr {
    let app = App::new(Arc::clone(&world.issuer), vec!["127.0.0.1/32".parse().unwrap()]).unwrap();
    let app = app.with_links(LinkDelivery::Log).with_rates(RequestRates { address, key, user });
    world.serve(&app).await
}

fn from(call: Call, address: &str) -> Call {
    call.header("x-forwarded-for", address)
}

#[track_caller]
fn assert_left(answer: &Answer, name: &str, quota: u32, left: u32, seconds: u32) {
    assert_eq!(answer.header("ratelimit-policy"), Some(format!("\"{name}\";q={quota};w=60").as_str()));
    assert_eq!(answer.header("ratelimit"), Some(format!("\"{name}\";r={left};t={seconds}").as_str()));
}

#[track_caller]
fn assert_limited(answer: &Answer, name: &str, quota: u32, seconds: u32) {
    answer.assert_refused("rate_limited");
    assert_eq!(answer.header("retry-after"), Some(seconds.to_string().as_str()));
    assert_eq!(answer.json()["retryable"], true);
    assert_left(answer, name, quota, 0, seconds);
}

#[tokio::test]
async fn r32_a_key_has_one_counter_whichever_way_and_wherever_it_is_used() {
    let world = World::start().await;
    let (host, other) = (world.host().await, world.host().await);
    let to = limited(&world, 1, 4, 0).await;
    let pair = format!("{}:{}", host.id, *host.secret.reveal());
    let encoded = |text: &str| Base64::encode_string(text.as_bytes());
    let ways = [
        host.direct_call().header("authorization", &host.basic()),
        host.direct_call().header("authorization", &format!("ApiKey {}", encoded(&pair))),
        host.direct_call()
            .header("x-api-key", &encoded(host.id.as_str()))
            .header("x-api-secret", &encoded(&host.secret.reveal())),
        host.ticket_call().header("authorization", &host.basic()),
    ];
    for (number, way) in (0..).zip(ways) {
        let answer = from(way, &format!("203.0.113.{number}")).send(to).await;
        answer.granted();
        assert_left(&answer, "key", 4, 3 - number, 15 * (number + 1));
    }
    let again = || host.direct_call().header("authorization", &host.basic());
    assert_limited(&from(again(), "203.0.113.9").send(to).await, "key", 4, 15);
    // Another key, from the very same address, is another matter.
    let neighbour = other.direct_call().header("authorization", &other.basic());
    from(neighbour, "203.0.113.9").send(to).await.granted();
    world.clock.advance_seconds(15);
    from(again(), "203.0.113.9").send(to).await.granted();
}

#[tokio::test]
async fn r32_a_user_has_one_counter_in_all_their_sessions() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let ben = world.person("ben@shop.example").await.sign_in().await;
    let (here, there) = (ana.sign_in().await, ana.sign_in().await);
    let to = limited(&world, 1, 0, 3).await;
    let answer = me(&here.access).send(to).await;
    assert_left(&answer, "user", 3, 2, 20);
    me(&there.access).send(to).await.granted();
    // Going on is counted too, before the token is used up: a client that is refused comes again with it.
    refresh(&there.refresh).send(to).await.granted();
    assert_limited(&me(&here.access).send(to).await, "user", 3, 20);
    assert_limited(&refresh(&here.refresh).send(to).await, "user", 3, 20);
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*here.refresh)];
    assert_limited(&Call::form("/oauth/token", &form).send(to).await, "user", 3, 20);
    me(&ben.access).send(to).await.granted();
    world.clock.advance_seconds(20);
    Pair::of(&refresh(&here.refresh).send(to).await);
}

#[tokio::test]
async fn r32_an_address_answers_for_what_nobody_else_does_and_a_network_of_64_bits_is_one() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.person("ana@shop.example").await.sign_in().await;
    let to = limited(&world, 3, 0, 0).await;
    let noise = [
        login("unknown@shop.example", "wrong"),
        refresh("bmr_x"),
        exchange("bmt_x").without("origin").header("origin", PAGE),
    ];
    for (number, call) in (0..).zip(noise) {
        let answer = from(call, &format!("2001:db8:1:2:{number:x}::1")).send(to).await;
        assert_left(&answer, "address", 3, 2 - number, 20 * (number + 1));
    }
    for call in [login("ana@shop.example", PASSWORD), register("new@shop.example", PASSWORD), refresh("bmr_y")] {
        assert_limited(&from(call, "2001:db8:1:2:ffff::1").send(to).await, "address", 3, 20);
    }
    // A header that claims to be a credential is no way around it, where none is asked for.
    let dressed = refresh("bmr_y").header("authorization", "Bearer x");
    assert_limited(&from(dressed, "2001:db8:1:2::1").send(to).await, "address", 3, 20);
    // A credential, good or bad, that was not here before is not looked at.
    let good = || host.direct_call().header("authorization", &host.basic());
    assert_limited(&from(good(), "2001:db8:1:2::7").send(to).await, "address", 3, 20);
    let wrong = format!("{}:{}", host.id, *ApiSecret::from_bytes([9; 32]).reveal());
    let bad = format!("Basic {}", Base64::encode_string(wrong.as_bytes()));
    let bad = host.direct_call().header("authorization", &bad);
    assert_limited(&from(bad.clone(), "2001:db8:1:2::7").send(to).await, "address", 3, 20);
    // In time there is one for a good one, which costs nothing.
    world.clock.advance_seconds(20);
    for _ in 0..3 {
        from(good(), "2001:db8:1:2::7").send(to).await.granted();
        from(me(&ana.access), "2001:db8:1:2::7").send(to).await.granted();
    }
    assert_left(&from(bad.clone(), "2001:db8:1:2::7").send(to).await, "address", 3, 0, 60);
    // The next network has its own.
    let elsewhere = from(bad, "2001:db8:1:3::7").send(to).await;
    elsewhere.assert_refused("invalid_credentials");
    assert_left(&elsewhere, "address", 3, 2, 20);
}

#[tokio::test]
async fn a_page_with_a_good_ticket_costs_its_visitors_address_nothing() {
    let world = World::start().await;
    let host = world.host().await;
    let to = limited(&world, 1, 0, 0).await;
    for _ in 0..5 {
        let call = exchange(&host.ticket().await);
        let answer = from(call, "203.0.113.9").send(to).await;
        answer.granted();
        assert_eq!(answer.header("ratelimit"), None, "the key paid for it with the ticket");
    }
    from(exchange("bmt_x"), "203.0.113.9").send(to).await.assert_refused("invalid_grant");
    let limited = from(exchange("bmt_x"), "203.0.113.9").send(to).await;
    assert_limited(&limited, "address", 1, 60);
    assert_eq!(limited.header("access-control-allow-origin"), Some(PAGE), "the page may read when to come back");
}

#[tokio::test]
async fn r32_a_page_that_nobody_registered_is_counted_to_its_address() {
    let world = World::start().await;
    let host = world.host().await;
    let to = limited(&world, 2, 0, 0).await;
    let elsewhere =
        || from(exchange("bmt_x").without("origin").header("origin", "https://evil.example"), "203.0.113.9");
    for left in [1, 0] {
        let answer = elsewhere().send(to).await;
        answer.assert_refused("origin_denied");
        assert_left(&answer, "address", 2, left, 30 * (2 - left));
    }
    assert_limited(&elsewhere().send(to).await, "address", 2, 30);
    // A registered page's good ticket is not refused for it.
    from(exchange(&host.ticket().await), "203.0.113.9").send(to).await;
}

#[tokio::test]
async fn o12_what_is_open_counts_to_its_address_and_no_limit_is_none() {
    let world = World::start().await;
    let host = world.host().await;
    let to = limited(&world, 4, 0, 0).await;
    let preflight =
        Call::new("OPTIONS", "/oauth/token").header("origin", PAGE).header("access-control-request-method", "POST");
    let open = [
        (Call::new("GET", "/.well-known/jwks.json"), 200),
        (Call::new("HEAD", "/.well-known/oauth-authorization-server"), 200),
        (preflight.clone(), 204),
        (Call::new("GET", "/nowhere"), 404),
    ];
    for (call, status) in &open {
        let answer = from(call.clone(), "203.0.113.9").send(to).await;
        assert_eq!((answer.status, answer.header("ratelimit-policy")), (*status, None), "{call:?}");
    }
    for (call, _) in open.iter().filter(|(call, _)| call.method != "HEAD") {
        assert_limited(&from(call.clone(), "203.0.113.9").send(to).await, "address", 4, 15);
    }
    // What a supervisor asks is answered, and counted too.
    for path in ["/livez", "/readyz", "/healthz"] {
        assert_eq!(from(Call::new("GET", path), "203.0.113.9").send(to).await.status, 200);
    }
    for _ in 0..4 {
        assert_eq!(from(Call::new("GET", "/livez"), "203.0.113.10").send(to).await.status, 200);
    }
    assert_limited(&from(preflight.clone(), "203.0.113.10").send(to).await, "address", 4, 15);
    // No limit is none.
    for _ in 0..5 {
        let unlimited = host.direct_call().header("authorization", &host.basic()).send(to).await;
        assert_eq!((unlimited.status, unlimited.header("ratelimit-policy")), (200, None));
    }
    // A page can read that it has to wait, once it is known to be one.
    let waits = exchange("bmt_x");
    assert_eq!(from(waits.clone(), "203.0.113.10").send(to).await.header("access-control-allow-origin"), Some(PAGE));
    let elsewhere = waits.without("origin").header("origin", "https://evil.example");
    let answer = from(elsewhere, "203.0.113.10").send(to).await;
    assert_limited(&answer, "address", 4, 15);
    assert_eq!((answer.header("access-control-allow-origin"), answer.header("vary")), (None, Some("Origin")));
}

/// Uses up the budget of an address with bad credentials.
async fn flood(host: &Host<'_>, to: SocketAddr, address: &str, budget: u32) {
    for number in 0..budget {
        let wrong = format!("{}:{}", host.id, *ApiSecret::from_bytes([9; 32]).reveal());
        let bad = format!("Basic {}", Base64::encode_string(wrong.as_bytes()));
        let answer = from(host.direct_call().header("authorization", &bad), address).send(to).await;
        answer.assert_refused("invalid_credentials");
        assert_left(&answer, "address", budget, budget - number - 1, 60 / budget * (number + 1));
    }
}

#[tokio::test]
async fn o12_a_flood_of_one_address_is_refused_before_anything_is_looked_up() {
    let world = World::start().await;
    let host = world.host().await;
    let to = limited(&world, 3, 0, 0).await;
    flood(&host, to, "203.0.113.9", 3).await;
    // Whatever would be looked up is out of reach now.
    world.database.run("ALTER TABLE api_keys RENAME TO gone").await;
    world.database.run("ALTER TABLE api_key_origins RENAME TO gone_too").await;
    let calls = [
        host.direct_call().header("authorization", &host.basic()),
        host.signed(host.ticket_call()),
        exchange("bmt_x"),
        Call::new("OPTIONS", "/oauth/token").header("origin", PAGE).header("access-control-request-method", "POST"),
    ];
    for call in calls {
        assert_limited(&from(call.clone(), "203.0.113.9").send(to).await, "address", 3, 20);
        from(call, "203.0.113.10").send(to).await.assert_refused("issuer_unavailable");
    }
}

#[tokio::test]
async fn o12_who_was_there_before_a_flood_goes_on() {
    let world = World::start().await;
    let (host, other) = (world.host().await, world.host().await);
    let ana = world.person("ana@shop.example").await.sign_in().await;
    let to = limited(&world, 2, 0, 0).await;
    let to_issuer = |call: Call| from(call, "203.0.113.9").header("host", &world.address.to_string());
    let token = host.page_token().await;
    let good = || {
        [
            host.direct_call().header("authorization", &host.basic()),
            host.signed(host.direct_call()),
            token.renewal(),
            me(&ana.access),
        ]
    };
    for call in good() {
        to_issuer(call).send(to).await.granted();
    }
    flood(&other, to, "203.0.113.9", 2).await;
    for call in good().into_iter().chain(good()) {
        to_issuer(call).send(to).await.granted();
    }
    // Not from elsewhere, and not another caller.
    flood(&other, to, "203.0.113.10", 2).await;
    let elsewhere = host.direct_call().header("authorization", &host.basic());
    assert_limited(&from(elsewhere, "203.0.113.10").send(to).await, "address", 2, 30);
    let not_before = other.direct_call().header("authorization", &other.basic());
    assert_limited(&to_issuer(not_before).send(to).await, "address", 2, 30);
    // A signature that names a key which held, and does not hold itself, is looked at once.
    let forged = |call: Call| {
        to_issuer(call.without("signature").header("signature", "bmap=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"))
    };
    assert_limited(&forged(host.signed(host.direct_call())).send(to).await, "address", 2, 30);
    assert_limited(&to_issuer(host.signed(host.direct_call())).send(to).await, "address", 2, 30);
    // The secret of that key is another thing to show.
    to_issuer(host.direct_call().header("authorization", &host.basic())).send(to).await.granted();
    // After ten minutes there is a budget again, and nothing that held is remembered.
    world.clock.advance_seconds(601);
    flood(&other, to, "203.0.113.9", 2).await;
    let late = host.direct_call().header("authorization", &host.basic());
    assert_limited(&to_issuer(late).send(to).await, "address", 2, 30);
}

#[tokio::test]
async fn a_key_has_a_bounded_number_of_tickets_that_nobody_used() {
    let world = World::start().await;
    let (host, other) = (world.host().await, world.host().await);
    let fill = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
         INSERT INTO tickets (hash, tool, origin, scope, key_id, user_id, expires_at) \
         SELECT 'hash ' || i, 'places', '{PAGE}', '', '{}', '{}', {} FROM n",
        MAX_LIVE_TICKETS - 1,
        host.id,
        host.user,
        world.clock.now().plus_seconds(120).0,
    );
    edit(&world, &fill).await;
    let ticket = host.ticket().await;
    let refused = host.send(host.ticket_call()).await;
    refused.assert_refused("rate_limited");
    assert_eq!(refused.header("retry-after"), Some("10"));
    other.ticket().await;
    exchange(&ticket).send(world.address).await.granted();
    host.ticket().await;
    world.clock.advance_seconds(120);
    host.ticket().await;
}
