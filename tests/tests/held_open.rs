//! Copies of one request that are held open until the record of it has ended (O02), over sockets, with real time.

use bmap_tests::caller::{Caller, Content};
use bmap_tests::clock;
use bmap_tests::stack::{Stack, address};
use bmap_tests::wire::{connect, receive};
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

const COPIES: usize = 40;
/// How old the request is when it is sent: still within the window of 60 s.
const AGE_SECONDS: u64 = 52;
/// Window, skew and the second more: how long a record lives (profile §5).
const RECORD_SECONDS: u64 = 60 + 5 + 1;

#[test]
fn o02_copies_held_open_until_the_record_has_ended_are_not_let_in() {
    let stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    // Tokens of their own: the records of their requests take the places that the ended one had.
    let others: Vec<Caller> = (0..COPIES / 2).map(|_| Caller::new(&stack, &stack.api_key("hmac-sha256"))).collect();
    let created = stack.signs_from;
    clock::wait_until_after(created + AGE_SECONDS);

    // White space enough that a body which is there but for its end is not too slow in the meantime.
    let body = format!("{}{}", r#"{"lat":42.7,"lon":23.3}"#, " ".repeat(15 * 1024));
    let content = Content { body: Some(("application/json", body.as_bytes())), ..Content::default() };
    let request = caller.sign_at(created, &stack.tool_url, "POST", "/v1/nearby", content);
    let bytes = request.bytes(address(&stack.tool_url));
    let (most, end) = bytes.split_at(bytes.len() - 1);
    let mut held: Vec<TcpStream> = (0..COPIES)
        .map(|_| {
            let mut stream = connect(address(&stack.tool_url));
            stream.write_all(most).unwrap();
            stream
        })
        .collect();
    // Let in: it is the handler that takes no body of this length.
    let first = stack.ask_tool(&request);
    assert_eq!(first.status, 413, "{first:?}");
    assert_eq!(stack.ask_tool(&request).refusal(), (401, "replayed".to_owned()));

    clock::wait_until_after(created + RECORD_SECONDS);
    let entered = stack.entered();
    for (number, stream) in held.iter_mut().enumerate() {
        if let Some(other) = others.get(number) {
            assert_eq!(stack.ask_tool(&other.search_at(clock::now())).status, 200);
        }
        stream.write_all(end).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let answer = receive(stream).unwrap_or_else(|| panic!("no answer to copy {number}"));
        assert_eq!(answer.refusal(), (401, "clock_skew".to_owned()), "copy {number}: {answer:?}");
    }
    assert_eq!(stack.entered(), entered + others.len() as u64);
}
