use crate::world::World;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Everything that comes until the server closes, or until nothing has come for a while.
pub(crate) async fn read_all(stream: &mut TcpStream) -> (String, bool) {
    let mut text = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        match tokio::time::timeout(Duration::from_millis(1500), stream.read(&mut buffer)).await {
            Err(_) => return (String::from_utf8_lossy(&text).into_owned(), false),
            Ok(Ok(0) | Err(_)) => return (String::from_utf8_lossy(&text).into_owned(), true),
            Ok(Ok(length)) => text.extend_from_slice(&buffer[..length]),
        }
    }
}

pub(crate) fn statuses(text: &str) -> Vec<&str> {
    text.match_indices("HTTP/1.1 ").map(|(at, _)| &text[at + 9..at + 12]).collect()
}

#[tokio::test]
async fn r43_an_upgrade_is_not_taken_up() {
    let world = World::start().await;
    for upgrade in ["x", "h2c", "websocket"] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let requests = format!(
            "GET /livez HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: {upgrade}\r\nhttp2-settings: AAMAAABk\r\n\r\n\
             POST /tickets HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
        );
        stream.write_all(requests.as_bytes()).await.unwrap();
        let (text, _) = read_all(&mut stream).await;
        // The second one is the next request: it is asked for its credential like any other.
        assert_eq!(statuses(&text), ["200", "401"], "{text}");
    }
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"CONNECT evil.example:80 HTTP/1.1\r\nhost: evil.example:80\r\n\r\n").await.unwrap();
    let (text, _) = read_all(&mut stream).await;
    assert!(statuses(&text).iter().all(|status| status.starts_with('4')), "{text}");
}

#[tokio::test]
async fn r44_an_early_answer_ends_the_connection_and_arrives() {
    let world = World::start().await;
    let hidden = "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = "POST /tickets HTTP/1.1\r\nhost: a\r\ncontent-length: 10485760\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // The text that looks like requests is the body of the first one, and stays it. The socket may close meanwhile.
    for _ in 0..1000 {
        if stream.write_all(hidden.as_bytes()).await.is_err() {
            break;
        }
    }
    let (text, closed) = read_all(&mut stream).await;
    assert_eq!(statuses(&text), ["413"], "{text}");
    assert!(closed && text.to_ascii_lowercase().contains("connection: close"), "{text}");
}

#[tokio::test]
async fn r44_a_body_that_nobody_reads_ends_the_connection() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n").await.unwrap();
    let (text, closed) = read_all(&mut stream).await;
    assert_eq!(statuses(&text), ["200"]);
    assert!(closed && text.contains("connection: close"), "{text}");
    // A body that was read leaves the connection as it was.
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"POST /tickets HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    }
    let (text, closed) = read_all(&mut stream).await;
    assert_eq!((statuses(&text).len(), closed), (2, false), "{text}");
}

#[tokio::test]
async fn r47_an_endless_body_is_cut_off_on_every_route() {
    let world = World::start().await;
    for route in bmap_server::router::routes() {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let head = format!("{} {} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", route.method, route.path);
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
        let mut written = 0_usize;
        while written < 64 << 20 && stream.write_all(&chunk).await.is_ok() {
            written += chunk.len();
        }
        // Beyond the limit there are only the buffers of the two sockets.
        assert!(written < 16 << 20, "{}: {written} bytes were taken", route.path);
    }
    // Without the flood behind it, the answer is seen to be 413 whichever way the body says its length.
    for head in ["content-length: 65537", "transfer-encoding: chunked"] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(format!("POST /tickets HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n").as_bytes()).await.unwrap();
        if head.starts_with("transfer") {
            let chunk = [b"10001\r\n".as_slice(), &[b'x'; 0x10001], b"\r\n"].concat();
            stream.write_all(&chunk).await.unwrap();
        }
        let (text, closed) = read_all(&mut stream).await;
        assert_eq!(statuses(&text), ["413"], "{head}: {text}");
        assert!(closed && text.contains("too_large"));
    }
}

#[tokio::test]
async fn a_head_over_its_bounds_is_answered_431() {
    let world = World::start().await;
    let lines = |count: usize| (0..count).map(|i| format!("x-{i}: 1\r\n")).collect::<String>();
    for (head, status) in [
        (format!("host: a\r\n{}", lines(62)), "200"),
        (format!("host: a\r\n{}", lines(63)), "431"),
        (format!("host: a\r\nx: {}\r\n", "y".repeat(15 * 1024)), "200"),
        (format!("host: a\r\nx: {}\r\n", "y".repeat(17 * 1024)), "431"),
        (format!("host: a\r\nx: {}\r\n", "y".repeat(200 * 1024)), "431"),
    ] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let request = format!("GET /livez HTTP/1.1\r\n{head}connection: close\r\n\r\n");
        let _ = stream.write_all(request.as_bytes()).await;
        let (text, closed) = read_all(&mut stream).await;
        assert_eq!(statuses(&text), [status], "{} bytes", head.len());
        assert!(closed);
    }
}

#[tokio::test]
async fn broken_framing_is_answered_400_and_closed() {
    let world = World::start().await;
    for request in [
        "GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello",
        "POST /tickets HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "POST /tickets HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /tickets HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost : a\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: a\r\n folded: 1\r\n\r\n",
        "nonsense\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let (text, closed) = read_all(&mut stream).await;
        assert!(closed, "{request:?}");
        assert!(statuses(&text).is_empty() || statuses(&text) == ["400"], "{request:?}: {text}");
    }
}
