//! `POST /oauth/revoke` (RFC 7009).

use crate::actors::{ACCESS_TOKEN, EXCHANGE, Host, PageToken, exchange};
use crate::audit::recorded::entries;
use crate::http_client::{Answer, Call};
use crate::linked::shown;
use crate::routes::link::newest;
use crate::world::{PAGE, TOOL, World};
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::ticket::PlainTicket;
use futures_util::future::join_all;

/// A form, for a caller that takes problem documents.
fn form(fields: &[(&str, &str)]) -> Call {
    Call::form("/oauth/revoke", fields).header("accept", "application/problem+json")
}

/// The call, without a credential.
pub(super) fn revoke(token: &str) -> Call {
    form(&[("token", token)])
}

impl<'w> Host<'w> {
    /// A direct token, as the token endpoint gave it.
    pub(crate) async fn direct(&self) -> PageToken<'w> {
        PageToken { world: self.world, answer: self.send(self.direct_call()).await.granted() }
    }
}

#[track_caller]
fn assert_revoked(answer: &Answer) {
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

/// The entries of the audit log since so many: action, target, and its id.
async fn recorded(world: &World, before: usize) -> Vec<String> {
    let rows = entries(world).await;
    let say = |target: &Option<String>| target.clone().unwrap_or_default();
    let rows = rows[before..].iter().map(|row| &row.content);
    rows.map(|it| format!("{} {} {} {}", it.action, it.outcome, say(&it.target), say(&it.target_id))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn t04_a_revoked_token_is_denied_to_the_verifiers_of_its_tool_while_their_feed_is_open() {
    let world = World::start().await;
    let host = world.host().await;
    let token = host.direct().await;
    let jti = token.claims()["jti"].as_str().unwrap().to_owned();
    let (node, other) = (world.node('A'), world.node_of(crate::world::OTHER_TOOL, 'B'));
    let start = newest(&world).await;
    let (mut feed, mut other_feed) = (node.feed(start).await, other.feed(start).await);
    let before = entries(&world).await.len();

    assert_revoked(&host.send(revoke(token.token())).await);
    assert_eq!(feed.changes().await, [format!("token {jti} {TOOL}")]);
    // Until it has ended by every clock; and a verifier that comes later finds it in the state.
    let state = node.state().await;
    let denial = &state.denials[0];
    assert_eq!(shown(denial), format!("token {jti} {TOOL}"));
    assert!(denial.until >= token.claims()["exp"].as_i64().unwrap() + 10);
    assert_eq!(other.state().await.denials, [], "it is no matter of the other tool");

    // A second time is no second act, at this issuer or at another.
    assert_revoked(&host.send(revoke(token.token())).await);
    let again = join_all((0..8).map(|_| host.send(revoke(token.token())))).await;
    again.iter().for_each(assert_revoked);
    assert_eq!(recorded(&world, before).await, [format!("token.revoke done token {jti}")]);
    let row = entries(&world).await.remove(before).content;
    assert_eq!(
        (row.actor_id.as_deref(), row.target_user.as_deref()),
        (Some(host.id.as_str()), Some(host.user.as_str()))
    );
    host.direct().await;
    assert!(other_feed.mark().await.cursor >= start, "the other tool's verifiers heard nothing");
}

#[tokio::test]
async fn t04_revocations_at_once_are_one() {
    let world = World::start().await;
    let host = world.host().await;
    let page = host.page_token().await;
    let (start, before) = (newest(&world).await, entries(&world).await.len());
    let answers = join_all((0..16).map(|_| host.send(revoke(page.token())))).await;
    answers.iter().for_each(assert_revoked);
    let (jti, sid) = (page.claims()["jti"].clone(), page.claims()["sid"].clone());
    let (jti, sid) = (jti.as_str().unwrap(), sid.as_str().unwrap());
    let mut acts = recorded(&world, before).await;
    acts.sort();
    assert_eq!(acts, [format!("session.revoke done session {sid}"), format!("token.revoke done token {jti}")]);
    let changes = world.issuer.store.link_changes(start).await.unwrap().unwrap();
    let mut said: Vec<_> = changes.iter().map(shown).collect();
    said.sort();
    assert_eq!(said, [format!("session {sid} {TOOL}"), format!("token {jti} {TOOL}")]);
}

#[tokio::test]
async fn t04_the_session_of_a_revoked_token_ends_and_what_it_was_renewed_into_too() {
    let world = World::start().await;
    let host = world.host().await;
    let (page, untouched) = (host.page_token().await, host.page_token().await);
    world.clock.advance_seconds(100);
    let renewed = PageToken { world: &world, answer: page.renew().await.granted() };
    assert_revoked(&host.send(revoke(page.token())).await);
    page.renew().await.assert_refused("token_revoked");
    renewed.renew().await.assert_refused("token_revoked");
    untouched.renew().await.granted();
}

#[tokio::test]
async fn t04_a_token_that_ends_while_it_is_revoked_is_denied_as_long_as_a_slow_clock_takes_it() {
    let world = World::start().await;
    let host = world.host().await;
    let (direct, late) = (host.direct().await, host.page_token().await);
    let before = entries(&world).await.len();
    // Ended here; not yet by a clock that is ten seconds behind.
    world.clock.advance_seconds(309);
    assert_revoked(&host.send(revoke(direct.token())).await);
    let jti = direct.claims()["jti"].as_str().unwrap().to_owned();
    assert_eq!(recorded(&world, before).await, [format!("token.revoke done token {jti}")]);
    // Ended by every clock: there is nothing to deny but the session, whose other tokens may live.
    world.clock.advance_seconds(1);
    let before = entries(&world).await.len();
    assert_revoked(&host.send(revoke(late.token())).await);
    let sid = late.claims()["sid"].as_str().unwrap().to_owned();
    assert_eq!(recorded(&world, before).await, [format!("session.revoke done session {sid}")]);
    let direct = host.direct().await;
    world.clock.advance_seconds(310);
    let before = entries(&world).await.len();
    assert_revoked(&host.send(revoke(direct.token())).await);
    assert_eq!(recorded(&world, before).await, [""; 0]);
}

#[tokio::test]
async fn t04_only_the_client_that_a_token_was_issued_to_revokes_it() {
    let world = World::start().await;
    let owner = world.key_owner("ana@shop.example").await;
    let (mine, sibling, stranger) = (owner.make().await, owner.make().await, world.host().await);
    world.issuer.set_role(&stranger.user, bmap_model::role::Role::Admin, None, &crate::world::source()).await.unwrap();
    world.administer(&stranger, true).await;
    let (token, ticket) = (mine.direct().await, mine.ticket().await);
    let before = newest(&world).await;
    for other in [&sibling, &stranger] {
        for text in [token.token(), &ticket] {
            let refused = other.send(revoke(text)).await;
            refused.assert_refused("invalid_grant");
            assert_eq!(
                (&refused.json()["error"], &refused.json()["field"]),
                (&"invalid_grant".into(), &"token".into())
            );
        }
    }
    // Who authenticates as no client.
    for text in [token.token(), &ticket, "x"] {
        revoke(text).send(world.address).await.assert_refused("missing_signature");
        token.signed(revoke(text)).send(world.address).await.assert_refused("malformed_request");
        world.node('A').send(revoke(text)).await.assert_refused("missing_signature");
        let wrong = revoke(text).header("authorization", &mine.basic().replace("Basic ", "Basic A"));
        wrong.send(world.address).await.assert_refused("invalid_credentials");
    }
    assert_eq!(world.issuer.store.link_changes(before).await.unwrap().unwrap(), []);
    exchange(&ticket).send(world.address).await.granted();
}

#[tokio::test]
async fn each_way_to_authenticate_revokes() {
    let world = World::start().await;
    let owner = world.key_owner("ana@shop.example").await;
    let key = owner.make().await;
    for way in 0..4 {
        let token = key.direct().await;
        let (_, call) = &key.four_ways(&revoke(token.token()))[way];
        assert_revoked(&call.send(world.address).await);
        let secret = key.secret.reveal();
        let in_form = |text: &str| {
            let fields = [("token", text), ("client_id", key.id.as_str()), ("client_secret", &secret)];
            form(&fields)
        };
        assert_revoked(&in_form(key.direct().await.token()).send(world.address).await);
        let both = in_form(token.token()).header("authorization", &key.basic());
        both.send(world.address).await.assert_refused("malformed_request");
    }
    // The hint is not needed, and a wrong one does no harm (§2.1).
    let token = key.direct().await;
    for hint in ["access_token", "refresh_token", "pat", ""] {
        let call = form(&[("token", token.token()), ("token_type_hint", hint)]);
        assert_revoked(&key.send(call).await);
    }
}

#[tokio::test]
async fn what_is_no_token_of_this_issuer_is_revoked_already() {
    let (world, elsewhere) = (World::start().await, World::start().await);
    let (host, other) = (world.host().await, elsewhere.host().await);
    let before = entries(&world).await.len();
    let token = host.direct().await;
    let cut = &token.token()[..token.token().len() - 4];
    let foreign = other.direct().await;
    let never = [PlainTicket::from_bytes(&[9; 32]).reveal().to_owned(), "bmr_x".to_owned()];
    for text in ["x", "a.b.c", cut, foreign.token(), &never[0], &never[1], &"x".repeat(5000)] {
        assert_revoked(&host.send(revoke(text)).await);
    }
    assert_eq!(recorded(&world, before).await.len(), 1, "the grant of the token");
    for call in [form(&[]), form(&[("token", "")])] {
        let refused = host.send(call).await;
        refused.assert_refused("malformed_request");
        assert_eq!((&refused.json()["field"], &refused.json()["error"]), (&"token".into(), &"invalid_request".into()));
    }
    let twice = host.send(form(&[("token", "x"), ("token", "y")])).await;
    twice.assert_refused("malformed_request");
    let json = Call::json("/oauth/revoke", &serde_json::json!({ "token": "x" }));
    host.send(json.header("accept", "application/problem+json")).await.assert_refused("unsupported_media_type");
}

#[tokio::test]
async fn a_ticket_is_revoked_before_it_is_used() {
    let world = World::start().await;
    let host = world.host().await;
    let (ticket, kept) = (host.ticket().await, host.ticket().await);
    let before = entries(&world).await.len();
    assert_revoked(&host.send(revoke(&ticket)).await);
    assert_revoked(&host.send(revoke(&ticket)).await);
    assert_eq!(recorded(&world, before).await, [format!("ticket.revoke done tool {TOOL}")]);
    exchange(&ticket).send(world.address).await.assert_refused("invalid_grant");
    exchange(&kept).send(world.address).await.granted();
    // One that was used is none any more; its token lives.
    assert_revoked(&host.send(revoke(&kept)).await);
    // A row that was edited is no ticket, for this too (T13).
    let edited = host.ticket().await;
    crate::rows::sealed_rows::edit(&world, "UPDATE tickets SET tool = 'postcards'").await;
    assert_revoked(&host.send(revoke(&edited)).await);
    let revoked = |acts: Vec<String>| acts.iter().filter(|act| act.starts_with("ticket.revoke")).count();
    assert_eq!(revoked(recorded(&world, before).await), 1);
}

#[tokio::test]
async fn a_refresh_token_revokes_its_session_and_needs_no_client() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let fields = [
        ("grant_type", EXCHANGE),
        ("subject_token", &ana.access),
        ("subject_token_type", ACCESS_TOKEN),
        ("client_id", host.id.as_str()),
        ("audience", TOOL),
    ];
    let answer = Call::form("/oauth/token", &fields).header("origin", PAGE).send(world.address).await.granted();
    let page = PageToken { world: &world, answer };
    let start = newest(&world).await;
    // Beside a client's credential it would not be looked at.
    host.send(revoke(&ana.refresh)).await.assert_refused("malformed_request");
    let secret = host.secret.reveal();
    let fields = [("token", ana.refresh.as_str()), ("client_id", host.id.as_str()), ("client_secret", &secret)];
    form(&fields).send(world.address).await.assert_refused("malformed_request");
    page.renew().await.granted();

    let answer = revoke(&ana.refresh).send(world.address).await;
    assert_revoked(&answer);
    assert!(answer.header("ratelimit-policy").unwrap().starts_with("\"user\""), "counted to its user");
    world.refresh(&ana.refresh).await.assert_refused("invalid_token");
    world.me(&ana.access).await.assert_refused("invalid_token");
    page.renew().await.assert_refused("token_revoked");
    let changes = world.issuer.store.link_changes(start).await.unwrap().unwrap();
    let sid = page.claims()["sid"].as_str().unwrap().to_owned();
    assert_eq!(changes.iter().map(shown).collect::<Vec<_>>(), [format!("session {sid} {TOOL}")]);
    // Known and unknown ones are one answer.
    let never = OpaqueToken::from_bytes(Kind::Refresh, [7; 32]);
    for text in [ana.refresh.as_str(), &never.reveal()] {
        assert_revoked(&revoke(text).send(world.address).await);
    }
}

#[tokio::test]
async fn a_users_access_token_is_not_revoked_by_itself() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let refused = host.send(revoke(&ana.access)).await;
    refused.assert_refused("unsupported_token_type");
    assert_eq!(refused.json()["error"], "unsupported_token_type");
    world.me(&ana.access).await.granted();
    // A client of OAuth reads it as RFC 6749 §5.2 says.
    for accept in ["application/json", "*/*", ""] {
        let call = revoke(&ana.access).without("accept");
        let refused = host.send(if accept.is_empty() { call } else { call.header("accept", accept) }).await;
        assert_eq!((refused.status, refused.header("content-type")), (400, Some("application/json")), "{accept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_waited_for_as_every_act() {
    let world = World::start().await;
    let host = world.host().await;
    let node = world.node('A');
    node.applied(newest(&world).await).await;
    let token = host.direct().await;
    let answer = host.send(revoke(token.token()).header("prefer", "wait=0")).await;
    assert_revoked(&answer);
    assert!(answer.header("bmap-verifiers").unwrap().starts_with("applied=0, pending-count=1"));
    node.applied(newest(&world).await).await;
    let answer = host.send(revoke(token.token()).header("prefer", "wait=2")).await;
    assert_eq!(answer.header("bmap-verifiers"), Some("applied=1"));
}
