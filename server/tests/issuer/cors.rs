use crate::actors::exchange;
use crate::http_client::Call;
use crate::world::event;
use crate::world::{PAGE, World};
use bmap_protocol::seal::SigningKind;
use bmap_server::clock::UnixMillis;
use bmap_server::domain::api_key::KeyScope;
use bmap_server::store::ApiKeys;

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

fn preflight(origin: &str) -> Call {
    Call::new("OPTIONS", "/oauth/token")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
}

#[tokio::test]
async fn a_registered_page_gets_its_preflight_without_a_token() {
    let world = World::start().await;
    world.host().await;
    let answer = preflight(PAGE).send(world.address).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    for (name, value) in [
        (ALLOW_ORIGIN, PAGE),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "authorization, content-digest, signature, signature-input, content-type"),
        ("access-control-max-age", "7200"),
        ("vary", "Origin"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn a_page_may_read_its_answers_also_the_refusals() {
    let world = World::start().await;
    let host = world.host().await;
    let granted = exchange(&host.ticket().await).send(world.address).await;
    let refused = exchange("bmt_x").send(world.address).await;
    for (answer, status) in [(granted, 200), (refused, 401)] {
        assert_eq!(answer.status, status);
        assert_eq!((answer.header(ALLOW_ORIGIN), answer.header("vary")), (Some(PAGE), Some("Origin")));
        assert_eq!(
            answer.header("access-control-expose-headers"),
            Some("retry-after, ratelimit, ratelimit-policy, x-request-id, www-authenticate, accept-signature, date")
        );
    }
}

#[tokio::test]
async fn r50_no_other_origin_gets_anything() {
    let world = World::start().await;
    let origins = ["https://foo.com", "https://bar.com"].map(|origin| origin.parse().unwrap()).to_vec();
    let host = world.host_with(SigningKind::HmacSha256, KeyScope { origins, ..World::scope() }).await;
    assert_eq!(preflight("https://foo.com").send(world.address).await.status, 204);
    for origin in [
        "https://barfoo.com",
        "https://foo.com.evil",
        "https://foo.com.",
        "https://sub.foo.com",
        "http://foo.com",
        "null",
        "HTTPS://foo.com",
        "https://FOO.com",
        "https://foo.com:443",
        "https://foo.com/",
        "https://foo.com https://bar.com",
        "https://foo.com, https://bar.com",
        "*",
        "",
        "https://foo.com%00.evil",
        "' OR 1=1--",
    ] {
        for call in [preflight(origin), exchange("bmt_x").without("origin").header("origin", origin)] {
            let answer = call.send(world.address).await;
            answer.assert_refused("origin_denied");
            assert_eq!((answer.header(ALLOW_ORIGIN), answer.header("vary")), (None, Some("Origin")), "{origin}");
        }
    }
    let two = preflight("https://foo.com").header("origin", "https://bar.com").send(world.address).await;
    two.assert_refused("malformed_request");
    // A good credential does not help a page that nobody registered.
    let stranger = host.direct_call().header("origin", "https://barfoo.com");
    host.send(stranger).await.assert_refused("origin_denied");
}

#[tokio::test]
async fn a_page_reads_why_its_key_stopped_working_until_the_key_ends() {
    let world = World::start().await;
    let ends = i64::try_from(world.now()).unwrap() + 60;
    let host = world.host_with(SigningKind::HmacSha256, KeyScope { expires_at: Some(ends), ..World::scope() }).await;
    let ticket = host.ticket().await;
    world.issuer.store.revoke_api_key(&host.id, UnixMillis(1), &event()).await.unwrap();
    let answer = exchange(&ticket).send(world.address).await;
    answer.assert_refused("key_revoked");
    assert_eq!(answer.header(ALLOW_ORIGIN), Some(PAGE));
    world.clock.advance_seconds(60);
    preflight(PAGE).send(world.address).await.assert_refused("origin_denied");
}

#[tokio::test]
async fn other_routes_have_no_cors() {
    let world = World::start().await;
    let host = world.host().await;
    for call in [Call::new("GET", "/.well-known/jwks.json"), host.ticket_call().header("authorization", &host.basic())]
    {
        let answer = call.header("origin", PAGE).send(world.address).await;
        assert!(answer.status < 300);
        assert_eq!(answer.header(ALLOW_ORIGIN), None);
    }
}
