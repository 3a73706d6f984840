//! T7: two tools get the same requests at the same time.

use crate::actors::{Page, now, record};
use crate::world::{Tool, on_both, single};
use bmap_test_kit::redis::Flavor;
use bmap_verifier::Refusal;
use futures_util::future::join_all;

on_both! {
    t7_of_two_tools_and_ten_thousand_records_each_is_accepted_by_one
    ; redis alone
    t7_of_two_tools_and_signed_requests_each_is_accepted_by_one
}

async fn t7_of_two_tools_and_ten_thousand_records_each_is_accepted_by_one(flavor: Flavor) {
    let server = single(flavor);
    let [first, second] = [Tool::start(server.address()).await, Tool::start(server.address()).await];
    first.past_the_rule().await;
    for _ in 0..50 {
        let records: Vec<_> = (0..200).map(|_| record(now())).collect();
        let race = |store: bmap_replay_redis::RedisReplayStore, records: Vec<_>| {
            tokio::spawn(async move { join_all(records.iter().map(|record| store.record_now(record))).await })
        };
        let (ours, theirs) =
            tokio::join!(race(first.store.clone(), records.clone()), race(second.store.clone(), records));
        for outcomes in ours.unwrap().into_iter().zip(theirs.unwrap()) {
            let one = matches!(outcomes, (Ok(()), Err(Refusal::Replayed)) | (Err(Refusal::Replayed), Ok(())));
            assert!(one, "{outcomes:?}");
        }
    }
    let (ours, theirs) = (first.store.status(), second.store.status());
    assert_eq!((ours.accepted + theirs.accepted, ours.replayed + theirs.replayed), (10_000, 10_000));
    assert_eq!((ours.in_flight, theirs.in_flight, ours.unavailable), (0, 0, 0));
}

async fn t7_of_two_tools_and_signed_requests_each_is_accepted_by_one(flavor: Flavor) {
    let server = single(flavor);
    let [first, second] = [Tool::start(server.address()).await, Tool::start(server.address()).await];
    first.past_the_rule().await;
    let page = Page::new();
    let requests: Vec<_> = (0..300).map(|_| page.signs()).collect();
    // Each of them twice at each tool.
    let decisions = requests.iter().map(async |request| {
        tokio::join!(first.decide(request), second.decide(request), first.decide(request), second.decide(request))
    });
    for (a, b, c, d) in join_all(decisions).await {
        let outcomes = [a, b, c, d];
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(Refusal::Replayed)).count(), 3, "{outcomes:?}");
    }
}
