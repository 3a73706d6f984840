//! Users who end very many sessions, tokens or keys: verifiers hold denials in bounded memory, so one denial stands for many (T25).

use super::link::{begin, newest, session, tool};
use crate::http_client::Call;
use crate::linked::shown;
use crate::person::logout;
use crate::stalled::execute;
use crate::world::{OTHER_TOOL, TOOL, World, source};
use bmap_model::audit::{Action, Event, Target};
use bmap_model::clock::WallClock;
use bmap_model::session::{Session, SessionId};
use bmap_protocol::ids::ApiKeyId;
use bmap_protocol::link::Change;
use std::collections::BTreeMap;

/// How many changes there are for each tool behind a cursor, and how many of them stand for many.
async fn told(world: &World, after: i64) -> BTreeMap<String, (usize, usize)> {
    let mut told = BTreeMap::<_, (usize, usize)>::new();
    for change in world.issuer.store.link_changes(after).await.unwrap().unwrap() {
        let of_tool = told.entry(change.tool.unwrap_or_default()).or_default();
        of_tool.0 += 1;
        of_tool.1 += usize::from(change.issued_until.is_some());
    }
    told
}

/// One act, with more changes than are read at once: all of them have its cursor.
#[tokio::test(flavor = "multi_thread")]
async fn f18_an_act_with_more_changes_than_a_page_denies_all_of_them() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let user_session = SessionId::parse(ana.claims()["sid"].as_str().unwrap()).unwrap();
    let at = |number: u128| if number < 60 { TOOL.to_owned() } else { format!("tool-{}", number / 60) };
    let sessions = (1..2_400)
        .map(|number| Session { tool: tool(&at(number)), ..session(&host, &ana, Some(user_session.clone()), number) });
    begin(&world, sessions.collect()).await;
    let start = newest(&world).await;
    let mut open = world.node('A').feed(start).await;
    open.mark().await;
    logout(&ana.refresh).send(world.address).await;
    let changes = world.issuer.store.link_changes(start).await.unwrap().unwrap();
    assert_eq!(changes.len(), 2_399);
    assert!(changes.iter().all(|change| change.cursor == changes[0].cursor && change.issued_until.is_none()));
    assert_eq!(told(&world, start).await.len(), 40);
    let own: Vec<_> = changes.iter().filter(|change| change.tool.as_deref() == Some(TOOL)).map(shown).collect();
    assert_eq!(own.len(), 59);
    let mut heard = Vec::new();
    while heard.len() < own.len() {
        heard.extend(open.changes().await);
    }
    assert_eq!(heard, own);
    assert_eq!(world.node('C').state().await.denials.len(), own.len());
    assert_eq!(open.mark().await.cursor, newest(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn t25_a_user_with_very_many_sessions_at_a_tool_fills_no_verifier() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let user_session = SessionId::parse(ana.claims()["sid"].as_str().unwrap()).unwrap();
    let at = |number: u128| if number <= 65 { TOOL } else { "few" };
    let sessions = (1..=129)
        .map(|number| Session { tool: tool(at(number)), ..session(&host, &ana, Some(user_session.clone()), number) });
    begin(&world, sessions.collect()).await;
    let start = newest(&world).await;
    logout(&ana.refresh).send(world.address).await;
    // 65 at one tool are one denial, 64 at another are as many.
    assert_eq!(told(&world, start).await, BTreeMap::from([(TOOL.to_owned(), (1, 1)), ("few".to_owned(), (64, 0))]));
    let now = world.clock.now().seconds();
    let [many] = world.node('A').state().await.denials.try_into().unwrap();
    let expected =
        Change { cursor: newest(&world).await, until: now + 620, issued_until: Some(now + 10), ..many.clone() };
    assert_eq!((shown(&many), &many), (format!("user {} {TOOL}", ana.user()), &expected));
}

/// Acts that end one thing each come to the same, and each is in force: what stands for many is told again.
#[tokio::test(flavor = "multi_thread")]
async fn t25_tokens_and_keys_that_are_revoked_one_by_one_fill_no_verifier() {
    let world = World::start().await;
    let host = world.host().await;
    let (mut tokens, start) = (Vec::new(), newest(&world).await);
    for _ in 0..66 {
        tokens.push(host.direct().await);
    }
    for token in &tokens {
        host.send(Call::form("/oauth/revoke", &[("token", token.token())])).await;
    }
    assert_eq!(told(&world, start).await, BTreeMap::from([(TOOL.to_owned(), (66, 2))]));
    assert_eq!(world.node('A').state().await.denials.len(), 65);
    let introspect = async |token: &str| {
        let answer = host.send(Call::form("/oauth/introspect", &[("token", token)])).await;
        answer.granted()["active"].as_bool().unwrap()
    };
    assert!(!introspect(tokens[0].token()).await && !introspect(tokens[65].token()).await);
    // What is issued later stands.
    world.clock.advance_seconds(11);
    assert!(introspect(host.direct().await.token()).await);

    let start = newest(&world).await;
    for number in 0..66 {
        let target = Target::ApiKey { key: ApiKeyId::from_uuid([number; 16]), owner: host.user.clone() };
        let event = Event::done(Action::ApiKeyRevoke, &source(), world.clock.now()).on(target);
        world.issuer.store.append(&[event]).await.unwrap();
    }
    assert_eq!(told(&world, start).await, BTreeMap::from([(String::new(), (66, 2))]));
}

/// A tool's credential makes as many nodes as its holder likes; those that went silent make room.
#[tokio::test(flavor = "multi_thread")]
async fn t25_a_tool_has_at_most_256_nodes() {
    let world = World::start().await;
    let cursor = newest(&world).await;
    let store = &world.issuer.store;
    for number in 0..256 {
        assert!(store.note_link_node(TOOL, &format!("node-{number}"), cursor).await.unwrap());
    }
    let node = world.node('A');
    node.send(node.applied_call(cursor)).await.assert_refused("overloaded");
    node.send(node.feed_call(cursor)).await.assert_refused("overloaded");
    // Those that are there go on, and other tools have places of their own.
    assert!(store.note_link_node(TOOL, "node-7", cursor).await.unwrap());
    world.node_of(OTHER_TOOL, 'B').applied(cursor).await;
    assert_eq!(store.link_nodes().await.unwrap().len(), 257);
    let silent = "UPDATE link_nodes SET seen_at = seen_at - 60 WHERE node <> 'node-7'";
    execute(&world.database.url(), silent).await;
    node.applied(cursor).await;
    let left: Vec<_> = store.link_nodes().await.unwrap().into_iter().map(|left| left.node).collect();
    assert_eq!(left, [node.id.as_str(), "node-7"]);
}
