//! `client_secret_post` (RFC 6749 §2.3.1).

use crate::actors::{ACCESS_TOKEN, EXCHANGE};
use crate::http_client::Call;
use crate::world::{PAGE, TOOL, World};
use bmap_protocol::api_key::ApiSecret;

/// The form of client credentials, with the client in it.
fn grant(id: &str, secret: &str) -> Call {
    let fields =
        [("grant_type", "client_credentials"), ("audience", TOOL), ("client_id", id), ("client_secret", secret)];
    Call::form("/oauth/token", &fields)
}

#[tokio::test]
async fn a_key_in_the_form_gets_a_token_as_in_a_header() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let key = ana.make().await;
    let call = grant(key.id.as_str(), &key.secret.reveal());
    let answer = call.send(world.address).await;
    assert_eq!(answer.granted()["token_type"], "HTTPSig");
    assert!(answer.header("ratelimit-policy").unwrap().starts_with("\"key\""), "counted to the key");
    world.app.last_uses.write(&world.issuer.store).await.unwrap();
    assert_eq!(ana.show(&key).await["last_used"]["way"], "form");
    // The owner sees how it was used; revoked, it is told so as everywhere.
    ana.revoke(&key).await;
    call.send(world.address).await.assert_refused("key_revoked");
}

#[tokio::test]
async fn a_wrong_secret_or_id_in_the_form_is_a_failed_client() {
    let world = World::start().await;
    let (host, other) = (world.host().await, world.host().await);
    let (id, secret) = (host.id.as_str(), host.secret.reveal());
    for (id, secret) in [
        (id, other.secret.reveal().as_str()),
        (other.id.as_str(), &secret),
        ("bmk_00000000000000000000000000000000", &secret),
        (id, ApiSecret::from_bytes([1; 32]).reveal().as_str()),
        (id, "x"),
        ("x", &secret),
        ("", &secret),
    ] {
        let refused = grant(id, secret).send(world.address).await;
        refused.assert_refused("invalid_credentials");
        assert_eq!(refused.json()["error"], "invalid_client");
    }
    // An id alone is no proof, and an empty field is none.
    grant(id, "").send(world.address).await.assert_refused("missing_signature");
}

#[tokio::test]
async fn a_client_authenticates_in_one_way() {
    let world = World::start().await;
    let host = world.host().await;
    let in_form = || grant(host.id.as_str(), &host.secret.reveal());
    for call in [
        in_form().header("authorization", &host.basic()),
        in_form().header("authorization", "Bearer x"),
        in_form().header("x-api-key", "eA=="),
        host.signed(in_form()),
    ] {
        let refused = call.send(world.address).await;
        refused.assert_refused("malformed_request");
        assert_eq!(
            (&refused.json()["error"], &refused.json()["field"]),
            (&"invalid_request".into(), &"authorization".into())
        );
    }
    // Twice is not once.
    let twice = format!("{}&client_secret=x", String::from_utf8(in_form().body).unwrap());
    let twice = Call::new("POST", "/oauth/token").body("application/x-www-form-urlencoded", twice);
    let refused = twice.send(world.address).await;
    refused.assert_refused("malformed_request");
    assert_eq!(refused.json()["field"], "client_secret");
    // In a JSON body, or in the query, there is no credential.
    let query = format!("/oauth/token?client_id={}&client_secret={}", host.id, *host.secret.reveal());
    let plain = Call::form(&query, &[("grant_type", "client_credentials"), ("audience", TOOL)]);
    plain.send(world.address).await.assert_refused("missing_signature");
}

#[tokio::test]
async fn a_secret_beside_a_proof_of_another_kind_is_refused() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let secret = host.secret.reveal();
    let client = [("client_id", host.id.as_str()), ("client_secret", secret.as_str())];
    let refresh = [&[("grant_type", "refresh_token"), ("refresh_token", ana.refresh.as_str())][..], &client].concat();
    Call::form("/oauth/token", &refresh).send(world.address).await.assert_refused("malformed_request");
    let user = [
        &[
            ("grant_type", EXCHANGE),
            ("subject_token", ana.access.as_str()),
            ("subject_token_type", ACCESS_TOKEN),
            ("audience", TOOL),
        ][..],
        &client,
    ];
    let user = Call::form("/oauth/token", &user.concat()).header("origin", PAGE);
    user.send(world.address).await.assert_refused("malformed_request");
    // Nothing was used up by it.
    world.refresh(&ana.refresh).await.granted();
}
