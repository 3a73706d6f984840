//! The same bytes many times at once, over sockets, to a tool that runs: one request, let in once (R29, T7).

use bmap_tests::caller::Caller;
use bmap_tests::stack::{Stack, address};
use bmap_tests::wire::{Answer, connect, receive};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Barrier};

const COPIES: usize = 200;

/// Sends the same bytes over connections that are all open beforehand, and counts the answers by status and code.
fn race(stack: &Stack, bytes: &[u8]) -> BTreeMap<(u16, String), usize> {
    let start = Arc::new(Barrier::new(COPIES));
    let racers: Vec<_> = (0..COPIES)
        .map(|_| {
            let mut stream = connect(address(&stack.tool_url));
            let (start, bytes) = (Arc::clone(&start), bytes.to_vec());
            std::thread::spawn(move || {
                start.wait();
                stream.write_all(&bytes).unwrap();
                receive(&mut stream).unwrap()
            })
        })
        .collect();
    let answers = racers.into_iter().map(|racer| racer.join().unwrap());
    answers.fold(BTreeMap::new(), |mut counts, answer: Answer| {
        *counts.entry(answer.refusal()).or_insert(0) += 1;
        counts
    })
}

#[test]
fn of_two_hundred_copies_of_one_request_one_is_let_in() {
    let stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let exactly_one = BTreeMap::from([((200, String::new()), 1), ((401, "replayed".to_owned()), COPIES - 1)]);
    for (round, request) in [caller.search(), caller.nearby(), caller.search()].into_iter().enumerate() {
        let before = stack.entered();
        // In the first round the token is new, so that they also race to remember it.
        assert_eq!(race(&stack, &request.bytes(address(&stack.tool_url))), exactly_one, "round {round}");
        assert_eq!(stack.entered(), before + 1, "round {round}");
    }
}

#[test]
fn two_hundred_requests_of_their_own_are_all_let_in() {
    // The other test refuses the copy, and not the crowd.
    let stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let racers: Vec<_> = (0..COPIES)
        .map(|_| {
            let (request, address) = (caller.search(), address(&stack.tool_url).to_owned());
            std::thread::spawn(move || request.send(&address).status)
        })
        .collect();
    assert!(racers.into_iter().all(|racer| racer.join().unwrap() == 200));
    assert_eq!(stack.entered(), COPIES as u64);
}
