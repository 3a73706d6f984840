//! A bounded HTTP/1.1 and HTTP/2 listener for a [tower](tower_service) service, such as an axum router.
//!
//! `axum::serve` and hyper's defaults wait forever for the rest of a head, keep idle connections open and accept as many of them as there are
//! file descriptors. This listener bounds all of that: connections in total and for each address ([`ConnectionLimits`]), the time and size of
//! a head, header lines ([`MAX_HEADERS`]), the time without a request, streams and resets of HTTP/2. When all places are taken, the connection
//! that has been idle for the longest time is closed. At the end it stops accepting, and requests in flight have [`SHUTDOWN_TIME`] to finish.
//!
//! It does not read bodies: their bounds are the service's. No `Upgrade` is taken up.
//!
//! ```
//! use axum::{Extension, Router, routing::get};
//! use bmap_listener::{ConnectionLimits, Listener, PeerSocket};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let limits = ConnectionLimits { total: 1024, per_address: 256, exempt: vec!["10.0.0.0/8".parse().unwrap()] };
//! let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), limits).await?;
//! let peer = |Extension(PeerSocket(peer)): Extension<PeerSocket>| async move { peer.ip().to_string() };
//! let app = Router::new().route("/", get(peer));
//! // A service that stops at once: real ones wait for a signal.
//! listener.serve(app, std::future::ready(())).await;
//! # Ok(())
//! # }
//! ```
//!
//! Reading order: [`Listener`] → `places` (which connection may stay) → `connection` (one connection's time and size) → `linger` and `unread`
//! (how it ends) → [`client_address`].

pub mod client_address;
mod connection;
mod linger;
mod listener;
mod places;
mod unread;

pub use connection::{MAX_HEADERS, PeerSocket};
pub use listener::{Listener, SHUTDOWN_TIME};
pub use places::{ConnectionEvent, ConnectionLimits};
pub use unread::RequestBody;
