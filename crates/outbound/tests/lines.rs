//! Long answers of a server that does as it likes (R23).

use bmap_outbound::{LineBounds, Lines, Outbound, OutboundError};
use http::Request;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BOUNDS: LineBounds = LineBounds { head: Duration::from_secs(2), idle: Duration::from_millis(200), line: 64 };
const HEAD: &str = "HTTP/1.1 200 OK\r\nx: y\r\n\r\n";

/// Opens an answer of a server that does `serve` with its one connection.
async fn open<F: Future<Output = ()> + Send>(
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> Result<http::Response<Lines>, OutboundError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        serve(stream).await;
    });
    Outbound::new().unwrap().open(Request::get(url).body(Vec::new()).unwrap(), BOUNDS).await
}

async fn write(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

#[tokio::test]
async fn lines_come_as_they_are_sent_and_the_unfinished_one_is_dropped() {
    let opened = open(|mut stream| async move {
        write(&mut stream, HEAD).await;
        for piece in ["a\nb", "b\r\n", "\n", "cut"] {
            write(&mut stream, piece).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut answer = opened.await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["x"].to_str().unwrap()), (200, "y"));
    for line in ["a", "bb", ""] {
        assert_eq!(answer.body_mut().next().await.unwrap().unwrap(), line);
    }
    assert_eq!(answer.body_mut().next().await, Ok(None));
}

#[tokio::test]
async fn r23_silence_and_long_lines_end_it() {
    let silent = open(|mut stream| async move {
        write(&mut stream, HEAD).await;
        write(&mut stream, "a\nb").await;
        std::future::pending().await
    });
    let mut answer = silent.await.unwrap();
    assert_eq!(answer.body_mut().next().await.unwrap().unwrap(), "a");
    assert_eq!(answer.body_mut().next().await, Err(OutboundError::Time));

    for end in ["", "\n"] {
        let long = open(move |mut stream| async move {
            write(&mut stream, &format!("{HEAD}{}\n{}{end}", "a".repeat(64), "a".repeat(65))).await;
            std::future::pending().await
        });
        let mut answer = long.await.unwrap();
        assert_eq!(answer.body_mut().next().await.unwrap().unwrap().len(), 64);
        assert_eq!(answer.body_mut().next().await, Err(OutboundError::TooLarge { limit: 64 }));
    }

    let headless = open(|stream| async move {
        let _open = stream;
        std::future::pending().await
    });
    assert_eq!(headless.await.map(|_| ()), Err(OutboundError::Time));
}

#[tokio::test]
async fn a_wait_that_is_given_up_loses_nothing() {
    let opened = open(|mut stream| async move {
        write(&mut stream, HEAD).await;
        write(&mut stream, "a").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        write(&mut stream, "b\n").await;
    });
    let mut answer = opened.await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(30), answer.body_mut().next()).await;
    assert!(early.is_err(), "{early:?}");
    assert_eq!(answer.body_mut().next().await.unwrap().unwrap(), "ab");
}

#[tokio::test]
async fn a_refusal_is_read_as_far_as_a_line_goes() {
    let opened = open(|mut stream| async move {
        write(&mut stream, "HTTP/1.1 410 Gone\r\n\r\n{}").await;
        write(&mut stream, &"x".repeat(200)).await;
    });
    let answer = opened.await.unwrap();
    assert_eq!(answer.status().as_u16(), 410);
    let text = answer.into_body().short().await;
    assert!(text.len() == 64 && text.starts_with(b"{}x"), "{text:?}");
}
