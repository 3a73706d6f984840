//! T7: what a process itself accepted it does not accept again, whatever the server does.

use crate::actors::{Page, now, record};
use crate::world::{Tool, on_both, single};
use bmap_test_kit::redis::Flavor;
use bmap_verifier::Refusal;

on_both! { t7_a_record_that_the_server_loses_alone_is_remembered_by_the_process }

async fn t7_a_record_that_the_server_loses_alone_is_remembered_by_the_process(flavor: Flavor) {
    let server = single(flavor);
    let [first, second] = [Tool::start(server.address()).await, Tool::start(server.address()).await];
    first.past_the_rule().await;
    let page = Page::new();
    let lost = record(now());
    assert_eq!(first.store.record_now(&lost).await, Ok(()));
    let name = [b"bmap:{geo}:".as_slice(), &lost.key, &lost.nonce].concat();
    let deleted: u64 = server.ask(redis::cmd("DEL").arg(&name));
    assert_eq!(deleted, 1);
    // No marker tells of one key that an operator deletes: this is the part that the process itself covers.
    assert_eq!(first.store.record_now(&lost).await, Err(Refusal::Replayed));
    assert_eq!(second.store.record_now(&lost).await, Ok(()), "and the part that nothing covers");
    // A refused request is not remembered: it can be sent again.
    let request = page.signs();
    server.tell("CONFIG SET maxmemory 100kb");
    assert_eq!(first.decide(&request).await, Err(Refusal::ReplayStoreUnavailable));
    server.tell("CONFIG SET maxmemory 256mb");
    first.ready_within().await;
    assert_eq!(first.decide(&request).await, Ok(()));
    assert_eq!(first.decide(&request).await, Err(Refusal::Replayed));
}
