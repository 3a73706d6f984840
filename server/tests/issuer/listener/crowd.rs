//! Many connections that cost their caller nothing (O09).

use super::http1::{read_all, statuses};
use crate::world::World;
use bmap_listener::{ConnectionLimits, Listener};
use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// An address of this machine.
pub(super) fn from(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

pub(super) async fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

async fn serve(world: &World, total: usize, per_address: usize, exempt: &[&str]) -> SocketAddr {
    let exempt = exempt.iter().map(|network| network.parse().unwrap()).collect();
    let limits = ConnectionLimits { total, per_address, requests_per_address: 0, exempt };
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), limits).await.unwrap();
    let address = listener.local_address().unwrap();
    tokio::spawn(listener.serve(world.app.router(), std::future::pending()));
    address
}

/// An HTTP/2 connection that made one request, and from then on sends pings and answers them.
async fn quiet(from: Ipv4Addr, to: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = connect(from, to).await;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let second = Duration::from_secs(1);
    builder.timer(TokioTimer::new()).keep_alive_interval(second).keep_alive_while_idle(true);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("http://{to}/livez")).body(Empty::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    answer.into_body().collect().await.unwrap();
    sender
}

/// The status of one request; nothing where the connection was closed.
pub(super) async fn ask(from: Ipv4Addr, to: SocketAddr) -> String {
    let mut stream = connect(from, to).await;
    let request = "GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let _ = stream.write_all(request.as_bytes()).await;
    let (text, _) = read_all(&mut stream).await;
    statuses(&text).first().copied().unwrap_or_default().to_owned()
}

/// A request whose body does not come.
async fn busy(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let mut stream = connect(from, to).await;
    let _ = stream.write_all(b"POST /tickets HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream
}

async fn is_open(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    tokio::time::timeout(Duration::from_millis(300), stream.read(&mut byte)).await.is_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn o09_a_thousand_quiet_connections_of_one_address_keep_no_other_out() {
    let world = World::start().await;
    // As many as there are places by default, with the limit for each address and without it.
    for per_address in [256, 0] {
        let to = serve(&world, 1024, per_address, &[]).await;
        let mut quiet_ones = Vec::new();
        while quiet_ones.len() < 1030 {
            quiet_ones.extend(join_all((0..103).map(|_| quiet(from(1), to))).await);
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let kept = quiet_ones.iter().filter(|sender| !sender.is_closed()).count();
        // Fewer on a machine so busy that the first ones were idle for too long by now.
        let most = if per_address == 0 { 1024 } else { per_address };
        assert!(kept > 0 && kept <= most, "{kept} of {most}");
        for _ in 0..10 {
            let answer = tokio::time::timeout(Duration::from_secs(5), ask(from(2), to)).await;
            assert_eq!(answer.expect("another address waits"), "200");
        }
        // Of the first ones some made room, and of the newest none.
        let closed = |some: &[SendRequest<_>]| some.iter().filter(|sender| sender.is_closed()).count();
        assert!(closed(&quiet_ones[..103]) > 0);
        assert_eq!(closed(&quiet_ones[927..]), 0);
    }
}

#[tokio::test]
async fn o09_an_address_has_so_many_connections_and_a_proxy_any_number() {
    let world = World::start().await;
    let to = serve(&world, 64, 3, &["127.0.0.9/32"]).await;
    let mut first = [busy(from(1), to).await, busy(from(1), to).await, busy(from(1), to).await];
    assert_eq!(ask(from(1), to).await, "", "a fourth one waits");
    assert_eq!(ask(from(2), to).await, "200");
    for stream in &mut first {
        assert!(is_open(stream).await, "one with a request in flight is not closed for another");
    }
    first[0].write_all(b"{}").await.unwrap();
    let (text, _) = read_all(&mut first[0]).await;
    assert_eq!(statuses(&text), vec!["401"]);
    assert_eq!(ask(from(1), to).await, "200", "its own idle connection makes room");
    assert!(!is_open(&mut first[0]).await);
    let proxied = join_all((0..10).map(|_| busy(from(9), to))).await;
    assert_eq!(ask(from(9), to).await, "200");
    drop(proxied);
}

#[tokio::test]
async fn o09_the_longest_idle_connection_makes_room_and_one_at_work_does_not() {
    let world = World::start().await;
    let to = serve(&world, 3, 0, &[]).await;
    let mut at_work = busy(from(1), to).await;
    let (mut silent, newer) = (connect(from(1), to).await, connect(from(1), to).await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Long before the silent one would be given up for itself.
    let kept = tokio::time::timeout(Duration::from_secs(2), quiet(from(2), to)).await.expect("nothing made room");
    assert!(!is_open(&mut silent).await, "it said nothing at all");
    assert_eq!(ask(from(3), to).await, "200");
    assert!(!kept.is_closed() && is_open(&mut at_work).await);
    drop(newer);
}

#[tokio::test]
async fn connections_over_the_bound_wait_for_a_place() {
    let world = World::start().await;
    let to = serve(&world, 2, 0, &[]).await;
    let both = (busy(from(1), to).await, busy(from(1), to).await);
    let third = tokio::spawn(async move { ask(from(2), to).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!third.is_finished());
    drop(both);
    assert_eq!(tokio::time::timeout(Duration::from_secs(3), third).await.unwrap().unwrap(), "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn o09_a_burst_of_one_caller_is_answered_although_it_is_more_than_its_address_has_places() {
    let world = World::start().await;
    let to = serve(&world, 64, 16, &[]).await;
    let answers = join_all((0..60).map(|_| async move {
        let mut stream = connect(from(1), to).await;
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text.starts_with("HTTP/1.1 200")
    }))
    .await;
    assert!(answers.into_iter().all(|is_answered| is_answered));
}
