use crate::http_client::Call;
use crate::person::{PASSWORD, login, register};
use crate::world::World;
use bmap_issuer::account::service::LinkDelivery;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn an_account_begins_with_its_confirmed_address() {
    let world = World::start().await;
    let answer = register("Ana@Shop.Example ", PASSWORD).send(world.address).await;
    assert_eq!((answer.status, answer.granted()["status"].as_str()), (202, Some("confirmation_sent")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    login("ana@shop.example", PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(world.links("ana@shop.example").await.len(), 1);
}

#[tokio::test]
async fn r31_an_address_that_has_an_account_is_answered_alike_and_sent_no_link() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    let known = register("ANA@shop.example", "another-phrase-entirely-7").send(world.address).await;
    let unknown = register("ben@shop.example", "another-phrase-entirely-7").send(world.address).await;
    assert_eq!((known.status, &known.body), (unknown.status, &unknown.body));
    assert_eq!((world.links("ana@shop.example").await.len(), world.links("ben@shop.example").await.len()), (1, 1));
    login("ana@shop.example", PASSWORD).send(world.address).await.granted();
}

#[tokio::test]
async fn weak_passwords_are_refused_with_advice() {
    let world = World::start().await;
    for (password, advice) in
        [("Xk3!pQz", "Use at least 8 characters."), ("password1", "common password"), ("ana@shop.example", "word")]
    {
        let answer = register("ana@shop.example", password).send(world.address).await;
        answer.assert_refused("malformed_request");
        let hint = answer.json()["hint"].as_str().unwrap().to_owned();
        assert!(hint.contains(advice), "{hint}");
    }
    assert!(world.links("ana@shop.example").await.is_empty());
}

#[tokio::test]
async fn other_forms_are_malformed() {
    let world = World::start().await;
    for body in [
        json!({}),
        json!([]),
        json!({ "email": "ana@shop.example" }),
        json!({ "email": "ana@shop.example", "password": 12345678 }),
        json!({ "email": "ana@shop.example", "password": "x".repeat(257) }),
        json!({ "email": "ana", "password": PASSWORD }),
        json!({ "email": "ana@shop.example\r\nBcc: x@y.example", "password": PASSWORD }),
        json!({ "email": "a".repeat(300), "password": PASSWORD }),
        json!({ "email": "ana@shop.example", "password": PASSWORD, "admin": true }),
    ] {
        Call::json("/auth/register", &body).send(world.address).await.assert_refused("malformed_request");
    }
    // The hint names members and kinds, and no value: it goes to the log too.
    for (body, hint) in [
        (json!({ "email": "ana@shop.example" }), "missing field `password` at line 1 column"),
        (json!({ "email": "ana@shop.example", "password": 12345678 }), "expected a string at line 1 column"),
        (json!({ "email": ["hunter2"], "password": PASSWORD }), "expected a string at line 1 column"),
        (json!({ "email": "a", "password": PASSWORD, "admin": true }), "unknown field `admin`"),
    ] {
        let problem = Call::json("/auth/register", &body).send(world.address).await.json();
        let said = problem["hint"].as_str().unwrap();
        assert!(said.contains(hint) && !said.contains("12345678") && !said.contains("hunter2"), "{problem}");
        assert_eq!(problem["field"], "body");
    }
    // A body that another page's form could send (T28).
    let text = json!({ "email": "ana@shop.example", "password": PASSWORD }).to_string();
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let call = Call::new("POST", "/auth/register").body(media_type, text.clone());
        call.send(world.address).await.assert_refused("unsupported_media_type");
    }
    assert!(world.links("ana@shop.example").await.is_empty());
}

#[tokio::test]
async fn without_a_way_for_links_nobody_registers() {
    let world = World::start().await;
    let app = bmap_server::http::app::App::new(Arc::clone(&world.issuer), Vec::new()).unwrap();
    assert_eq!(LinkDelivery::default(), LinkDelivery::None);
    let other = world.serve(&app).await;
    let refused = register("ana@shop.example", PASSWORD).send(other).await;
    refused.assert_refused("registration_closed");
    let problem = refused.json();
    assert!(problem["hint"].as_str().unwrap().contains("mail_url") && problem.get("retryable").is_none(), "{problem}");
    let reset = Call::json("/auth/password/reset", &json!({ "email": "ana@shop.example" })).send(other).await;
    reset.assert_refused("issuer_unavailable");
    let problem = reset.json();
    assert!(problem["hint"].as_str().unwrap().contains("mail_url") && problem.get("retryable").is_none(), "{problem}");
}

#[tokio::test]
async fn r32_an_address_gets_a_bounded_number_of_mails() {
    let world = World::start().await;
    for spelling in ["ana@shop.example", "ANA@shop.example", " ana@shop.example"] {
        assert_eq!(register(spelling, PASSWORD).send(world.address).await.status, 202);
    }
    let limited = register("ａna@shop.example", PASSWORD).send(world.address).await;
    limited.assert_refused("rate_limited");
    assert_eq!(limited.header("retry-after"), Some("1800"));
    world.clock.advance_seconds(1800);
    assert_eq!(register("ana@shop.example", PASSWORD).send(world.address).await.status, 202);
}
