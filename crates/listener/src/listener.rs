//! Accepting a bounded number of connections, and ending them in order.

use crate::connection::{self, AnyService};
use crate::places::{Admission, ConnectionEvent, ConnectionLimits, Places};
use crate::turns::Turns;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Longest that connections have to end after the signal to stop.
pub const SHUTDOWN_TIME: Duration = Duration::from_secs(25);

/// Connections that may wait in the system's queue: a crowd that comes at once. One that finds it full tries again after a second.
const BACKLOG: u32 = 4096;

/// A bound listener; see the [crate's documentation](crate).
///
/// ```
/// use axum::{Router, routing::get};
/// use bmap_listener::{ConnectionLimits, Listener};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::TcpStream;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), ConnectionLimits::total(64)).await?;
/// let address = listener.local_address()?;
/// let app = Router::new().route("/", get(async || "hello"));
///
/// let caller = async {
///     let mut connection = TcpStream::connect(address).await?;
///     connection.write_all(b"GET / HTTP/1.1\r\nHost: tool.example\r\nConnection: close\r\n\r\n").await?;
///     let mut answer = String::new();
///     connection.read_to_string(&mut answer).await?;
///     Ok::<_, std::io::Error>(answer)
/// };
/// // It serves until the caller has its answer; a server waits for a signal instead.
/// let mut answer = String::new();
/// listener.serve(app, async { answer = caller.await.unwrap() }).await;
/// assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    places: Arc<Places>,
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// The system's error, for example that the port is taken.
    pub async fn bind(address: SocketAddr, limits: ConnectionLimits) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // As the standard library does: a port whose last connections are just closing can be bound again.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self { socket: socket.listen(BACKLOG)?, places: Places::new(limits, |_| {}) })
    }

    /// Calls `observe` for each connection that was refused or closed for want of room, for a metric. It is
    /// called under the lock of the places, so it must not block.
    #[must_use]
    pub fn observed(self, observe: impl Fn(ConnectionEvent) + Send + Sync + 'static) -> Self {
        Self { places: Places::new(self.places.limits().clone(), observe), ..self }
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// The system's error.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop` completes, then lets requests in flight finish, at most [`SHUTDOWN_TIME`].
    ///
    /// Each request has a [`PeerSocket`](crate::PeerSocket) among its extensions.
    pub async fn serve<S: AnyService>(self, service: S, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let limits = self.places.limits();
        let turns = Turns::new(limits.requests_per_address, limits.exempt.clone());
        let mut stop = std::pin::pin!(stop);
        loop {
            // Finished connections are taken out as they end, so that the set does not grow.
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer, admission)) => {
                    let (service, turns, stopped) = (service.clone(), Arc::clone(&turns), stopped.clone());
                    match admission {
                        Admission::Seated(place) => {
                            connections.spawn(connection::serve(stream, peer, place, turns, service, stopped));
                        }
                        // Its address has its share. It waits beside the others, so that no other address waits for it.
                        Admission::Crowded => {
                            let places = Arc::clone(&self.places);
                            connections.spawn(async move {
                                if let Some(place) = places.wait(peer.ip()).await {
                                    connection::serve(stream, peer, place, turns, service, stopped).await;
                                }
                            });
                        }
                    }
                }
                Err(error) => {
                    // Out of file descriptors, above all: wait for some to come back instead of spinning.
                    tracing::warn!("accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(self.socket);
        // Every receiver may be gone already.
        let _ = stopping.send(true);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_TIME, all_ended).await.is_err() {
            tracing::warn!("connections were still open after {} s", SHUTDOWN_TIME.as_secs());
        }
    }

    /// The next connection and its place. Where every place is at work, it waits, and those behind it in the system's queue.
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr, Admission)> {
        let (stream, peer) = self.socket.accept().await?;
        let admission = self.places.take(peer.ip()).await;
        Ok((stream, peer, admission))
    }
}
