//! Many requests of one address at once (T24).

use super::crowd::{ask, connect, from};
use super::http1::{read_all, statuses};
use crate::world::World;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use bmap_issuer::request_limits::RequestRates;
use bmap_listener::{ConnectionLimits, Listener, MAX_REFUSALS, PeerSocket};
use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Requests of one address at once, in these tests.
const AT_ONCE: usize = 4;
/// Long, for a machine that is busy: here no answer is to be late, and none may be missing.
const LONG: Duration = Duration::from_secs(60);

/// The attacker's requests that the issuer works on. The door holds them up until it is opened.
#[derive(Clone)]
struct Door {
    at_once: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    open: Arc<Semaphore>,
}

impl Door {
    fn new(open: usize) -> Self {
        Self { at_once: Arc::default(), most: Arc::default(), open: Arc::new(Semaphore::new(open)) }
    }

    async fn pass(State(door): State<Self>, request: Request, next: Next) -> Response {
        let peer = request.extensions().get::<PeerSocket>().map(|peer| peer.0.ip());
        if peer != Some(IpAddr::V4(from(1))) {
            return next.run(request).await;
        }
        let counted = Counted::begin(&door);
        let opened = door.open.acquire().await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        let response = next.run(request).await;
        drop((counted, opened));
        response
    }

    fn at_once(&self) -> usize {
        self.at_once.load(Ordering::SeqCst)
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// A request behind the door, until it is answered or dropped.
struct Counted<'a>(&'a Door);

impl<'a> Counted<'a> {
    fn begin(door: &'a Door) -> Self {
        let now = door.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        door.most.fetch_max(now, Ordering::SeqCst);
        Self(door)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(world: &World, door: &Door, rates: RequestRates) -> SocketAddr {
    let limits = ConnectionLimits { requests_per_address: AT_ONCE, ..ConnectionLimits::total(256) };
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), limits).await.unwrap();
    let address = listener.local_address().unwrap();
    let app = world.app.clone().with_rates(rates);
    let router = app.router().layer(from_fn_with_state(door.clone(), Door::pass));
    tokio::spawn(listener.serve(router, std::future::pending()));
    address
}

/// An HTTP/2 connection.
async fn http2(from: Ipv4Addr, to: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = connect(from, to).await;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// A cheap refusal. Without a body: a request that waits for its body is in the service and has no turn.
fn unknown_key(to: SocketAddr) -> http::Request<Full<Bytes>> {
    let key = "Basic Ym1rXzAxOTA6Ym1zX25vbmU=";
    http::Request::get(format!("http://{to}/users")).header("authorization", key).body(Full::new(Bytes::new())).unwrap()
}

async fn until(holds: impl Fn() -> bool) {
    timeout(LONG, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it did not come to that");
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_a_flood_over_many_streams_is_answered_a_few_at_once_and_no_other_address_waits_for_it() {
    let world = World::start().await;
    let door = Door::new(Semaphore::MAX_PERMITS);
    let to = serve(&world, &door, RequestRates { address: 0, ..RequestRates::default() }).await;
    let flood = tokio::spawn(join_all((0..10).map(|_| async move {
        let sender = http2(from(1), to).await;
        let answers = (0..100).map(|_| sender.clone().send_request(unknown_key(to)));
        join_all(answers).await.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect::<Vec<_>>()
    })));
    let pipelined = tokio::spawn(async move {
        let mut stream = connect(from(1), to).await;
        stream.write_all("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n".repeat(50).as_bytes()).await.unwrap();
        let mut answered = 0;
        while answered < 50 {
            let (text, closed) = read_all(&mut stream).await;
            answered += statuses(&text).len();
            assert!(!closed || answered == 50, "{answered}");
        }
    });
    until(|| door.most() > 0).await;
    let mut others = 0;
    while !flood.is_finished() || others == 0 {
        assert_eq!(timeout(LONG, ask(from(2), to)).await.unwrap(), "200");
        others += 1;
    }
    let answers: Vec<_> = flood.await.unwrap().into_iter().flatten().collect();
    assert_eq!(answers.len(), 1000);
    assert!(answers.iter().all(|status| *status == 401), "{answers:?}");
    pipelined.await.unwrap();
    assert!(door.most() <= AT_ONCE, "{} at once", door.most());
    assert_eq!(door.at_once(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_connections_that_vanish_while_they_wait_or_are_answered_give_their_places_back() {
    let world = World::start().await;
    for round in 0..3 {
        let door = Door::new(0);
        let to = serve(&world, &door, RequestRates { address: 0, ..RequestRates::default() }).await;
        // All places are taken, and many more requests wait: over HTTP/1, HTTP/2, and with their body still to come.
        let mut vanishing = Vec::new();
        for _ in 0..20 {
            let mut stream = connect(from(1), to).await;
            stream
                .write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\nGET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
                .await
                .unwrap();
            vanishing.push(stream);
            let mut stream = connect(from(1), to).await;
            stream.write_all(b"POST /tickets HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{").await.unwrap();
            vanishing.push(stream);
        }
        let sender = http2(from(1), to).await;
        let streams: Vec<_> = (0..50).map(|_| tokio::spawn(sender.clone().send_request(unknown_key(to)))).collect();
        until(|| door.at_once() >= AT_ONCE).await;
        // Another address does not wait for any of them.
        assert_eq!(timeout(LONG, ask(from(2), to)).await.unwrap(), "200");
        // Half of them go in the middle of it, and then the rest with their connection.
        vanishing.truncate(if round == 0 { 0 } else { 7 });
        for stream in streams.iter().skip(round).step_by(2) {
            stream.abort();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        if round == 2 {
            streams.iter().for_each(tokio::task::JoinHandle::abort);
            drop(sender);
        }
        door.open.add_permits(Semaphore::MAX_PERMITS / 2);
        until(|| door.at_once() == 0).await;
        // Every place is there again, and no more than these.
        door.most.store(0, Ordering::SeqCst);
        let again = join_all((0..40).map(|_| ask(from(1), to)));
        let again = timeout(LONG, again).await.expect("a place did not come back");
        assert!(again.iter().all(|status| status == "200"), "{again:?}");
        assert!((1..=AT_ONCE).contains(&door.most()), "{} at once", door.most());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_slow_requests_do_not_lock_out_others_of_their_address() {
    let world = World::start().await;
    let door = Door::new(0);
    let to = serve(&world, &door, RequestRates { address: 0, ..RequestRates::default() }).await;
    let sender = http2(from(1), to).await;
    let slow: Vec<_> = (0..3 * AT_ONCE).map(|_| tokio::spawn(sender.clone().send_request(unknown_key(to)))).collect();
    // They hang, and the places of those that do go to the others nevertheless.
    until(|| door.at_once() == slow.len()).await;
    door.open.add_permits(Semaphore::MAX_PERMITS / 2);
    for answer in join_all(slow).await {
        assert_eq!(answer.unwrap().unwrap().status(), 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_bodies_that_do_not_come_take_no_place() {
    let world = World::start().await;
    let door = Door::new(Semaphore::MAX_PERMITS);
    let to = serve(&world, &door, RequestRates { address: 0, ..RequestRates::default() }).await;
    let head = b"POST /tickets HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n";
    let mut waiting = Vec::new();
    for _ in 0..5 * AT_ONCE {
        let mut stream = connect(from(1), to).await;
        stream.write_all(head).await.unwrap();
        waiting.push(stream);
    }
    until(|| door.at_once() == waiting.len()).await;
    assert_eq!(timeout(LONG, ask(from(1), to)).await.unwrap(), "200");
    for stream in &mut waiting {
        stream.write_all(b"{}").await.unwrap();
    }
    for stream in &mut waiting {
        let (text, _) = read_all(stream).await;
        assert_eq!(statuses(&text), ["401"]);
    }
}

#[tokio::test]
async fn t24_a_connection_ends_in_order_after_many_refusals_in_a_row() {
    let world = World::start().await;
    let door = Door::new(Semaphore::MAX_PERMITS);
    let to = serve(&world, &door, RequestRates { address: 1, ..RequestRates::default() }).await;
    let most = usize::try_from(MAX_REFUSALS).unwrap();
    let refused = "GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n";
    // A request that is answered otherwise begins the count again.
    let requests =
        [&refused.repeat(most), "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n", &refused.repeat(2 * most)].concat();
    let mut stream = connect(from(1), to).await;
    stream.write_all(requests.as_bytes()).await.unwrap();
    let (text, closed) = read_all(&mut stream).await;
    let seen = statuses(&text);
    assert!(closed);
    assert_eq!(seen.iter().filter(|status| **status == "429").count(), 2 * most - 1, "the first one is 404");
    assert_eq!((seen[0], seen[most], seen.len()), ("404", "200", 2 * most + 1));
    assert_eq!(text.matches("connection: close").count(), 1);
    let last = text.rsplit("HTTP/1.1 ").next().unwrap();
    assert!(last.starts_with("429") && last.contains("connection: close"), "{last}");
    // Over HTTP/2 every request in flight is answered, and then the connection says that it ends.
    let sender = http2(from(1), to).await;
    let get = || http::Request::get(format!("http://{to}/nowhere")).body(Full::new(Bytes::new())).unwrap();
    for answer in join_all((0..most).map(|_| sender.clone().send_request(get()))).await {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 429);
        answer.into_body().collect().await.unwrap();
    }
    until(|| sender.is_closed()).await;
    // A new one is served.
    let mut sender = http2(from(1), to).await;
    let livez = http::Request::get(format!("http://{to}/livez")).body(Full::new(Bytes::new())).unwrap();
    assert_eq!(sender.send_request(livez).await.unwrap().status(), 200);
}
