use crate::http_client::Call;
use crate::operator::Operator;
use crate::overload::memory;
use crate::world::World;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// One frame (RFC 9113 §4.1).
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `:method`, `:scheme http`, `:path`, `:authority a` without the dynamic table.
fn header_block(method: u8, path: &str) -> Vec<u8> {
    let path_length = u8::try_from(path.len()).unwrap();
    [&[method, 0x86, 0x04, path_length], path.as_bytes(), &[0x01, 1, b'a']].concat()
}

pub(super) async fn connect(server: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    stream
}

/// Sends frames until the server closes or `limit` were sent; how many, and the slowest answer that another client got
/// meanwhile. The server's frames are read and dropped, so that it is never blocked by us.
async fn flood(server: SocketAddr, limit: u32, frames: impl Fn(u32) -> Vec<u8>) -> (u32, Duration) {
    let (mut reader, mut writer) = connect(server).await.into_split();
    let reading = tokio::spawn(async move {
        let mut buffer = [0; 8192];
        while let Ok(1..) = reader.read(&mut buffer).await {}
    });
    let mut slowest = Duration::ZERO;
    let mut sent = 0;
    while sent < limit && !reading.is_finished() {
        if writer.write_all(&frames(sent)).await.is_err() {
            break;
        }
        sent += 1;
        if sent % 2000 == 0 {
            #[expect(clippy::disallowed_methods, reason = "a test measures real time")]
            let began = Instant::now();
            assert_eq!(Call::new("GET", "/livez").send(server).await.status, 200);
            slowest = slowest.max(began.elapsed());
        }
    }
    reading.abort();
    assert_eq!(Call::new("GET", "/livez").send(server).await.status, 200);
    (sent, slowest)
}

#[tokio::test]
async fn a_token_is_granted_over_http2() {
    let world = World::start().await;
    let host = world.host().await;
    let stream = TcpStream::connect(world.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let call = host.direct_call();
    let request = http::Request::post(format!("http://{}/oauth/token", world.address))
        .header("authorization", host.basic())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(call.body)))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
    assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    // 65 lines are too many here too, and so is a head of more than 16 KiB.
    for (count, length) in [(65, 1), (1, 17 * 1024)] {
        let mut request =
            http::Request::get(format!("http://{}/livez", world.address)).body(Full::new(Bytes::new())).unwrap();
        for number in 0..count {
            let name = http::HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap();
            request.headers_mut().insert(name, "y".repeat(length).parse().unwrap());
        }
        assert_eq!(sender.send_request(request).await.unwrap().status(), 431, "{count} lines of {length}");
    }
    connection.abort();
}

/// A stream that is reset as soon as it is opened (CVE-2023-44487).
fn rapid_reset(number: u32) -> Vec<u8> {
    let (stream, block) = (number * 2 + 1, header_block(0x82, "/livez"));
    [frame(1, END_STREAM | END_HEADERS, stream, &block), frame(3, 0, stream, &8_u32.to_be_bytes())].concat()
}

/// A window update of zero is a fault that the server answers with a reset (MadeYouReset, CVE-2025-8671).
fn made_reset(number: u32) -> Vec<u8> {
    let (stream, block) = (number * 2 + 1, header_block(0x83, "/tickets"));
    [frame(1, END_HEADERS, stream, &block), frame(8, 0, stream, &0_u32.to_be_bytes())].concat()
}

/// A head without an end: a literal header without indexing, over and over.
fn continuation(number: u32) -> Vec<u8> {
    match number {
        0 => frame(1, END_STREAM, 1, &header_block(0x82, "/livez")),
        _ => frame(9, 0, 1, &[&[0x00, 1, b'x', 100][..], &[b'y'; 100]].concat()),
    }
}

/// A body of empty pieces.
fn empty_data(number: u32) -> Vec<u8> {
    match number {
        0 => frame(1, END_HEADERS, 1, &header_block(0x83, "/tickets")),
        _ => frame(0, 0, 1, &[]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r45_rapid_resets_end_the_connection() {
    let world = World::start().await;
    let (sent, slowest) = flood(world.address, 200_000, rapid_reset).await;
    assert!(sent < 200_000, "the flood was never ended");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r45_resets_that_the_server_is_made_to_send_end_the_connection() {
    let world = World::start().await;
    let (sent, slowest) = flood(world.address, 200_000, made_reset).await;
    assert!(sent < 200_000, "the flood was never ended");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r45_endless_continuations_end_the_connection() {
    let world = World::start().await;
    let (sent, _) = flood(world.address, 200_000, continuation).await;
    assert!(sent < 200_000, "the flood was never ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn r45_empty_data_frames_hold_up_nobody() {
    let world = World::start().await;
    let (_, slowest) = flood(world.address, 50_000, empty_data).await;
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r45_floods_take_bounded_room() {
    let operator = Operator::new();
    let server = operator.serve();
    let address: SocketAddr = server.address.parse().unwrap();
    assert_eq!(Call::new("GET", "/livez").send(address).await.status, 200);
    let base = memory(&server, "VmRSS:");
    for frames in [rapid_reset, made_reset, continuation, empty_data] {
        // Over many connections at once; one that is ended is followed by the next.
        let one = || async {
            for _ in 0..3 {
                flood(address, 20_000, frames).await;
            }
        };
        futures_util::future::join_all((0..8).map(|_| one())).await;
    }
    let most = memory(&server, "VmHWM:");
    println!("base {base} KiB, at most {most} KiB");
    assert!(most <= base + 64 * 1024, "base {base} KiB, at most {most} KiB");
}
