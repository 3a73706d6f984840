//! Token exchange of a user's access token, and that no user's token becomes another user's (T11).

use crate::actors::{ACCESS_TOKEN, EXCHANGE, Host, PageToken};
use crate::http_client::Call;
use crate::person::{PASSWORD, Pair, change_password, logout};
use crate::rows::sealed_rows::edit;
use crate::world::{OTHER_TOOL, PAGE, TOOL, World, stored};
use bmap_model::api_key::{KeyScope, ToolSet};
use bmap_model::clock::WallClock;
use bmap_model::tool::{Tool, ToolOrigins};
use bmap_protocol::ids::{ApiKeyId, ToolId};
use bmap_protocol::seal::SigningKind;
use bmap_protocol::token::Assurance;
use serde_json::Value;
use std::collections::BTreeSet;

const OTHER_PAGE: &str = "https://other.example";

/// The exchange of an access token by a page, for a tool, on an API key.
fn exchange(access: &str, client: &ApiKeyId, tool: &str, page: &str) -> Call {
    let fields = [
        ("grant_type", EXCHANGE),
        ("subject_token", access),
        ("subject_token_type", ACCESS_TOKEN),
        ("client_id", client.as_str()),
        ("audience", tool),
    ];
    Call::form("/oauth/token", &fields).header("origin", page)
}

async fn page_token<'w>(host: &Host<'w>, person: &Pair) -> PageToken<'w> {
    let answer = exchange(&person.access, &host.id, TOOL, PAGE).send(host.world.address).await;
    PageToken { world: host.world, answer: answer.granted() }
}

/// A host whose key registered another page.
async fn other_host(world: &World) -> Host<'_> {
    let scope = KeyScope { origins: vec![stored(OTHER_PAGE)], ..World::scope() };
    world.host_with(SigningKind::HmacSha256, scope).await
}

#[tokio::test]
async fn whoever_is_signed_in_gets_a_token_about_themselves_from_the_pages_key() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let answer = exchange(&ana.access, &host.id, TOOL, PAGE).send(world.address).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let page = PageToken { world: &world, answer: answer.granted() };
    let claims = page.claims();
    let names: BTreeSet<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = "iss sub aud client_id iat exp jti scope asr cnf origin sid";
    assert_eq!(names, expected.split(' ').collect());
    for (claim, value) in [
        ("sub", ana.user().as_str()),
        ("client_id", host.id.as_str()),
        ("aud", TOOL),
        ("origin", PAGE),
        ("asr", "user"),
    ] {
        assert_eq!(claims[claim], value, "{claim}");
    }
    assert_ne!(claims["sub"], host.user.as_str());
    assert_ne!(claims["sid"], ana.claims()["sid"], "a session of its own");

    // Renewed by its signature, as every tool token: the same person, key, page and assurance.
    world.clock.advance_seconds(200);
    let renewed = PageToken { world: &world, answer: page.renew().await.granted() };
    for claim in ["iss", "sub", "aud", "client_id", "scope", "origin", "asr", "cnf", "sid"] {
        assert_eq!(claims[claim], renewed.claims()[claim], "{claim}");
    }
    world.clock.advance_seconds(200);
    renewed.renew().await.granted();
}

#[tokio::test]
async fn what_ends_the_persons_session_ends_the_renewals_at_once() {
    let world = World::start().await;
    let host = world.host().await;
    let admin = world.admin("admin@shop.example").await;
    for (number, code) in
        ["token_revoked", "token_revoked", "token_revoked", "token_revoked", "user_inactive"].into_iter().enumerate()
    {
        let person = world.person(&format!("ana{number}@shop.example")).await;
        let (ana, elsewhere) = (person.sign_in().await, person.sign_in().await);
        world.grant(&ana.user(), TOOL).await;
        let page = page_token(&host, &ana).await;
        page.renew().await.granted();
        match number {
            0 => assert_eq!(logout(&ana.refresh).send(world.address).await.status, 204),
            1 => drop(elsewhere.send(&world, Call::new("DELETE", "/auth/sessions")).await.granted()),
            2 => drop(
                change_password(&elsewhere.access, PASSWORD, "copper-lantern-12-frost")
                    .send(world.address)
                    .await
                    .granted(),
            ),
            3 => {
                // A refresh token that comes back: a thief has a copy.
                world.refresh(&ana.refresh).await.granted();
                world.clock.advance_seconds(10);
                world.refresh(&ana.refresh).await.assert_refused("invalid_token");
            }
            _ => {
                let call = Call::new("POST", &format!("/users/{}/deactivate", ana.user()));
                admin.send(&world, call).await.granted();
            }
        }
        page.renew().await.assert_refused(code);
        let again = exchange(&ana.access, &host.id, TOOL, PAGE).send(world.address).await;
        again.assert_refused(if number == 4 { "user_inactive" } else { "invalid_grant" });
        if number == 4 {
            world.issuer.store.set_deactivated(&ana.user(), None, &crate::world::event()).await.unwrap();
            page.renew().await.assert_refused("token_revoked");
        }
    }
}

#[tokio::test]
async fn what_ends_the_key_ends_the_renewals_at_once() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let page = page_token(&host, &ana).await;
    let store = &world.issuer.store;
    let again = || exchange(&ana.access, &host.id, TOOL, PAGE);
    store.set_deactivated(&host.user, Some(world.clock.now()), &crate::world::event()).await.unwrap();
    page.renew().await.assert_refused("user_inactive");
    again().send(world.address).await.assert_refused("user_inactive");
    store.set_deactivated(&host.user, None, &crate::world::event()).await.unwrap();
    page.renew().await.granted();
    store.revoke_api_key(&host.id, world.clock.now(), &crate::world::event()).await.unwrap();
    page.renew().await.assert_refused("key_revoked");
    let refused = again().send(world.address).await;
    refused.assert_refused("key_revoked");
    assert_eq!(refused.header("access-control-allow-origin"), Some(PAGE), "the page may read why");

    let ends = i64::try_from(world.now()).unwrap() + 60;
    let host = world.host_with(SigningKind::HmacSha256, KeyScope { expires_at: Some(ends), ..World::scope() }).await;
    let page = page_token(&host, &ana).await;
    // Another key keeps the page registered, so that CORS lets both through.
    world.host().await;
    world.clock.advance_seconds(60);
    page.renew().await.assert_refused("invalid_credentials");
    exchange(&ana.access, &host.id, TOOL, PAGE).send(world.address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn a_session_at_a_tool_is_never_longer_than_the_persons() {
    let world = World::start().await;
    let host = world.host().await;
    let mut ana = world.guest("ana@shop.example").await;
    world.clock.advance_seconds(30 * 86_400 - 400);
    ana = Pair::of(&world.refresh(&ana.refresh).await);
    let page = page_token(&host, &ana).await;
    world.clock.advance_seconds(290);
    let page = PageToken { world: &world, answer: page.renew().await.granted() };
    world.clock.advance_seconds(110);
    page.renew().await.assert_refused("token_revoked");
}

#[tokio::test]
async fn t11_no_users_token_becomes_another_users() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let ben = world.guest("ben@shop.example").await;
    let (of_ana, of_ben) = (page_token(&host, &ana).await, page_token(&host, &ben).await);
    assert_ne!(of_ana.claims()["sub"], of_ben.claims()["sub"]);
    // Ben's key over Ana's token, Ana's token named in a request that Ben signed, and Ana's access token in Ben's signature.
    let crossed = of_ben.signed_as(PageToken::renewal_form(of_ana.token(), TOOL), of_ana.token());
    crossed.send(world.address).await.assert_refused("invalid_signature");
    let smuggled = of_ben.signed(PageToken::renewal_form(of_ana.token(), TOOL));
    smuggled.send(world.address).await.assert_refused("invalid_grant");
    let beside = of_ben.signed(exchange(&ana.access, &host.id, TOOL, PAGE).without("origin").header("origin", PAGE));
    beside.send(world.address).await.assert_refused("malformed_request");
    // Rows moved by hand: to the other one's session, to none, to another user.
    let (ana_sid, ben_sid) = (ana.claims()["sid"].clone(), ben.claims()["sid"].clone());
    let tool_sid = of_ana.claims()["sid"].clone();
    let row = format!("WHERE id = '{}'", tool_sid.as_str().unwrap());
    for change in [
        format!("user_session_id = '{}'", ben_sid.as_str().unwrap()),
        "user_session_id = NULL".to_owned(),
        "user_session_id = 'ses_00000000000000000000000000000000'".to_owned(),
    ] {
        edit(&world, &format!("UPDATE sessions SET {change} {row}")).await;
        of_ana.renew().await.assert_refused("token_revoked");
    }
    let own = ana_sid.as_str().unwrap();
    edit(&world, &format!("UPDATE sessions SET user_session_id = '{own}' {row}")).await;
    of_ana.renew().await.granted();
    edit(&world, &format!("UPDATE sessions SET user_id = '{}' {row}", ben.user())).await;
    of_ana.renew().await.assert_refused("token_revoked");
    // Nor does the session of a ticket become a person's.
    let ticket = host.page_token().await;
    let sid = ticket.claims()["sid"].as_str().unwrap().to_owned();
    edit(&world, &format!("UPDATE sessions SET user_session_id = '{own}' WHERE id = '{sid}'")).await;
    ticket.renew().await.assert_refused("token_revoked");
}

#[tokio::test]
async fn t11_r50_no_page_uses_another_pages_key() {
    let world = World::start().await;
    let (host, other) = (world.host().await, other_host(&world).await);
    let ana = world.guest("ana@shop.example").await;
    exchange(&ana.access, &host.id, TOOL, PAGE).send(world.address).await.granted();
    exchange(&ana.access, &other.id, TOOL, OTHER_PAGE).send(world.address).await.granted();
    for (client, page) in [(&host.id, OTHER_PAGE), (&other.id, PAGE)] {
        exchange(&ana.access, client, TOOL, page).send(world.address).await.assert_refused("origin_denied");
    }
    let without = exchange(&ana.access, &host.id, TOOL, PAGE).without("origin");
    without.send(world.address).await.assert_refused("origin_denied");
    for page in [
        "https://shop.example.evil",
        "https://sub.shop.example",
        "null",
        "HTTPS://shop.example",
        "https://shop.example:443",
    ] {
        let answer = exchange(&ana.access, &host.id, TOOL, page).send(world.address).await;
        answer.assert_refused("origin_denied");
        // What a browser can send reads that it is refused, and nothing else (O19).
        let echoed = page.parse::<bmap_protocol::origin::Origin>().is_ok().then_some(page);
        assert_eq!(answer.header("access-control-allow-origin"), echoed, "{page}");
        assert_eq!(answer.header("access-control-expose-headers"), None, "{page}");
    }
    // The renewal stays with its page, though the other one is registered as well.
    let page = page_token(&host, &ana).await;
    let moved = page.renewal().without("origin").header("origin", OTHER_PAGE);
    moved.send(world.address).await.assert_refused("origin_denied");
    // A tool that takes its own pages only.
    world.add_tool("closed", ToolOrigins::Only(vec![stored(OTHER_PAGE)])).await;
    let all = world.host_with(SigningKind::HmacSha256, KeyScope { tools: ToolSet::Any, ..World::scope() }).await;
    world.grant(&ana.user(), "closed").await;
    exchange(&ana.access, &all.id, "closed", PAGE).send(world.address).await.assert_refused("origin_denied");
}

#[tokio::test]
async fn t11_a_key_opens_its_own_tools_and_tokens_stay_with_theirs() {
    let world = World::start().await;
    let only_places = KeyScope { tools: ToolSet::Only(vec![ToolId::parse(TOOL).unwrap()]), ..World::scope() };
    let host = world.host_with(SigningKind::HmacSha256, only_places).await;
    let ana = world.guest("ana@shop.example").await;
    for tool in [OTHER_TOOL, "no-such-tool"] {
        exchange(&ana.access, &host.id, tool, PAGE).send(world.address).await.assert_refused("tool_denied");
    }
    let page = page_token(&host, &ana).await;
    let elsewhere = page.signed(PageToken::renewal_form(page.token(), OTHER_TOOL));
    elsewhere.send(world.address).await.assert_refused("tool_denied");
    // A tool that asks for a backend's word does not take a person's.
    let strict = Tool {
        id: ToolId::parse("strict").unwrap(),
        min_assurance: Assurance::Server,
        ..world.issuer.store.tool(&ToolId::parse(TOOL).unwrap()).await.unwrap().unwrap()
    };
    let strict = strict.sealed(&world.issuer.roots.sealing());
    world.issuer.store.add_tool(&strict, &crate::world::event()).await.unwrap();
    let all = world.host_with(SigningKind::HmacSha256, KeyScope { tools: ToolSet::Any, ..World::scope() }).await;
    world.grant(&ana.user(), "strict").await;
    exchange(&ana.access, &all.id, "strict", PAGE).send(world.address).await.assert_refused("assurance_too_low");
}

#[tokio::test]
async fn an_audience_says_what_a_subject_token_is_and_each_kind_is_checked_as_what_it_is() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let page = page_token(&host, &ana).await;
    // A tool's token is renewed by a signature and by nothing else, whatever else the form says.
    exchange(page.token(), &host.id, TOOL, PAGE).send(world.address).await.assert_refused("missing_signature");
    // A user's is no credential for a signature, and stands alone.
    let with = |name: &str, value: &str| exchange(&ana.access, &host.id, TOOL, PAGE).header(name, value);
    for call in [
        with("authorization", &host.basic()),
        with("authorization", &format!("Bearer {}", ana.access)),
        with("x-api-key", "eA=="),
        with("signature-input", "bmap=()"),
    ] {
        call.send(world.address).await.assert_refused("malformed_request");
    }
    // Its audience in a token that the issuer did not sign so.
    let (head, rest) = page.token().split_once('.').unwrap();
    let signature = rest.split_once('.').unwrap().1;
    let payload = ana.access.split('.').nth(1).unwrap();
    let own_signature = ana.access.rsplit_once('.').unwrap().1;
    for forged in [
        format!("{head}.{payload}.{signature}"),
        format!("{head}.{payload}."),
        format!("eyJhbGciOiJub25lIn0.{payload}."),
        format!("{}.{payload}.{}", ana.access.split('.').next().unwrap(), own_signature.to_uppercase()),
    ] {
        exchange(&forged, &host.id, TOOL, PAGE).send(world.address).await.assert_refused("invalid_grant");
    }
    for text in ["x", "a.b.c", "..", &"x".repeat(5000)] {
        exchange(text, &host.id, TOOL, PAGE).send(world.address).await.assert_refused("invalid_grant");
    }
    world.clock.advance_seconds(600);
    exchange(&ana.access, &host.id, TOOL, PAGE).send(world.address).await.assert_refused("invalid_grant");
}

#[tokio::test]
async fn r31_an_unknown_client_and_one_of_another_page_get_the_same_answer() {
    let world = World::start().await;
    // The oldest key is what an unknown one is looked at by, and it registered the page: it must not be used by that.
    let host = world.host().await;
    world.clock.advance_seconds(1);
    let other = other_host(&world).await;
    let ana = world.guest("ana@shop.example").await;
    exchange(&ana.access, &host.id, TOOL, PAGE).send(world.address).await.granted();
    world.issuer.store.revoke_api_key(&other.id, world.clock.now(), &crate::world::event()).await.unwrap();
    let mut answers = Vec::new();
    for client in [other.id.clone(), ApiKeyId::from_uuid([9; 16])] {
        let call = exchange(&ana.access, &client, TOOL, PAGE).header("x-request-id", "same");
        let answer = call.send(world.address).await;
        answer.assert_refused("origin_denied");
        let mut headers: Vec<String> = answer.headers.iter().map(|header| format!("{header:?}")).collect();
        headers.retain(|header| !header.starts_with("(\"date\"") && !header.starts_with("(\"ratelimit"));
        answers.push((answer.status, headers, String::from_utf8(answer.body).unwrap()));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn r52_a_keys_networks_are_its_backends_and_not_its_visitors() {
    let loopback = "127.0.0.1/32".parse().unwrap();
    let world = World::with(vec![loopback]).await;
    let scope = KeyScope { cidrs: vec!["10.0.0.0/8".parse().unwrap()], ..World::scope() };
    let host = world.host_with(SigningKind::HmacSha256, scope).await;
    let ana = world.guest("ana@shop.example").await;
    let from = |call: Call| call.header("x-forwarded-for", "10.0.0.1, 203.0.113.9");
    host.send(from(host.direct_call())).await.assert_refused("ip_denied");
    let page = from(exchange(&ana.access, &host.id, TOOL, PAGE)).send(world.address).await.granted();
    let page = PageToken { world: &world, answer: page };
    from(page.renewal()).send(world.address).await.granted();
}

#[tokio::test]
async fn other_forms_are_malformed() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let form = |client: &str, more: &str| {
        let body = format!(
            "grant_type={EXCHANGE}&subject_token={}&subject_token_type={ACCESS_TOKEN}&audience={TOOL}{client}{more}",
            ana.access
        );
        Call::new("POST", "/oauth/token").body("application/x-www-form-urlencoded", body).header("origin", PAGE)
    };
    let client = format!("&client_id={}", host.id);
    for (client, more) in [
        ("", ""),
        ("&client_id=", ""),
        ("&client_id=bmk_x", ""),
        ("&client_id=%27%20OR%201=1--", ""),
        (client.as_str(), "&scope=%22"),
        (client.as_str(), "&encrypt=yes"),
        (client.as_str(), client.as_str()),
    ] {
        form(client, more).send(world.address).await.assert_refused("malformed_request");
    }
    form(&client, "&scope=admin").send(world.address).await.assert_refused("scope_denied");
    let granted: Value = form(&client, "&scope=search&encrypt=1").send(world.address).await.granted();
    assert_eq!((granted["scope"].as_str(), granted["encryption_key"].is_string()), (Some("search"), true));
}

#[tokio::test]
async fn a_tool_that_asks_for_more_by_now_renews_nothing() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let page = page_token(&host, &ana).await;
    world.change_tool(TOOL, |tool| tool.min_assurance = Assurance::Server).await;
    page.renew().await.assert_refused("assurance_too_low");
}
