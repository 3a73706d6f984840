//! F07: servers that delete records, or that go on without their replicas; at the start, and changed later.

use crate::actors::Page;
use crate::world::{ONE_SERVER, Tool, WITH_REPLICAS, documented, eventually, on_both, options, single};
use bmap_replay_redis::{Options, Servers, StartError, State, StoreFault};
use bmap_test_kit::redis::{Flavor, RedisServer};
use bmap_verifier::Refusal;
use std::time::Duration;

on_both! {
    f07_a_server_that_evicts_is_refused_at_the_start
    f07_a_policy_that_is_changed_later_stops_all_and_the_right_one_lets_go_on
    f07_a_user_with_no_more_rights_than_documented_is_enough
    f07_a_cluster_is_refused
    ; redis alone
    f07_records_that_were_evicted_between_two_looks_begin_the_rule
    f07_a_primary_that_goes_on_without_replicas_is_refused_at_the_start
}

async fn start(options: Options) -> StoreFault {
    match Tool::try_start(options).await {
        Err(StartError::Store(fault)) => fault,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it started"),
    }
}

fn replicated(at: std::net::SocketAddr) -> Options {
    let mut options = options(at);
    options.servers = Servers::default();
    options
}

async fn f07_a_server_that_evicts_is_refused_at_the_start(flavor: Flavor) {
    let server = single(flavor);
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-ttl"] {
        server.tell(&format!("CONFIG SET maxmemory-policy {policy}"));
        assert_eq!(start(options(server.address())).await, StoreFault::Evicts { policy: policy.to_owned() });
    }
    server.tell("CONFIG SET maxmemory-policy noeviction");
    assert!(Tool::start(server.address()).await.store.is_ready());
}

async fn f07_a_policy_that_is_changed_later_stops_all_and_the_right_one_lets_go_on(flavor: Flavor) {
    let server = single(flavor);
    let mut options = options(server.address());
    assert_eq!(options.check_every, Duration::from_secs(60));
    options.check_every = Duration::from_millis(200);
    let (tool, page) = (Tool::try_start(options).await.unwrap(), Page::new());
    tool.past_the_rule().await;
    assert_eq!(tool.decide(&page.signs()).await, Ok(()));
    server.tell("CONFIG SET maxmemory-policy allkeys-lru");
    eventually(|| !tool.store.is_ready()).await;
    let policy = "allkeys-lru".to_owned();
    assert_eq!(tool.store.status().state, State::Refusing(StoreFault::Evicts { policy }));
    assert_eq!(tool.decide(&page.signs()).await, Err(Refusal::ReplayStoreUnavailable));
    server.tell("CONFIG SET maxmemory-policy noeviction");
    tool.ready_within().await;
    assert_eq!(tool.decide(&page.signs()).await, Ok(()), "nothing was evicted meanwhile");
}

async fn f07_records_that_were_evicted_between_two_looks_begin_the_rule(flavor: Flavor) {
    let server = single(flavor);
    let mut options = options(server.address());
    options.check_every = Duration::from_millis(200);
    let (tool, page) = (Tool::try_start(options).await.unwrap(), Page::new());
    tool.past_the_rule().await;
    let (seen, before) = (page.signs(), tool.forgot_until());
    assert_eq!(tool.decide(&seen).await, Ok(()));
    // All keys but one are evicted, and the settings are put back before anything looks.
    let used: String = server.ask(redis::cmd("INFO").arg("memory"));
    let used: u64 = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse().unwrap();
    let evict = redis::pipe()
        .cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory-policy")
        .arg("volatile-random")
        .ignore()
        .cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg(used / 4)
        .ignore()
        .cmd("SET")
        .arg("other")
        .arg("x")
        .ignore()
        .cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg("256mb")
        .ignore()
        .cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory-policy")
        .arg("noeviction")
        .ignore()
        .to_owned();
    let mut connection =
        redis::Client::open(format!("redis://{}/", server.address())).unwrap().get_connection().unwrap();
    let _ = evict.query::<()>(&mut connection); // its SET may be refused: nothing was left to evict
    let stats: String = server.ask(redis::cmd("INFO").arg("stats"));
    assert!(!stats.contains("evicted_keys:0"), "nothing was evicted");
    eventually(|| tool.store.is_ready() && tool.forgot_until() > before).await;
    assert!(tool.decide(&seen).await.is_err());
    let other = Tool::start(server.address()).await;
    assert!(matches!(other.decide(&seen).await, Err(Refusal::BeforeStart { .. })));
}

async fn f07_a_primary_that_goes_on_without_replicas_is_refused_at_the_start(flavor: Flavor) {
    let server = single(flavor);
    let too_few = |set| StoreFault::TooFewToWrite { set, least: 1, servers: 2 };
    assert_eq!(start(replicated(server.address())).await, too_few(0));
    server.tell("CONFIG SET min-replicas-to-write 1");
    assert_eq!(start(replicated(server.address())).await, StoreFault::Lag { set: 10, most: 2 });
    server.tell("CONFIG SET min-replicas-max-lag 0");
    assert_eq!(start(replicated(server.address())).await, too_few(0));
    server.tell("CONFIG SET min-replicas-max-lag 2");
    assert_eq!(start(replicated(server.address())).await, StoreFault::NoReplicas, "and none follows it");
    let _replica = RedisServer::replica(flavor, &documented(WITH_REPLICAS), server.address());
    server.awaits_replicas(1);
    assert!(Tool::try_start(replicated(server.address())).await.is_ok());
}

async fn f07_a_user_with_no_more_rights_than_documented_is_enough(flavor: Flavor) {
    let rights = documented("### A user for the tool");
    let with_user = |config: &str| format!("{config}\n{rights}");
    let server = RedisServer::start(flavor, &with_user(&documented(WITH_REPLICAS)));
    let _replica = RedisServer::replica(flavor, &documented(WITH_REPLICAS), server.address());
    let url = format!("redis://geo:secret@{}/", server.address());
    let mut options = Options::new(&url, crate::actors::tool(), crate::world::WINDOW).unwrap();
    options.deadline = Duration::from_millis(500);
    server.awaits_replicas(1);
    // Without CONFIG, INFO says whether the primary stops.
    for config in [true, false] {
        if !config {
            server.tell("ACL SETUSER geo -config|get");
        }
        let (tool, page) = (Tool::try_start(options.clone()).await.unwrap(), Page::new());
        tool.past_the_rule().await;
        assert!(!format!("{:?} {options:?}", tool.store).contains("secret"));
        let request = page.signs();
        assert_eq!(tool.decide(&request).await, Ok(()), "{config}");
        assert_eq!(tool.decide(&request).await, Err(Refusal::Replayed));
        server.tell("SCRIPT FLUSH");
        assert_eq!(tool.decide(&page.signs()).await, Ok(()));
    }
    server.tell("CONFIG SET min-replicas-to-write 0");
    assert_eq!(start(options.clone()).await, StoreFault::TooFewToWrite { set: 0, least: 1, servers: 2 });
    server.tell("CONFIG SET min-replicas-to-write 1");
    server.tell("ACL SETUSER geo -info");
    assert!(matches!(start(options).await, StoreFault::Refused { code, .. } if code == "NOPERM"));
}

async fn f07_a_cluster_is_refused(flavor: Flavor) {
    let server = RedisServer::start(flavor, &format!("{}\ncluster-enabled yes", documented(ONE_SERVER)));
    assert_eq!(start(options(server.address())).await, StoreFault::Mode { mode: "cluster".to_owned() });
}
