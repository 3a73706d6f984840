//! `/link/…`: what verifiers of tools are told (profile §13).

use crate::actors::{ACCESS_TOKEN, EXCHANGE, Host};
use crate::http_client::Call;
use crate::linked::{FeedReader, Said, shown};
use crate::person::{Pair, logout, reset, set_password};
use crate::world::{OTHER_TOOL, PAGE, TOOL, World, source};
use bmap_issuer::issuer::{Issuer, Lives};
use bmap_issuer::tools::{GrantForm, ToolChange};
use bmap_model::audit::{Action, Event};
use bmap_model::clock::{ManualClock, WallClock};
use bmap_model::rng::SystemRandom;
use bmap_model::session::{Session, SessionId, SessionState};
use bmap_model::tool_grant::Giver;
use bmap_protocol::ids::ToolId;
use bmap_protocol::keys::{MacKey, RootSecret};
use bmap_protocol::link::key_id;
use bmap_protocol::sign::RequestKey;
use bmap_protocol::token::Assurance;
use bmap_server::http::app::App;
use bmap_store::schema::Pending;
use bmap_store::{Batch, Database};
use futures_util::future::join_all;
use sqlx::{AnyConnection, Connection};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn tool(id: &str) -> ToolId {
    ToolId::parse(id).unwrap()
}

/// A token about a signed-in person: its session.
async fn session_of(host: &Host<'_>, person: &Pair) -> String {
    let fields = [
        ("grant_type", EXCHANGE),
        ("subject_token", &person.access),
        ("subject_token_type", ACCESS_TOKEN),
        ("client_id", host.id.as_str()),
        ("audience", TOOL),
    ];
    let answer = Call::form("/oauth/token", &fields).header("origin", PAGE).send(host.world.address).await.granted();
    let page = crate::actors::PageToken { world: host.world, answer };
    page.claims()["sid"].as_str().unwrap().to_owned()
}

pub(crate) async fn newest(world: &World) -> i64 {
    world.issuer.store.link_cursor().await.unwrap()
}

/// Another process' issuer on the world's database.
async fn another(world: &World) -> std::net::SocketAddr {
    let store = Database::open(&world.database.address(), Pending::Refuse).await.unwrap();
    let (epoch, clock) = (RootSecret::from_bytes([7; 32]).epoch(1), Arc::new(ManualClock::at(world.clock.now())));
    let issuer = Issuer::open(world.issuer.url.clone(), store, epoch, clock, Arc::new(SystemRandom), Lives::default());
    world.serve(&App::new(Arc::new(issuer.await.unwrap()), Vec::new()).unwrap()).await
}

#[tokio::test]
async fn a_verifier_reads_keys_policy_and_denials_at_one_cursor() {
    let world = World::start().await;
    let (node, host) = (world.node('A'), world.host().await);
    world.issuer.deactivate_user(&host.user, &source()).await.unwrap();
    let answer = node.send(node.state_call()).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let state = node.state().await;
    assert_eq!(state.cursor, newest(&world).await);
    assert_eq!(state.issuer, world.issuer.url.as_str());
    assert_eq!(state.issuer_keys[0].kid, world.issuer.signer.kid());
    assert_eq!(state.denials.iter().map(shown).collect::<Vec<_>>(), [format!("user {}", host.user)]);
    let [linked] = state.tools.as_slice() else { panic!("{:?}", state.tools) };
    assert_eq!((linked.id.as_str(), linked.epochs.as_slice()), (TOOL, &[1][..]));
    assert_eq!((linked.base_urls.join(" "), linked.origins.join(" ")), ("https://tools.example".into(), "*".into()));
    assert_eq!((linked.min_assurance, linked.policy.is_empty()), (Assurance::Origin, true));
    // A denial ends when the last token that it touches has ended, by every clock.
    assert_eq!(state.denials[0].until, world.clock.now().seconds() + 610);
    world.clock.advance_seconds(611);
    assert_eq!(node.state().await.denials, []);
}

#[tokio::test]
async fn a_state_that_is_known_is_not_sent_again() {
    let world = World::start().await;
    let (node, host) = (world.node('A'), world.host().await);
    let tag = node.send(node.state_call()).await.header("etag").unwrap().to_owned();
    let again = || node.send(node.state_call().header("if-none-match", &tag));
    // The cursor moves on with each entry of the audit log; nothing else changed.
    host.send(host.direct_call()).await.granted();
    let unchanged = again().await;
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let change = ToolChange { min_assurance: Some(Assurance::User), ..ToolChange::default() };
    world.issuer.tools().change(&tool(TOOL), &change, &source()).await.unwrap();
    assert_eq!(again().await.status, 200);
    assert_eq!(node.state().await.tools[0].min_assurance, Assurance::User);
}

#[tokio::test]
async fn only_the_link_key_of_its_own_tool_and_epoch_opens_the_link() {
    let world = World::start().await;
    let node = world.node('A');
    let keys = |epoch| world.issuer.roots.of(1).map(|_| RootSecret::from_bytes([7; 32]).epoch(epoch)).unwrap();
    let key_of = |epoch, tool: &ToolId| {
        MacKey::from_key_bytes(keys(epoch).tool_key(&world.issuer.url, tool).link_key().expose())
    };
    let own = key_of(1, &tool(TOOL));
    let signed = |key: &MacKey, id: &str| node.signed_with(node.state_call(), key, id);
    assert_eq!(signed(&own, &key_id(&tool(TOOL), 1)).send(world.address).await.status, 200);
    for (key, id) in [
        (own.clone(), key_id(&tool(OTHER_TOOL), 1)),
        (key_of(1, &tool(OTHER_TOOL)), key_id(&tool(TOOL), 1)),
        (key_of(2, &tool(TOOL)), key_id(&tool(TOOL), 2)),
        (own.clone(), key_id(&tool(TOOL), 2)),
        (own.clone(), format!("bl1.{TOOL}.01")),
        (own.clone(), format!("bt1.{TOOL}.1")),
        (own.clone(), "bmk_00000000000000000000000000000000".to_owned()),
        // The tool's other keys are not this one.
        (
            MacKey::from_key_bytes(keys(1).tool_key(&world.issuer.url, &tool(TOOL)).hop_key().expose()),
            key_id(&tool(TOOL), 1),
        ),
    ] {
        signed(&key, &id).send(world.address).await.assert_refused("invalid_signature");
    }
    // A tool that is not there has a key too: a caller that can derive it is told that there is no such tool, and other callers are not.
    let gone = tool("gone");
    signed(&key_of(1, &gone), &key_id(&gone, 1)).send(world.address).await.assert_refused("tool_denied");
    node.state_call().send(world.address).await.assert_refused("missing_signature");
    // A signature for requests to a tool, with the same key and id.
    let as_request = crate::actors::sign_call(
        &world,
        node.state_call(),
        &RequestKey::Hmac(own.clone()),
        &key_id(&tool(TOOL), 1),
        None,
    );
    as_request.send(world.address).await.assert_refused("missing_signature");
}

#[tokio::test]
async fn what_is_signed_can_not_be_changed_sent_late_or_sent_twice() {
    let world = World::start().await;
    let node = world.node('A');
    let call = node.signed(node.state_call());
    let other_node = Call { path: call.path.replace(&node.id, &world.node('B').id), ..call.clone() };
    other_node.send(world.address).await.assert_refused("invalid_signature");
    let other_path = Call { path: call.path.replace("/link/state?", "/link/feed?after=0&"), ..call.clone() };
    other_path.send(world.address).await.assert_refused("invalid_signature");
    // A GET is no act: it may come twice.
    assert_eq!(call.send(world.address).await.status, 200);
    assert_eq!(call.send(world.address).await.status, 200);
    let applied = node.signed(node.applied_call(0));
    let tampered = Call { body: br#"{"cursor":1}"#.to_vec(), ..applied.clone() };
    tampered.send(world.address).await.assert_refused("digest_mismatch");
    assert_eq!(applied.send(world.address).await.status, 204);
    applied.send(world.address).await.assert_refused("replayed");
    world.clock.advance_seconds(61);
    call.send(world.address).await.assert_refused("clock_skew");
    let future = node.signed(node.state_call());
    world.clock.advance_seconds(-6);
    future.send(world.address).await.assert_refused("clock_skew");
}

#[tokio::test]
async fn malformed_requests_of_a_verifier_are_refused() {
    let world = World::start().await;
    let node = world.node('A');
    let newest = newest(&world).await;
    for path in [
        "/link/state".to_owned(),
        "/link/state?node=AAAA".to_owned(),
        format!("/link/state?node={}&node={}", node.id, node.id),
        format!("/link/state?node={}&x=1", node.id),
        format!("/link/feed?node={}", node.id),
        format!("/link/feed?after=x&node={}", node.id),
    ] {
        node.send(Call::new("GET", &path)).await.assert_refused("malformed_request");
    }
    // No word for changes that are still to come, and no number that is none.
    for cursor in ["-1", "1.5", "\"1\"", "null", &(newest + 1000).to_string()] {
        let path = format!("/link/applied?node={}", node.id);
        let call = Call::new("POST", &path).body("application/json", format!("{{\"cursor\":{cursor}}}"));
        node.send(call).await.assert_refused("malformed_request");
    }
    for after in [-1, newest + 1000] {
        node.send(node.feed_call(after)).await.assert_refused("cursor_gone");
    }
    // The row of a tool that was edited by hand tells nothing (T13).
    crate::rows::sealed_rows::edit(&world, &format!("UPDATE tools SET scopes = 'admin' WHERE id = '{TOOL}'")).await;
    node.send(node.state_call()).await.assert_refused("tool_denied");
}

/// Each act, and what a verifier of `TOOL` hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn f18_each_act_is_told_to_the_verifiers_that_it_touches() {
    let world = World::start().await;
    let owner = world.key_owner("owner@shop.example").await;
    let key = owner.make().await;
    let host = world.host().await;
    let ana = world.person("ana@shop.example").await;
    let ana_pair = ana.sign_in().await;
    for tool in [TOOL, OTHER_TOOL] {
        world.grant(&ana_pair.user(), tool).await;
    }
    let sid = session_of(&host, &ana_pair).await;
    let (mine, other) = (world.node('A'), world.node_of(OTHER_TOOL, 'B'));
    let start = newest(&world).await;
    let (mut feed, mut other_feed) = (mine.feed(start).await, other.feed(start).await);

    owner.revoke(&key).await;
    assert_eq!(feed.changes().await, [format!("key {}", key.id)]);
    assert_eq!(other_feed.changes().await, [format!("key {}", key.id)]);

    logout(&ana_pair.refresh).send(world.address).await;
    assert_eq!(feed.changes().await, [format!("session {sid} {TOOL}")]);

    // Sessions that ended within a second of an act are told again with it.
    world.clock.advance_seconds(2);
    let again = ana.sign_in().await;
    let (first, second) = (session_of(&host, &again).await, session_of(&host, &again).await);
    assert_eq!(reset(&ana.email).send(world.address).await.status, 202);
    let link = world.links_to("/auth/password/reset", &ana.email).await.pop().unwrap();
    set_password(&link, "another-kettle-50-marsh").send(world.address).await.granted();
    let mut denied = feed.changes().await;
    denied.sort();
    let mut expected = [first, second].map(|sid| format!("session {sid} {TOOL}"));
    expected.sort();
    assert_eq!(denied, expected);

    let user = again.user();
    world.issuer.tools().revoke_grant(&tool(TOOL), &user, None, &source()).await.unwrap();
    assert_eq!(feed.changes().await, [format!("grant {user} {TOOL}")]);
    let form = GrantForm { tool: tool(TOOL), user: user.clone(), scopes: None, ends_at: None };
    world.issuer.tools().grant(form, Giver::Operator, None, &source()).await.unwrap();
    assert_eq!(feed.changes().await, [format!("lift {user} {TOOL}")]);

    world.issuer.deactivate_user(&user, &source()).await.unwrap();
    assert_eq!(feed.changes().await, [format!("user {user}")]);
    assert_eq!(
        other_feed.changes().await,
        [format!("user {user}")],
        "it heard nothing of the other tool's grants and sessions"
    );
    world.issuer.activate_user(&user, &source()).await.unwrap();
    assert_eq!(feed.changes().await, [format!("lift {user}")]);

    let change = ToolChange { min_assurance: Some(Assurance::User), ..ToolChange::default() };
    world.issuer.tools().change(&tool(TOOL), &change, &source()).await.unwrap();
    assert_eq!(feed.changes().await, [format!("policy {TOOL} {TOOL}")]);

    let event = Event::done(Action::ToolRemove, &source(), world.clock.now()).on(&tool(TOOL));
    assert!(world.issuer.store.remove_tool(&tool(TOOL), &event).await.unwrap());
    assert_eq!(feed.changes().await, [format!("tool-epoch {TOOL} {TOOL}")]);
    feed.end().await;
    mine.send(mine.state_call()).await.assert_refused("tool_denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_feed_from_any_cursor_misses_nothing_whatever_is_committed_at_once() {
    let world = World::start().await;
    let mut hosts = Vec::new();
    for _ in 0..24 {
        hosts.push(world.host().await);
    }
    let start = newest(&world).await;
    let elsewhere = another(&world).await;
    let mut feed = world.node('A').feed(start).await;
    let mut at_another = world.node('B');
    at_another.at = elsewhere;
    let mut other_feed = at_another.feed(start).await;
    // Acts beside tokens, which are entries of the same log.
    let by = source();
    let acts = hosts.iter().map(|host| world.issuer.deactivate_user(&host.user, &by));
    let tokens = hosts.iter().map(|host| host.send(host.direct_call()));
    let (done, _) = tokio::join!(join_all(acts), join_all(tokens));
    assert!(done.iter().all(Result::is_ok));
    let heard = take(&mut feed, hosts.len()).await;
    assert_eq!(heard, take(&mut other_feed, hosts.len()).await);
    assert!(heard.is_sorted_by_key(|(cursor, _)| *cursor));
    let mut users: Vec<_> = heard.iter().map(|(_, change)| change.clone()).collect();
    users.sort();
    let mut expected: Vec<_> = hosts.iter().map(|host| format!("user {}", host.user)).collect();
    expected.sort();
    assert_eq!(users, expected);
    // Behind each of the cursors the same rest comes.
    for (number, (cursor, _)) in heard.iter().enumerate().step_by(5) {
        let rest = &heard[number + 1..];
        if !rest.is_empty() {
            assert_eq!(take(&mut world.node('C').feed(*cursor).await, rest.len()).await, rest);
        }
    }
}

async fn take(feed: &mut FeedReader, count: usize) -> Vec<(i64, String)> {
    let mut heard = Vec::new();
    while heard.len() < count {
        if let Said::Change(change) = feed.next().await.expect("the feed is open") {
            heard.push((change.cursor, shown(&change)));
        }
    }
    heard
}

/// A transaction that has taken its place in the log and is not over yet holds up the later ones: no cursor overtakes it.
#[tokio::test(flavor = "multi_thread")]
async fn f18_a_lower_cursor_is_never_committed_behind_a_higher_one() {
    let world = World::start().await;
    let host = world.host().await;
    let start = newest(&world).await;
    let mut feed = world.node('A').feed(start).await;
    let mut connection = AnyConnection::connect(&world.database.url()).await.unwrap();
    let begin = if crate::database::is_postgres() { "BEGIN" } else { "BEGIN IMMEDIATE" };
    sqlx::raw_sql(begin).execute(&mut connection).await.unwrap();
    sqlx::raw_sql("UPDATE audit_head SET sequence = sequence WHERE id = 1").execute(&mut connection).await.unwrap();
    let (issuer, user) = (Arc::clone(&world.issuer), host.user.clone());
    let act = tokio::spawn(async move { issuer.deactivate_user(&user, &source()).await });
    for _ in 0..2 {
        assert_eq!(feed.mark().await.cursor, start, "nothing is committed");
    }
    assert!(!act.is_finished());
    sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
    act.await.unwrap().unwrap();
    assert_eq!(feed.changes().await, [format!("user {}", host.user)]);
}

/// A session at the tool, of a person who is signed in or whose page has a ticket.
pub(super) fn session(host: &Host<'_>, person: &Pair, user_session: Option<SessionId>, number: u128) -> Session {
    let now = host.world.clock.now();
    Session {
        id: SessionId::from_uuid(number.to_be_bytes()),
        user: person.user(),
        key: host.id.clone(),
        tool: tool(TOOL),
        user_session,
        created_at: now,
        expires_at: now.plus_seconds(60),
        state: SessionState::Active,
    }
}

pub(super) async fn begin(world: &World, sessions: Vec<Session>) {
    let events = vec![Event::done(Action::TokenGrant, &source(), world.clock.now())];
    world.issuer.store.write(&Batch { sessions, events, ..Batch::default() }).await.unwrap();
}

/// The token of a session whose user signs out while it is made: the sign-out does not know of it yet.
#[tokio::test]
async fn f18_a_session_that_begins_behind_its_users_sign_out_is_denied() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let user_session = SessionId::parse(ana.claims()["sid"].as_str().unwrap()).unwrap();
    logout(&ana.refresh).send(world.address).await;
    let start = newest(&world).await;
    let (late, direct) = (session(&host, &ana, Some(user_session), 8), session(&host, &ana, None, 9));
    let id = late.id.clone();
    begin(&world, vec![late, direct]).await;
    let changes = world.issuer.store.link_changes(start).await.unwrap().unwrap();
    assert_eq!(changes.iter().map(shown).collect::<Vec<_>>(), [format!("session {} {TOOL}", id.as_str())]);
}

#[tokio::test]
async fn f18_a_cursor_before_what_was_deleted_is_gone_and_a_later_one_is_not() {
    let world = World::start().await;
    let (first, second) = (world.host().await, world.host().await);
    world.issuer.deactivate_user(&first.user, &source()).await.unwrap();
    let between = newest(&world).await;
    world.clock.advance_seconds(400);
    world.issuer.deactivate_user(&second.user, &source()).await.unwrap();
    let end = newest(&world).await;
    world.clock.advance_seconds(300);
    let store = &world.issuer.store;
    assert_eq!(store.delete_ended_link_changes(world.clock.now().seconds()).await.unwrap(), 1);
    let node = world.node('A');
    node.send(node.feed_call(between - 1)).await.assert_refused("cursor_gone");
    assert_eq!(node.feed(between).await.changes().await, [format!("user {}", second.user)]);
    assert!(node.feed(end).await.mark().await.cursor >= end);
    assert_eq!(store.delete_ended_link_changes(world.clock.now().seconds()).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_say_what_is_complete_and_stop_while_the_database_does_not_answer() {
    let world = World::start().await;
    let host = world.host().await;
    let mut feed = world.node('A').feed(newest(&world).await).await;
    let first = feed.mark().await;
    host.send(host.direct_call()).await.granted();
    // Tokens move the cursor on; there is nothing to be told of them.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while feed.mark().await.cursor < newest(&world).await {
        assert!(tokio::time::Instant::now() < deadline);
    }
    assert!(first.server_time > 0);
    world.issuer.store.close().await;
    let silent = tokio::time::timeout(Duration::from_millis(2500), async {
        // One that was on its way may come.
        feed.mark().await;
        feed.mark().await;
    });
    assert!(silent.await.is_err(), "a mark says that nothing is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_end_when_the_issuer_stops() {
    let mut world = World::start().await;
    let mut feed = world.node('A').feed(newest(&world).await).await;
    feed.mark().await;
    world.app.stop();
    feed.end().await;
    world.stop();
}
