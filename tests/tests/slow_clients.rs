//! Clients that hold a connection of the tool's and send nothing that gets anywhere (R46), and its end while others are at work (F17). The issuer's own are in its listener's tests.

use bmap_tests::caller::Caller;
use bmap_tests::clock;
use bmap_tests::stack::{Stack, address};
use bmap_tests::wire::{Request, connect, receive};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// The time that a tool may take until it has ended a connection, in seconds.
const MOST: u64 = 10;

/// A connection, which reads and writes wait for in no case.
struct Client(TcpStream);

impl Client {
    fn of(stack: &Stack) -> Self {
        let stream = TcpStream::connect(address(&stack.tool_url)).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self(stream)
    }

    /// Whether the tool ended it; whatever it says before is read.
    fn is_ended(&mut self) -> bool {
        match self.0.read(&mut [0; 4096]) {
            Ok(length) => length == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn r46_connections_of_the_tool_that_dribble_are_closed_and_others_are_served() {
    let stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let mut silent: Vec<Client> = (0..200).map(|_| Client::of(&stack)).collect();
    let mut dribbling: Vec<Client> = (0..200).map(|_| Client::of(&stack)).collect();
    let head = b"GET /v1/search?q=Sofia HTTP/1.1\r\nx-slow: ".iter().chain(std::iter::repeat(&b'a'));
    let mut head = head.copied();
    let (began, mut served) = (clock::now(), 0);
    clock::wait_for("the tool to close every connection", || {
        silent.retain_mut(|client| !client.is_ended());
        let byte = [head.next().unwrap()];
        dribbling.retain_mut(|client| client.0.write(&byte).is_ok() && !client.is_ended());
        if served < 20 {
            assert_eq!(stack.ask_tool(&caller.search()).status, 200);
            served += 1;
        }
        (silent.is_empty() && dribbling.is_empty()).then_some(())
    });
    let took = clock::now() - began;
    assert!(took <= MOST, "{took} s");
    assert_eq!((served, stack.ask_tool(&caller.search()).status), (20, 200));
}

#[test]
fn r46_a_connection_of_the_tool_that_is_kept_and_not_used_is_closed() {
    let stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let mut client = Client::of(&stack);
    let request = || caller.search().with("connection", "keep-alive").bytes(address(&stack.tool_url));
    // Used twice, so it is kept.
    for _ in 0..2 {
        client.0.write_all(&request()).unwrap();
        let mut answer = String::new();
        clock::wait_for("an answer", || {
            let mut part = [0; 4096];
            if let Ok(length) = client.0.read(&mut part) {
                assert!(length > 0, "closed after {answer:?}");
                answer.push_str(&String::from_utf8_lossy(&part[..length]));
            }
            answer.contains("\"attribution\"").then_some(())
        });
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let began = clock::now();
    clock::wait_for("the tool to close the connection", || client.is_ended().then_some(()));
    let took = clock::now() - began;
    assert!((2..=MOST).contains(&took), "{took} s");
}

#[test]
fn r46_a_head_that_is_too_large_for_the_tool_is_refused() {
    let stack = Stack::start();
    let large = Request::new("GET", "/v1/search?q=Sofia", None).with("x-large", "a".repeat(17 * 1024));
    assert_eq!(stack.ask_tool(&large).status, 431);
    let lines = (0..65).fold(Request::new("GET", "/v1/search?q=Sofia", None), |request, _| request.with("x-line", "a"));
    assert_eq!(stack.ask_tool(&lines).status, 431);
}

#[test]
fn f17_a_tool_that_is_stopped_finishes_what_it_has_in_hand() {
    let mut stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let (mut idle, to) = (Client::of(&stack), address(&stack.tool_url).to_owned());
    let request = caller.nearby().bytes(&to);
    let (sent, later) = request.split_at(request.len() - 5);
    let mut in_hand = connect(&to);
    in_hand.write_all(sent).unwrap();
    let before = stack.ask_tool(&caller.search());
    assert_eq!(before.status, 200, "whatever was sent before is in the tool's hands by now");
    stack.tool.ask_to_stop();
    clock::wait_for("the tool to close what is not used", || idle.is_ended().then_some(()));
    assert!(stack.tool.is_running());
    in_hand.write_all(later).unwrap();
    assert_eq!(receive(&mut in_hand).unwrap().status, 200);
    assert!(stack.tool.ended_well());
}
