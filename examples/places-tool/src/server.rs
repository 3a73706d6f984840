//! The listener: hyper, told what `axum::serve` does not tell it. Without a timer hyper waits for ever for the rest of a head, and one
//! client can hold as many connections as there are file descriptors. Nothing here knows of places: copy the file.

use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use bmap_verifier::PeerAddress;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::{Service, ServiceExt};

/// Longest for a request's head, and until the next one on a connection that is kept.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Most bytes of a head, and most lines in it.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// Connections at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 4096;
/// Longest that requests in flight have after the signal to stop.
const SHUTDOWN_TIME: Duration = Duration::from_secs(20);

/// Serves HTTP/1.1 until `stop` completes, then lets requests in flight finish.
pub(crate) async fn serve<S>(listener: TcpListener, service: S, stop: impl Future<Output = ()>)
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    http.max_header_size(MAX_HEAD).max_headers(MAX_HEADERS).max_buf_size(2 * MAX_HEAD);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(std::io::Error::other)?;
            let (stream, peer) = listener.accept().await?;
            Ok::<_, std::io::Error>((stream, PeerAddress(peer.ip()), place))
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, peer, place)) = accepted else {
            // Out of file descriptors, above all: wait for some to come back instead of spinning.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // Answers are small: nothing is gained by waiting to fill a packet.
        let _ = stream.set_nodelay(true);
        // The verifier's limits for each network need to know who is at the other end.
        let service = service.clone().map_request(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            request
        });
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // However it ended, there is no client left to tell.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(SHUTDOWN_TIME, connections.shutdown()).await;
}
