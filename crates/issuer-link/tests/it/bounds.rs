//! A set of denials that is full fails closed, and never forgets one.

use crate::actors::{MovedClock, Tool, USER, seconds, wait_for};
use crate::issuer::{ScriptedIssuer, change};
use bmap_issuer_link::LinkState;
use bmap_protocol::link::{Change, ChangeKind};
use std::sync::Arc;

fn jti(number: i64) -> String {
    format!("{number:022}")
}

#[tokio::test]
async fn t25_a_set_of_denials_that_is_full_refuses_all_until_a_state_fits() {
    let (issuer, clock) = (ScriptedIssuer::start().await, Arc::new(MovedClock::default()));
    let start = |options: &mut bmap_issuer_link::LinkOptions| {
        options.denials = 10;
        options.clock = Arc::clone(&clock) as _;
    };
    let tool = Tool::start(&issuer, start, |_| {});
    tool.until(LinkState::Live).await;
    let page = issuer.mint(|_| {});
    for number in 1..=10 {
        issuer.act(&[(ChangeKind::Token, &jti(number))]);
    }
    wait_for("ten denials", || tool.link.status().denials == 10).await;
    assert_eq!(tool.ask(&page).await, Ok(()), "full is not over");
    // The same ones again take no more room.
    issuer.act(&[(ChangeKind::Token, &jti(1))]);
    assert_eq!(tool.ask(&page).await, Ok(()));
    issuer.act(&[(ChangeKind::User, USER)]);
    tool.until_refused(&page, "issuer_unavailable").await;
    let status = tool.link.status();
    assert_eq!((status.denials, status.is_full), (10, true));
    // A state that does not fit either leaves it so; one that fits ends it.
    let load = async || {
        let cursor = issuer.act(&[(ChangeKind::Policy, "geo")]);
        wait_for("the state", || issuer.applied() >= Some(cursor)).await;
    };
    load().await;
    assert_eq!(tool.ask(&page).await, Err("issuer_unavailable"));
    issuer.set(|script| script.denials.retain(|denial| denial.kind == ChangeKind::User));
    load().await;
    tool.until_refused(&page, "user_inactive").await;
    issuer.set(|script| script.denials.clear());
    issuer.script().changes.clear();
    load().await;
    assert_eq!((tool.ask(&page).await, tool.link.status().denials), (Ok(()), 0));
}

#[tokio::test]
async fn t25_a_set_of_denials_that_is_full_has_room_again_when_their_time_is_over() {
    let issuer = ScriptedIssuer::start().await;
    // Times of the past, by less than what a denial outlives them.
    let ends = seconds() - 2;
    issuer.set(|script| {
        script.denials =
            (0..4).map(|number| Change { until: ends, ..change(90, ChangeKind::Token, &jti(number)) }).collect();
    });
    let tool = Tool::start(&issuer, |options| options.denials = 3, |_| {});
    tool.until(LinkState::Live).await;
    let page = issuer.mint(|_| {});
    assert_eq!(tool.ask(&page).await, Err("issuer_unavailable"));
    tool.until_let_in(&page, "issuer_unavailable").await;
    assert!(seconds() > ends + 5);
    wait_for("an empty set", || tool.link.status().denials == 0).await;
}
