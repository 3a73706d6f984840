//! Denials: in force within moments, reported, lifted, and harmless when they come twice, late or out of order.

use crate::actors::{KEY, MovedClock, Page, SESSION, Tool, USER, seconds, wait_for};
use crate::issuer::{ScriptedIssuer, change, event, lift};
use bmap_protocol::link::{Change, ChangeKind, Mark};
use bmap_verifier::SystemClock;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

const OTHER: &str = "usr_0192f0c1a7e27c3c9f60b2b4b1c7a002";

fn kinds(page: &Page) -> [(ChangeKind, String, &'static str); 6] {
    [
        (ChangeKind::User, USER.to_owned(), "user_inactive"),
        (ChangeKind::Key, KEY.to_owned(), "key_revoked"),
        (ChangeKind::Session, SESSION.to_owned(), "token_revoked"),
        (ChangeKind::Token, page.jti.clone(), "token_revoked"),
        (ChangeKind::Grant, USER.to_owned(), "token_revoked"),
        (ChangeKind::ToolEpoch, "geo".to_owned(), "token_revoked"),
    ]
}

#[tokio::test]
async fn f19_a_denial_of_each_kind_is_in_force_within_moments_and_reported() {
    let issuer = ScriptedIssuer::start().await;
    let page = issuer.mint(|_| {});
    for (kind, id, code) in kinds(&page) {
        // A tool that is told by the feed, and one that starts later and is told by the state.
        let tool = Tool::live(&issuer).await;
        assert_eq!(tool.ask(&page).await, Ok(()), "{kind:?}");
        let began = Instant::now();
        let cursor = issuer.act(&[(kind, &id)]);
        let took = tool.until_refused(&page, code).await;
        assert!(took < Duration::from_secs(1), "{kind:?} took {took:?}");
        wait_for("a report", || issuer.applied() == Some(cursor)).await;
        let reported = issuer.script().seen.applied.last().unwrap().1 - began;
        assert!(reported < Duration::from_secs(1), "{kind:?} was reported after {reported:?}");
        println!("{kind:?}: in force after {took:?}, reported after {reported:?}");
        let later = Tool::live(&issuer).await;
        assert_eq!(later.ask(&page).await, Err(code));
        // Others are not touched.
        if kind != ChangeKind::ToolEpoch {
            let stranger = issuer.mint(|claims| {
                claims["sub"] = OTHER.into();
                claims["client_id"] = "bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0fe".into();
                claims["sid"] = "ses_2".into();
            });
            assert_eq!(tool.ask(&stranger).await, Ok(()));
        }
        issuer.set(|script| script.denials.clear());
        issuer.set(|script| script.changes.clear());
    }
}

#[tokio::test]
async fn what_is_limited_to_another_tool_denies_nothing_here() {
    let issuer = ScriptedIssuer::start().await;
    let (tool, page) = (Tool::live(&issuer).await, issuer.mint(|_| {}));
    let elsewhere = Change { tool: Some("router".to_owned()), ..change(101, ChangeKind::Grant, USER) };
    let spelled_empty = Change { tool: Some(String::new()), ..change(102, ChangeKind::User, OTHER) };
    issuer.set(|script| {
        script.cursor = 102;
        script.changes = vec![elsewhere, spelled_empty];
    });
    let other = issuer.mint(|claims| claims["sub"] = OTHER.into());
    tool.until_refused(&other, "user_inactive").await;
    assert_eq!(tool.ask(&page).await, Ok(()));
}

#[tokio::test]
async fn o01_a_denial_that_comes_while_a_body_is_waited_for_refuses_it() {
    let issuer = ScriptedIssuer::start().await;
    let page = issuer.mint(|_| {});
    for denied in [false, true] {
        let tool = Tool::live(&issuer).await;
        let (sender, receiver) = oneshot::channel::<()>();
        let piece = stream::once(async move {
            receiver.await.unwrap();
            Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(b"{}")))
        });
        let (verifier, head) = (Arc::clone(&tool.verifier), page.request(b"{}"));
        let decision = tokio::spawn(async move {
            let body = StreamBody::new(Box::pin(piece));
            verifier
                .verify(&head, body, None, &SystemClock)
                .await
                .map(|_| ())
                .map_err(|refusal| refusal.code().as_str())
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!decision.is_finished(), "it waits for its body");
        if denied {
            let cursor = issuer.act(&[(ChangeKind::Session, SESSION)]);
            wait_for("a report", || issuer.applied() == Some(cursor)).await;
        }
        sender.send(()).unwrap();
        let outcome = if denied { Err("token_revoked") } else { Ok(()) };
        assert_eq!(decision.await.unwrap(), outcome);
    }
}

#[tokio::test]
async fn a_lift_ends_a_denial_of_its_kind_only() {
    let issuer = ScriptedIssuer::start().await;
    let (tool, page) = (Tool::live(&issuer).await, issuer.mint(|_| {}));
    issuer.act(&[(ChangeKind::User, USER), (ChangeKind::Grant, USER)]);
    tool.until_refused(&page, "user_inactive").await;
    let lifts = |cursor: i64, of: ChangeKind| {
        issuer.set(|script| {
            script.cursor = cursor;
            script.changes.push(lift(cursor, of, USER));
        });
    };
    lifts(102, ChangeKind::User);
    let began = Instant::now();
    while tool.ask(&page).await == Err("user_inactive") {
        assert!(began.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(tool.ask(&page).await, Err("token_revoked"), "the grant is still denied");
    lifts(103, ChangeKind::Grant);
    tool.until_let_in(&page, "token_revoked").await;
}

#[tokio::test]
async fn f19_changes_that_come_twice_late_or_out_of_order_do_no_harm() {
    let issuer = ScriptedIssuer::start().await;
    let (tool, page) = (Tool::live(&issuer).await, issuer.mint(|_| {}));
    let other = issuer.mint(|claims| claims["sub"] = OTHER.into());
    issuer.set(|script| script.speaks = false);
    let sync = |cursor: i64| {
        let mark = Mark { cursor, server_time: SystemClock.now().millis() };
        format!("event: sync\ndata: {}\n\n", serde_json::to_string(&mark).unwrap())
    };
    let (denied, lifted) = (change(103, ChangeKind::User, USER), lift(105, ChangeKind::User, USER));
    let marker = |cursor: i64| change(cursor, ChangeKind::User, OTHER);
    // The denial comes behind its lift, twice; one from before the state; then a marker, by which the test sees that all were read.
    let before_state = change(99, ChangeKind::User, USER);
    let text = [&lifted, &denied, &denied, &before_state, &lifted, &marker(106)].map(event).concat();
    issuer.say(&(text + &sync(106)));
    tool.until_refused(&other, "user_inactive").await;
    assert_eq!(tool.ask(&page).await, Ok(()));
    wait_for("a report", || issuer.applied() == Some(106)).await;
    // A denial that is newer than the lift counts, though it comes with an old one behind it, and an old mark.
    let text = [&change(107, ChangeKind::User, USER), &lifted, &denied].map(event).concat();
    issuer.say(&(text + &sync(104) + &sync(107)));
    tool.until_refused(&page, "user_inactive").await;
    wait_for("a report", || issuer.applied() == Some(107)).await;
    let cursors: Vec<_> = issuer.script().seen.applied.iter().map(|(cursor, _)| *cursor).collect();
    assert!(cursors.is_sorted(), "{cursors:?}");
}

#[tokio::test]
async fn a_denial_goes_when_its_time_is_over_by_both_clocks() {
    let (issuer, clock) = (ScriptedIssuer::start().await, Arc::new(MovedClock::default()));
    let tool = Tool::start(&issuer, |options| options.clock = Arc::clone(&clock) as _, |_| {});
    tool.until(bmap_issuer_link::LinkState::Live).await;
    let page = issuer.mint(|_| {});
    let deny = |cursor: i64, until: i64| {
        issuer.set(|script| {
            script.cursor = cursor;
            script.changes.push(Change { until, ..change(cursor, ChangeKind::User, USER) });
        });
    };
    let stays = async || {
        // Longer than the pause between two looks at what is over.
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(1_300) {
            assert_eq!(tool.ask(&page).await, Err("user_inactive"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    deny(101, seconds() + 60);
    tool.until_refused(&page, "user_inactive").await;
    // The wall clock is set far forward, as by a wrong time server: nothing is forgotten by it (T22).
    clock.wall.store(3_600_000, Ordering::SeqCst);
    stays().await;
    // An hour passes, and this machine's wall clock stands where it was.
    issuer.set(|script| script.speaks = false);
    tokio::time::sleep(Duration::from_millis(100)).await;
    clock.wall.store(0, Ordering::SeqCst);
    clock.steady.fetch_add(3_600_000, Ordering::SeqCst);
    issuer.set(|script| {
        script.clock = 3_600_000;
        script.speaks = true;
    });
    stays().await;
    clock.wall.store(58_000, Ordering::SeqCst);
    stays().await;
    clock.wall.store(67_000, Ordering::SeqCst);
    tool.until_let_in(&page, "user_inactive").await;
    assert_eq!(tool.link.status().denials, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reported_is_seen_by_requests_on_every_thread() {
    let issuer = ScriptedIssuer::start().await;
    let tool = Arc::new(Tool::live(&issuer).await);
    let pages: Arc<Vec<Page>> = Arc::new((0..50).map(|_| issuer.mint(|_| {})).collect());
    for page in pages.iter() {
        assert_eq!(tool.ask(page).await, Ok(()));
    }
    let (reported, told) = tokio::sync::watch::channel(0_usize);
    // Each thread asks with a token as soon as the issuer was told that it is denied.
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (tool, pages, mut told) = (Arc::clone(&tool), Arc::clone(&pages), told.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    for (number, page) in pages.iter().enumerate() {
                        told.wait_for(|reported| *reported > number).await.unwrap();
                        assert_eq!(tool.ask(page).await, Err("token_revoked"), "{number}");
                    }
                });
            })
        })
        .collect();
    for page in pages.iter() {
        let cursor = issuer.act(&[(ChangeKind::Token, &page.jti)]);
        while issuer.applied() != Some(cursor) {
            tokio::task::yield_now().await;
        }
        reported.send_modify(|reported| *reported += 1);
    }
    for thread in threads {
        tokio::task::spawn_blocking(|| thread.join().expect("a denial was reported and not seen")).await.unwrap();
    }
}
