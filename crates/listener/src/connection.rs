//! One connection: HTTP/1.1 or HTTP/2 by its first bytes, with bounds on everything that a peer can hold or fill.
//!
//! No `Upgrade` is ever taken up: hyper's connection is served without upgrades, so the bytes after such a request are
//! the next request and nothing else (R43).

use crate::linger::LingeringStream;
use crate::places::Place;
use crate::unread::RequestBody;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tower_service::Service;

/// Most header lines of a request, on HTTP/1.1. On HTTP/2 the size of a head bounds them, and a service may count them.
pub const MAX_HEADERS: usize = 64;

/// The address at the other end of the connection, among each request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct PeerSocket(pub SocketAddr);

/// A service that the listener can serve: an axum router is one.
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
/// Most requests at once on an HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// Streams that a peer may have reset, or that we reset for its faults, before the connection ends (rapid reset,
/// CVE-2023-44487; MadeYouReset, CVE-2025-8671).
const MAX_RESETS: usize = 32;

pub(crate) async fn serve<S: AnyService>(
    stream: TcpStream,
    peer: SocketAddr,
    place: Arc<Place>,
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
    let io = TokioIo::new(LingeringStream::new(stream, Arc::clone(&place)));
    let events = Arc::new(AtomicU64::new(0));
    let service = service_fn({
        let (events, place) = (Arc::clone(&events), Arc::clone(&place));
        move |request| answer(service.clone(), peer, Arc::clone(&events), Arc::clone(&place), request)
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
        let mut connection = pin!(builder.serve_connection(io, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = idle(&events) => return,
            () = place.told_to_make_room() => None,
            _ = stopped.wait_for(|stopped| *stopped) => None,
        };
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            end(&place, connection).await;
        }
    } else {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD as usize)
            .max_buf_size(MAX_BUFFER);
        let mut connection = pin!(builder.serve_connection(io, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = idle(&events) => return,
            () = place.told_to_make_room() => None,
            _ = stopped.wait_for(|stopped| *stopped) => None,
        };
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            end(&place, connection).await;
        }
    }
}

/// Lets requests in flight finish. A connection that makes room has little time for it: a peer may hold it open.
async fn end(place: &Place, connection: impl Future) {
    if place.makes_room() {
        let _ = timeout(ROOM_TIME, connection).await;
    } else {
        connection.await;
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

async fn answer<S: AnyService>(
    mut service: S,
    peer: SocketAddr,
    events: Arc<AtomicU64>,
    place: Arc<Place>,
    request: Request<Incoming>,
) -> Result<Response<S::Answer>, Infallible> {
    let in_flight = place.begin();
    events.fetch_add(1, Ordering::SeqCst);
    let is_http1 = request.version() <= Version::HTTP_11;
    let (head, body) = request.into_parts();
    let (body, read) = RequestBody::new(body);
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(PeerSocket(peer));
    poll_fn(|context| service.poll_ready(context)).await?;
    let mut response = service.call(request).await?;
    if is_http1 && !read.get() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    events.fetch_add(1, Ordering::SeqCst);
    // From here on the connection is idle: a peer that does not read its answer holds no place that others need.
    drop(in_flight);
    Ok(response)
}
