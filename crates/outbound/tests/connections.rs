//! Whether a connection is used again.

use bmap_outbound::Outbound;
use http::Request;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers each request and keeps its connections; its URL, and how many it has taken.
async fn server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, taken) = (format!("http://{}/", listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut head = [0; 4096];
                while stream.read(&mut head).await.is_ok_and(|read| read > 0) {
                    let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, taken)
}

#[tokio::test]
async fn an_unpooled_client_has_a_connection_for_each_request() {
    for (client, expected) in [(Outbound::unpooled(None), 3), (Outbound::new(), 1)] {
        let (client, (url, taken)) = (client.unwrap(), server().await);
        for _ in 0..3 {
            let request = Request::get(&url).body(Vec::new()).unwrap();
            assert_eq!(client.send(request, 100).await.unwrap().status(), 503);
        }
        assert_eq!(taken.load(Ordering::SeqCst), expected);
    }
}
