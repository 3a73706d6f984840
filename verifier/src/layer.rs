//! The tower layer: verifies each request before the tool's handler runs.
//!
//! Put it outermost, around the whole router: a router nested below a prefix sees a shortened path, and the signature is
//! over the whole one.

use crate::clock::{Clock, SystemClock};
use crate::keys::{Keys, ToolKeys};
use crate::policy::PeerAddress;
use crate::replay::{MemoryReplayStore, ReplayStore};
use crate::standing::{NoRevocations, Standing};
use crate::verify::{VerifiedBody, Verifier};
use crate::{cors, problem};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::Body;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Wraps a service so that only verified requests reach it. The handler finds a [`crate::Verified`] in the request's extensions.
pub struct VerifyLayer<K = ToolKeys, R = MemoryReplayStore, S = NoRevocations, C = SystemClock> {
    shared: Arc<Shared<K, R, S, C>>,
}

struct Shared<K, R, S, C> {
    verifier: Verifier<K, R, S>,
    clock: C,
}

impl<K: Keys, R: ReplayStore, S: Standing> VerifyLayer<K, R, S> {
    /// A layer on this machine's clock.
    pub fn new(verifier: Verifier<K, R, S>) -> Self {
        Self::with_clock(verifier, SystemClock)
    }
}

impl<K: Keys, R: ReplayStore, S: Standing, C: Clock> VerifyLayer<K, R, S, C> {
    /// A layer on another clock.
    pub fn with_clock(verifier: Verifier<K, R, S>, clock: C) -> Self {
        Self { shared: Arc::new(Shared { verifier, clock }) }
    }
}

impl<K, R, S, C> Clone for VerifyLayer<K, R, S, C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<I, K, R, S, C> Layer<I> for VerifyLayer<K, R, S, C> {
    type Service = Verify<I, K, R, S, C>;

    fn layer(&self, inner: I) -> Self::Service {
        Verify { inner, shared: Arc::clone(&self.shared) }
    }
}

/// The service of [`VerifyLayer`].
pub struct Verify<I, K = ToolKeys, R = MemoryReplayStore, S = NoRevocations, C = SystemClock> {
    inner: I,
    shared: Arc<Shared<K, R, S, C>>,
}

impl<I: Clone, K, R, S, C> Clone for Verify<I, K, R, S, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<I, K, R, S, C, B, O> Service<Request<B>> for Verify<I, K, R, S, C>
where
    I: Service<Request<B>, Response = Response<O>> + Clone + Send + 'static,
    I::Future: Send,
    B: Body + From<Bytes> + Send + 'static,
    B::Data: Send,
    O: From<Bytes> + Default + 'static,
    K: Keys,
    R: ReplayStore,
    S: Standing,
    C: Clock,
{
    type Response = Response<O>;
    type Error = I::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<O>, I::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        // The service that was polled ready is the one to call; the clone takes its place.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let origins = &shared.verifier.policy().origins;
            if cors::is_preflight(&head) {
                return Ok(cors::preflight(&head, origins));
            }
            let now = shared.clock.now();
            let peer = head.extensions.get::<PeerAddress>().map(|peer| peer.0);
            let asked_from = head.headers.get(http::header::ORIGIN).cloned();
            let mut response = match shared.verifier.verify(&head, body, peer, now).await {
                Ok((verified, body)) => {
                    drop_identity_headers(&mut head.headers);
                    head.extensions.insert(verified);
                    let body = match body {
                        VerifiedBody::Empty(body) => body,
                        VerifiedBody::Whole(bytes) => B::from(bytes),
                    };
                    inner.call(Request::from_parts(head, body)).await?
                }
                Err(refusal) => {
                    let request_id = problem::request_id(&head.headers, now);
                    let (method, path) = (head.method.as_str(), head.uri.path());
                    tracing::info!(code = refusal.code().as_str(), %refusal, request_id, method, path, "refused");
                    problem::answer(&refusal, request_id, now)
                }
            };
            cors::expose(response.headers_mut(), asked_from.as_ref(), origins);
            Ok(response)
        })
    }
}

/// Drops every inbound `bmap-*` header, in any spelling with `-`, `_` or `.`, also behind `x-` (profile §8, R09): who
/// called is told by [`crate::Verified`] alone.
fn drop_identity_headers(headers: &mut HeaderMap) {
    if headers.keys().any(is_identity_header) {
        let dropped: Vec<HeaderName> = headers.keys().filter(|name| is_identity_header(name)).cloned().collect();
        for name in dropped {
            headers.remove(name);
        }
    }
}

fn is_identity_header(name: &HeaderName) -> bool {
    // Names in a HeaderMap are lower case.
    let name = name.as_str().as_bytes();
    let separator = |byte: &u8| matches!(byte, b'-' | b'_' | b'.');
    let name = match name {
        [b'x', between, rest @ ..] if separator(between) => rest,
        _ => name,
    };
    name.strip_prefix(b"bmap").and_then(<[u8]>::first).is_some_and(separator)
}
