//! Unknown and known key ids cost the same, and so do unknown and known addresses (R31). Medians over interleaved rounds, so
//! that a busy machine hits both alike.

use crate::actors::Host;
use crate::world::{PAGE, TOOL, World, source, stored};
use bmap_issuer::account::service::SignedIn;
use bmap_issuer::authenticate::PresentedSecret;
use bmap_issuer::error::IssuerError;
use bmap_issuer::grant_for_user::UserGrant;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::password::PlainPassword;
use bmap_model::api_key::KeyScope;
use bmap_model::audit::Action;
use bmap_model::clock::WallClock;
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::origin::Origin;
use bmap_protocol::refusal::Refusal;
use bmap_protocol::seal::SigningKind;
use bytes::Bytes;
use http::request::Parts;
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
    let world = World::with_slow_passwords(Vec::new()).await;
    alike(async || medians(&world).await).await;
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
async fn r31_an_unknown_client_id_costs_what_that_of_another_page_costs() {
    let world = World::with_slow_passwords(Vec::new()).await;
    let other = KeyScope { origins: vec![stored("https://other.example")], ..World::scope() };
    let host = world.host_with(SigningKind::HmacSha256, other).await;
    let ana = world.person("ana@shop.example").await.sign_in().await.user();
    let store = &world.issuer.store;
    let session = store.live_sessions_of(&ana, None, 1, world.clock.now()).await.unwrap().remove(0).session;
    let ana = SignedIn { user: store.user(&ana).await.unwrap().unwrap(), session, source: source() };
    let clients = [host.id.clone(), ApiKeyId::from_uuid([9; 16])];
    alike(async || {
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..2000 {
            let wanted = UserGrant {
                client: clients[round % 2].clone(),
                tool: ToolId::parse(TOOL).unwrap().into(),
                origin: Origin::parse(PAGE).unwrap(),
                scope: None,
                encrypt: false,
            };
            let began = now();
            let refused = world.issuer.grant_for_user(&ana, wanted).await;
            times[round % 2].push(began.elapsed());
            assert!(matches!(refused, Err(IssuerError::OriginDenied)));
        }
        times.map(median)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r31_a_signature_under_an_unknown_key_id_costs_what_one_under_a_known_costs() {
    let world = World::with_slow_passwords(Vec::new()).await;
    // Whichever row the work for an unknown id is done on, and whichever kind of key the guess is at.
    for kinds in [[SigningKind::HmacSha256, SigningKind::Ed25519], [SigningKind::Ed25519, SigningKind::HmacSha256]] {
        let known = world.host_with(kinds[0], World::scope()).await.id;
        for guess in kinds {
            let ids = [known.clone(), ApiKeyId::from_uuid([0xff; 16])];
            alike(async || {
                let mut times = [Vec::new(), Vec::new()];
                for round in 0..400 {
                    let (head, body) = badly_signed(&world, &ids[round % 2], guess);
                    let began = now();
                    let refused = world.app.caller(&head, &body, Action::TokenGrant).await;
                    times[round % 2].push(began.elapsed());
                    assert!(matches!(refused, Err(IssuerError::Signed(Refusal::InvalidSignature(_)))));
                }
                times.map(median)
            })
            .await;
        }
    }
}

/// A request at the token endpoint, as its route sees it, signed with a secret of one's own.
fn badly_signed(world: &World, id: &ApiKeyId, signing: SigningKind) -> (Parts, Bytes) {
    let secret = ApiSecret::from_bytes([9; 32]);
    let host = Host { world, user: UserId::from_uuid([9; 16]), id: id.clone(), secret, signing };
    let call = host.signed(host.direct_call());
    let mut request = http::Request::builder().method(call.method).uri(&call.path);
    request = request.header("host", world.address.to_string());
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    (request.body(()).unwrap().into_parts().0, Bytes::from(call.body))
}

/// Asserts that two medians are within 5 % of each other, in one of several measurements.
async fn alike(measure: impl AsyncFn() -> [Duration; 2]) {
    let mut measured = Vec::new();
    for _ in 0..MEASUREMENTS {
        let [known, unknown] = measure().await;
        println!("median: known {known:?}, unknown {unknown:?}");
        if known.max(unknown) * 100 <= known.min(unknown) * 105 {
            return;
        }
        measured.push((known, unknown));
    }
    panic!("never within 5 %: {measured:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r31_an_unknown_address_costs_what_a_known_one_costs() {
    let world = World::with_slow_passwords(Vec::new()).await;
    world.person("ana@shop.example").await;
    alike(async || sign_in_medians(&world).await).await;
}

async fn sign_in_medians(world: &World) -> [Duration; 2] {
    let emails = ["ana@shop.example", "unknown@shop.example"].map(|text| EmailAddress::parse(text).unwrap());
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..60 {
        let which = round % 2;
        // Far enough on that no limit is met.
        world.clock.advance_seconds(60);
        let password = PlainPassword::presented("a wrong password".to_owned().into()).unwrap();
        let began = now();
        let refused = world.app.accounts.sign_in(&emails[which], password, &source()).await;
        times[which].push(began.elapsed());
        assert!(matches!(refused, Err(IssuerError::WrongPassword)));
    }
    times.map(median)
}

#[tokio::test(flavor = "multi_thread")]
async fn r31_asking_for_a_mail_costs_the_same_for_every_address() {
    let world = World::with_slow_passwords(Vec::new()).await;
    world.person("ana@shop.example").await;
    alike(async || reset_medians(&world).await).await;
}

/// Of asking for a link, which hashes nothing that would hide a difference.
async fn reset_medians(world: &World) -> [Duration; 2] {
    let emails = ["ana@shop.example", "unknown@shop.example"].map(|text| EmailAddress::parse(text).unwrap());
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..100 {
        let which = round % 2;
        // Far enough on that no limit is met, of a network neither.
        world.clock.advance_seconds(1000);
        let began = now();
        let asked = world.app.accounts.ask_for_reset(&emails[which], &source()).await;
        times[which].push(began.elapsed());
        asked.unwrap();
    }
    times.map(median)
}
