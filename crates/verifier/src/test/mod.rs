//! Tests of a tool without an issuer. Feature `test`; for `[dev-dependencies]` alone.
//!
//! ```toml
//! [dev-dependencies]
//! bmap-verifier = { …, features = ["test"] }
//! ```
//!
//! A handler that takes [`crate::Verified`] is called with [`Verified::for_test`](crate::Verified::for_test), and nothing is signed. A tool as a whole, with its
//! [`crate::VerifyLayer`], gets a credential of [`TestIssuer`] and requests that [`SignRequest::sign`] signed; they are verified as those of
//! a real page are:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use axum::{Router, body::Body, routing::post};
//! use bmap_verifier::test::{ManualClock, SignRequest, TestClaims, TestIssuer};
//! use bmap_verifier::{Clock, ToolCredential, Verified, Verifier, VerifyLayer};
//! use http::{Request, StatusCode};
//! use std::time::Duration;
//! use tower::ServiceExt;
//!
//! /// The tool. `main` gives it `ToolCredential::from_env()?` and `SystemClock`.
//! fn tool(credential: ToolCredential, clock: impl Clock) -> Router {
//!     let verifier = Verifier::from_credential(credential, clock.now());
//!     let echo = async |caller: Verified, text: String| format!("{}: {text}", caller.subject());
//!     Router::new().route("/v1/echo", post(echo)).layer(VerifyLayer::with_clock(verifier, clock))
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let (issuer, clock) = (TestIssuer::new(), ManualClock::at_seconds(1_764_000_000));
//! let tool = tool(issuer.credential("geo", "https://geo.example"), clock.clone());
//! clock.advance(Duration::from_secs(6)); // until then a tool that was just started refuses, for it knows of no request before
//!
//! let token = issuer.token(TestClaims::of("geo").origin("https://shop.example").scope("search"), clock.now());
//! let echo = || Request::post("https://geo.example/v1/echo").body("hello");
//! let signed = echo()?.sign(&token, clock.now()).map(Body::from);
//! assert_eq!(tool.clone().oneshot(signed).await.unwrap().status(), StatusCode::OK);
//! assert_eq!(tool.oneshot(echo()?.map(Body::from)).await.unwrap().status(), StatusCode::UNAUTHORIZED);
//! # Ok::<(), http::Error>(())
//! # }).unwrap();
//! # }
//! ```
//!
//! What is wrong in a test, such as a malformed id, panics at the test's line.
//!
//! # Not in production
//!
//! The feature is off by default. It adds an issuer whose credentials all name [`crate::credential::TEST_ISSUER`], and lets code make a
//! `Verified` out of nothing. A build without it refuses these credentials, and a build with it warns in the log when one comes out of the environment. A credential
//! of a real issuer is verified in the same way with and without the feature: the keys of the test issuer open nothing there.
#![expect(clippy::panic, reason = "a fault in a test ends that test, at its line")]

mod claims;
mod clock;
mod issuer;
mod rng;
mod sign;

pub use claims::TestClaims;
pub use clock::ManualClock;
pub use issuer::{TestIssuer, TestToken};
pub use sign::SignRequest;
