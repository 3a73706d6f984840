//! How a link begins: without the issuer, with a wrong key, with a wrong clock.

use crate::actors::{MovedClock, Tool, wait_for};
use crate::issuer::ScriptedIssuer;
use bmap_issuer_link::{Link, LinkError, LinkFault, LinkOptions, LinkState};
use bmap_protocol::ids::Issuer;
use bmap_verifier::{MemoryReplayStore, Policy, ReplayLimits};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test]
async fn f19_a_tool_starts_without_its_issuer_and_finds_it() {
    let issuer = ScriptedIssuer::down().await;
    let tool = Tool::start(&issuer, |_| {}, |_| {});
    let page = issuer.mint(|_| {});
    assert_eq!(tool.ask(&page).await, Ok(()), "the credential is enough");
    wait_for("a fault", || tool.link.status().fault.is_some()).await;
    let status = tool.link.status();
    assert_eq!((status.state, status.cursor, status.lag), (LinkState::NeverConnected, None, None));
    issuer.up().await;
    tool.until(LinkState::Live).await;
    assert_eq!(tool.ask(&page).await, Ok(()));
    let status = tool.link.status();
    assert_eq!((status.cursor, status.applied, status.fault), (Some(100), Some(100), None));
    assert!(status.lag.unwrap() < Duration::from_secs(3));
    wait_for("the first report", || issuer.applied() == Some(100)).await;
    assert_eq!(issuer.script().seen.nodes.len(), 1, "all of it names one node");
}

#[tokio::test]
async fn f24_an_issuer_that_comes_back_is_found_and_its_feed_goes_on() {
    let issuer = ScriptedIssuer::start().await;
    let tool = Tool::live(&issuer).await;
    let page = issuer.mint(|_| {});
    issuer.kill();
    wait_for("it is missed", || tool.link.status().state != LinkState::Live).await;
    assert_eq!(tool.ask(&page).await, Ok(()), "it goes on with what it has");
    issuer.act(&[(bmap_protocol::link::ChangeKind::User, crate::actors::USER)]);
    issuer.up().await;
    tool.until_refused(&page, "user_inactive").await;
    let script = issuer.script();
    assert_eq!((script.seen.states, script.seen.feeds.last()), (1, Some(&100)), "the feed, and no second state");
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_said() {
    let issuer = ScriptedIssuer::start().await;
    issuer.script().link_epochs.clear();
    let tool = Tool::start(&issuer, |_| {}, |_| {});
    let refused = Some(LinkFault::Refused { status: 401, code: "invalid_signature".to_owned() });
    wait_for("the fault", || tool.link.status().fault == refused).await;
    assert_eq!(tool.ask(&issuer.mint(|_| {})).await, Ok(()));
    // Tries are few.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let tries = issuer.script().seen.refused.len();
    assert!(tries < 10, "{tries}");
    // The key is taken again, and so is the link.
    issuer.script().link_epochs = vec![1];
    tool.until(LinkState::Live).await;
}

#[tokio::test]
async fn f18_an_epoch_that_the_issuer_retired_is_not_the_links_end() {
    let issuer = ScriptedIssuer::start().await;
    issuer.script().tool.epochs = vec![1, 2];
    let tool = Tool::start(&issuer, |_| {}, |_| {});
    tool.until(LinkState::Live).await;
    // The first epoch's key signs until the issuer refuses it.
    issuer.set(|script| {
        script.link_epochs = vec![2];
        script.tool.epochs = vec![2];
        script.cuts += 1;
    });
    issuer.act(&[(bmap_protocol::link::ChangeKind::Keys, "")]);
    wait_for("the second epoch's key", || !issuer.script().seen.refused.is_empty()).await;
    wait_for("the change is in force", || issuer.applied() == Some(101)).await;
    assert_eq!(tool.ask(&issuer.mint(|_| {})).await, Ok(()));
}

#[tokio::test]
async fn t22_requests_are_signed_by_the_issuers_time_where_this_machines_is_wrong() {
    for offset in [-3_600_000, 3_600_000] {
        let (issuer, clock) = (ScriptedIssuer::start().await, Arc::new(MovedClock::default()));
        clock.wall.store(offset, Ordering::SeqCst);
        let tool = Tool::start(&issuer, |options| options.clock = Arc::clone(&clock) as _, |_| {});
        tool.until(LinkState::Live).await;
        wait_for("a report", || issuer.applied().is_some()).await;
        let refused = issuer.script().seen.refused.clone();
        assert_eq!(refused, ["clock_skew"], "one refusal says the time");
        // The clock is set while the link runs: nothing is refused by it.
        clock.wall.store(-offset, Ordering::SeqCst);
        issuer.act(&[(bmap_protocol::link::ChangeKind::Key, "bmk_other")]);
        wait_for("another report", || issuer.applied() == Some(101)).await;
        assert_eq!(issuer.script().seen.refused.len(), 1);
    }
}

#[tokio::test]
async fn t14_a_url_that_a_link_may_not_go_to_is_an_error_at_the_start() {
    let issuer = ScriptedIssuer::down().await;
    let mut credential = issuer.credential();
    credential.issuer = Issuer::parse("http://auth.example").unwrap();
    let error = Link::start(credential, LinkOptions::default()).unwrap_err();
    assert_eq!(error, LinkError::Url { issuer: "http://auth.example".to_owned() });
}

#[test]
fn a_link_without_a_runtime_is_an_error_and_one_that_is_off_needs_none() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let issuer = runtime.block_on(ScriptedIssuer::down());
    assert_eq!(Link::start(issuer.credential(), LinkOptions::default()).unwrap_err(), LinkError::NoRuntime);
    let link = Link::off(issuer.credential());
    assert_eq!(link.status().state, LinkState::Off);
    let policy = Policy::default();
    let replay = MemoryReplayStore::new(ReplayLimits { entries: 64, per_key: 64 }, policy.window, 0);
    let tool = Tool { verifier: Arc::new(link.verifier(policy, replay)), link };
    let page = issuer.mint(|_| {});
    // A runtime without I/O and timers: a decision needs neither.
    let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(bare.block_on(tool.ask(&page)), Ok(()));
}

#[tokio::test]
async fn a_link_ends_with_its_last_verifier_or_when_it_is_closed() {
    let issuer = ScriptedIssuer::start().await;
    let tool = Tool::live(&issuer).await;
    let (link, verifier) = (tool.link, tool.verifier);
    drop(link);
    let page = issuer.mint(|_| {});
    issuer.act(&[(bmap_protocol::link::ChangeKind::User, crate::actors::USER)]);
    let tool = Tool { link: Link::off(issuer.credential()), verifier };
    tool.until_refused(&page, "user_inactive").await;

    let other = Tool::live(&issuer).await;
    other.link.close();
    assert_eq!(other.link.status().state, LinkState::Closed);
    assert_eq!(other.ask(&page).await, Err("user_inactive"), "what was known is kept");
    let feeds = issuer.script().seen.feeds.len();
    issuer.set(|script| script.cuts += 1);
    drop(tool);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(issuer.script().seen.feeds.len(), feeds, "nothing comes back");
}
