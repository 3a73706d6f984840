//! A request reads what the link knows from memory: no heap, no runtime, no wait.
//!
//! A binary of its own, because it counts what a thread allocates.

#[path = "it/actors.rs"]
#[expect(dead_code, reason = "the actors of the other tests; a few are enough here")]
mod actors;
#[path = "it/issuer.rs"]
#[expect(dead_code, reason = "the issuer of the other tests")]
mod issuer;
#[path = "it/serve.rs"]
mod serve;

use actors::{Page, Tool, USER, wait_for};
use allocation_counter::measure;
use bmap_issuer_link::LinkState;
use bmap_protocol::link::ChangeKind;
use bmap_verifier::SystemClock;
use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http_body_util::Full;
use issuer::ScriptedIssuer;

/// A decision outside of every runtime: what it waits for would never come.
fn decide(tool: &Tool, head: &Parts) -> Result<(), &'static str> {
    let decision = tool.verifier.verify(head, Full::new(Bytes::new()), None, &SystemClock).now_or_never();
    decision.expect("it waits for nothing").map(|_| ()).map_err(|refusal| refusal.code().as_str())
}

#[test]
fn a_request_takes_nothing_of_the_heap_and_waits_for_nothing() {
    // The link and its issuer run on a thread of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (issuer, tool) = runtime.block_on(async {
        let issuer = ScriptedIssuer::start().await;
        issuer.script().tool.policy.max_staleness = Some(3600);
        let tool = Tool::start(&issuer, |_| {}, |_| {});
        tool.until(LinkState::Live).await;
        (issuer, tool)
    });
    let page = issuer.mint(|_| {});
    let heads = |page: &Page| (0..100).map(|_| page.request(b"")).collect::<Vec<_>>();
    let count = |heads: &[Parts]| {
        let counted = measure(|| {
            for head in heads {
                assert_eq!(decide(&tool, head), Ok(()));
            }
        });
        counted.count_total
    };
    assert!(count(&heads(&page)[..1]) > 0, "a new token is remembered: the counter counts");
    assert_eq!(count(&heads(&page)), 0, "with no denials");
    // Denials of others, of each kind.
    runtime.block_on(async {
        let others = [ChangeKind::User, ChangeKind::Key, ChangeKind::Session, ChangeKind::Token, ChangeKind::Grant];
        let cursor = issuer.act(&others.map(|kind| (kind, "another")));
        wait_for("the denials", || issuer.applied() == Some(cursor)).await;
    });
    assert_eq!(tool.link.status().denials, 5);
    assert_eq!(count(&heads(&page)), 0, "with denials");
    runtime.block_on(async {
        let cursor = issuer.act(&[(ChangeKind::User, USER)]);
        wait_for("the denial", || issuer.applied() == Some(cursor)).await;
    });
    // Nothing of the link runs any more, and the decision is the same.
    drop(runtime);
    assert_eq!(decide(&tool, &page.request(b"")), Err("user_inactive"));
}
