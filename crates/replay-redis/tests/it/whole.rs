//! Stories of a whole tool: it is started again, and tools of other names share the server.

use crate::actors::{Page, now};
use crate::world::{Tool, on_both, options, single};
use bmap_protocol::ids::ToolId;
use bmap_replay_redis::{Options, RedisReplayStore, Servers};
use bmap_test_kit::redis::Flavor;
use bmap_verifier::Refusal;

on_both! {
    f08_a_tool_that_is_started_again_needs_no_pause_and_knows_what_was_let_in
    ; redis alone
    t7_tools_of_other_names_have_stores_of_their_own
    t7_the_last_clone_ends_the_connection
}

async fn f08_a_tool_that_is_started_again_needs_no_pause_and_knows_what_was_let_in(flavor: Flavor) {
    let server = single(flavor);
    let (tool, page) = (Tool::started(server.address()).await, Page::new());
    let (seen, unseen) = (page.signs(), page.signs());
    assert_eq!(tool.decide(&seen).await, Ok(()));
    let forgot_until = tool.forgot_until();
    drop(tool);
    let again = Tool::start(server.address()).await;
    assert_eq!(again.forgot_until(), forgot_until);
    assert_eq!(again.decide(&seen).await, Err(Refusal::Replayed));
    assert_eq!(again.decide(&unseen).await, Ok(()), "it was signed before this process began");
    // Processes that overlap.
    let beside = Tool::start(server.address()).await;
    for tool in [&beside, &again] {
        assert_eq!(tool.decide(&unseen).await, Err(Refusal::Replayed));
    }
    let stopped = now() + i64::from(crate::world::WINDOW.future);
    assert!(forgot_until < stopped);
}

async fn t7_tools_of_other_names_have_stores_of_their_own(flavor: Flavor) {
    let server = single(flavor);
    let geo = Tool::started(server.address()).await;
    let url = format!("redis://{}/", server.address());
    let mut options = Options::new(&url, ToolId::parse("maps").unwrap(), crate::world::WINDOW).unwrap();
    options.servers = Servers::Single;
    options.deadline = std::time::Duration::from_millis(500);
    let maps = RedisReplayStore::connect(options).await.unwrap();
    let record = crate::actors::record(now());
    assert_eq!(geo.store.record_now(&record).await, Ok(()));
    assert!(matches!(maps.record_now(&record).await, Err(Refusal::BeforeStart { .. })), "its store is new");
}

async fn t7_the_last_clone_ends_the_connection(flavor: Flavor) {
    let server = single(flavor);
    let clients = || -> usize {
        let clients: String = server.ask(redis::cmd("CLIENT").arg("LIST"));
        clients.lines().count()
    };
    let tool = Tool::try_start(options(server.address())).await.unwrap();
    let clone = tool.store.clone();
    drop(tool);
    assert_eq!(clients(), 2, "its own, and the one that asks");
    drop(clone);
    crate::world::eventually(|| clients() == 1).await;
}
