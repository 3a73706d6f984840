//! F05: the server is slow, or the connection is half open.

use crate::actors::Page;
use crate::world::{Tool, on_both, options, single};
use bmap_test_kit::proxy::Proxy;
use bmap_test_kit::redis::Flavor;
use bmap_verifier::Refusal;
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const DEADLINE: Duration = Duration::from_millis(50);
const IN_FLIGHT: u32 = 64;

on_both! {
    f05_a_slow_or_silent_server_is_503_within_the_deadline_and_nothing_piles_up
    f05_an_answer_that_is_lost_is_503_and_its_request_is_never_let_in_twice
    ; redis alone
    f05_a_connection_that_is_reset_is_made_again
}

async fn f05_a_slow_or_silent_server_is_503_within_the_deadline_and_nothing_piles_up(flavor: Flavor) {
    let server = single(flavor);
    let proxy = Proxy::to(server.address());
    let mut options = options(proxy.address());
    (options.deadline, options.in_flight) = (DEADLINE, IN_FLIGHT);
    let mut started = Tool::try_start(options.clone()).await;
    for _ in 0..20 {
        // 50 ms is little where two cores have all of this to do.
        if started.is_ok() {
            break;
        }
        started = Tool::try_start(options.clone()).await;
    }
    let (tool, page) = (started.unwrap(), Page::new());
    tool.past_the_rule().await;
    // A record that was given up counts until it is answered, or until the connection is given up too.
    let mut given_up = 0;
    for _ in 0..10 {
        tool.ready_within().await;
        proxy.stop_reading();
        let requests: Vec<_> = (0..10).map(|_| page.signs()).collect();
        join_all(requests.iter().map(|request| tool.decide(request))).await;
        given_up = tool.store.status().in_flight;
        proxy.pass();
        if given_up > 0 {
            break;
        }
    }
    assert!((1..=10).contains(&given_up), "{given_up}");
    let wrongs: [(&str, &dyn Fn()); 3] = [
        ("200 ms", &|| proxy.delay(Duration::from_millis(100))),
        ("2 s", &|| proxy.delay(Duration::from_secs(1))),
        ("half open", &|| proxy.stop_reading()),
    ];
    for (wrong, begin) in wrongs {
        tool.ready_within().await;
        begin();
        // Waves for longer than it takes until the connection is given up.
        let began = Instant::now();
        let (mut refused, mut most, mut longest) = (0, 0, Duration::ZERO);
        while began.elapsed() < Duration::from_millis(1500) {
            let requests: Vec<_> = (0..200).map(|_| page.signs()).collect();
            let decisions = join_all(requests.iter().map(async |request| {
                let began = Instant::now();
                let outcome = tool.decide(request).await;
                (outcome, began.elapsed())
            }));
            let watched = async {
                sleep(DEADLINE / 2).await;
                tool.store.status().in_flight
            };
            let (decisions, in_flight) = tokio::join!(decisions, watched);
            most = most.max(in_flight).max(tool.store.status().in_flight);
            for (outcome, took) in decisions {
                assert_eq!(outcome, Err(Refusal::ReplayStoreUnavailable), "{wrong}");
                longest = longest.max(took);
                refused += 1;
            }
        }
        assert!(!tool.store.is_ready(), "{wrong}");
        assert!(most <= IN_FLIGHT && refused >= 400, "{wrong}: {most} in flight, {refused} refused");
        // The deadline and what 200 decisions of a debug build take on a machine that does more.
        assert!(longest < DEADLINE * 10, "{wrong}: {longest:?}");
        proxy.pass();
        let took = tool.ready_within().await;
        assert!(took < Duration::from_secs(2), "{wrong}: {took:?}");
    }
    assert_eq!(tool.store.status().accepted, 0);
}

async fn f05_an_answer_that_is_lost_is_503_and_its_request_is_never_let_in_twice(flavor: Flavor) {
    let server = single(flavor);
    let proxy = Proxy::to(server.address());
    let mut options = options(proxy.address());
    options.deadline = Duration::from_millis(100);
    let (late, page) = (Tool::try_start(options).await.unwrap(), Page::new());
    let other = Tool::started(server.address()).await;
    late.ready_within().await;
    assert_eq!(late.decide(&page.signs()).await, Ok(()));
    let records = || server.ask::<u64>(&redis::cmd("DBSIZE"));
    // The server has it in time, and its answer is late. Where the connection was given up just then, nothing was sent: once more.
    let request = loop {
        let (request, before) = (page.signs(), records());
        proxy.delay(Duration::from_millis(80));
        assert_eq!(late.decide(&request).await, Err(Refusal::ReplayStoreUnavailable));
        sleep(Duration::from_millis(200)).await;
        proxy.pass();
        late.ready_within().await;
        if records() > before {
            break request;
        }
    };
    for tool in [&late, &other] {
        assert_eq!(tool.decide(&request).await, Err(Refusal::Replayed));
    }
    assert_eq!(late.decide(&page.signs()).await, Ok(()), "signed again, it is let in");
}

async fn f05_a_connection_that_is_reset_is_made_again(flavor: Flavor) {
    let server = single(flavor);
    let proxy = Proxy::to(server.address());
    let (tool, page) = (Tool::started(proxy.address()).await, Page::new());
    let (seen, forgot_until) = (page.signs(), tool.forgot_until());
    assert_eq!(tool.decide(&seen).await, Ok(()));
    for _ in 0..5 {
        let connections = tool.store.status().connections;
        proxy.cut_open();
        let _ = tool.decide(&page.signs()).await;
        crate::world::eventually(|| tool.store.status().connections > connections).await;
        assert_eq!(tool.decide(&seen).await, Err(Refusal::Replayed));
        assert_eq!(tool.decide(&page.signs()).await, Ok(()));
    }
    assert_eq!(tool.forgot_until(), forgot_until, "the server is the same: nothing was forgotten");
}
