//! The capability grant (profile §10).

use crate::actors::PageToken;
use crate::audit::recorded::entries;
use crate::http_client::{Answer, Call};
use crate::world::{PAGE, TOOL, World, source};
use bmap_issuer::tools::ToolChange;
use bmap_model::clock::WallClock;
use bmap_protocol::capability::CapabilityMac;
use bmap_protocol::ids::ToolId;
use bmap_protocol::keys::RootSecret;
use bmap_protocol::token::Claims;
use bmap_protocol::tool_policy::{Proof, ToolPolicy};
use serde_json::{Value, json};

const GRANT: &str = "urn:bmap:grant-type:capability";

/// A world whose tool takes capabilities.
async fn world() -> World {
    let world = World::start().await;
    set(&world, ToolPolicy { proofs: Some(vec![Proof::Capability]), ..ToolPolicy::default() }).await;
    world
}

async fn set(world: &World, policy: ToolPolicy) {
    let change = ToolChange { policy: Some(policy), ..ToolChange::default() };
    world.issuer.tools().change(&ToolId::parse(TOOL).unwrap(), &change, &source()).await.unwrap();
}

fn form(fields: &[(&str, &str)]) -> Call {
    Call::form("/oauth/token", &[&[("grant_type", GRANT)], fields].concat())
}

/// Asks with a token, from its page.
async fn ask(token: &PageToken<'_>, fields: &[(&str, &str)]) -> Answer {
    let call = match token.claims()["origin"].as_str() {
        Some(page) => form(fields).header("origin", page),
        None => form(fields),
    };
    token.signed(call).send(token.world.address).await
}

fn of_page() -> Call {
    form(&[("path_prefix", "/v1/")]).header("origin", PAGE)
}

/// The claims of a capability, with the path that it opens.
fn open(world: &World, answer: &Value) -> (Claims, String) {
    let tool = ToolId::parse(TOOL).unwrap();
    let key = RootSecret::from_bytes([7; 32]).epoch(1).tool_key(&world.issuer.url, &tool).capability_key();
    let text = answer["capability"].as_str().unwrap();
    let opened = CapabilityMac::new(&key).open(text, &world.issuer.url, &tool, 1).unwrap();
    (opened.claims, opened.path_prefix.into())
}

#[tokio::test]
async fn a_page_is_given_what_its_token_has_for_five_minutes() {
    let world = world().await;
    let host = world.host().await;
    let token = host.page_token().await;
    let answer = ask(&token, &[("path_prefix", "/v1/tiles/")]).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let answer = answer.granted();
    let (claims, prefix) = open(&world, &answer);
    let now = world.clock.now().seconds();
    assert_eq!((prefix.as_str(), claims.expires_at), ("/v1/tiles/", (now + 300).cast_unsigned()));
    let of_token = token.claims();
    let expected = json!([
        of_token["sub"],
        of_token["client_id"],
        of_token["origin"],
        of_token["jti"],
        of_token["asr"],
        of_token["sid"],
        of_token["scope"]
    ]);
    let origin = claims.origin.as_ref().map(ToString::to_string);
    assert_eq!(
        json!([
            claims.subject.as_str(),
            claims.client_id.as_str(),
            origin,
            &*claims.id,
            claims.assurance,
            claims.session.as_deref(),
            &*claims.scope
        ]),
        expected
    );
    let rest = json!({ "capability": answer["capability"], "expires_in": 300, "path_prefix": "/v1/tiles/", "scope": of_token["scope"], "server_time": world.clock.now().0 });
    assert_eq!(answer, rest);
    let direct = PageToken { world: &world, answer: host.send(host.direct_call()).await.granted() };
    let all = direct.claims()["scope"].as_str().unwrap().to_owned();
    let first = all.split(' ').next().unwrap();
    let narrower = ask(&direct, &[("path_prefix", "/v1/"), ("scope", first)]).await.granted();
    assert_eq!((&*open(&world, &narrower).0.scope, &narrower["scope"]), (first, &json!(first)));
    let recorded = entries(&world).await;
    let granted: Vec<_> = recorded.iter().filter(|entry| entry.content.action == "capability.grant").collect();
    assert_eq!(granted.len(), 2);
    assert!(
        granted.iter().all(|entry| !entry.content.detail.contains("bmc1.")),
        "the capability itself is not recorded"
    );
}

/// It ends with the session, or with a token that has none.
#[tokio::test]
async fn t37_it_does_not_outlive_what_it_was_minted_with() {
    let world = world().await;
    let host = world.host().await;
    let direct = PageToken { world: &world, answer: host.send(host.direct_call()).await.granted() };
    let ends = direct.claims()["exp"].as_i64().unwrap();
    world.clock.advance_seconds(ends - world.clock.now().seconds() - 20);
    let answer = ask(&direct, &[("path_prefix", "/v1/")]).await.granted();
    assert_eq!((answer["expires_in"].as_i64(), open(&world, &answer).0.expires_at), (Some(20), ends.cast_unsigned()));
    world.clock.advance_seconds(20);
    ask(&direct, &[("path_prefix", "/v1/")]).await.assert_refused("token_expired");

    let token = host.page_token().await;
    let session = bmap_model::session::SessionId::parse(token.claims()["sid"].as_str().unwrap()).unwrap();
    host.send(Call::form("/oauth/revoke", &[("token", token.token())])).await;
    let refused = ask(&token, &[("path_prefix", "/v1/")]).await;
    refused.assert_refused("token_revoked");
    assert_ne!(
        world.issuer.store.session(&session).await.unwrap().unwrap().state,
        bmap_model::session::SessionState::Active
    );
    // A direct token that was revoked by its id.
    let direct = PageToken { world: &world, answer: host.send(host.direct_call()).await.granted() };
    host.send(Call::form("/oauth/revoke", &[("token", direct.token())])).await;
    ask(&direct, &[("path_prefix", "/v1/")]).await.assert_refused("token_revoked");
}

#[tokio::test]
async fn t37_what_is_no_capability_is_refused() {
    let world = world().await;
    let host = world.host().await;
    let token = host.page_token().await;
    for prefix in ["", "v1/", "/v1", "/v1//", "/v1/../", "/%2e/", "https://x/", "/"] {
        let refused = ask(&token, &[("path_prefix", prefix)]).await;
        refused.assert_refused("malformed_request");
        assert_eq!(refused.json()["field"], "path_prefix", "{prefix}");
    }
    ask(&token, &[]).await.assert_refused("malformed_request");
    ask(&token, &[("path_prefix", "/v1/"), ("scope", "write")]).await.assert_refused("scope_denied");
    // Unsigned, by another token's key, twice, from another page, and by an API key.
    of_page().send(world.address).await.assert_refused("missing_signature");
    let other = host.page_token().await;
    token.signed_as(of_page(), other.token()).send(world.address).await.assert_refused("invalid_signature");
    let call = token.signed(of_page());
    call.clone().send(world.address).await.granted();
    call.send(world.address).await.assert_refused("replayed");
    token.signed(form(&[("path_prefix", "/v1/")])).send(world.address).await.assert_refused("origin_denied");
    host.send(form(&[("path_prefix", "/v1/")])).await.assert_refused("missing_signature");
    host.signed(form(&[("path_prefix", "/v1/")])).send(world.address).await.assert_refused("invalid_token");
    // All paths, where the policy says so.
    set(&world, ToolPolicy { proofs: Some(vec![Proof::Capability]), capability_root: true, ..ToolPolicy::default() })
        .await;
    assert_eq!(open(&world, &ask(&token, &[("path_prefix", "/")]).await.granted()).1, "/");
    set(&world, ToolPolicy::default()).await;
    ask(&token, &[("path_prefix", "/v1/")]).await.assert_refused("tool_denied");
    set(&world, ToolPolicy { proofs: Some(vec![Proof::Capability]), ..ToolPolicy::default() }).await;
    world.take_grant(&host.user, TOOL).await;
    ask(&token, &[("path_prefix", "/v1/")]).await.assert_refused("tool_denied");
}
