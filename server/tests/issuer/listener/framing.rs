//! Heads that two readers read differently (R42).

use super::http1::read_all;
use crate::world::World;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The answers to some bytes, and whether the connection was ended.
async fn sent(world: &World, bytes: &str) -> (String, bool) {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    // The server may end the connection before it has read all.
    let _ = stream.write_all(bytes.as_bytes()).await;
    read_all(&mut stream).await
}

/// The statuses of the answers, in both versions.
fn statuses(text: &str) -> Vec<&str> {
    text.match_indices("HTTP/1.").map(|(at, _)| &text[at + 9..at + 12]).collect()
}

#[tokio::test]
async fn r42_a_request_that_says_twice_where_it_ends_is_answered_400_and_closed() {
    let world = World::start().await;
    let before = "POST /auth/logout HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 30\r\n\r\n{\"refresh_token\":\"GET /livez\"}";
    let smuggled = "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
    let chunked = format!("0\r\n\r\n{smuggled}");
    let lines = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "tRANSFER-eNCODING: ChUnKeD\r\ncONTENT-lENGTH: 5",
        "Content-Length: 5\r\nX: y\r\nTransfer-Encoding: chunked\r\nX: z",
        "Content-Length: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: x",
        "Content-Length: 0\r\nTransfer-Encoding:\tchunked\t",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nContent-Length: 5",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding:",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "Transfer-Encoding:\r\n chunked",
        "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length : 5",
        "Content-Length:\r\n 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 5 5",
        "Content-Length: 0x5",
        "Content-Length: 5.0",
        "Content-Length:",
        "Content-Length: 18446744073709551616",
    ];
    for line in lines {
        for version in ["HTTP/1.1", "HTTP/1.0\r\nConnection: keep-alive"] {
            for rest in [&chunked, smuggled] {
                let spoiled = format!("POST /auth/logout {version}\r\nhost: a\r\n{line}\r\n\r\n{rest}");
                let (text, closed) = sent(&world, &spoiled).await;
                assert_eq!((statuses(&text), closed), (vec!["400"], true), "{spoiled:?}: {text}");
                if !rest.starts_with('0') {
                    continue;
                }
                // Behind a request in order it is seen for what it is, and so is the end of the one before.
                let (text, closed) = sent(&world, &format!("{before}{spoiled}")).await;
                assert_eq!((statuses(&text), closed), (vec!["204", "400"], true), "{spoiled:?}: {text}");
            }
        }
    }
    let old = "POST /auth/logout HTTP/1.0\r\nhost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (text, closed) = sent(&world, &format!("{old}{chunked}")).await;
    assert_eq!((statuses(&text), closed), (vec!["400"], true), "{text}");
}

#[tokio::test]
async fn r42_chunks_that_two_readers_read_differently_end_the_connection() {
    let world = World::start().await;
    let head =
        "POST /auth/logout HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    for chunks in [
        "5\r\n12345x\r\n0\r\n\r\n",
        "+5\r\n12345\r\n0\r\n\r\n",
        "0x5\r\n12345\r\n0\r\n\r\n",
        "10000000000000000\r\n12345\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n12345\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
        "5;a\n=b\r\n12345\r\n0\r\n\r\n",
    ] {
        let (text, closed) = sent(&world, &format!("{head}{chunks}GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert!(closed && !text.contains(" 200 "), "{chunks:?}: {text}");
    }
}

#[tokio::test]
async fn r42_requests_in_order_are_served_one_after_another() {
    let world = World::start().await;
    let body = "{\"refresh_token\":\"GET /livez\"}";
    let head = "POST /auth/logout HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    let get = "\r\nGET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
    let lined = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let (first, second) = body.split_at(7);
    let chunked = format!(
        "{head}Transfer-Encoding:  CHUNKED \r\n\r\n{:x};a=b\r\n{first}\r\n00{:X}\r\n{second}\r\n0\r\nx: y\r\n\r\n",
        first.len(),
        second.len()
    );
    let (text, closed) = sent(&world, &[get, &lined, &chunked, get, &chunked, &lined, get].concat()).await;
    assert_eq!((statuses(&text), closed), (vec!["200", "204", "204", "200", "204", "204", "200"], false), "{text}");
}
