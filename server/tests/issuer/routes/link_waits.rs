//! `Prefer: wait`: an act is answered when the verifiers have it.

use super::link::newest;
use crate::http_client::Call;
use crate::world::{OTHER_TOOL, World, source};
use bmap_protocol::link::ChangeKind;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_act_is_answered_when_it_is_in_force_or_names_where_it_is_not() {
    let world = World::start().await;
    let admin = world.key_owner("admin@shop.example").await;
    admin.become_admin().await;
    let admin = admin.again().await;
    let (first, second, third) = (world.host().await, world.host().await, world.host().await);
    let deactivate = |user: &bmap_protocol::ids::UserId, seconds: u32| {
        let call = admin.call("POST", &format!("/users/{user}/deactivate"));
        call.header("prefer", &format!("respond-async, wait={seconds}"))
    };
    // No verifier has a link.
    let answer = deactivate(&first.user, 2).send(world.address).await;
    assert_eq!(answer.header("bmap-verifiers"), Some("applied=0"));
    assert_eq!(answer.header("preference-applied"), Some("wait=2"));

    let (node, silent) = (world.node('A'), world.node_of(OTHER_TOOL, 'B'));
    let mut feed = node.feed(newest(&world).await).await;
    silent.applied(newest(&world).await).await;
    let waiting = async {
        let answer = deactivate(&second.user, 1).send(world.address).await;
        answer.header("bmap-verifiers").unwrap().to_owned()
    };
    let applying = async {
        assert_eq!(feed.changes().await, [format!("user {}", second.user)]);
        let cursor = newest(&world).await;
        node.applied(cursor).await;
    };
    let (said, ()) = tokio::join!(waiting, applying);
    assert_eq!(said, format!("applied=1, pending=(\"{OTHER_TOOL}.{}\"), pending-count=1", silent.id));
    silent.applied(newest(&world).await).await;
    // An older word takes nothing back.
    node.applied(0).await;
    let reached = bmap_issuer::link::applied::wait(&world.issuer.store, Duration::ZERO).await.unwrap();
    assert_eq!((reached.nodes, reached.behind), (2, vec![]));
    // Without the wish nothing is waited for, and a refusal has nothing to wait for.
    let answer = deactivate(&third.user, 1).without("prefer").send(world.address).await;
    assert_eq!(answer.header("bmap-verifiers"), None);
    let refused = Call::new("POST", &format!("/users/{}/deactivate", third.user)).header("prefer", "wait=9");
    let refused = refused.send(world.address).await;
    refused.assert_refused("missing_signature");
    assert_eq!(refused.header("bmap-verifiers"), None);
}

#[tokio::test]
async fn one_that_was_silent_for_long_is_not_waited_for() {
    let world = World::start().await;
    let host = world.host().await;
    world.node('A').applied(0).await;
    world.issuer.deactivate_user(&host.user, &source()).await.unwrap();
    let wait = || bmap_issuer::link::applied::wait(&world.issuer.store, Duration::ZERO);
    assert_eq!(wait().await.unwrap().behind.len(), 1);
    crate::rows::sealed_rows::edit(&world, "UPDATE link_nodes SET seen_at = seen_at - 16").await;
    let reached = wait().await.unwrap();
    assert_eq!((reached.nodes, reached.behind.len()), (0, 0));
    let changes = world.issuer.store.live_link_changes(0).await.unwrap();
    assert!(changes.iter().all(|change| change.kind == ChangeKind::User || change.kind == ChangeKind::Policy));
}
