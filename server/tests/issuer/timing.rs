//! Unknown and known key ids cost the same, and so do unknown and known addresses (R31). Medians over interleaved rounds, so
//! that a busy machine hits both alike.

use crate::world::{World, source};
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::ApiKeyId;
use bmap_server::domain::account::email::EmailAddress;
use bmap_server::domain::account::password::PlainPassword;
use bmap_server::domain::authenticate::PresentedSecret;
use std::time::{Duration, Instant};

/// A busy machine may disturb a measurement; a difference that is there is there in each of them.
const MEASUREMENTS: usize = 12;

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn r31_an_unknown_key_id_costs_what_a_known_one_costs() {
    let world = World::start().await;
    let mut measured = Vec::new();
    for _ in 0..MEASUREMENTS {
        let [known, unknown] = medians(&world).await;
        println!("median: known {known:?}, unknown {unknown:?}");
        if known.max(unknown) * 100 <= known.min(unknown) * 105 {
            return;
        }
        measured.push((known, unknown));
    }
    panic!("never within 5 %: {measured:?}");
}

async fn medians(world: &World) -> [Duration; 2] {
    let host = world.host().await;
    let wrong = ApiSecret::from_bytes([9; 32]);
    let ids = [host.id.clone(), ApiKeyId::from_uuid([9; 16])];
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..2000 {
        let which = round % 2;
        let presented = PresentedSecret { id: Some(ids[which].clone()), secret: wrong.clone() };
        let began = now();
        let refused = world.issuer.caller_by_secret(&presented, &source()).await;
        times[which].push(began.elapsed());
        assert!(refused.is_err());
    }
    times.map(median)
}

#[tokio::test(flavor = "multi_thread")]
async fn r31_an_unknown_address_costs_what_a_known_one_costs() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    let mut measured = Vec::new();
    for _ in 0..MEASUREMENTS {
        let [known, unknown] = sign_in_medians(&world).await;
        println!("median: known {known:?}, unknown {unknown:?}");
        if known.max(unknown) * 100 <= known.min(unknown) * 105 {
            return;
        }
        measured.push((known, unknown));
    }
    panic!("never within 5 %: {measured:?}");
}

async fn sign_in_medians(world: &World) -> [Duration; 2] {
    let emails = ["ana@shop.example", "nobody@shop.example"].map(|text| EmailAddress::parse(text).unwrap());
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..60 {
        let which = round % 2;
        // Far enough on that no limit is met.
        world.clock.advance_seconds(60);
        let password = PlainPassword::presented("a wrong password".to_owned().into()).unwrap();
        let began = now();
        let refused = world.app.accounts.sign_in(&emails[which], password, &source()).await;
        times[which].push(began.elapsed());
        assert!(matches!(refused, Err(bmap_server::domain::refusal::Refusal::WrongPassword)));
    }
    times.map(median)
}

#[tokio::test(flavor = "multi_thread")]
async fn r31_asking_for_a_mail_costs_the_same_for_every_address() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    let mut measured = Vec::new();
    for _ in 0..MEASUREMENTS {
        let [known, unknown] = reset_medians(&world).await;
        println!("median: known {known:?}, unknown {unknown:?}");
        if known.max(unknown) * 100 <= known.min(unknown) * 105 {
            return;
        }
        measured.push((known, unknown));
    }
    panic!("never within 5 %: {measured:?}");
}

/// Of asking for a link, which hashes nothing that would hide a difference.
async fn reset_medians(world: &World) -> [Duration; 2] {
    let emails = ["ana@shop.example", "nobody@shop.example"].map(|text| EmailAddress::parse(text).unwrap());
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..100 {
        let which = round % 2;
        // Far enough on that no limit is met, and six in an hour neither.
        world.clock.advance_seconds(700);
        let began = now();
        let asked = world.app.accounts.ask_for_reset(&emails[which], &source()).await;
        times[which].push(began.elapsed());
        asked.unwrap();
    }
    times.map(median)
}
