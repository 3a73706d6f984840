use crate::actors::exchange;
use crate::http_client::Call;
use crate::world::{OTHER_TOOL, PAGE, TOOL, World, stored};
use bmap_model::api_key::{KeyScope, ToolSet};
use bmap_model::tool::ToolOrigins;
use bmap_protocol::ids::ToolId;
use bmap_protocol::seal::SigningKind;
use serde_json::json;

#[tokio::test]
async fn a_ticket_is_made_for_a_registered_page() {
    let world = World::start().await;
    let host = world.host().await;
    let answer = host.send(host.ticket_call()).await;
    let body = answer.granted();
    assert_eq!((answer.status, body["expires_in"].as_i64()), (201, Some(120)));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(body["ticket"].as_str().unwrap().len(), 47);
    assert!(body["server_time"].is_i64());
}

#[tokio::test]
async fn a_signed_request_makes_a_ticket_once() {
    let world = World::start().await;
    for signing in [SigningKind::HmacSha256, SigningKind::Ed25519] {
        let host = world.host_with(signing, World::scope()).await;
        let call = host.signed(host.ticket_call());
        call.send(world.address).await.granted();
        call.send(world.address).await.assert_refused("replayed");
        let changed = Call {
            body: call.body.iter().map(|b| if *b == b'7' { b'8' } else { *b }).collect(),
            ..host.signed(host.ticket_call())
        };
        changed.send(world.address).await.assert_refused("digest_mismatch");
    }
}

#[tokio::test]
async fn r26_a_signature_without_a_digest_signs_no_body() {
    let world = World::start().await;
    let host = world.host().await;
    let body = host.ticket_call().body;
    let bare = host.signed(Call::new("POST", "/tickets").header("content-type", "application/json"));
    let with_body = Call { body: body.clone(), ..bare.clone() };
    with_body.clone().send(world.address).await.assert_refused("insufficient_coverage");
    let digest = bmap_protocol::digest::BodyDigest::of(&body).header_value();
    with_body.header("content-digest", &digest).send(world.address).await.assert_refused("insufficient_coverage");
}

#[tokio::test]
async fn a_key_makes_tickets_for_its_tools_and_pages_only() {
    let world = World::start().await;
    let only_places = KeyScope { tools: ToolSet::Only(vec![ToolId::parse(TOOL).unwrap()]), ..World::scope() };
    let host = world.host_with(SigningKind::HmacSha256, only_places).await;
    for (body, code) in [
        (json!({ "tool": OTHER_TOOL, "origin": PAGE }), "tool_denied"),
        (json!({ "tool": "no-such-tool", "origin": PAGE }), "tool_denied"),
        (json!({ "tool": TOOL, "origin": "https://evil.example" }), "origin_denied"),
        (json!({ "tool": TOOL, "origin": "https://sub.shop.example" }), "origin_denied"),
        (json!({ "tool": TOOL, "origin": PAGE, "embed_origin": "https://evil.example" }), "origin_denied"),
        (json!({ "tool": TOOL, "origin": PAGE, "scope": "admin" }), "scope_denied"),
    ] {
        host.send(Call::json("/tickets", &body)).await.assert_refused(code);
    }
}

#[tokio::test]
async fn a_tool_takes_its_own_pages_only() {
    let world = World::start().await;
    let other = ToolOrigins::Only(vec![stored("https://other.example")]);
    world.add_tool("closed", other).await;
    let host = world.host_with(SigningKind::HmacSha256, KeyScope { tools: ToolSet::Any, ..World::scope() }).await;
    host.send(Call::json("/tickets", &json!({ "tool": "closed", "origin": PAGE })))
        .await
        .assert_refused("origin_denied");
}

#[tokio::test]
async fn other_forms_are_malformed() {
    let world = World::start().await;
    let host = world.host().await;
    for body in [
        json!({}),
        json!([]),
        json!({ "tool": TOOL }),
        json!({ "tool": "Places", "origin": PAGE }),
        json!({ "tool": TOOL, "origin": "null" }),
        json!({ "tool": TOOL, "origin": "HTTPS://shop.example" }),
        json!({ "tool": TOOL, "origin": PAGE, "ttl": 121 }),
        json!({ "tool": TOOL, "origin": PAGE, "ttl": 0 }),
        json!({ "tool": TOOL, "origin": PAGE, "end_user": "" }),
        json!({ "tool": TOOL, "origin": PAGE, "end_user": "a\nb" }),
        json!({ "tool": TOOL, "origin": PAGE, "end_user": "x".repeat(257) }),
        json!({ "tool": TOOL, "origin": PAGE, "scope": "a\"b" }),
        json!({ "tool": TOOL, "origin": PAGE, "admin": true }),
    ] {
        host.send(Call::json("/tickets", &body)).await.assert_refused("malformed_request");
    }
    let nested = Call::new("POST", "/tickets").body("application/json", "[".repeat(60_000));
    host.send(nested).await.assert_refused("malformed_request");
    let as_form = Call::new("POST", "/tickets").body("application/x-www-form-urlencoded", "tool=places");
    host.send(as_form).await.assert_refused("unsupported_media_type");
}

#[tokio::test]
async fn a_ticket_ends() {
    let world = World::start().await;
    let host = world.host().await;
    let short = json!({ "tool": TOOL, "origin": PAGE, "ttl": 10 });
    let ticket = host.send(Call::json("/tickets", &short)).await.granted();
    assert_eq!(ticket["expires_in"], 10);
    world.clock.advance_seconds(9);
    exchange(ticket["ticket"].as_str().unwrap()).send(world.address).await.granted();
    let ticket = host.send(Call::json("/tickets", &short)).await.granted();
    world.clock.advance_seconds(10);
    exchange(ticket["ticket"].as_str().unwrap()).send(world.address).await.assert_refused("invalid_grant");
}
