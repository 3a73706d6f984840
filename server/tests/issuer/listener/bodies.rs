//! Slow bodies (T24, O18).

use super::http1::{read_all, statuses};
use crate::http_client::Call;
use crate::world::World;
use bmap_server::http::layers::bodies::BODIES_PER_ADDRESS;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Begins a body of `length` bytes that does not come.
async fn stall(to: SocketAddr, client: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let head =
        format!("POST /tickets HTTP/1.1\r\nhost: a\r\nx-forwarded-for: {client}\r\ncontent-length: {length}\r\n\r\n{{");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn o18_slow_bodies_of_one_address_keep_no_other_out() {
    let world = World::with(vec!["127.0.0.1/32".parse().unwrap()]).await;
    #[expect(clippy::disallowed_methods, reason = "a test measures real time")]
    let began = Instant::now();
    // More than there are places for requests at work.
    let stalled = futures_util::future::join_all((0..1100).map(|_| stall(world.address, "203.0.113.9", 60_000))).await;
    let own = Call::json("/tickets", &serde_json::json!({})).header("x-forwarded-for", "203.0.113.9");
    let mut answer = own.send(world.address).await;
    while answer.status != 429 && began.elapsed() < Duration::from_secs(20) {
        answer = own.send(world.address).await;
    }
    answer.assert_refused("rate_limited");
    let other = Call::json("/tickets", &serde_json::json!({})).header("x-forwarded-for", "203.0.113.10");
    other.send(world.address).await.assert_refused("missing_signature");
    let mut counts = (0, 0);
    for mut stream in stalled {
        let (text, closed) = loop {
            let read = read_all(&mut stream).await;
            if read.1 || began.elapsed() > Duration::from_secs(30) {
                break read;
            }
        };
        assert!(closed, "{text}");
        match statuses(&text)[..] {
            ["408"] => counts.0 += 1,
            ["429"] => counts.1 += 1,
            _ => panic!("{text}"),
        }
    }
    println!("{counts:?}");
    // On a busy machine some begin when the first are over.
    assert!(counts.0 >= BODIES_PER_ADDRESS && counts.1 > 0, "{counts:?}");
    // And it is given back.
    other.send(world.address).await.assert_refused("missing_signature");
}
