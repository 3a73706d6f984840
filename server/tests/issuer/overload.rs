//! More sign-ins than the machine can hash (R40, T27), and more requests than it is to hold (T24).

use crate::http_client::Call;
use crate::operator::{Operator, Server};
use crate::person::{PASSWORD, login, refresh};
use crate::world::World;
use bmap_server::http::layers::at_once::MAX_AT_ONCE;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// The memory that a process holds, or has held at most, in KiB.
pub(crate) fn memory(server: &Server, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn r40_five_hundred_sign_ins_whose_callers_hang_up_take_bounded_room_and_time() {
    let operator = Operator::new();
    let server = operator.serve_with(&[("BMAP_TRUSTED_PROXIES", "127.0.0.1/32")]);
    let address: SocketAddr = server.address.parse().unwrap();
    // One network and one account each, so that no limit but the pool's is met.
    let guess = |number: u32| {
        let from = format!("10.0.{}.{}", number / 256, number % 256);
        login(&format!("a{number}@shop.example"), PASSWORD).header("x-forwarded-for", &from)
    };
    guess(1000).send(address).await.assert_refused("invalid_credentials");
    let base = memory(&server, "VmRSS:");
    let held = futures_util::future::join_all((0..250).map(|number| hang_up(address, guess(number)))).await;
    let began = now();
    let calls: Vec<Call> = (250..500).map(guess).collect();
    let answers = futures_util::future::join_all(calls.iter().map(|call| call.send(address))).await;
    let took = began.elapsed();
    let mut counts = (0, 0);
    for answer in &answers {
        match answer.status {
            401 => counts.0 += 1,
            _ => {
                answer.assert_refused("overloaded");
                assert_eq!(answer.header("retry-after"), Some("1"));
                counts.1 += 1;
            }
        }
    }
    println!("{} hung up, {} were checked, {} sent away, in {took:?}", held.len(), counts.0, counts.1);
    assert!(counts.1 > 100, "the excess is sent away: {counts:?}");
    assert!(took < Duration::from_secs(6), "no caller waits longer than 2 s for a worker: {took:?}");
    // 19 MiB for each worker, and 32 for everything else; unbounded, the hashes alone would be 500 × 19 MiB.
    let workers = u64::try_from(std::thread::available_parallelism().unwrap().get() - 1).unwrap().max(1);
    let most = memory(&server, "VmHWM:");
    println!("base {base} KiB, at most {most} KiB, {workers} workers");
    assert!(most <= base + (workers * 19 + 32) * 1024, "base {base} KiB, at most {most} KiB");
    // And it is over when it is over.
    let after = guess(600).send(address).await;
    after.assert_refused("invalid_credentials");
}

/// Sends the call, and hangs up after 50 ms.
async fn hang_up(server: SocketAddr, call: Call) {
    let body = String::from_utf8(call.body).unwrap();
    let mut text = format!("POST {} HTTP/1.1\r\nhost: {}\r\n", call.path, server);
    for (name, value) in &call.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_requests_that_never_end_take_bounded_room() {
    let world = World::with_slow_passwords(vec!["127.0.0.1/32".parse().unwrap()]).await;
    let call = || refresh("bmr_x");
    // From as many addresses as have all places between them.
    let stall = async |number: usize| {
        let client = format!("203.0.113.{}", number / 100);
        let request = format!(
            "POST /auth/refresh HTTP/1.1\r\nhost: a\r\nx-forwarded-for: {client}\r\ncontent-type: application/json\r\n\
             content-length: 65536\r\n\r\n{{"
        );
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    let mut stalled = Vec::new();
    let mut answer = call().send(world.address).await;
    answer.assert_refused("invalid_token");
    // A busy machine may be slow to begin them, and ends those that it was too slow for: so there may have to be some more.
    while answer.status != 503 && stalled.len() < 2 * MAX_AT_ONCE {
        let more = if stalled.is_empty() { MAX_AT_ONCE } else { 32 };
        let begun = stalled.len();
        stalled.extend(futures_util::future::join_all((begun..begun + more).map(stall)).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
        answer = call().send(world.address).await;
    }
    answer.assert_refused("overloaded");
    assert_eq!(answer.header("retry-after"), Some("1"));
    // A request without a body is answered all the same.
    assert_eq!(Call::new("GET", "/readyz").send(world.address).await.status, 200);
    drop(stalled);
    for _ in 0..100 {
        answer = call().send(world.address).await;
        if answer.status != 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    answer.assert_refused("invalid_token");
}
