//! Bodies that come late, slowly or never, over real connections to an axum server behind the layer (O01, O05, T24).
//!
//! A binary of its own, because it looks at the memory of the whole process.

#[path = "it/actors.rs"]
#[expect(dead_code, reason = "the actors of the other tests; a few are enough here")]
mod actors;

use actors::{Draft, NOW, PageToken, TestIssuer, post};
use axum::Router;
use axum::body::Body;
use axum::routing::post as route_post;
use bmap_verifier::{Policy, SystemClock, UnixTime, Verified, VerifyLayer};
use http::Request;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::Layer;
use tower::make::Shared;

/// A tool on a port of its own.
struct Tool {
    address: SocketAddr,
    issuer: TestIssuer,
    entered: Arc<AtomicU32>,
    /// Milliseconds by which the tool's clock is ahead of the time that passes.
    ahead: Arc<AtomicI64>,
    held: Box<dyn Fn() -> usize + Send + Sync>,
}

impl Tool {
    async fn start(change: impl FnOnce(&mut Policy)) -> Self {
        let issuer = TestIssuer::new();
        let (entered, ahead) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicI64::new(0)));
        let (began, set) = (SystemClock.now().millis(), Arc::clone(&ahead));
        let clock = move || {
            let passed = SystemClock.now().millis() - began + set.load(Ordering::SeqCst);
            UnixTime::from_millis(i64::from(NOW) * 1000 + passed)
        };
        let layer = VerifyLayer::with_clock(issuer.verifier(change), clock);
        let counted = Arc::clone(&entered);
        let handler = move |_: Verified, body: String| async move {
            counted.fetch_add(1, Ordering::SeqCst);
            body.len().to_string()
        };
        let router = layer.layer(Router::new().route("/a", route_post(handler)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, Shared::new(router)).await });
        Self { address, issuer, entered, ahead, held: Box::new(move || layer.body_bytes_held()) }
    }

    fn entered(&self) -> u32 {
        self.entered.load(Ordering::SeqCst)
    }

    /// Sends a head and the beginning of its body.
    async fn begin<B>(&self, request: &Request<B>, length: usize, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head(request, length).as_bytes()).await.unwrap();
        // A refusal may come before all is sent.
        let _ = stream.write_all(body).await;
        stream
    }
}

fn head<B>(request: &Request<B>, length: usize) -> String {
    let mut head = format!("POST {} HTTP/1.1\r\ncontent-length: {length}\r\n", request.uri());
    for (name, value) in request.headers() {
        write!(head, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
    }
    head + "\r\n"
}

/// All that comes until the connection ends.
async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is reset has an end too; one that stays open has none.
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("it ends");
    String::from_utf8(answer).unwrap()
}

/// The answer to a request on a connection that stays open.
async fn first_line(stream: &mut TcpStream) -> String {
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer.to_vec()).unwrap()
}

fn page(tool: &Tool) -> PageToken {
    tool.issuer.mint(|claims| claims["exp"] = (NOW + 500).into())
}

fn large() -> Draft {
    post("/a", &[b'x'; (1 << 20) - 1])
}

/// A policy whose times are short enough for a test.
fn hasty(policy: &mut Policy) {
    policy.bodies.deadline = Duration::from_millis(1500);
    policy.bodies.grace = Duration::from_millis(300);
}

#[tokio::test]
async fn o01_over_http_1_a_body_that_ends_late_never_enters_the_handler() {
    let tool = Tool::start(|policy| {
        policy.bodies.deadline = Duration::from_secs(1000);
        policy.bodies.grace = Duration::from_secs(1000);
    })
    .await;
    let page = page(&tool);
    let mut let_in = tool.begin(&post("/a", b"{\"a\":1}").sign(&page), 7, b"{\"a\"").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let_in.write_all(b":1}").await.unwrap();
    assert_eq!(first_line(&mut let_in).await, "HTTP/1.1 200");
    for seconds in [70_i64, 90, 320] {
        let now = tool.ahead.load(Ordering::SeqCst) / 1000 + i64::from(NOW);
        let draft = Draft { created: now.cast_unsigned(), ..post("/a", b"{\"a\":1}") };
        let mut late = tool.begin(&draft.sign(&page), 7, b"{\"a\"").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        tool.ahead.fetch_add(seconds * 1000, Ordering::SeqCst);
        late.write_all(b":1}").await.unwrap();
        assert_eq!(first_line(&mut late).await, "HTTP/1.1 401", "{seconds}");
    }
    assert_eq!(tool.entered(), 1);
}

#[tokio::test]
async fn t24_over_http_1_silence_and_drips_end_with_408_and_the_connection() {
    let tool = Tool::start(hasty).await;
    let page = page(&tool);
    let mut silent = tool.begin(&large().sign(&page), (1 << 20) - 1, b"xx").await;
    let mut drips = tool.begin(&large().sign(&page), (1 << 20) - 1, b"").await;
    let dripped = tokio::spawn(async move {
        while tokio::time::timeout(Duration::from_millis(20), drips.readable()).await.is_err() {
            drips.write_all(b"x").await.unwrap();
        }
        answer(&mut drips).await
    });
    for answer in [answer(&mut silent).await, dripped.await.unwrap()] {
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("connection: close") && answer.contains("\"code\":\"body_timeout\""), "{answer}");
    }
    assert_eq!((tool.entered(), (tool.held)()), (0, 0));
}

#[tokio::test]
async fn t24_over_http_2_a_drip_ends_with_408_and_the_connection_goes_on() {
    let tool = Tool::start(hasty).await;
    let page = page(&tool);
    let stream = TcpStream::connect(tool.address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(executor, hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let over_http_2 = |request: Request<Body>| {
        let mut request = request;
        let target = format!("http://geo.example{}", request.uri());
        *request.uri_mut() = target.parse().unwrap();
        request.headers_mut().remove("host");
        request
    };
    let drips = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((Ok::<_, std::convert::Infallible>("x"), ()))
    });
    let request = over_http_2(large().sign(&page)).map(|_| Body::from_stream(drips));
    let answer = tokio::time::timeout(Duration::from_secs(20), client.send_request(request)).await.unwrap().unwrap();
    assert_eq!(answer.status(), 408);
    assert!(!answer.headers().contains_key("connection"));
    let answer = client.send_request(over_http_2(post("/a", b"{}").sign(&page))).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!((tool.entered(), (tool.held)()), (1, 0));
}

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o05_one_signed_head_on_four_hundred_connections_takes_one_tokens_budget() {
    const LENGTH: usize = (1 << 20) - 1;
    let tool = Arc::new(Tool::start(hasty).await);
    let request = Arc::new(large().sign(&page(&tool)).map(drop));
    let body: &'static [u8] = vec![b'x'; LENGTH - 1].leak();
    let base = resident();
    let flood: Vec<_> = (0..400)
        .map(|_| {
            let (tool, request) = (Arc::clone(&tool), Arc::clone(&request));
            tokio::spawn(async move {
                let mut stream = tool.begin(&request, LENGTH, body).await;
                answer(&mut stream).await
            })
        })
        .collect();
    let (mut most_held, mut most_resident) = (0, 0);
    while !flood.iter().all(tokio::task::JoinHandle::is_finished) {
        most_held = most_held.max((tool.held)());
        most_resident = most_resident.max(resident());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(most_held > 0 && most_held <= 2 << 20, "{most_held}");
    let taken = most_resident.saturating_sub(base);
    println!("held at most {most_held}, resident {taken} more than before");
    // Beside the budget a connection has its own buffers, on both ends here. All of the bodies would be 400 MiB.
    assert!(taken < 100 << 20, "{taken}");
    for connection in flood {
        let answer = connection.await.unwrap();
        // One that was refused while it still sent may have been reset before it read why.
        assert!(answer.is_empty() || answer.contains("rate_limited") || answer.contains("body_timeout"), "{answer}");
    }
    assert_eq!((tool.entered(), (tool.held)()), (0, 0), "and all of it is given back");
    let mut next = tool.begin(&post("/a", b"{}").sign(&page(&tool)), 2, b"{}").await;
    assert_eq!(first_line(&mut next).await, "HTTP/1.1 200");
}

#[tokio::test]
async fn t24_a_body_that_is_there_with_its_head_is_never_late() {
    let tool = Tool::start(|policy| policy.bodies.deadline = Duration::ZERO).await;
    let page = page(&tool);
    // A body that is there with its head is never late; one that is not is late at once.
    let request = post("/a", b"{}").sign(&page);
    let mut stream = TcpStream::connect(tool.address).await.unwrap();
    stream.write_all((head(&request, 2) + "{}").as_bytes()).await.unwrap();
    assert_eq!(first_line(&mut stream).await, "HTTP/1.1 200");
    let mut late = tool.begin(&post("/a", b"{}").sign(&page), 2, b"").await;
    assert!(answer(&mut late).await.starts_with("HTTP/1.1 408"));
}
