//! One connection: HTTP/1.1 or HTTP/2 by its first bytes, with bounds on everything that a peer can hold or fill.
//!
//! No `Upgrade` is ever taken up: hyper's connection is served without upgrades, so the bytes after such a request are
//! the next request and nothing else (R43).

use crate::heads::Heads;
use crate::linger::LingeringStream;
use crate::places::Place;
use crate::turns::{OfConnection, RequestTurn, TooManyWait, Turns};
use crate::unread::RequestBody;
use http::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode, Version};
use http_body::Body;
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tower_service::Service;

/// Most header lines of a request, on HTTP/1.1. On HTTP/2 the size of a head bounds them, and a service may count them.
pub const MAX_HEADERS: usize = 64;

/// The address at the other end of the connection, among each request's extensions.
///
/// ```
/// use bmap_listener::{PeerSocket, client_address};
/// use http::Request;
///
/// // What a service finds of a request that came through a proxy.
/// let mut request = Request::new(());
/// request.extensions_mut().insert(PeerSocket("10.0.0.1:4711".parse().unwrap()));
/// request.headers_mut().insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
///
/// let peer = request.extensions().get::<PeerSocket>().map(|PeerSocket(peer)| peer.ip());
/// let proxies = ["10.0.0.0/8".parse().unwrap()];
/// assert_eq!(client_address::of(peer, request.headers(), &proxies), Some("203.0.113.9".parse().unwrap()));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PeerSocket(pub SocketAddr);

/// A service that the listener can serve: an axum router is one, and so is every tower service of this shape whose errors are answers.
///
/// It is implemented for each of them, and is the bound of [`Listener::serve`](crate::Listener::serve).
///
/// ```
/// use bmap_listener::{AnyService, RequestBody};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use std::convert::Infallible;
/// use std::future::{Ready, ready};
/// use std::task::{Context, Poll};
/// use tower_service::Service;
///
/// /// A service without a framework.
/// #[derive(Clone)]
/// struct Hello;
///
/// impl Service<Request<RequestBody>> for Hello {
///     type Response = Response<Full<Bytes>>;
///     type Error = Infallible;
///     type Future = Ready<Result<Self::Response, Infallible>>;
///
///     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
///         Poll::Ready(Ok(()))
///     }
///
///     fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
///         ready(Ok(Response::new(Full::new(Bytes::from("hello")))))
///     }
/// }
///
/// fn can_be_served(_: impl AnyService) {}
/// can_be_served(Hello);
/// can_be_served(axum::Router::new());
/// ```
pub trait AnyService:
    Service<Request<RequestBody>, Response = Response<Self::Answer>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
    /// The body of its answers.
    type Answer: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static;
}

impl<S, B> AnyService for S
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    type Answer = B;
}

/// Longest until the first byte that tells HTTP/1.1 from HTTP/2.
const FIRST_BYTES_TIME: Duration = Duration::from_secs(4);
/// Longest for a request's head, and until the next request on a connection that is kept.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Longest without a request beginning or ending. Longer than any request may take.
const IDLE_TIME: Duration = Duration::from_secs(45);
/// Longest that a connection takes to end after it was told to make room.
const ROOM_TIME: Duration = Duration::from_secs(2);
/// Most bytes of a head: request line and header lines.
const MAX_HEAD: u32 = 16 * 1024;
/// Most bytes that are held of an HTTP/1.1 connection before they are parsed: a head, and the first bytes after it.
const MAX_BUFFER: usize = 2 * MAX_HEAD as usize;
/// Longest that a connection takes to end after many refusals: its requests in flight have this time, and a peer that goes on has no more.
const END_TIME: Duration = Duration::from_secs(10);
/// Most requests at once on an HTTP/2 connection: as few as RFC 9113 §6.5.2 recommends. Those that wait for a turn count.
const MAX_STREAMS: u32 = 100;
/// Streams that a peer may have reset, or that we reset for its faults, before the connection ends (rapid reset,
/// CVE-2023-44487; MadeYouReset, CVE-2025-8671).
const MAX_RESETS: usize = 32;
/// Answers of 429 in a row after which the connection ends: `Connection: close`, or GOAWAY.
pub const MAX_REFUSALS: u32 = 64;

/// What the requests of a connection share.
struct Connection {
    peer: SocketAddr,
    place: Arc<Place>,
    /// Requests that began or ended.
    events: AtomicU64,
    turns: Arc<Turns>,
    waiting: OfConnection,
    /// Of HTTP/1: HTTP/2 has one way to say where a body ends.
    heads: Option<Arc<Heads>>,
    /// Answers of 429 in a row.
    refusals: AtomicU32,
    /// There were too many of them.
    is_refused: Notify,
}

pub(crate) async fn serve<S: AnyService>(
    stream: TcpStream,
    peer: SocketAddr,
    place: Arc<Place>,
    turns: Arc<Turns>,
    service: S,
    mut stopped: watch::Receiver<bool>,
) {
    // Answers are small: nothing is gained by waiting to fill a packet.
    let _ = stream.set_nodelay(true);
    let is_http2 = tokio::select! {
        sniffed = timeout(FIRST_BYTES_TIME, is_http2(&stream)) => match sniffed {
            Ok(Ok(is_http2)) => is_http2,
            _ => return,
        },
        () = place.told_to_make_room() => return,
        _ = stopped.wait_for(|stopped| *stopped) => return,
    };
    let heads = (!is_http2).then(Arc::<Heads>::default);
    let io = TokioIo::new(LingeringStream::new(stream, Arc::clone(&place), heads.clone()));
    let connection = Arc::new(Connection {
        peer,
        place,
        events: AtomicU64::new(0),
        turns,
        waiting: OfConnection::default(),
        heads,
        refusals: AtomicU32::new(0),
        is_refused: Notify::new(),
    });
    let service = service_fn({
        let connection = Arc::clone(&connection);
        move |request| answer(service.clone(), Arc::clone(&connection), request)
    });
    if is_http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEAD)
            .max_concurrent_streams(MAX_STREAMS)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_local_error_reset_streams(MAX_RESETS)
            .initial_stream_window_size(64 * 1024)
            .initial_connection_window_size(256 * 1024)
            .max_send_buf_size(64 * 1024)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10));
        connection.run(builder.serve_connection(io, service), stopped).await;
    } else {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD as usize)
            .max_buf_size(MAX_BUFFER);
        connection.run(builder.serve_connection(io, service), stopped).await;
    }
}

impl Connection {
    /// Drives hyper's connection until its end, and has it end in order where it is time.
    async fn run(&self, served: impl GracefulConnection, mut stopped: watch::Receiver<bool>) {
        let mut served = pin!(served);
        let is_refused = tokio::select! {
            _ = served.as_mut() => return,
            () = idle(&self.events) => return,
            () = self.place.told_to_make_room() => false,
            () = self.is_refused.notified() => true,
            _ = stopped.wait_for(|stopped| *stopped) => false,
        };
        served.as_mut().graceful_shutdown();
        // Requests in flight finish. A peer may hold the connection open, so one that makes room has little time for them.
        if self.place.makes_room() {
            let _ = timeout(ROOM_TIME, served).await;
        } else if is_refused {
            let _ = timeout(END_TIME, served).await;
        } else {
            let _ = served.await;
        }
    }

    /// Notes a request that begins or ends: the connection is not idle.
    fn note_event(&self) {
        self.events.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes an answer; whether the connection is to end for it.
    fn ends_with(&self, status: StatusCode) -> bool {
        if status != StatusCode::TOO_MANY_REQUESTS {
            self.refusals.store(0, Ordering::SeqCst);
            return false;
        }
        let is_over = self.refusals.fetch_add(1, Ordering::SeqCst).saturating_add(1) >= MAX_REFUSALS;
        if is_over {
            self.is_refused.notify_one();
        }
        is_over
    }
}

/// Whether the connection begins with HTTP/2's preface (RFC 9113 §3.4). No HTTP/1.1 method begins like it.
async fn is_http2(stream: &TcpStream) -> std::io::Result<bool> {
    const START: &[u8; 3] = b"PRI";
    let mut bytes = [0; 3];
    loop {
        let length = stream.peek(&mut bytes).await?;
        let seen = bytes.get(..length).unwrap_or_default();
        if length == 0 || !START.starts_with(seen) {
            return Ok(false);
        }
        if length == START.len() {
            return Ok(true);
        }
        // Peeking returns at once as long as there is any byte; the caller bounds how long this goes on.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Completes when no request began or ended for too long; the first one has to come soon.
async fn idle(events: &AtomicU64) {
    let mut seen = 0;
    let mut time = HEAD_TIME;
    loop {
        tokio::time::sleep(time).await;
        let now = events.load(Ordering::SeqCst);
        if now == seen {
            return;
        }
        (seen, time) = (now, IDLE_TIME);
    }
}

/// The service's answer, or one without a body that is the listener's own.
type Answer<S> = Response<Either<<S as AnyService>::Answer, Empty<<<S as AnyService>::Answer as Body>::Data>>>;

async fn answer<S: AnyService>(
    service: S,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Answer<S>, Infallible> {
    let in_flight = connection.place.begin();
    connection.note_event();
    let is_http1 = request.version() <= Version::HTTP_11;
    let (mut response, mut ends) = answer_in_turn(service, &connection, request).await?;
    ends |= connection.ends_with(response.status());
    if is_http1 && ends {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    connection.note_event();
    // From here on the connection is idle: a peer that does not read its answer holds no place that others need.
    drop(in_flight);
    Ok(response)
}

/// The answer, and whether the connection ends with it.
async fn answer_in_turn<S: AnyService>(
    mut service: S,
    connection: &Connection,
    request: Request<Incoming>,
) -> Result<(Answer<S>, bool), Infallible> {
    if connection.heads.as_ref().is_some_and(|heads| !heads.next_is_sound()) {
        tracing::info!(peer = %connection.peer, "refused: the head says in more than one way where its body ends");
        return Ok((own_answer(StatusCode::BAD_REQUEST), true));
    }
    let (head, body) = request.into_parts();
    let turn = match connection.turns.take(connection.peer.ip(), &head, &connection.waiting).await {
        Ok(turn) => turn,
        Err(TooManyWait) => {
            let mut response = own_answer(StatusCode::SERVICE_UNAVAILABLE);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return Ok((response, true));
        }
    };
    let (body, read) = RequestBody::new(body, Arc::clone(&turn));
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(PeerSocket(connection.peer));
    poll_fn(|context| service.poll_ready(context)).await?;
    let response = worked_on(service.call(request), &turn).await?;
    turn.end();
    Ok((response.map(Either::Left), !read.get()))
}

/// Waits for an answer. When it turns out to be slow, its turn goes to another request.
async fn worked_on<F: Future>(answering: F, turn: &RequestTurn) -> F::Output {
    let mut answering = pin!(answering);
    while let Some(time) = turn.look_again() {
        if let Ok(answer) = timeout(time, answering.as_mut()).await {
            return answer;
        }
    }
    answering.await
}

fn own_answer<L, R: Default>(status: StatusCode) -> Response<Either<L, R>> {
    let mut response = Response::new(Either::Right(R::default()));
    *response.status_mut() = status;
    response
}
