use super::http1::{read_all, statuses};
use crate::http_client::Call;
use crate::world::World;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// Dribbles a byte each second until the server closes; after how long.
async fn dribble(world: &World, start: &'static [u8]) -> Duration {
    let began = now();
    let (mut reader, mut writer) = TcpStream::connect(world.address).await.unwrap().into_split();
    let writing = tokio::spawn(async move {
        let _ = writer.write_all(start).await;
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut buffer = [0; 1024];
    while let Ok(1..) = reader.read(&mut buffer).await {}
    writing.abort();
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn r46_dribbling_connections_are_closed_and_hold_up_nobody() {
    let world = World::start().await;
    // Nothing yet; a head that never ends; HTTP/2's preface begun; HTTP/2 without any request; a kept connection.
    let starts: [&[u8]; 5] = [
        b"",
        b"GET /livez HTTP/1.1\r\nhost: a\r\nx: ",
        b"PR",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n",
    ];
    let dribbles = (0..2000).map(|number| dribble(&world, starts[number % starts.len()]));
    let normal = async {
        for _ in 0..40 {
            let began = now();
            assert_eq!(Call::new("GET", "/livez").send(world.address).await.status, 200);
            assert!(began.elapsed() < Duration::from_secs(2), "a normal client waited {:?}", began.elapsed());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let (times, ()) = tokio::join!(futures_util::future::join_all(dribbles), normal);
    let longest = times.into_iter().max().unwrap();
    assert!(longest <= Duration::from_secs(10), "{longest:?}");
}

#[tokio::test]
async fn t24_a_body_that_dribbles_is_given_up() {
    let world = World::start().await;
    let began = now();
    let (mut reader, mut writer) = TcpStream::connect(world.address).await.unwrap().into_split();
    writer.write_all(b"POST /tickets HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
    let writing = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut text = Vec::new();
    let _ = reader.read_to_end(&mut text).await;
    writing.abort();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(statuses(&text), ["408"], "{text}");
    assert!(text.contains("body_timeout"));
    // As slow as it likes for 5 s.
    let took = began.elapsed();
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn f17_a_stop_lets_requests_finish_and_closes_idle_connections() {
    let mut world = World::start().await;
    let mut idle = TcpStream::connect(world.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut buffer = [0; 1024];
    assert!(idle.read(&mut buffer).await.unwrap() > 0);
    let mut busy = TcpStream::connect(world.address).await.unwrap();
    busy.write_all(b"POST /tickets HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;

    world.stop();
    let closed = tokio::time::timeout(Duration::from_secs(2), idle.read(&mut buffer)).await.unwrap();
    assert_eq!(closed.unwrap(), 0, "an idle connection is closed at once");
    assert!(TcpStream::connect(world.address).await.is_err(), "nothing new is accepted");
    busy.write_all(b"}").await.unwrap();
    let (text, closed) = read_all(&mut busy).await;
    assert_eq!(statuses(&text), ["401"], "{text}");
    assert!(closed);
}
