//! T7, T22: clocks that differ, and a server's clock that is set back.

use crate::actors::{Page, now, record};
use crate::world::{PAUSE, Tool, WINDOW, eventually, on_both, single};
use bmap_test_kit::redis::{Flavor, RedisServer};
use bmap_verifier::Refusal;
use std::time::Duration;
use tokio::time::sleep;

on_both! {
    t7_tools_whose_clocks_differ_let_each_request_in_once_at_every_moment
    ; redis alone
    t7_a_request_that_is_too_far_ahead_of_the_stores_clock_is_refused
    t22_a_server_whose_clock_is_set_back_goes_on_from_its_latest_second
}

/// A tool at a store that is an hour old, as far as one sees: requests of the last minute are not refused for its start.
async fn at_an_old_store(server: &RedisServer) -> Tool {
    drop(Tool::start(server.address()).await);
    server.tell(&format!("HSET bmap:{{geo}}:marker forgot {}", now() - 3600));
    Tool::start(server.address()).await
}

/// Around the end of a request's record, tools whose clocks are right, ahead and behind decide on it, in every order.
async fn t7_tools_whose_clocks_differ_let_each_request_in_once_at_every_moment(flavor: Flavor) {
    let server = single(flavor);
    let mut tools = vec![at_an_old_store(&server).await];
    for ahead in [4, -4, -20] {
        tools.push(Tool::start(server.address()).await.ahead(ahead));
    }
    let page = Page::new();
    // Requests whose records end within the next seconds, and some that have ended: signed a minute ago.
    let began = now();
    let ages = (WINDOW.past - 3)..=(WINDOW.past + 6);
    let requests: Vec<_> = ages.flat_map(|age| (0..4).map(move |first| (age, first))).collect();
    let requests: Vec<_> =
        requests.into_iter().map(|(age, first)| (page.signs_at(began - i64::from(age)), first)).collect();
    let mut let_in = vec![0; requests.len()];
    let (mut unreliable, mut replayed) = (0, 0);
    // Each is first put to another tool, and to all of them again and again, until all is over for all of them.
    while now() < began + 6 {
        for ((request, first), let_in) in requests.iter().zip(&mut let_in) {
            for turn in 0..tools.len() {
                match tools[(first + turn) % tools.len()].decide(request).await {
                    Ok(()) => *let_in += 1,
                    Err(Refusal::Replayed) => replayed += 1,
                    Err(Refusal::ClockUnreliable { .. }) => unreliable += 1,
                    Err(Refusal::ClockSkew { .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert!(let_in.iter().all(|times| *times <= 1), "{let_in:?}");
    assert!(let_in.iter().sum::<i32>() > 10 && replayed > 0 && unreliable > 0, "{let_in:?} {replayed} {unreliable}");
}

async fn t7_a_request_that_is_too_far_ahead_of_the_stores_clock_is_refused(flavor: Flavor) {
    let server = single(flavor);
    let (right, page) = (Tool::started(server.address()).await, Page::new());
    let fast = Tool::start(server.address()).await.ahead(4);
    // By the fast tool's clock it is in time. Were it let in, it would outlive the rule that follows a change of the primary.
    let request = page.signs_at(now() + 4);
    assert!(matches!(fast.decide(&request).await, Err(Refusal::ClockSkew { .. })));
    assert_eq!(fast.decide(&page.signs()).await, Ok(()), "from a right clock it is let in");
    sleep(Duration::from_secs(4)).await;
    assert_eq!(right.decide(&request).await, Ok(()), "a refused request was not used up");
    assert!(fast.decide(&request).await.is_err());
}

async fn t22_a_server_whose_clock_is_set_back_goes_on_from_its_latest_second(flavor: Flavor) {
    let server = single(flavor);
    let tool = at_an_old_store(&server).await;
    let before = tool.forgot_until();
    // By 4 s, as seen from the marker. Records that were over stay over.
    let latest = now() + 4;
    server.tell(&format!("HSET bmap:{{geo}}:marker time {latest}"));
    let over = record(latest - 1 - WINDOW.record_until(0));
    assert!(over.until > now());
    let refused = tool.store.record_now(&over).await;
    assert!(matches!(refused, Err(Refusal::ClockUnreliable { .. })), "{refused:?}");
    assert_eq!(tool.store.record_now(&record(now())).await, Ok(()));
    assert_eq!(tool.forgot_until(), before);
    // By 9 s: requests that were signed until the latest second, and a little after, are refused.
    let latest = now() + 9;
    server.tell(&format!("HSET bmap:{{geo}}:marker time {latest}"));
    assert_eq!(tool.store.record_now(&record(now())).await, Err(Refusal::ReplayStoreUnavailable));
    eventually(|| tool.store.is_ready() && tool.forgot_until() > before).await;
    assert_eq!(tool.forgot_until(), latest + PAUSE);
    assert!(matches!(tool.store.record_now(&record(now())).await, Err(Refusal::BeforeStart { .. })));
}
