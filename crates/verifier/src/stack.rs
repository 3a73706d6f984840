//! The layer among layers that have bodies of their own, such as those of tower-http.

use crate::clock::{Clock, SystemClock};
use crate::keys::{Keys, ToolKeys};
use crate::layer::{Verify, VerifyFuture, VerifyLayer};
use crate::replay::{MemoryReplayStore, ReplayStore};
use crate::standing::{NoRevocations, Standing};
use axum_core::BoxError;
use axum_core::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_layer::Layer;
use tower_service::Service;

/// The result of [`VerifyLayer::in_stack`]: takes and calls any body, and gives axum's.
///
/// ```
/// # use bmap_verifier::{SystemClock, ToolCredential, Verifier};
/// # fn protected(credential: ToolCredential) {
/// use axum::{Router, routing::get};
/// use bmap_verifier::{Verified, VerifyLayer};
/// use tower::ServiceBuilder;
/// use tower_http::{compression::CompressionLayer, limit::RequestBodyLimitLayer, trace::TraceLayer};
///
/// let router: Router = Router::new().route("/hello", get(|caller: Verified| async move { caller.subject().to_owned() }));
/// let verify = VerifyLayer::new(Verifier::from_credential(credential, SystemClock.now()));
/// let tool = ServiceBuilder::new()
///     .layer(TraceLayer::new_for_http())
///     .layer(RequestBodyLimitLayer::new(64 << 10))
///     .layer(verify.in_stack())
///     .layer(CompressionLayer::new())
///     .service(router);
/// # let _ = tool;
/// # }
/// ```
pub struct StackLayer<K = ToolKeys, R = MemoryReplayStore, S = NoRevocations, C = SystemClock>(VerifyLayer<K, R, S, C>);

impl<K, R, S, C> VerifyLayer<K, R, S, C> {
    /// This layer for a place between others that change the type of a body, in one `ServiceBuilder`: outside of it those of the request's body, such as
    /// tower-http's `RequestBodyLimitLayer`, inside of it those of the answer's, such as its `TraceLayer` and `CompressionLayer`.
    ///
    /// A body that has another type than axum's goes into a box, and nothing else differs. Feature `axum`.
    pub fn in_stack(self) -> StackLayer<K, R, S, C> {
        StackLayer(self)
    }
}

impl<K, R, S, C> Clone for StackLayer<K, R, S, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I, K, R, S, C> Layer<I> for StackLayer<K, R, S, C> {
    type Service = Stacked<I, K, R, S, C>;

    fn layer(&self, inner: I) -> Self::Service {
        Stacked(self.0.layer(AnyAnswer(inner)))
    }
}

/// The service of [`StackLayer`].
pub struct Stacked<I, K = ToolKeys, R = MemoryReplayStore, S = NoRevocations, C = SystemClock>(
    Verify<AnyAnswer<I>, K, R, S, C>,
);

impl<I: Clone, K, R, S, C> Clone for Stacked<I, K, R, S, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I, K, R, S, C, B, O> Service<Request<B>> for Stacked<I, K, R, S, C>
where
    I: Service<Request<Body>, Response = Response<O>> + Clone,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    O: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    K: Keys,
    R: ReplayStore,
    S: Standing,
    C: Clock,
{
    type Response = Response<Body>;
    type Error = I::Error;
    type Future = VerifyFuture<AnyAnswer<I>, Body, Body>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        Service::<Request<Body>>::poll_ready(&mut self.0, context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.0.call(request.map(Body::new))
    }
}

/// What stands inside of a [`StackLayer`], with the bodies of its answers as axum's.
#[derive(Clone)]
pub struct AnyAnswer<I>(I);

impl<I, O> Service<Request<Body>> for AnyAnswer<I>
where
    I: Service<Request<Body>, Response = Response<O>>,
    O: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = I::Error;
    type Future = AnyAnswerFuture<I::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        AnyAnswerFuture { future: self.0.call(request) }
    }
}

pin_project! {
    /// The future of [`AnyAnswer`].
    pub struct AnyAnswerFuture<F> {
        #[pin]
        future: F,
    }
}

impl<F, O, E> Future for AnyAnswerFuture<F>
where
    F: Future<Output = Result<Response<O>, E>>,
    O: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().future.poll(context))?;
        Poll::Ready(Ok(response.map(Body::new)))
    }
}
