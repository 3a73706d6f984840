//! Feeds that are cut, held, late or refused.

use crate::actors::{Tool, USER, wait_for};
use crate::issuer::{ScriptedIssuer, change, event};
use crate::proxy::{Network, Proxy};
use bmap_issuer_link::{LinkFault, LinkState};
use bmap_protocol::link::ChangeKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;

const OTHER: &str = "usr_0192f0c1a7e27c3c9f60b2b4b1c7a002";

/// An issuer behind a network.
pub(crate) async fn behind_a_network() -> (ScriptedIssuer, Proxy) {
    let address: SocketAddr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Proxy::to(address).await;
    let issuer = ScriptedIssuer::at(address, proxy.address);
    issuer.up().await;
    (issuer, proxy)
}

#[tokio::test]
async fn f19_a_feed_that_is_cut_in_the_middle_of_an_event_loses_nothing() {
    let issuer = ScriptedIssuer::start().await;
    let tool = Tool::live(&issuer).await;
    let (page, other) = (issuer.mint(|_| {}), issuer.mint(|claims| claims["sub"] = OTHER.into()));
    // One act with two changes: the first comes, of the second a part, and no mark.
    issuer.set(|script| script.speaks = false);
    let act = [change(101, ChangeKind::User, USER), change(101, ChangeKind::User, OTHER)];
    let text: String = act.iter().map(event).collect();
    issuer.say(&text[..text.len() - 20]);
    tool.until_refused(&page, "user_inactive").await;
    assert_eq!(tool.ask(&other).await, Ok(()), "half an event is none");
    assert_eq!(issuer.applied(), Some(100), "the act is not in force as a whole");
    issuer.set(|script| {
        script.cursor = 101;
        script.changes = act.to_vec();
        script.cuts += 1;
        script.speaks = true;
    });
    tool.until_refused(&other, "user_inactive").await;
    let script = issuer.script();
    assert_eq!((script.seen.feeds.as_slice(), script.seen.states), (&[100, 100][..], 1), "it goes on before the act");
}

#[tokio::test]
async fn f19_a_feed_that_is_half_open_is_dropped_and_opened_anew() {
    let (issuer, proxy) = behind_a_network().await;
    let (tool, page) = (Tool::live(&issuer).await, issuer.mint(|_| {}));
    proxy.set(Network::Holds);
    issuer.act(&[(ChangeKind::User, USER)]);
    let began = Instant::now();
    let stale = |state: LinkState| matches!(state, LinkState::Stale { .. });
    wait_for("it is missed", || stale(tool.link.status().state)).await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(tool.ask(&page).await, Ok(()), "what is not known is not denied");
    proxy.set(Network::Passes(Duration::ZERO));
    tool.until_refused(&page, "user_inactive").await;
    tool.until(LinkState::Live).await;
}

#[tokio::test]
async fn f24_a_network_that_is_cut_and_comes_back() {
    let (issuer, proxy) = behind_a_network().await;
    let (tool, page) = (Tool::live(&issuer).await, issuer.mint(|_| {}));
    proxy.set(Network::Cuts);
    wait_for("it is missed", || tool.link.status().state != LinkState::Live).await;
    issuer.act(&[(ChangeKind::User, USER)]);
    assert_eq!(tool.ask(&page).await, Ok(()));
    proxy.set(Network::Passes(Duration::from_millis(100)));
    let took = tool.until_refused(&page, "user_inactive").await;
    assert!(took < Duration::from_secs(6), "the longest wait is 5 s: {took:?}");
}

#[tokio::test]
async fn t22_a_feed_that_is_held_up_more_and_more_is_no_live_one() {
    let (issuer, proxy) = behind_a_network().await;
    let tool = Tool::live(&issuer).await;
    issuer.set(|script| script.sync_every = Duration::from_millis(100));
    // Marks come without a pause of 3 s, each a little later than the one before.
    for delay in [1_300, 2_600, 3_900] {
        assert_eq!(tool.link.status().fault, None);
        proxy.set(Network::Passes(Duration::from_millis(delay)));
        tokio::time::sleep(Duration::from_millis(1_400)).await;
    }
    wait_for("the fault", || tool.link.status().fault == Some(LinkFault::Late)).await;
    assert_ne!(tool.link.status().state, LinkState::Live);
}

#[tokio::test]
async fn a_gone_cursor_loads_the_state_anew_and_sets_cursors_back() {
    let issuer = ScriptedIssuer::start().await;
    let (tool, page) = (Tool::live(&issuer).await, issuer.mint(|_| {}));
    issuer.act(&[(ChangeKind::User, USER)]);
    tool.until_refused(&page, "user_inactive").await;
    // Its database is another one: its cursor is lower, and the user is active there.
    issuer.set(|script| {
        script.cursor = 50;
        script.changes.clear();
        script.denials.clear();
        script.cuts += 1;
    });
    tool.until_let_in(&page, "user_inactive").await;
    wait_for("the cursor", || tool.link.status().cursor == Some(50)).await;
    wait_for("a report", || issuer.applied() == Some(50)).await;
    let cursor = issuer.act(&[(ChangeKind::User, USER)]);
    tool.until_refused(&page, "user_inactive").await;
    wait_for("a report", || issuer.applied() == Some(cursor)).await;
    let script = issuer.script();
    assert_eq!(
        (script.seen.refused.as_slice(), script.seen.feeds.last()),
        (&["cursor_gone".to_owned()][..], Some(&50))
    );
}

#[tokio::test]
async fn a_cursor_that_is_forgotten_loads_the_state_anew() {
    let issuer = ScriptedIssuer::start().await;
    let (tool, page) = (Tool::live(&issuer).await, issuer.mint(|_| {}));
    issuer.kill();
    wait_for("it is missed", || tool.link.status().state != LinkState::Live).await;
    issuer.act(&[(ChangeKind::User, USER)]);
    issuer.set(|script| {
        script.changes.clear();
        script.cursor = 200;
        script.forgotten = 150;
    });
    issuer.up().await;
    tool.until_refused(&page, "user_inactive").await;
    wait_for("the cursor", || tool.link.status().cursor == Some(200)).await;
    assert_eq!(issuer.script().seen.states, 2);
}

#[tokio::test]
async fn an_event_that_can_not_be_read_is_not_passed_over() {
    let issuer = ScriptedIssuer::start().await;
    let (tool, page) = (Tool::live(&issuer).await, issuer.mint(|_| {}));
    issuer.set(|script| {
        script.cursor = 101;
        script.denials.push(change(101, ChangeKind::User, USER));
        script.raw.push("event: change\ndata: {\"cursor\":101,\"kind\":\"of-a-later-version\"}\n\n".to_owned());
    });
    tool.until_refused(&page, "user_inactive").await;
    assert_eq!(issuer.script().seen.states, 2, "what it said is in the state");
    // A line without an end, and comments without a mark, end the feed too.
    issuer.say(&"x".repeat(70 << 10));
    wait_for("a third feed", || issuer.script().seen.feeds.len() >= 3).await;
    issuer.set(|script| script.speaks = false);
    let began = Instant::now();
    while tool.link.status().fault != Some(LinkFault::Silent) {
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", tool.link.status());
        issuer.say(": still here\n\n");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
