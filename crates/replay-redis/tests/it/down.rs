//! F04: the server is down at the start, or goes away and comes back.

use crate::actors::{Page, now};
use crate::world::{ONE_SERVER, PAUSE, Tool, documented, eventually, on_both, options, single};
use bmap_replay_redis::{StartError, State, StoreFault};
use bmap_test_kit::port;
use bmap_test_kit::redis::{Flavor, RedisServer};
use bmap_verifier::Refusal;
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_both! {
    f04_a_tool_does_not_start_without_its_store
    f04_a_server_that_goes_away_refuses_all_and_is_in_use_again_within_two_seconds
    f04_a_server_that_comes_back_with_its_data_is_another_process
}

async fn f04_a_tool_does_not_start_without_its_store(flavor: Flavor) {
    let start = async |at| Tool::try_start(options(at)).await.err().unwrap();
    let down = start(port::local(port::free())).await;
    assert!(matches!(down, StartError::Store(StoreFault::Unreachable { .. })), "{down:?}");
    // A server that accepts the connection and says nothing.
    let silent = std::net::TcpListener::bind(port::local(0)).unwrap();
    let began = Instant::now();
    let error = start(silent.local_addr().unwrap()).await;
    assert!(matches!(error, StartError::Store(StoreFault::Slow { .. })), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // A server that wants a password.
    let locked = RedisServer::start(flavor, "requirepass geheim");
    let error = start(locked.address()).await;
    assert!(matches!(&error, StartError::Store(StoreFault::Refused { code, .. }) if code == "NOAUTH"), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("geheim"));
}

async fn f04_a_server_that_goes_away_refuses_all_and_is_in_use_again_within_two_seconds(flavor: Flavor) {
    let mut server = single(flavor);
    let (tool, page) = (Tool::started(server.address()).await, Page::new());
    let seen = page.signs();
    assert_eq!(tool.decide(&seen).await, Ok(()));

    server.kill();
    // Reads and writes alike, and at once: nothing waits for a server that is gone.
    for _ in 0..200 {
        let began = Instant::now();
        assert_eq!(tool.decide(&page.signs()).await, Err(Refusal::ReplayStoreUnavailable));
        assert!(began.elapsed() < Duration::from_secs(1));
    }
    sleep(Duration::from_millis(1200)).await; // back-off has grown by now
    assert!(!tool.store.is_ready());
    assert!(matches!(tool.store.status().state, State::Refusing(StoreFault::Unreachable { .. })));

    // It comes back with nothing.
    server.start_again(&documented(ONE_SERVER));
    let took = tool.ready_within().await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    let forgot_until = tool.forgot_until();
    assert!((now()..=now() + PAUSE).contains(&forgot_until), "{forgot_until} at {}", now());
    let fresh = page.signs();
    assert!(matches!(tool.decide(&fresh).await, Err(Refusal::BeforeStart { .. })));
    tool.past_the_rule().await;
    assert!(tool.decide(&seen).await.is_err(), "it was let in before");
    assert!(tool.decide(&fresh).await.is_err(), "it was refused, and stays so");
    assert_eq!(tool.decide(&page.signs()).await, Ok(()));
}

async fn f04_a_server_that_comes_back_with_its_data_is_another_process(flavor: Flavor) {
    let lasting = format!("{}\nappendonly yes\nappendfsync always", documented(ONE_SERVER));
    let mut server = RedisServer::start(flavor, &lasting);
    let (tool, page) = (Tool::started(server.address()).await, Page::new());
    let (seen, before) = (page.signs(), tool.forgot_until());
    assert_eq!(tool.decide(&seen).await, Ok(()));
    server.kill();
    server.start_again(&lasting);
    let again = Tool::start(server.address()).await;
    assert!(again.forgot_until() > before, "it can't know that nothing was lost");
    assert!(matches!(again.decide(&seen).await, Err(Refusal::BeforeStart { .. })));
    // All tools follow one value.
    eventually(|| tool.store.is_ready() && tool.forgot_until() == again.forgot_until()).await;
    let records: u64 = server.ask(&redis::cmd("DBSIZE"));
    assert!(records >= 2, "the data is there: {records}");
}
