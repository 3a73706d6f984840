//! `POST /oauth/introspect` (RFC 7662).

use super::revoke::revoke;
use crate::actors::{ACCESS_TOKEN, EXCHANGE, Host, PageToken};
use crate::http_client::{Answer, Call};
use crate::linked::Node;
use crate::person::logout;
use crate::rows::sealed_rows::edit;
use crate::world::{OTHER_TOOL, PAGE, TOOL, World, event, source, stored};
use bmap_model::clock::WallClock;
use bmap_model::scope::Scopes;
use bmap_model::session::SessionId;
use bmap_protocol::ids::ToolId;
use bmap_protocol::keys::MacKey;
use bmap_protocol::link::key_id;
use serde_json::{Value, json};

/// A form, for a caller that takes problem documents.
fn form(fields: &[(&str, &str)]) -> Call {
    Call::form("/oauth/introspect", fields).header("accept", "application/problem+json")
}

fn introspect(token: &str) -> Call {
    form(&[("token", token)])
}

impl Node<'_> {
    /// The question of a verifier, as it names itself.
    fn introspection(&self, token: &str) -> Call {
        Call { path: format!("/oauth/introspect?node={}", self.id), ..introspect(token) }
    }
}

#[track_caller]
fn assert_inactive(answer: &Answer) {
    assert_eq!(answer.granted(), json!({ "active": false }));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

/// The claims as an active token's answer has them.
fn active(page: &PageToken<'_>) -> Value {
    let mut claims = page.claims();
    let members = claims.as_object_mut().unwrap();
    members.insert("active".into(), true.into());
    members.insert("token_type".into(), "HTTPSig".into());
    claims
}

/// A token about a signed-in person.
async fn user_token<'w>(host: &Host<'w>, access: &str) -> PageToken<'w> {
    let fields = [
        ("grant_type", EXCHANGE),
        ("subject_token", access),
        ("subject_token_type", ACCESS_TOKEN),
        ("client_id", host.id.as_str()),
        ("audience", TOOL),
    ];
    let answer = Call::form("/oauth/token", &fields).header("origin", PAGE).send(host.world.address).await.granted();
    PageToken { world: host.world, answer }
}

#[tokio::test]
async fn an_active_token_is_told_as_it_is_to_its_client_and_to_its_tool() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let node = world.node('A');
    for token in [host.direct().await, host.page_token().await, user_token(&host, &ana.access).await] {
        let answer = host.send(introspect(token.token())).await;
        assert_eq!(answer.granted(), active(&token));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("ratelimit-policy").unwrap().starts_with("\"key\""));
        let answer = node.send(node.introspection(token.token())).await;
        assert_eq!(answer.granted(), active(&token));
        assert!(answer.header("ratelimit-policy").unwrap().starts_with("\"tool\""));
    }
}

#[tokio::test]
async fn each_way_to_authenticate_asks() {
    let world = World::start().await;
    let owner = world.key_owner("ana@shop.example").await;
    let key = owner.make().await;
    let token = key.direct().await;
    for (way, call) in key.four_ways(&introspect(token.token())) {
        assert_eq!(call.send(world.address).await.granted()["active"], true, "{way}");
    }
    let secret = key.secret.reveal();
    let fields = [("token", token.token()), ("client_id", key.id.as_str()), ("client_secret", secret.as_str())];
    let in_form = form(&fields);
    assert_eq!(in_form.send(world.address).await.granted()["active"], true);
    in_form.header("authorization", &key.basic()).send(world.address).await.assert_refused("malformed_request");
    for hint in ["access_token", "pat"] {
        let call = form(&[("token", token.token()), ("token_type_hint", hint)]);
        assert_eq!(key.send(call).await.granted()["active"], true);
    }
}

#[tokio::test]
async fn t04_a_token_of_others_is_answered_like_no_token() {
    let (world, elsewhere) = (World::start().await, World::start().await);
    let owner = world.key_owner("ana@shop.example").await;
    let (mine, sibling, stranger) = (owner.make().await, owner.make().await, world.host().await);
    world.issuer.set_role(&stranger.user, bmap_model::role::Role::Admin, None, &source()).await.unwrap();
    world.administer(&stranger, true).await;
    let token = mine.direct().await;
    for other in [&sibling, &stranger] {
        assert_inactive(&other.send(introspect(token.token())).await);
    }
    let other_tool = world.node_of(OTHER_TOOL, 'B');
    assert_inactive(&other_tool.send(other_tool.introspection(token.token())).await);
    // Nor are other kinds told: a ticket, what a user has, another issuer's, and what only looks like one.
    let (ticket, person) = (mine.ticket().await, world.guest("ben@shop.example").await);
    let foreign = elsewhere.host().await.direct().await.token().to_owned();
    let cut = &token.token()[..token.token().len() - 4];
    let long = "x".repeat(5000);
    for text in [ticket.as_str(), &person.access, &person.refresh, &foreign, cut, "x", "a.b.c", &long] {
        assert_inactive(&mine.send(introspect(text)).await);
        let node = world.node('A');
        assert_inactive(&node.send(node.introspection(text)).await);
    }
    // The ticket was not used up by the question.
    crate::actors::exchange(&ticket).send(world.address).await.granted();
}

#[tokio::test]
async fn who_proves_nothing_is_told_nothing() {
    let world = World::start().await;
    let host = world.host().await;
    let (token, page) = (host.direct().await, host.page_token().await);
    introspect(token.token()).send(world.address).await.assert_refused("missing_signature");
    let wrong = introspect(token.token()).header("authorization", &host.basic().replace("Basic ", "Basic A"));
    wrong.send(world.address).await.assert_refused("invalid_credentials");
    let bearer = introspect(token.token()).header("authorization", &format!("Bearer {}", token.token()));
    bearer.send(world.address).await.assert_refused("invalid_credentials");
    // The holder of the token is no client.
    page.signed(introspect(page.token())).send(world.address).await.assert_refused("malformed_request");
    // A refusal as RFC 6749 §5.2 has it.
    let refused = introspect("x").without("accept").header("accept", "*/*").send(world.address).await;
    assert_eq!((refused.status, refused.header("content-type")), (401, Some("application/json")));
    assert_eq!(refused.json()["error"], "invalid_client");
    for call in [form(&[]), form(&[("token", "")])] {
        let refused = host.send(call).await;
        refused.assert_refused("malformed_request");
        assert_eq!((&refused.json()["field"], &refused.json()["error"]), (&"token".into(), &"invalid_request".into()));
    }
}

#[tokio::test]
async fn a_verifier_asks_under_its_own_link_key_once() {
    let world = World::start().await;
    let host = world.host().await;
    let (token, node) = (host.direct().await, world.node('A'));
    let call = node.signed(node.introspection(token.token()));
    call.send(world.address).await.granted();
    call.send(world.address).await.assert_refused("replayed");
    let tampered = Call { body: b"token=x".to_vec(), ..node.signed(node.introspection(token.token())) };
    tampered.send(world.address).await.assert_refused("digest_mismatch");
    let keys = world.issuer.roots.of(1).unwrap();
    let other = ToolId::parse(OTHER_TOOL).unwrap();
    let others_key = MacKey::from_key_bytes(keys.tool_key(&world.issuer.url, &other).link_key().expose());
    let forged = node.signed_with(node.introspection(token.token()), &others_key, &key_id(&node.tool, 1));
    forged.send(world.address).await.assert_refused("invalid_signature");
    // A verifier names itself, as at every route of the link.
    node.send(introspect(token.token())).await.assert_refused("malformed_request");
    // One proof at a time.
    let secret = host.secret.reveal();
    let fields = [("token", token.token()), ("client_id", host.id.as_str()), ("client_secret", secret.as_str())];
    let in_form = Call { path: node.introspection("").path, ..form(&fields) };
    for call in [
        node.signed(node.introspection(token.token())).header("authorization", &host.basic()),
        node.signed(node.introspection(token.token())).header("x-api-key", "eA=="),
        node.signed(in_form),
    ] {
        call.send(world.address).await.assert_refused("malformed_request");
    }
    // With a signature of an API key beside its own.
    let twice = host.signed(introspect(token.token()));
    let (own, path) = (node.signed(introspect(token.token())), twice.path.clone());
    let of = |call: &Call, name: &str| call.headers.iter().find(|(known, _)| known == name).unwrap().1.clone();
    let mut both = Call { path, ..twice.clone() }.without("signature").without("signature-input");
    for name in ["signature-input", "signature"] {
        both = both.header(name, &format!("{}, {}", of(&twice, name), of(&own, name).replacen("bmap=", "link=", 1)));
    }
    both.send(world.address).await.assert_refused("malformed_request");
    let event = event().on(&node.tool);
    assert!(world.issuer.store.remove_tool(&node.tool, &event).await.unwrap());
    node.send(node.introspection(token.token())).await.assert_refused("tool_denied");
}

#[tokio::test]
async fn a_token_is_active_as_long_as_it_has_not_ended() {
    let world = World::start().await;
    let host = world.host().await;
    let token = host.direct().await;
    world.clock.advance_seconds(299);
    assert_eq!(host.send(introspect(token.token())).await.granted()["active"], true);
    world.clock.advance_seconds(1);
    assert_inactive(&host.send(introspect(token.token())).await);
    // One from the future, which only the issuer could have signed.
    let mut claims = token.claims();
    let sign = |claims: &Value| {
        let header = jsonwebtoken::Header {
            typ: Some("at+jwt".to_owned()),
            kid: Some(world.issuer.signer.kid().to_owned()),
            ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA)
        };
        jsonwebtoken::encode(&header, claims, &world.signing_key()).unwrap()
    };
    let now = world.clock.now().seconds();
    for (iat, exp, nbf, is_active) in [
        (now, now + 300, None, true),
        (now + 5, now + 300, None, true),
        (now + 6, now + 300, None, false),
        (now, now + 601, None, false),
        (now, now + 300, Some(now + 5), true),
        (now, now + 300, Some(now + 6), false),
    ] {
        (claims["iat"], claims["exp"]) = (iat.into(), exp.into());
        match nbf {
            Some(nbf) => claims["nbf"] = nbf.into(),
            None => drop(claims.as_object_mut().unwrap().remove("nbf")),
        }
        let answer = host.send(introspect(&sign(&claims))).await.granted();
        assert_eq!(answer["active"], is_active, "{iat} {exp} {nbf:?}");
    }
    (claims["iat"], claims["exp"], claims["nbf"]) = (now.into(), (now + 300).into(), now.into());
    for (claim, value) in [
        ("iss", json!("https://elsewhere.example")),
        ("cnf", json!({ "kid": format!("bt1.{OTHER_TOOL}.1") })),
        // An epoch whose secret is not there.
        ("cnf", json!({ "kid": format!("bt1.{TOOL}.2") })),
        ("sub", json!("anon")),
    ] {
        let mut other = claims.clone();
        other[claim] = value;
        assert_inactive(&host.send(introspect(&sign(&other))).await);
    }
}

#[tokio::test]
async fn t04_what_a_token_rests_on_counts_at_once() {
    let world = World::start().await;
    let store = &world.issuer.store;
    for number in 0..10 {
        let host = world.host().await;
        let ana = world.guest(&format!("ana{number}@shop.example")).await;
        let node = world.node('A');
        let (direct, page, user) = (host.direct().await, host.page_token().await, user_token(&host, &ana.access).await);
        let places = ToolId::parse(TOOL).unwrap();
        // Which of the three are active after it.
        let left = match number {
            0 => {
                store.set_deactivated(&host.user, Some(world.clock.now()), &event()).await.unwrap();
                [false, false, false]
            }
            1 => {
                store.set_deactivated(&ana.user(), Some(world.clock.now()), &event()).await.unwrap();
                [true, true, false]
            }
            2 => {
                logout(&ana.refresh).send(world.address).await;
                [true, true, false]
            }
            3 => {
                world.take_grant(&ana.user(), TOOL).await;
                [true, true, false]
            }
            4 => {
                world.take_grant(&host.user, TOOL).await;
                [false, false, false]
            }
            5 => {
                let sid = SessionId::parse(page.claims()["sid"].as_str().unwrap()).unwrap();
                store.revoke_session(&sid, world.clock.now(), &event()).await.unwrap();
                [true, false, true]
            }
            6 => {
                assert_eq!(host.send(revoke(direct.token())).await.status, 200);
                [false, true, true]
            }
            7 => {
                assert_eq!(host.send(revoke(user.token())).await.status, 200);
                [true, true, false]
            }
            8 => {
                world
                    .change_tool(TOOL, |tool| tool.callers = bmap_model::tool::CallerKinds::parse("direct").unwrap())
                    .await;
                [true, false, false]
            }
            _ => {
                world.issuer.store.remove_tool(&places, &event()).await.unwrap();
                [false, false, false]
            }
        };
        for (token, is_active) in [&direct, &page, &user].into_iter().zip(left) {
            // Where the key itself does not work, only the tool's verifier can ask; and where the tool is gone, only the key.
            let answers = [
                (number != 0, introspect(token.token()).header("authorization", &host.basic())),
                (number != 9, node.signed(node.introspection(token.token()))),
            ];
            for (_, call) in answers.into_iter().filter(|(asks, _)| *asks) {
                let answer = call.send(world.address).await.granted();
                assert_eq!(answer["active"], is_active, "{number}: {:?}", token.claims());
            }
        }
        if number == 8 {
            let all = bmap_model::tool::CallerKinds::parse("page direct user").unwrap();
            world.change_tool(TOOL, |tool| tool.callers = all).await;
        }
    }
}

#[tokio::test]
async fn t04_a_key_that_was_revoked_or_changed_has_no_active_tokens() {
    let world = World::start().await;
    let owner = world.key_owner("ana@shop.example").await;
    let (key, node) = (owner.make().await, world.node('A'));
    let (direct, page) = (key.direct().await, key.page_token().await);
    let ask =
        async |token: &PageToken<'_>| node.send(node.introspection(token.token())).await.granted()["active"].clone();
    assert_eq!((ask(&direct).await, ask(&page).await), (json!(true), json!(true)));
    owner.change(&key, json!({ "origins": ["https://other.example"] })).await;
    assert_eq!((ask(&direct).await, ask(&page).await), (json!(true), json!(false)));
    world.change_tool(TOOL, |tool| tool.scopes = Scopes::parse("search").unwrap()).await;
    assert_eq!(ask(&direct).await, true, "it has no scope");
    owner.change(&key, json!({ "tools": [OTHER_TOOL] })).await;
    assert_eq!(ask(&direct).await, false);
    owner.change(&key, json!({ "tools": [TOOL], "origins": [PAGE] })).await;
    assert_eq!((ask(&direct).await, ask(&page).await), (json!(true), json!(true)));
    owner.revoke(&key).await;
    assert_eq!((ask(&direct).await, ask(&page).await), (json!(false), json!(false)));
    // Rows that were edited by hand (T13).
    let host = world.host().await;
    let direct = host.direct().await;
    edit(&world, &format!("UPDATE api_keys SET user_id = '{}' WHERE id = '{}'", key.user, host.id)).await;
    assert_eq!(ask(&direct).await, false);
    assert!(world.log().contains("ALARM"));
}

#[tokio::test]
async fn a_token_with_an_origin_that_its_tool_no_longer_takes_is_not_active() {
    let world = World::start().await;
    let host = world.host().await;
    let page = host.page_token().await;
    let only = bmap_model::tool::ToolOrigins::Only(vec![stored("https://other.example")]);
    world.change_tool(TOOL, |tool| tool.origins = only).await;
    assert_inactive(&host.send(introspect(page.token())).await);
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_no_inactive_token() {
    let world = World::start().await;
    let host = world.host().await;
    let token = host.direct().await;
    world.issuer.store.close().await;
    host.send(introspect(token.token())).await.assert_refused("issuer_unavailable");
}
