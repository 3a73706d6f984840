//! A bounded HTTP/1.1 and HTTP/2 listener for a [tower](tower_service) service, such as an axum router.
//!
//! `axum::serve` and hyper's defaults wait forever for the rest of a head, keep idle connections open and accept as many of them as there are
//! file descriptors. This listener bounds all of that: connections in total and for each address ([`ConnectionLimits`]), the time and size of
//! a head, header lines ([`MAX_HEADERS`]), the time without a request, streams and resets of HTTP/2. When all places are taken, the connection
//! that has been idle for the longest time is closed. At the end it stops accepting, and requests in flight have [`SHUTDOWN_TIME`] to finish.
//!
//! An address has so many requests at work at once, over all of its connections; further ones wait
//! ([`ConnectionLimits::requests_per_address`]), and so no address delays another one. A service refuses with status 429: after
//! [`MAX_REFUSALS`] of them in a row the connection ends in order. It needs to say nothing else.
//!
//! A request of HTTP/1.1 whose head says in more than one way where its body ends is answered 400, the connection ends, and the service does
//! not see it.
//!
//! It does not read bodies: their bounds are the service's. No `Upgrade` is taken up.
//!
//! ```
//! use axum::{Extension, Router, routing::get};
//! use bmap_listener::{ConnectionLimits, Listener, PeerSocket};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let exempt = vec!["10.0.0.0/8".parse().unwrap()];
//! let limits = ConnectionLimits { total: 1024, per_address: 256, requests_per_address: 64, exempt };
//! let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), limits).await?;
//! let peer = |Extension(PeerSocket(peer)): Extension<PeerSocket>| async move { peer.ip().to_string() };
//! let app = Router::new().route("/", get(peer));
//! // A service that stops at once: real ones wait for a signal.
//! listener.serve(app, std::future::ready(())).await;
//! # Ok(())
//! # }
//! ```
//!
//! Reading order: [`Listener`] → `places` (which connection may stay) → `connection` (one connection's time and size) → `turns` (which request
//! is answered next) → `heads` (where a request ends) → `linger` and `unread` (how a connection ends) → [`client_address`].

pub mod client_address;
mod connection;
mod heads;
mod linger;
mod listener;
mod places;
mod turns;
mod unread;

pub use connection::{AnyService, MAX_HEADERS, MAX_REFUSALS, PeerSocket};
pub use listener::{Listener, SHUTDOWN_TIME};
pub use places::{ConnectionEvent, ConnectionLimits, REQUESTS_PER_ADDRESS};
pub use unread::RequestBody;
