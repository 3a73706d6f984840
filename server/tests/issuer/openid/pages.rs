//! The pages' view: which providers there are, where visitors may come back to, the cookie, CORS, the limit.

use super::fake::{DISCOVERY, Fake, Journey};
use super::{CHALLENGE, RETURN_TO, provider, sign_in_fields, start, world_with};
use crate::http_client::Call;
use crate::world::{PAGE, World};
use bmap_issuer::issuer::{Issuer, Lives};
use bmap_issuer::openid::service::OpenidService;
use bmap_model::rng::SystemRandom;
use bmap_outbound::Outbound;
use bmap_protocol::ids::Issuer as IssuerUrl;
use bmap_protocol::origin::Origin;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn pages_learn_which_providers_there_are_and_nothing_else() {
    let world = world_with(vec![provider("acme", "https://a.example"), provider("beta", "https://b.example")]).await;
    let answer = Call::new("GET", "/auth/openid").send(world.address).await;
    let expected = json!({ "providers": [{ "name": "acme", "label": "ACME" }, { "name": "beta", "label": "BETA" }] });
    assert_eq!(answer.granted(), expected);
    let none = World::start().await;
    assert_eq!(Call::new("GET", "/auth/openid").send(none.address).await.granted(), json!({ "providers": [] }));
    start("acme", &sign_in_fields()).send(none.address).await.assert_refused("not_found");
}

#[tokio::test]
async fn r50_and_t14_visitors_come_back_to_listed_origins_and_go_to_configured_providers() {
    let (fake, world) = Fake::with_world().await;
    for return_to in [
        "https://evil.example/",
        "https://shop.example.evil/",
        "https://shop.example@evil.example/",
        "https://evil.example\\@shop.example",
        "//shop.example/",
        "javascript:alert(1)//https://shop.example",
        "http://shop.example/",
        "https://shop.example:8443/",
        "https://shop.example/#code=mine",
        "",
    ] {
        let fields = [("return_to", return_to), ("code_challenge", CHALLENGE)];
        start("fake", &fields).send(world.address).await.assert_refused("malformed_request");
    }
    for fields in [
        &[("return_to", RETURN_TO)][..],
        &[("code_challenge", CHALLENGE)],
        &[("return_to", RETURN_TO), ("code_challenge", "plain")],
        &[("return_to", RETURN_TO), ("code_challenge", "")],
        &[("return_to", RETURN_TO), ("code_challenge", CHALLENGE), ("intent", "own")],
        &[("return_to", RETURN_TO), ("return_to", RETURN_TO), ("code_challenge", CHALLENGE)],
        &[("return_to", RETURN_TO), ("code_challenge", CHALLENGE), ("issuer", "http://169.254.169.254")],
    ] {
        start("fake", fields).send(world.address).await.assert_refused("malformed_request");
    }
    for name in ["other", "127.0.0.1", "..%2f..", "http:%2f%2f169.254.169.254"] {
        start(name, &sign_in_fields()).send(world.address).await.assert_refused("not_found");
    }
    assert!(fake.asked(DISCOVERY).is_empty());
}

#[tokio::test]
async fn t28_the_cookie_is_for_this_host_alone_and_for_no_script() {
    let (fake, world) = Fake::with_world().await;
    let answer = start("fake", &sign_in_fields()).send(world.address).await;
    let cookie = answer.header("set-cookie").unwrap();
    let (value, attributes) = cookie.split_once(';').unwrap();
    assert!(value.starts_with("bmap-openid=bmn_") && value.len() == 12 + 47, "{cookie}");
    assert_eq!(attributes, " Path=/; Max-Age=600; HttpOnly; SameSite=Lax");
    for (name, value) in [("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
        assert_eq!(answer.header(name), Some(value));
    }
    // Behind TLS it has the prefix, and the attribute that the prefix asks for.
    let url = IssuerUrl::parse("https://auth.example").unwrap();
    let (store, roots) = (world.issuer.store.clone(), world.issuer.roots.clone());
    let issuer = Issuer::open(url, store, roots, world.clock.clone(), Arc::new(SystemRandom), Lives::default());
    let issuer = Arc::new(issuer.await.unwrap());
    let providers = vec![provider("fake", &fake.issuer)];
    let openid = OpenidService::new(
        Arc::clone(&issuer),
        &Outbound::new().unwrap(),
        providers,
        vec![Origin::parse(PAGE).unwrap()],
    );
    let app = bmap_server::http::app::App::new(issuer, Vec::new()).unwrap().with_openid(openid.unwrap());
    let address = world.serve(&app).await;
    let answer = start("fake", &sign_in_fields()).send(address).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-bmap-openid=bmn_"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    // The other name counts for nothing there.
    let journey = Journey::of(&answer);
    let other = journey.back().without("cookie").header("cookie", &journey.cookie.replace("__Host-", ""));
    other.send(address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn an_issuer_without_tls_has_no_providers_but_on_this_machine() {
    let world = World::start().await;
    for (url, is_good) in [
        ("https://auth.example", true),
        ("http://127.0.0.1:4000", true),
        ("http://localhost:4000", true),
        ("http://auth.example", false),
        ("http://0.0.0.0:4000", false),
    ] {
        let (store, roots) = (world.issuer.store.clone(), world.issuer.roots.clone());
        let url = IssuerUrl::parse(url).unwrap();
        let issuer = Issuer::open(url, store, roots, world.clock.clone(), Arc::new(SystemRandom), Lives::default());
        let issuer = Arc::new(issuer.await.unwrap());
        let of = |providers| OpenidService::new(Arc::clone(&issuer), &Outbound::new().unwrap(), providers, Vec::new());
        assert_eq!(of(vec![provider("acme", "https://a.example")]).is_ok(), is_good, "{}", issuer.url);
        assert!(of(Vec::new()).is_ok());
    }
}

#[tokio::test]
async fn r50_and_t29_listed_pages_alone_read_the_answers() {
    let (_fake, world) = Fake::with_world().await;
    let preflight = |path: &str, origin: &str| {
        let call = Call::new("OPTIONS", path).header("origin", origin);
        call.header("access-control-request-method", "POST").header("access-control-request-headers", "content-type")
    };
    for path in ["/auth/openid/token", "/auth/openid/fake/link", "/auth/refresh", "/auth/logout", "/auth/me"] {
        let answer = preflight(path, PAGE).send(world.address).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some(PAGE)), "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET, POST, DELETE"));
        assert_eq!((answer.header("vary"), answer.header("access-control-allow-credentials")), (Some("Origin"), None));
        for origin in ["https://evil.example", "null", "https://shop.example:443", "HTTPS://shop.example", "*", ""] {
            let answer = preflight(path, origin).send(world.address).await;
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (405, None), "{origin}");
        }
    }
    for path in ["/auth/login", "/auth/register", "/auth/password", "/auth/confirm", "/auth/openid/fake/callback"] {
        let answer = preflight(path, PAGE).send(world.address).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (405, None), "{path}");
    }
    let list = |origin: &str| Call::new("GET", "/auth/openid").header("origin", origin);
    let answer = list(PAGE).send(world.address).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
    let answer = list("https://evil.example").send(world.address).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
    let refused = super::swap("bmi_x", "x").header("origin", PAGE).send(world.address).await;
    refused.assert_refused("invalid_credentials");
    assert_eq!(refused.header("access-control-allow-origin"), Some(PAGE), "a page may read why");
}
