//! F06: the primary changes. Three servers, since a primary alone takes no record; the address of the store is a proxy that moves.

use crate::actors::{Page, now};
use crate::world::{Tool, WITH_REPLICAS, documented, eventually, on_both, options};
use bmap_replay_redis::{Servers, StartError, State, StoreFault};
use bmap_test_kit::proxy::Proxy;
use bmap_test_kit::redis::{Flavor, RedisServer};
use bmap_verifier::Refusal;
use futures_util::future::join_all;
use http::request::Parts;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::sleep;

on_both! {
    f06_of_500_requests_whose_records_a_failover_loses_none_is_let_in_again
    f06_a_primary_that_is_cut_off_stops_and_another_takes_its_place
    f06_a_former_primary_that_wakes_up_takes_no_record
    ; redis alone
    f06_a_primary_that_got_its_replicas_back_may_have_missed_another
    f06_a_server_that_becomes_a_replica_refuses
}

/// `min-replicas-max-lag` of the documented configuration, seconds.
const MAX_LAG: u64 = 2;

/// A primary, two replicas that follow it over links of their own, and addresses of the store.
struct Three {
    primary: RedisServer,
    first: RedisServer,
    second: RedisServer,
    links: [Proxy; 2],
}

impl Three {
    fn start(flavor: Flavor, config: &str) -> Self {
        let primary = RedisServer::start(flavor, config);
        let links = [Proxy::to(primary.address()), Proxy::to(primary.address())];
        let [first, second] = [&links[0], &links[1]].map(|link| RedisServer::replica(flavor, config, link.address()));
        let three = Self { primary, first, second, links };
        three.primary.awaits("its replicas", has_replicas(2));
        three
    }

    /// The second replica follows the first one: that one can be primary at once.
    fn chain(flavor: Flavor, config: &str) -> Self {
        let primary = RedisServer::start(flavor, config);
        let link = Proxy::to(primary.address());
        let first = RedisServer::replica(flavor, config, link.address());
        let further = Proxy::to(first.address());
        let second = RedisServer::replica(flavor, config, further.address());
        primary.awaits("its replica", has_replicas(1));
        first.awaits("its replica", has_replicas(1));
        Self { primary, first, second, links: [link, further] }
    }

    fn cut_off(&self) {
        self.links.iter().for_each(Proxy::stop_reading);
    }

    /// The first replica becomes primary, with the second one as its replica.
    fn promote(&self) {
        self.first.tell("REPLICAOF NO ONE");
        let address = self.first.address();
        self.second.tell(&format!("REPLICAOF {} {}", address.ip(), address.port()));
        self.first.awaits("its replica", has_replicas(1));
    }
}

fn has_replicas(number: u64) -> impl Fn(&RedisServer) -> bool {
    move |server| {
        let info: String = server.ask(redis::cmd("INFO").arg("replication"));
        info.contains(&format!("min_slaves_good_slaves:{number}"))
    }
}

async fn tool_at(at: SocketAddr, max_lag: u64) -> Tool {
    let mut options = options(at);
    options.servers = Servers::Replicated { max_lag: Duration::from_secs(max_lag) };
    // A replica that has just become primary has its own replicas back a moment later.
    for _ in 0..250 {
        match Tool::try_start(options.clone()).await {
            Err(StartError::Store(StoreFault::NoReplicas)) => sleep(Duration::from_millis(20)).await,
            started => return started.unwrap(),
        }
    }
    panic!("no replicas")
}

async fn accepted(tool: &Tool, requests: &[Parts]) -> usize {
    join_all(requests.iter().map(|request| tool.decide(request))).await.iter().filter(|outcome| outcome.is_ok()).count()
}

fn refuses_with(tool: &Tool, is: impl Fn(&StoreFault) -> bool) -> bool {
    matches!(tool.store.status().state, State::Refusing(fault) if is(&fault))
}

async fn f06_of_500_requests_whose_records_a_failover_loses_none_is_let_in_again(flavor: Flavor) {
    // A longer lag than documented: here the requests have to be recorded within it.
    let config = documented(WITH_REPLICAS).replace("min-replicas-max-lag 2", "min-replicas-max-lag 6");
    let mut three = Three::start(flavor, &config);
    let addresses = [(); 2].map(|()| Proxy::to(three.primary.address()));
    let [first, second] = [tool_at(addresses[0].address(), 6).await, tool_at(addresses[1].address(), 6).await];
    let page = Page::new();
    first.past_the_rule().await;
    assert_eq!((first.decide(&page.signs()).await, second.decide(&page.signs()).await), (Ok(()), Ok(())));

    let requests: Vec<_> = (0..500).map(|_| page.signs()).collect();
    three.cut_off();
    assert_eq!(accepted(&first, &requests).await, 500, "the primary still believes in its replicas");
    three.primary.kill();
    three.promote();
    let known: u64 = three.first.ask(&redis::cmd("DBSIZE"));
    assert!(known < 10, "the records are lost: {known}");

    // The address moves for one tool, and a moment later for the other; a third tool starts.
    let before = first.forgot_until();
    let moved = |tool: &Tool| tool.store.is_ready() && tool.forgot_until() > before;
    addresses[0].move_to(three.first.address());
    eventually(|| moved(&first)).await;
    let forgot_until = first.forgot_until();
    assert!(forgot_until >= now() + 6, "what a former primary goes on for is counted");
    assert!(matches!(first.decide(&page.signs()).await, Err(Refusal::BeforeStart { .. })));
    assert_eq!(accepted(&first, &requests).await, 0);
    addresses[1].move_to(three.first.address());
    eventually(|| moved(&second)).await;
    assert_eq!(accepted(&second, &requests).await, 0);
    let third = tool_at(addresses[1].address(), 6).await;
    assert_eq!(accepted(&third, &requests).await, 0);
    for tool in [&first, &second, &third] {
        assert_eq!(tool.forgot_until(), forgot_until, "all follow one value");
    }
    // The time is over, and they are still refused, by all.
    third.past_the_rule().await;
    for tool in [&second, &first, &third] {
        assert_eq!(accepted(tool, &requests).await, 0);
        assert_eq!(tool.decide(&page.signs()).await, Ok(()));
    }
}

async fn f06_a_primary_that_is_cut_off_stops_and_another_takes_its_place(flavor: Flavor) {
    let three = Three::chain(flavor, &documented(WITH_REPLICAS));
    let address = Proxy::to(three.primary.address());
    let (left, page) = (tool_at(address.address(), MAX_LAG).await, Page::new());
    left.past_the_rule().await;
    three.links[0].stop_reading();
    three.first.tell("REPLICAOF NO ONE");
    // The former primary goes on for its lag. What it lets in, the next one does not.
    let mut let_in = Vec::new();
    let right = tool_at(three.first.address(), MAX_LAG);
    let stopped = async {
        loop {
            let request = page.signs();
            match left.decide(&request).await {
                Ok(()) => let_in.push(request),
                Err(_) if refuses_with(&left, |fault| *fault == StoreFault::NoReplicas) => break,
                Err(_) => {}
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let stopped = tokio::time::timeout(Duration::from_secs(2 * MAX_LAG + 2), stopped);
    let (right, stopped) = tokio::join!(right, stopped);
    assert!(stopped.is_ok() && !let_in.is_empty(), "{stopped:?} {} {:?}", let_in.len(), left.store.status());
    assert_eq!(accepted(&right, &let_in).await, 0);
    right.past_the_rule().await;
    assert_eq!(accepted(&right, &let_in).await, 0);
    let request = page.signs();
    assert_eq!(right.decide(&request).await, Ok(()));
    assert_eq!(left.decide(&request).await, Err(Refusal::ReplayStoreUnavailable), "it knows nothing of that one");

    // It comes back as a replica, and the address goes to the primary.
    let primary = three.first.address();
    three.primary.tell(&format!("REPLICAOF {} {}", primary.ip(), primary.port()));
    eventually(|| refuses_with(&left, |fault| matches!(fault, StoreFault::NotPrimary { .. }))).await;
    address.move_to(primary);
    left.ready_within().await;
    assert_eq!(left.decide(&request).await, Err(Refusal::Replayed));
    assert_eq!(accepted(&left, &let_in).await, 0);
    left.past_the_rule().await;
    assert_eq!(left.decide(&page.signs()).await, Ok(()));
}

async fn f06_a_former_primary_that_wakes_up_takes_no_record(flavor: Flavor) {
    let mut three = Three::start(flavor, &documented(WITH_REPLICAS));
    let (left, page) = (tool_at(three.primary.address(), MAX_LAG).await, Page::new());
    // It sleeps, and its links are silent: when it wakes up, it does not know yet that its replicas have gone.
    three.cut_off();
    three.primary.process().pause();
    three.promote();
    let right = tool_at(three.first.address(), MAX_LAG).await;
    right.past_the_rule().await;
    let request = page.signs();
    assert_eq!(right.decide(&request).await, Ok(()));
    assert!(!left.store.is_ready());
    three.primary.process().resume();
    for _ in 0..200 {
        assert_eq!(left.decide(&request).await, Err(Refusal::ReplayStoreUnavailable));
        sleep(Duration::from_millis(10)).await;
    }
}

async fn f06_a_primary_that_got_its_replicas_back_may_have_missed_another(flavor: Flavor) {
    let three = Three::start(flavor, &documented(WITH_REPLICAS));
    let (left, page) = (tool_at(three.primary.address(), MAX_LAG).await, Page::new());
    let before = left.forgot_until();
    three.cut_off();
    eventually(|| refuses_with(&left, |fault| *fault == StoreFault::NoReplicas)).await;
    three.promote();
    let right = tool_at(three.first.address(), MAX_LAG).await;
    right.past_the_rule().await;
    let request = page.signs();
    assert_eq!(right.decide(&request).await, Ok(()));
    drop(right);
    // By hand, and without a restart: the former primary is primary again, and what the other one knew is gone.
    three.links.iter().for_each(Proxy::pass);
    for (replica, link) in [&three.first, &three.second].into_iter().zip(&three.links) {
        replica.tell(&format!("REPLICAOF {} {}", link.address().ip(), link.address().port()));
    }
    three.primary.awaits("its replicas", has_replicas(2));
    left.ready_within().await;
    assert!(left.forgot_until() > before);
    assert!(left.decide(&request).await.is_err());
    left.past_the_rule().await;
    assert!(left.decide(&request).await.is_err());
    assert_eq!(left.decide(&page.signs()).await, Ok(()));
}

async fn f06_a_server_that_becomes_a_replica_refuses(flavor: Flavor) {
    let three = Three::start(flavor, &documented(WITH_REPLICAS));
    let (tool, page) = (tool_at(three.primary.address(), MAX_LAG).await, Page::new());
    tool.past_the_rule().await;
    assert_eq!(tool.decide(&page.signs()).await, Ok(()));
    let address = three.first.address();
    three.first.tell("REPLICAOF NO ONE");
    three.primary.tell(&format!("REPLICAOF {} {}", address.ip(), address.port()));
    assert_eq!(tool.decide(&page.signs()).await, Err(Refusal::ReplayStoreUnavailable));
    eventually(|| refuses_with(&tool, |fault| matches!(fault, StoreFault::NotPrimary { .. }))).await;
    let (mut options, began) = (options(three.second.address()), now());
    options.servers = Servers::Replicated { max_lag: Duration::from_secs(MAX_LAG) };
    let error = Tool::try_start(options).await.err().unwrap().to_string();
    assert!(error.contains("slave"), "a replica is no store: {error}");
    assert!(now() - began < 3);
}
