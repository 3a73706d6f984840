//! A tool's process that ends and starts again: whatever one of them let in, none lets in again.

use bmap_tests::caller::Caller;
use bmap_tests::clock;
use bmap_tests::stack::{End, Stack};
use bmap_tests::wire::{Answer, Request};
use std::path::Path;

/// Restarts the tool, waits until it takes what was signed 3 s ahead, and has what was signed 3 and 5 s ahead let in.
fn let_in_ahead(stack: &mut Stack, caller: &Caller, end: End, state: Option<&Path>) -> [Request; 2] {
    stack.restart_tool(end, state);
    clock::wait_until_after(clock::now() + 2);
    let requests = [3, 5].map(|ahead| caller.search_at(clock::now() + ahead));
    for request in &requests {
        let answer = stack.ask_tool(request);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    requests
}

/// The seconds that an answer says to wait.
fn retry_after(answer: &Answer) -> u64 {
    let head = answer.head.to_ascii_lowercase();
    let (_, rest) = head.split_once("retry-after: ").unwrap_or_else(|| panic!("{answer:?}"));
    rest.split("\r\n").next().unwrap().parse().unwrap()
}

/// Each is refused with 503 for as long as its second is one that may have been forgotten, which is for good; what is signed when the answer says is
/// let in.
fn are_refused_with_a_time_to_wait(stack: &Stack, caller: &Caller, requests: &[Request]) {
    let mut longest = 0;
    for request in requests {
        let answer = stack.ask_tool(request);
        assert_eq!(answer.refusal(), (503, "replay_store_unavailable".to_owned()), "{answer:?}");
        assert!((1..=6).contains(&retry_after(&answer)), "{answer:?}");
    }
    let now = stack.ask_tool(&caller.search_at(clock::now()));
    assert_eq!(now.refusal(), (503, "replay_store_unavailable".to_owned()));
    let ready = clock::now() + retry_after(&now);
    while clock::now() < ready {
        for request in requests {
            assert_eq!(stack.ask_tool(request).status, 503);
            longest += 1;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(longest > 50, "{longest}");
    assert_eq!(stack.ask_tool(&caller.search_at(clock::now())).status, 200, "signed again after the time to wait");
    for request in requests {
        assert_eq!(stack.ask_tool(request).status, 503);
    }
    assert_eq!(stack.entered(), 1);
}

#[test]
fn o03_f08_without_a_state_folder_what_may_have_been_let_in_is_refused_after_sigterm() {
    let mut stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let requests = let_in_ahead(&mut stack, &caller, End::Asked, None);
    stack.restart_tool(End::Asked, None);
    are_refused_with_a_time_to_wait(&stack, &caller, &requests);
}

#[test]
fn o03_f08_with_a_state_folder_a_stop_in_order_forgets_nothing_and_a_kill_makes_a_plain_start() {
    let mut stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let state = tempfile::tempdir().unwrap();
    let requests = let_in_ahead(&mut stack, &caller, End::Asked, Some(state.path()));
    // In order: told at once, and what is new is let in at once.
    stack.restart_tool(End::Asked, Some(state.path()));
    for request in &requests {
        assert_eq!(stack.ask_tool(request).refusal(), (401, "replayed".to_owned()));
    }
    let new = caller.search_at(clock::now() + 5);
    assert_eq!(stack.ask_tool(&new).status, 200);
    // A second process can't have the folder, and ends.
    let mut second = bmap_tests::program::Running::start(&mut stack.tool_command("127.0.0.1:0", Some(state.path())));
    assert!(!second.ended_well());
    assert!(second.said().contains("another process uses this state folder"), "{}", second.said());
    // Killed: the file that the first one left was taken away when it was read.
    stack.restart_tool(End::Killed, Some(state.path()));
    are_refused_with_a_time_to_wait(&stack, &caller, &[requests[1].clone(), new]);
}
