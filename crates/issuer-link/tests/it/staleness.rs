//! An issuer that is gone for longer than a tool allows (F19, T22).

use crate::actors::{MovedClock, Tool, wait_for};
use crate::issuer::ScriptedIssuer;
use bmap_issuer_link::LinkState;
use bmap_protocol::link::ChangeKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn f19_past_max_staleness_requests_are_refused_until_the_issuer_is_back() {
    let (issuer, clock) = (ScriptedIssuer::start().await, Arc::new(MovedClock::default()));
    issuer.script().tool.policy.max_staleness = Some(60);
    let tool = Tool::start(&issuer, |options| options.clock = Arc::clone(&clock) as _, |_| {});
    tool.until(LinkState::Live).await;
    let page = issuer.mint(|_| {});
    issuer.kill();
    wait_for("it is missed", || tool.link.status().state != LinkState::Live).await;
    clock.steady.fetch_add(55_000, Ordering::SeqCst);
    assert_eq!(tool.ask(&page).await, Ok(()));
    clock.steady.fetch_add(6_000, Ordering::SeqCst);
    assert_eq!(tool.ask(&page).await, Err("issuer_unavailable"));
    assert!(tool.link.status().is_too_stale);
    // A wall clock that is set in either way makes nothing fresh.
    for hours in [-2, -1, 1, 2] {
        clock.wall.store(hours * 3_600_000, Ordering::SeqCst);
        assert_eq!(tool.ask(&page).await, Err("issuer_unavailable"));
    }
    clock.wall.store(0, Ordering::SeqCst);
    issuer.up().await;
    tool.until_let_in(&page, "issuer_unavailable").await;
    assert!(!tool.link.status().is_too_stale);
    // The operator takes the bound away.
    issuer.set(|script| script.tool.policy.max_staleness = None);
    let cursor = issuer.act(&[(ChangeKind::Policy, "geo")]);
    wait_for("the change", || issuer.applied() >= Some(cursor)).await;
    issuer.kill();
    clock.steady.fetch_add(3_600_000, Ordering::SeqCst);
    assert_eq!(tool.ask(&page).await, Ok(()));
}

#[tokio::test]
async fn f19_a_tool_that_never_heard_its_issuer_counts_from_its_start() {
    let (issuer, clock) = (ScriptedIssuer::down().await, Arc::new(MovedClock::default()));
    let tool = Tool::start(
        &issuer,
        |options| {
            options.clock = Arc::clone(&clock) as _;
            options.max_staleness = Some(30);
        },
        |_| {},
    );
    let page = issuer.mint(|_| {});
    clock.steady.fetch_add(29_000, Ordering::SeqCst);
    assert_eq!(tool.ask(&page).await, Ok(()));
    clock.steady.fetch_add(2_000, Ordering::SeqCst);
    assert_eq!(tool.ask(&page).await, Err("issuer_unavailable"));
    // Of the tool's bound and its own the smaller one counts.
    issuer.script().tool.policy.max_staleness = Some(3600);
    issuer.up().await;
    tool.until(LinkState::Live).await;
    tool.link.close();
    clock.steady.fetch_add(31_000, Ordering::SeqCst);
    assert_eq!(tool.ask(&page).await, Err("issuer_unavailable"));
}

#[tokio::test]
async fn f19_the_bound_in_a_credential_counts_for_a_tool_that_never_hears_of_its_issuer() {
    let (issuer, clock) = (ScriptedIssuer::start().await, Arc::new(MovedClock::default()));
    issuer.script().tool.policy.max_staleness = Some(60);
    let page = issuer.mint(|_| {});
    issuer.kill();
    let tool = Tool::start(&issuer, |options| options.clock = Arc::clone(&clock) as _, |_| {});
    assert_eq!(tool.ask(&page).await, Ok(()));
    clock.steady.fetch_add(61_000, Ordering::SeqCst);
    assert_eq!(tool.ask(&page).await, Err("issuer_unavailable"));
}
