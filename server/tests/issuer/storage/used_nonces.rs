//! Each signed request once, at all issuers of one database (profile §5, step 11).

use crate::actors::{Host, exchange};
use crate::database::is_postgres;
use crate::http_client::{Answer, Call};
use crate::world::World;
use bmap_issuer::issuer::{Issuer, Lives};
use bmap_model::clock::{MachineClock, ManualClock, WallClock};
use bmap_model::rng::SystemRandom;
use bmap_protocol::keys::RootSecret;
use bmap_protocol::refusal::Refusal;
use bmap_protocol::seal::SigningKind;
use bmap_server::http::app::App;
use bmap_store::Database;
use bmap_store::schema::Pending;
use futures_util::future::join_all;
use serde_json::json;
use sqlx::{AnyConnection, Connection, Row};
use std::net::SocketAddr;
use std::sync::Arc;

const FORGOTTEN: &str = "nonces_forgotten_until";

/// Another process' issuer on the world's database, with connections and a clock of its own.
async fn another(world: &World, clock: Arc<ManualClock>) -> SocketAddr {
    let store = Database::open(&world.database.address(), Pending::Refuse).await.unwrap();
    let epoch = RootSecret::from_bytes([7; 32]).epoch(1);
    let issuer = Issuer::open(world.issuer.url.clone(), store, epoch, clock, Arc::new(SystemRandom), Lives::default());
    let app = App::new(Arc::new(issuer.await.unwrap()), Vec::new()).unwrap();
    world.serve(&app).await
}

/// The call as one that came to the issuer's own URL, wherever it is sent.
fn to_the_issuer(world: &World, call: Call) -> Call {
    call.header("host", &world.address.to_string())
}

/// Signed calls of every kind that the issuer takes.
async fn signed_calls(world: &World, host: &Host<'_>) -> Vec<Call> {
    let token = host.page_token().await;
    let calls = [host.signed(host.direct_call()), host.signed(host.ticket_call()), token.renewal()];
    calls.map(|call| to_the_issuer(world, call)).to_vec()
}

#[track_caller]
fn assert_one(answers: &[Answer]) {
    let granted = answers.iter().filter(|answer| answer.status < 300).count();
    assert_eq!(granted, 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    answers.iter().filter(|answer| answer.status >= 300).for_each(|answer| answer.assert_refused("replayed"));
}

async fn rows(world: &World) -> i64 {
    let mut connection = AnyConnection::connect(&world.database.url()).await.unwrap();
    let rows = sqlx::query("SELECT COUNT(*) FROM used_nonces").fetch_one(&mut connection).await.unwrap().get(0);
    connection.close().await.unwrap();
    rows
}

#[tokio::test]
async fn o04_two_issuers_of_one_database_accept_a_signed_request_once_in_turn() {
    let world = World::start().await;
    for signing in [SigningKind::HmacSha256, SigningKind::Ed25519] {
        let host = world.host_with(signing, World::scope()).await;
        let other = another(&world, world.clock.clone()).await;
        for call in signed_calls(&world, &host).await {
            assert!(call.send(world.address).await.status < 300);
            call.send(other).await.assert_refused("replayed");
            call.send(world.address).await.assert_refused("replayed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn o04_two_issuers_of_one_database_accept_a_signed_request_once_at_once() {
    let world = World::start().await;
    let host = world.host().await;
    let other = another(&world, world.clock.clone()).await;
    for _ in 0..5 {
        for call in signed_calls(&world, &host).await {
            let copies = (0..24).map(|number| call.send(if number % 2 == 0 { world.address } else { other }));
            assert_one(&join_all(copies).await);
        }
    }
}

#[tokio::test]
async fn o04_a_request_that_is_refused_after_its_nonce_was_recorded_has_used_it() {
    let world = World::start().await;
    let host = world.host().await;
    let other = another(&world, world.clock.clone()).await;
    let unknown = Call::json("/tickets", &json!({ "tool": "unknown", "origin": crate::world::PAGE }));
    let malformed = Call::json("/tickets", &json!({ "tool": 1 }));
    let denied = Call::form("/oauth/token", &[("grant_type", "client_credentials"), ("audience", "unknown")]);
    for (call, code) in [(unknown, "tool_denied"), (malformed, "malformed_request"), (denied, "tool_denied")] {
        let call = to_the_issuer(&world, host.signed(call));
        call.send(world.address).await.assert_refused(code);
        call.send(other).await.assert_refused("replayed");
    }
    // One that is refused before has not.
    let call = host.signed(host.direct_call());
    let tampered = Call { body: b"grant_type=client_credentials&audience=postcards".to_vec(), ..call.clone() };
    tampered.send(world.address).await.assert_refused("digest_mismatch");
    call.send(world.address).await.granted();
}

#[tokio::test]
async fn o03_a_request_ahead_of_its_time_is_replayed_after_a_restart() {
    let world = World::start().await;
    let host = world.host().await;
    let clock = Arc::new(ManualClock::at(world.clock.now()));
    for ahead in [3, 2] {
        world.clock.advance_seconds(ahead);
        let call = to_the_issuer(&world, host.signed(host.direct_call()));
        let before = another(&world, clock.clone()).await;
        call.send(before).await.granted();
        let after = another(&world, clock.clone()).await;
        call.send(after).await.assert_refused("replayed");
    }
}

#[tokio::test]
async fn o04_the_databases_clock_decides_and_not_a_slow_ones() {
    let world = World::start().await;
    let host = world.host().await;
    world.clock.advance_seconds(-70);
    let call = host.signed(host.direct_call());
    call.send(world.address).await.assert_refused("clock_unreliable");
    assert_eq!(rows(&world).await, 0, "it is refused and not inserted");
    world.clock.advance_seconds(70);
    host.signed(host.direct_call()).send(world.address).await.granted();
    assert_eq!(rows(&world).await, 1);
}

#[tokio::test]
async fn o04_a_table_that_is_out_of_reach_lets_nothing_in() {
    let world = World::start().await;
    let host = world.host().await;
    let call = host.signed(host.direct_call());
    world.database.run("ALTER TABLE used_nonces RENAME TO gone").await;
    call.send(world.address).await.assert_refused("replay_store_unavailable");
    // Nothing is signed here, so nothing is recorded.
    exchange(&host.ticket().await).send(world.address).await.granted();
    world.database.run("ALTER TABLE gone RENAME TO used_nonces").await;
    call.send(world.address).await.granted();
}

#[tokio::test]
async fn o04_the_clean_up_deletes_what_has_ended_and_a_clock_that_goes_back_lets_none_of_it_in() {
    let world = World::start().await;
    let store = &world.issuer.store;
    let now = MachineClock.now().seconds();
    let uses = async |nonce: u8, until: i64| store.use_nonce([1; 16], [nonce; 16], until).await;
    let ended = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5002) \
                 INSERT INTO used_nonces (id, until) SELECT 'ended ' || i,";
    world.database.edit(&format!("{ended} {} - i % 7 FROM n", now - 100)).await;
    // Over, but not for long: a statement of an issuer may be under way.
    world.database.edit(&format!("INSERT INTO used_nonces (id, until) VALUES ('just', {})", now - 30)).await;
    uses(1, now + 60).await.unwrap();
    assert_eq!(store.delete_ended_nonces().await.unwrap(), 5002);
    assert_eq!(rows(&world).await, 2);
    assert_eq!(store.setting(FORGOTTEN).await.unwrap().unwrap(), (now - 100).to_string());
    assert_eq!(uses(1, now + 60).await, Err(Refusal::Replayed));
    // As if the clock had shown 40 s more at the clean-up, and went back since.
    store.set_setting(FORGOTTEN, &(now + 40).to_string()).await.unwrap();
    let refused = uses(2, now + 40).await;
    assert_eq!(refused, Err(Refusal::BeforeStart { created: now + 40, forgot_until: now + 40 }));
    assert_eq!(refused.unwrap_err().retry_after(), Some(1));
    uses(2, now + 41).await.unwrap();
    // It never goes down.
    world.database.edit(&format!("INSERT INTO used_nonces (id, until) VALUES ('late', {})", now - 90)).await;
    assert_eq!(store.delete_ended_nonces().await.unwrap(), 1);
    assert_eq!(store.setting(FORGOTTEN).await.unwrap().unwrap(), (now + 40).to_string());
}

#[tokio::test]
async fn f06_after_a_takeover_what_was_signed_before_it_is_refused() {
    let world = World::start().await;
    let host = world.host().await;
    if !is_postgres() {
        return;
    }
    // The server that answers is another than the one that was noted: what it has forgotten is not known.
    world.database.edit("UPDATE settings SET value = '1/00000001' WHERE name = 'nonces_server'").await;
    let other = another(&world, world.clock.clone()).await;
    let call = to_the_issuer(&world, host.signed(host.direct_call()));
    for issuer in [other, world.address] {
        let answer = call.send(issuer).await;
        answer.assert_refused("replay_store_unavailable");
        let wait: i64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=7).contains(&wait), "{wait}");
    }
    world.clock.advance_seconds(8);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let call = to_the_issuer(&world, host.signed(host.direct_call()));
    call.send(other).await.granted();
    call.send(world.address).await.assert_refused("replayed");
    // Those that follow find nothing new.
    let third = another(&world, world.clock.clone()).await;
    to_the_issuer(&world, host.signed(host.direct_call())).send(third).await.granted();
}

#[tokio::test(flavor = "multi_thread")]
async fn o04_a_group_records_each_of_its_nonces_once() {
    let world = World::start().await;
    let store = &world.issuer.store;
    let until = MachineClock.now().seconds() + 60;
    // More than a statement holds; each nonce three times, once with another time.
    let records = (0..600_u16).map(|number| {
        let [high, low] = (number / 3).to_be_bytes();
        let nonce = [high, low, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7];
        store.use_nonce([2; 16], nonce, until + i64::from(number % 3 / 2))
    });
    let answers = join_all(records).await;
    for same in answers.chunks(3) {
        assert_eq!(same.iter().filter(|answer| answer.is_ok()).count(), 1, "{same:?}");
        assert_eq!(same.iter().filter(|answer| **answer == Err(Refusal::Replayed)).count(), 2, "{same:?}");
    }
    // The same nonce of another key is another.
    store.use_nonce([3; 16], [0; 16], until).await.unwrap();
}
