//! What a request costs a tool with a live link beside its own socket: nothing. The kernel says so (strace(1)).

use bmap_tests::caller::Caller;
use bmap_tests::clock::wait_for;
use bmap_tests::stack::{End, Stack, address};
use bmap_tests::wire::{Request, connect, receive_one};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};

const REQUESTS: usize = 500;

/// Whether processes can be traced here. In CI they have to be.
fn is_here() -> bool {
    let here = Command::new("strace").arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    assert!(here || std::env::var_os("CI").is_none(), "strace is not installed, or may not trace");
    here
}

#[test]
fn a_request_touches_no_file_and_no_socket_but_its_own() {
    if !is_here() {
        return;
    }
    let mut stack = Stack::start();
    stack.set_for_tool("BMAP_LINK", "on");
    stack.restart_tool(End::Asked, None);
    stack.begin_the_rule();
    stack.wait_for_the_rule();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let mut stream = connect(address(&stack.tool_url));
    let own = stream.local_addr().unwrap().port();
    // The token is known from here on.
    exchange(&mut stream, &stack, &caller.search());

    let requests: Vec<Request> = (0..REQUESTS).map(|_| caller.search()).collect();
    let calls = stack.folder().join("calls");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-yy", "-e", "trace=%file,%desc,%network", "-o"]).arg(&calls);
    let mut strace = strace.args(["-p", &stack.tool.id().to_string()]).stderr(Stdio::null()).spawn().unwrap();
    let traced = || std::fs::read_to_string(&calls).unwrap_or_default();
    wait_for("strace to see the tool", || {
        exchange(&mut stream, &stack, &caller.search());
        traced().contains(&format!(":{own}")).then_some(())
    });
    let before = traced().lines().count();
    for request in &requests {
        exchange(&mut stream, &stack, request);
    }
    let after = traced().lines().count();
    // The tracer sees other sockets too: the link's next mark.
    let is_other = |line: &str| line.contains("TCP") && !line.contains(&format!(":{own}"));
    wait_for("a mark of the link", || traced().lines().skip(after).any(is_other).then_some(()));
    let _ = Command::new("kill").args(["-INT", &strace.id().to_string()]).status();
    let _ = strace.wait();

    // What the tool did on its own socket, what the link did (a mark each second), and what neither of them is.
    let (mut requests_calls, mut others) = (0, BTreeMap::<String, usize>::new());
    for line in traced().lines().take(after).skip(before) {
        let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
        let name = call.split('(').next().unwrap_or_default();
        if call.contains(&format!(":{own}")) {
            requests_calls += 1;
        } else if !(name.starts_with("epoll_")
            || name.starts_with("<...")
            || call.contains("eventfd")
            || name.starts_with("---"))
        {
            *others.entry(call.split(" = ").next().unwrap_or_default().chars().take(80).collect()).or_default() += 1;
        }
    }
    assert!(requests_calls >= 2 * REQUESTS, "each is read and answered: {requests_calls}");
    let total: usize = others.values().sum();
    // Marks of the link and its report each 10 s, whatever the number of requests.
    assert!(total < REQUESTS / 4, "{total} other calls: {others:#?}");
    let file = |call: &String| {
        call.starts_with("open") || call.starts_with("fsync") || call.starts_with("write(") || call.starts_with("stat")
    };
    assert!(!others.keys().any(file), "{others:#?}");
}

/// One request over a connection that stays.
fn exchange(stream: &mut TcpStream, stack: &Stack, request: &Request) {
    let kept = request.clone().with("connection", "keep-alive");
    stream.write_all(&kept.bytes(address(&stack.tool_url))).unwrap();
    assert_eq!(receive_one(stream).status, 200);
}
