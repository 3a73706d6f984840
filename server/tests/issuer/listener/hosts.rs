//! Which host a request is for (O10): named once and well-formed, on every route.

use super::http1::read_all;
use super::http2::{END_HEADERS, END_STREAM, connect, frame};
use crate::world::World;
use bmap_server::router::routes;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn ask(to: SocketAddr, head: &str) -> (String, String) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).await.unwrap();
    let (text, _) = read_all(&mut stream).await;
    (text.split(' ').nth(1).unwrap_or_default().to_owned(), text)
}

#[tokio::test]
async fn o10_no_host_two_or_a_malformed_one_is_refused_on_every_route() {
    let world = World::start().await;
    let paths: Vec<&str> = routes().iter().map(|route| route.path).collect();
    for path in paths.into_iter().chain(["/nowhere"]) {
        for hosts in ["", "host: a\r\nhost: a\r\n", "host: a b\r\n"] {
            let (status, text) = ask(world.address, &format!("GET {path} HTTP/1.1\r\n{hosts}")).await;
            assert_eq!(status, "400", "{path} {hosts:?}");
            assert!(text.contains("\"code\":\"malformed_request\"") && text.contains("x-request-id"), "{text}");
        }
    }
    for host in ["", " ", "a:b", "a:99999", "u@a", "a/b", "[::1", "a\\b", "a%zz", "\u{e4}"] {
        assert_eq!(ask(world.address, &format!("GET /livez HTTP/1.1\r\nhost: {host}\r\n")).await.0, "400", "{host:?}");
    }
    for host in ["a", "AUTH.example:443", "127.0.0.1", "[::1]:4000"] {
        assert_eq!(ask(world.address, &format!("GET /livez HTTP/1.1\r\nhost: {host}\r\n")).await.0, "200", "{host:?}");
    }
}

#[tokio::test]
async fn o10_a_target_with_another_host_is_refused() {
    let world = World::start().await;
    for (head, status) in [
        ("GET http://a/livez HTTP/1.1\r\nhost: a\r\n", "200"),
        ("GET http://a/livez HTTP/1.1\r\nhost: b\r\n", "400"),
        ("GET http://a/livez HTTP/1.1\r\n", "200"),
        ("GET http://u@a/livez HTTP/1.1\r\nhost: u@a\r\n", "400"),
        ("GET /livez HTTP/1.0\r\n", "200"),
        ("GET /livez HTTP/1.0\r\nhost: a\r\nhost: b\r\n", "400"),
    ] {
        assert_eq!(ask(world.address, head).await.0, status, "{head:?}");
    }
}

/// The status of one HTTP/2 request, as the byte of HPACK's static table: 0x88 for 200, 0x8c for 400.
async fn ask_http2(to: SocketAddr, authority: Option<&str>, hosts: &[&str]) -> u8 {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let mut block = [&[0x82, 0x86, 0x04][..], &text("/livez")].concat();
    if let Some(authority) = authority {
        block.extend([&[0x01][..], &text(authority)].concat());
    }
    for host in hosts {
        block.extend([&[0x00][..], &text("host"), &text(host)].concat());
    }
    let mut stream = connect(to).await;
    stream.write_all(&frame(1, END_STREAM | END_HEADERS, 1, &block)).await.unwrap();
    loop {
        let mut head = [0; 9];
        let read = tokio::time::timeout(Duration::from_secs(3), stream.read_exact(&mut head)).await;
        read.expect("no answer").unwrap();
        let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
        stream.read_exact(&mut payload).await.unwrap();
        match head[3] {
            1 => return payload[0],
            // The stream was reset: a malformed request (RFC 9113 §8.1.1).
            3 => return 0,
            _ => {}
        }
    }
}

#[tokio::test]
async fn o10_http2_names_one_host_too() {
    let world = World::start().await;
    for (authority, hosts, status) in [
        (Some("a"), &[][..], 0x88),
        (Some("a"), &["A"], 0x88),
        (None, &["a"], 0x88),
        (Some("a"), &["b"], 0x8c),
        (Some("a"), &["a", "a"], 0x8c),
        (None, &[], 0x8c),
        (None, &["a", "a"], 0x8c),
        (None, &["a b"], 0x8c),
    ] {
        assert_eq!(ask_http2(world.address, authority, hosts).await, status, "{authority:?} {hosts:?}");
    }
    // A malformed authority ends the stream before there is a request.
    assert!(matches!(ask_http2(world.address, Some("a b"), &[]).await, 0 | 0x8c));
}
