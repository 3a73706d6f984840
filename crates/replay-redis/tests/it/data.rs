//! T7 and T26: the data changes below the tools, and the server is full.

use crate::actors::{Page, now, record};
use crate::world::{PAUSE, Tool, eventually, on_both, options, single};
use bmap_protocol::code::Code;
use bmap_replay_redis::{State, StoreFault};
use bmap_test_kit::redis::Flavor;
use bmap_verifier::Refusal;

on_both! {
    t7_a_store_that_is_emptied_lets_nothing_in_again
    t7_scripts_that_are_forgotten_are_sent_again
    t26_a_full_server_refuses_and_recovers
    t7_a_record_is_a_key_of_the_documented_size_that_ends
    ; redis alone
    t7_a_marker_that_is_put_back_or_spoiled_is_noticed
    t26_a_key_has_its_share
}

async fn t7_a_store_that_is_emptied_lets_nothing_in_again(flavor: Flavor) {
    let server = single(flavor);
    let [first, second] = [Tool::start(server.address()).await, Tool::start(server.address()).await];
    let page = Page::new();
    first.past_the_rule().await;
    for command in ["FLUSHALL", "FLUSHDB", "SWAPDB 0 1"] {
        let requests: Vec<_> = (0..50).map(|_| page.signs()).collect();
        for request in &requests {
            assert_eq!(first.decide(request).await, Ok(()));
        }
        let before = first.forgot_until();
        server.tell(command);
        // At once, by each, and until both have seen it.
        for _ in 0..3 {
            for request in &requests {
                for tool in [&second, &first] {
                    assert!(tool.decide(request).await.is_err(), "{command}");
                }
            }
        }
        let ready = |tool: &Tool| tool.store.is_ready() && tool.forgot_until() > before;
        eventually(|| ready(&first) && ready(&second)).await;
        assert!((now()..=now() + PAUSE).contains(&first.forgot_until()));
        assert_eq!(first.forgot_until(), second.forgot_until());
        for request in &requests {
            assert!(matches!(second.decide(request).await, Err(Refusal::BeforeStart { .. })), "{command}");
        }
        first.past_the_rule().await;
    }
    assert_eq!(first.decide(&page.signs()).await, Ok(()));
}

async fn t7_a_marker_that_is_put_back_or_spoiled_is_noticed(flavor: Flavor) {
    let server = single(flavor);
    let (tool, page) = (Tool::start(server.address()).await, Page::new());
    let old = tool.forgot_until();
    let marker = "bmap:{geo}:marker";
    // Two changes, and then the marker of before the first: data of a backup.
    server.tell("FLUSHALL");
    while now() <= old {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    server.tell("FLUSHALL");
    eventually(|| tool.store.is_ready() && tool.forgot_until() > old).await;
    let latest = tool.forgot_until();
    server.tell(&format!("HSET {marker} forgot {old}"));
    eventually(|| tool.store.is_ready() && tool.forgot_until() > latest).await;
    // What is no marker is no store.
    let latest = tool.forgot_until();
    server.tell(&format!("DEL {marker}"));
    server.tell(&format!("SET {marker} x"));
    eventually(|| matches!(tool.store.status().state, State::Refusing(StoreFault::Refused { .. }))).await;
    assert_eq!(tool.decide(&page.signs()).await.unwrap_err().code(), Code::ReplayStoreUnavailable);
    server.tell(&format!("DEL {marker}"));
    tool.ready_within().await;
    assert!(tool.forgot_until() >= latest);
}

async fn t7_scripts_that_are_forgotten_are_sent_again(flavor: Flavor) {
    let server = single(flavor);
    let (tool, page) = (Tool::started(server.address()).await, Page::new());
    for _ in 0..5 {
        let request = page.signs();
        server.tell("SCRIPT FLUSH");
        assert_eq!(tool.decide(&request).await, Ok(()));
        server.tell("SCRIPT FLUSH");
        assert_eq!(tool.decide(&request).await, Err(Refusal::Replayed));
    }
    assert_eq!(tool.store.status().connections, 1);
}

async fn t26_a_full_server_refuses_and_recovers(flavor: Flavor) {
    let server = single(flavor);
    let tool = Tool::started(server.address()).await;
    let seen = record(now());
    assert_eq!(tool.store.record_now(&seen).await, Ok(()));
    server.tell("CONFIG SET maxmemory 100kb");
    assert_eq!(tool.store.record_now(&record(now())).await, Err(Refusal::ReplayStoreUnavailable));
    let full = |fault: &StoreFault| matches!(fault, StoreFault::Refused { code, .. } if code == "OOM");
    eventually(|| matches!(tool.store.status().state, State::Refusing(fault) if full(&fault))).await;
    server.tell("CONFIG SET maxmemory 256mb");
    tool.ready_within().await;
    assert_eq!(tool.store.record_now(&record(now())).await, Ok(()));
    assert_eq!(tool.store.record_now(&seen).await, Err(Refusal::Replayed));
}

async fn t26_a_key_has_its_share(flavor: Flavor) {
    let server = single(flavor);
    let mut options = options(server.address());
    options.per_key = 5;
    let [first, second] = [Tool::try_start(options.clone()).await.unwrap(), Tool::try_start(options).await.unwrap()];
    first.past_the_rule().await;
    let seen = record(now());
    assert_eq!(first.store.record_now(&seen).await, Ok(()));
    // Replays cost nothing of it.
    for _ in 0..20 {
        assert_eq!(second.store.record_now(&seen).await, Err(Refusal::Replayed));
    }
    for _ in 0..4 {
        assert_eq!(second.store.record_now(&record(now())).await, Ok(()));
    }
    for tool in [&first, &second] {
        let refused = tool.store.record_now(&record(now())).await;
        assert!(matches!(refused, Err(Refusal::RateLimited { retry_after: 50..=60 })), "{refused:?}");
    }
    assert_eq!(second.store.record_now(&seen).await, Err(Refusal::Replayed), "a replay is still told from too many");
    let other = bmap_verifier::replay::Record { key: [2; 16], ..record(now()) };
    assert_eq!(first.store.record_now(&other).await, Ok(()));
}

async fn t7_a_record_is_a_key_of_the_documented_size_that_ends(flavor: Flavor) {
    let server = single(flavor);
    let tool = Tool::started(server.address()).await;
    let used = || -> u64 {
        let info: String = server.ask(redis::cmd("INFO").arg("memory"));
        info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse().unwrap()
    };
    let before = used();
    let records = 20_000;
    let created = now();
    for _ in 0..records / 500 {
        let wave: Vec<_> = (0..500).map(|_| record(created)).collect();
        let outcomes = futures_util::future::join_all(wave.iter().map(|record| tool.store.record_now(record)));
        // 16,384 of one key in a minute.
        outcomes
            .await
            .into_iter()
            .for_each(|outcome| assert!(matches!(outcome, Ok(()) | Err(Refusal::RateLimited { .. }))));
    }
    let recorded = tool.store.status().accepted;
    assert_eq!(recorded, 16_384);
    let each = (used() - before) / recorded;
    println!("{flavor:?}: {each} bytes for each record");
    assert!((60..200).contains(&each), "{each}");
    let one = record(created);
    let other = bmap_verifier::replay::Record { key: [3; 16], ..one };
    assert_eq!(tool.store.record_now(&other).await, Ok(()));
    let name = [b"bmap:{geo}:".as_slice(), &other.key, &other.nonce].concat();
    let ends: i64 = server.ask(redis::cmd("EXPIRETIME").arg(&name));
    assert_eq!(ends, other.until + 10);
    let count = [b"bmap:{geo}:".as_slice(), &other.key].concat();
    let left: i64 = server.ask(redis::cmd("TTL").arg(&count));
    assert!((1..=60).contains(&left));
}
