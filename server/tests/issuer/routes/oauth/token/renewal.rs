use crate::actors::{PageToken, exchange};
use crate::http_client::Call;
use crate::key_owner::form;
use crate::world::{OTHER_TOOL, PAGE, TOOL, World, event, stored};
use bmap_model::clock::{UnixTime, WallClock};
use bmap_model::scope::Scopes;
use bmap_model::session::SessionId;
use bmap_protocol::ids::ToolId;
use bmap_protocol::seal::SigningKind;
use bmap_protocol::token::Assurance;
use serde_json::json;

#[tokio::test]
async fn a_token_is_renewed_with_the_same_binding() {
    let world = World::start().await;
    let host = world.host().await;
    let page = host.page_token().await;
    world.clock.advance_seconds(200);
    let renewed = PageToken { world: &world, answer: page.renew().await.granted() };
    let (before, after) = (page.claims(), renewed.claims());
    for claim in ["iss", "sub", "aud", "client_id", "scope", "origin", "end_user", "asr", "cnf", "sid"] {
        assert_eq!(before[claim], after[claim], "{claim}");
    }
    assert_ne!(before["jti"], after["jti"]);
    assert_eq!(after["iat"].as_i64().unwrap() - before["iat"].as_i64().unwrap(), 200);
    assert_ne!(page.answer["signing_key"], renewed.answer["signing_key"]);
    // And again, with the new one.
    world.clock.advance_seconds(200);
    renewed.renew().await.granted();
}

#[tokio::test]
async fn the_same_renewal_twice_is_a_replay() {
    let world = World::start().await;
    let host = world.host().await;
    let page = host.page_token().await;
    let call = page.renewal();
    call.send(world.address).await.granted();
    call.send(world.address).await.assert_refused("replayed");
}

#[tokio::test]
async fn an_unsigned_or_wrongly_signed_renewal_is_refused() {
    let world = World::start().await;
    let host = world.host().await;
    let (page, other) = (host.page_token().await, host.page_token().await);
    let unsigned = PageToken::renewal_form(page.token(), TOOL);
    unsigned.clone().send(world.address).await.assert_refused("missing_signature");
    unsigned
        .clone()
        .header("authorization", &host.basic())
        .send(world.address)
        .await
        .assert_refused("missing_signature");
    let bearer = unsigned.header("authorization", &format!("HTTPSig {}", page.token()));
    bearer.send(world.address).await.assert_refused("missing_signature");
    // The key of one token, the other token in the header: the key depends on every byte of the token.
    let crossed = page.signed_as(PageToken::renewal_form(other.token(), TOOL), other.token());
    crossed.send(world.address).await.assert_refused("invalid_signature");
    // A good signature, but the form asks to renew another token.
    let smuggled = page.signed(PageToken::renewal_form(other.token(), TOOL));
    smuggled.send(world.address).await.assert_refused("invalid_grant");
    // A token of one tool is not renewed into one of another.
    let elsewhere = page.signed(PageToken::renewal_form(page.token(), OTHER_TOOL));
    elsewhere.send(world.address).await.assert_refused("tool_denied");
    // An API key's own signature is no token's.
    let by_key = host.signed(PageToken::renewal_form(page.token(), TOOL));
    by_key.send(world.address).await.assert_refused("invalid_grant");
}

#[tokio::test]
async fn the_page_stays_the_page() {
    let world = World::start().await;
    let host = world.host().await;
    let page = host.page_token().await;
    let other = bmap_model::api_key::KeyScope { origins: vec![stored("https://other.example")], ..World::scope() };
    world.host_with(SigningKind::HmacSha256, other).await;
    let moved = page.renewal().without("origin").header("origin", "https://other.example");
    moved.send(world.address).await.assert_refused("origin_denied");
    page.renewal().without("origin").send(world.address).await.assert_refused("origin_denied");
}

#[tokio::test]
async fn an_expired_token_is_not_renewed() {
    let world = World::start().await;
    let host = world.host().await;
    let page = host.page_token().await;
    world.clock.advance_seconds(301);
    page.renew().await.assert_refused("token_expired");
}

#[tokio::test]
async fn a_user_deactivated_before_the_renewal_gets_none() {
    let world = World::start().await;
    let host = world.host().await;
    let page = host.page_token().await;
    let store = &world.issuer.store;
    store.set_deactivated(&host.user, Some(UnixTime(1)), &event()).await.unwrap();
    page.renew().await.assert_refused("user_inactive");
    store.set_deactivated(&host.user, None, &event()).await.unwrap();
    page.renew().await.granted();
    store.revoke_api_key(&host.id, UnixTime(1), &event()).await.unwrap();
    page.renew().await.assert_refused("key_revoked");
}

#[tokio::test]
async fn a_revoked_or_ended_session_ends_the_renewals() {
    let world = World::start().await;
    let host = world.host().await;
    let page = host.page_token().await;
    let id = SessionId::parse(page.claims()["sid"].as_str().unwrap()).unwrap();
    assert!(world.issuer.store.revoke_session(&id, world.clock.now(), &event()).await.unwrap());
    page.renew().await.assert_refused("token_revoked");

    let mut page = host.page_token().await;
    let mut renewals = 0;
    loop {
        world.clock.advance_seconds(288);
        let answer = page.renew().await;
        if answer.status != 200 {
            answer.assert_refused("token_revoked");
            break;
        }
        page = PageToken { world: &world, answer: answer.granted() };
        renewals += 1;
    }
    assert_eq!(renewals, 12 * 3600 / 288 - 1, "the last one would be in the second in which it has ended");
}

#[tokio::test]
async fn a_direct_token_has_no_session_to_be_renewed_in() {
    let world = World::start().await;
    let host = world.host().await;
    let direct = PageToken { world: &world, answer: host.send(host.direct_call()).await.granted() };
    direct.renewal().without("origin").send(world.address).await.assert_refused("invalid_grant");
}

#[tokio::test]
async fn what_a_key_may_no_longer_embed_counts_at_once() {
    const FRAME: &str = "https://frame.example";
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let mut both = form();
    both["origins"] = json!([PAGE, FRAME]);
    let key = ana.make_with(both).await;
    let call = || Call::json("/tickets", &json!({ "tool": TOOL, "origin": PAGE, "embed_origin": FRAME }));
    let ticket = async || key.send(call()).await.granted()["ticket"].as_str().unwrap().to_owned();
    let page = PageToken { world: &world, answer: exchange(&ticket().await).send(world.address).await.granted() };
    assert_eq!(page.claims()["embed_origin"], FRAME);
    page.renew().await.granted();
    let waiting = ticket().await;
    ana.change(&key, json!({ "origins": [PAGE] })).await;
    page.renew().await.assert_refused("origin_denied");
    exchange(&waiting).send(world.address).await.assert_refused("origin_denied");
    key.send(call()).await.assert_refused("origin_denied");
}

#[tokio::test]
async fn what_a_tool_no_longer_takes_counts_at_once() {
    let world = World::start().await;
    let host = world.host().await;
    let scoped = || Call::json("/tickets", &json!({ "tool": TOOL, "origin": PAGE, "scope": "route" }));
    let ticket = async || host.send(scoped()).await.granted()["ticket"].as_str().unwrap().to_owned();
    let page = PageToken { world: &world, answer: exchange(&ticket().await).send(world.address).await.granted() };
    let waiting = ticket().await;
    world
        .change_tool(TOOL, |tool| {
            (tool.scopes, tool.min_assurance) = (Scopes::parse("search").unwrap(), Assurance::Server);
        })
        .await;
    page.renew().await.assert_refused("scope_denied");
    exchange(&waiting).send(world.address).await.assert_refused("scope_denied");
    assert!(world.issuer.store.remove_tool(&ToolId::parse(TOOL).unwrap(), &event()).await.unwrap());
    page.renew().await.assert_refused("tool_denied");
}
