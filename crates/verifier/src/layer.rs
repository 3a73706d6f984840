//! The tower layer: verifies each request before the tool's handler runs.
//!
//! Put it outermost, around the whole router, as [the crate's example](crate) does: a route that is added to the router later
//! stands behind it too, while `Router::layer` covers the routes that are there by then. A nested router sees a shortened path, and the signature
//! is over the whole one: inside of axum's `nest` the layer needs [`VerifyLayer::with_original_uri`]. Among layers that change the type of a body,
//! such as those of tower-http in one `ServiceBuilder`, it needs `VerifyLayer::in_stack`.
//!
//! A body is read here, within [`crate::BodyLimits`], before the handler runs; from then on its memory is the tool's. Inbound `bmap-*`
//! headers are removed, and [`VerifyLayer::dropped_identity_headers`] counts them for a metric: a number that rises says that somewhere
//! in front a client's headers are let through.

use crate::allowed_origins::AllowedOrigins;
use crate::capability::{self, Ends};
use crate::clock::{Clock, SystemClock, UnixTime};
use crate::cors::HeaderLists;
use crate::keys::{Keys, ToolKeys};
use crate::original_uri::{self, FindOriginalUri};
use crate::policy::{PeerAddress, Policy};
use crate::replay::{MemoryReplayStore, ReplayStore};
use crate::standing::{NoRevocations, Standing};
use crate::verify::verified::{ProofKind, Verified};
use crate::verify::{VerifiedBody, Verifier};
use crate::{cors, problem};
use bmap_protocol::capability::CapabilityFault;
use bmap_protocol::refusal::Refusal;
use bytes::Bytes;
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, Version};
use http_body::Body;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use tower_layer::Layer;
use tower_service::Service;

/// Wraps a service so that only verified requests reach it. The handler finds a [`crate::Verified`] in the request's extensions.
///
/// ```
/// # use bmap_verifier::protocol::{ids::{Issuer, ToolId}, keys::ToolKey, token::{Assurance, IssuerKey}};
/// # let issuer_key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes();
/// # let credential = bmap_verifier::ToolCredential {
/// #     issuer: Issuer::parse("https://auth.example").unwrap(),
/// #     tool: ToolId::parse("geo").unwrap(),
/// #     own: vec!["https://geo.example".parse().unwrap()],
/// #     epochs: vec![(1, ToolKey::from_bytes([1; 32]))],
/// #     issuer_keys: vec![IssuerKey::new("bj1.a", &issuer_key).unwrap()],
/// #     origins: bmap_verifier::AllowedOrigins::NamedByToken,
/// #     min_assurance: Assurance::Origin,
/// #     scopes: Vec::new(),
/// #     policy: Default::default(),
/// # };
///
/// use axum::{Router, body::Body, routing::get};
/// use bmap_verifier::{SystemClock, Verified, Verifier, VerifyLayer};
/// use http::{Request, StatusCode};
/// use tower::{Layer, ServiceExt};
///
/// let layer = VerifyLayer::new(Verifier::from_credential(credential, SystemClock.now()));
/// let tool = layer.layer(Router::new().route("/hello", get(|caller: Verified| async move { caller.subject().to_owned() })));
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let unsigned = Request::get("https://geo.example/hello").body(Body::empty()).unwrap();
/// assert_eq!(tool.oneshot(unsigned).await.unwrap().status(), StatusCode::UNAUTHORIZED);
/// # });
/// ```
pub struct VerifyLayer<K = ToolKeys, R = MemoryReplayStore, S = NoRevocations, C = SystemClock> {
    shared: Arc<Shared<K, R, S, C>>,
    original_uri: Option<FindOriginalUri>,
}

struct Shared<K, R, S, C> {
    verifier: Verifier<K, R, S>,
    clock: C,
    header_lists: HeaderLists,
    dropped_identity_headers: AtomicU64,
}

#[cfg(feature = "tokio")]
impl<K: Keys, R: ReplayStore, S: Standing> VerifyLayer<K, R, S> {
    /// A layer on this machine's clock.
    pub fn new(verifier: Verifier<K, R, S>) -> Self {
        Self::with_clock(verifier, SystemClock)
    }
}

impl<K: Keys, R: ReplayStore, S: Standing, C: Clock> VerifyLayer<K, R, S, C> {
    /// A layer on another clock.
    pub fn with_clock(verifier: Verifier<K, R, S>, clock: C) -> Self {
        let header_lists = HeaderLists::of(&verifier.settings().policy);
        let shared = Shared { verifier, clock, header_lists, dropped_identity_headers: AtomicU64::new(0) };
        Self { shared: Arc::new(shared), original_uri: None }
    }
}

impl<K: Keys, R: ReplayStore, S: Standing, C> VerifyLayer<K, R, S, C> {
    /// Inbound `bmap-*` header lines that were removed so far, over all clones of this layer. For a metric.
    pub fn dropped_identity_headers(&self) -> u64 {
        self.shared.dropped_identity_headers.load(Ordering::Relaxed)
    }

    /// Bytes of bodies that are held now, over all clones of this layer. For a metric; see [`crate::BodyLimits`].
    pub fn body_bytes_held(&self) -> usize {
        self.shared.verifier.body_bytes_held()
    }
}

impl<K, R, S, C> VerifyLayer<K, R, S, C> {
    /// For a layer inside of axum's `nest`, which takes its prefix off the path: the signature is checked against the URI that `find` finds in the request's
    /// extensions, and the handler sees the shortened one. Where `find` finds nothing, the request's own URI is the whole one.
    ///
    /// Only a prefix may be missing. A path or query that was changed in another way between there and here is refused, because the route that
    /// is taken would be another than the one that was signed. What stands in the extensions has to be what the listener received, as axum's
    /// `OriginalUri` is; a URI out of a header of the client would let the client choose it.
    ///
    /// ```
    /// # use bmap_verifier::{SystemClock, ToolCredential, Verifier};
    /// # fn protected(credential: ToolCredential) {
    /// use axum::{Router, extract::OriginalUri, routing::get};
    /// use bmap_verifier::{Verified, VerifyLayer};
    ///
    /// let verify = VerifyLayer::new(Verifier::from_credential(credential, SystemClock.now()))
    ///     .with_original_uri(|extensions| extensions.get::<OriginalUri>().map(|uri| &uri.0));
    /// let protected = Router::new().route("/search", get(|caller: Verified| async move { caller.subject().to_owned() })).layer(verify);
    /// // Signed is /v1/search; /health is open.
    /// let tool: Router = Router::new().route("/health", get(|| async { "ok" })).nest("/v1", protected);
    /// # let _ = tool;
    /// # }
    /// ```
    #[must_use]
    pub fn with_original_uri(self, find: FindOriginalUri) -> Self {
        Self { original_uri: Some(find), ..self }
    }

    /// The verifier, for [`Verifier::save_state`] above all. Keep a clone of the layer for it.
    pub fn verifier(&self) -> &Verifier<K, R, S> {
        &self.shared.verifier
    }
}

impl<K, R, S, C> Clone for VerifyLayer<K, R, S, C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), original_uri: self.original_uri }
    }
}

impl<I, K, R, S, C> Layer<I> for VerifyLayer<K, R, S, C> {
    type Service = Verify<I, K, R, S, C>;

    fn layer(&self, inner: I) -> Self::Service {
        Verify { inner, shared: Arc::clone(&self.shared), original_uri: self.original_uri }
    }
}

/// The service of [`VerifyLayer`].
pub struct Verify<I, K = ToolKeys, R = MemoryReplayStore, S = NoRevocations, C = SystemClock> {
    inner: I,
    shared: Arc<Shared<K, R, S, C>>,
    original_uri: Option<FindOriginalUri>,
}

impl<I: Clone, K, R, S, C> Clone for Verify<I, K, R, S, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared), original_uri: self.original_uri }
    }
}

impl<I, K, R, S, C, B, O> Service<Request<B>> for Verify<I, K, R, S, C>
where
    I: Service<Request<B>, Response = Response<O>> + Clone,
    B: Body + From<Bytes> + Send + 'static,
    B::Data: Send,
    O: From<Bytes> + Default,
    K: Keys,
    R: ReplayStore,
    S: Standing,
    C: Clock,
{
    type Response = Response<O>;
    type Error = I::Error;
    type Future = VerifyFuture<I, B, O>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut asked_from = request.headers().get(http::header::ORIGIN).cloned();
        let (mut head, body) = request.into_parts();
        if cors::is_preflight(&head) {
            let answer =
                cors::preflight(&head, &self.shared.verifier.settings().policy.origins, &self.shared.header_lists);
            return VerifyFuture {
                state: State::answered(answer),
                asked_from,
                lists: self.shared.header_lists.clone(),
            };
        }
        let shared = Arc::clone(&self.shared);
        let lists = shared.header_lists.clone();
        // From here on the head has the address that was signed, until the request is let in.
        let shortened = match self.original_uri.map_or(Ok(None), |find| original_uri::restore(&mut head, find)) {
            Ok(shortened) => shortened,
            Err(rewritten) => {
                let refused = Refused::new(&head, rewritten, shared.clock.now(), &shared.verifier.settings().policy);
                return VerifyFuture {
                    state: State::answered(refused.answer(asked_from.as_ref(), &lists)),
                    asked_from,
                    lists,
                };
            }
        };
        // Two small boxes: one of more than a kilobyte would leave the allocator's fast path. For the same reason this is a block, which
        // holds what it captured once, and no `async fn`, which would hold its arguments twice.
        let head = Box::new(head);
        let has_body = !body.is_end_stream();
        let decision = Box::write(Box::new_uninit(), async move {
            let peer = head.extensions.get::<PeerAddress>().map(|peer| peer.0);
            match shared.verifier.verify(&head, body, peer, &shared.clock).await {
                Ok((verified, _)) if verified.proof() == ProofKind::Capability && shortened.is_some() => {
                    let refusal = CapabilityFault::Nested.into();
                    Err(Refused::new(&head, refusal, shared.clock.now(), &shared.verifier.settings().policy))
                }
                Ok((verified, body)) => {
                    let ends = (verified.proof() == ProofKind::Capability).then(|| {
                        let at = verified.claims().map_or(0, |claims| claims.expires_at);
                        let shared = Arc::clone(&shared);
                        Box::new(Ends { at, now: Box::new(move || shared.clock.now()) })
                    });
                    Ok(LetIn::new(head, shortened, verified, body, ends, &shared.dropped_identity_headers))
                }
                Err(refusal) => {
                    Err(Refused::new(&head, refusal, shared.clock.now(), &shared.verifier.settings().policy))
                }
            }
        });
        let mut decision: Decision<B> = Box::into_pin(decision);
        // Most requests have no body: they are decided here, and pass on without a clone of the inner service. The others wait for
        // theirs, and are asked with their own waker.
        let decided =
            if has_body { Poll::Pending } else { decision.as_mut().poll(&mut Context::from_waker(Waker::noop())) };
        let state = match decided {
            Poll::Ready(Ok(let_in)) => State::inside(&mut self.inner, let_in, &mut asked_from),
            Poll::Ready(Err(refused)) => State::answered(refused.answer(asked_from.as_ref(), &lists)),
            Poll::Pending => {
                // The service that was polled ready is the one to call; the clone takes its place.
                let clone = self.inner.clone();
                State::Deciding { decision, inner: std::mem::replace(&mut self.inner, clone) }
            }
        };
        VerifyFuture { state, asked_from, lists }
    }
}

type Decision<B> = Pin<Box<dyn Future<Output = Result<LetIn<B>, Refused>> + Send>>;

/// A verified request, as the handler gets it; its head stays where it is until then, because moving it costs.
struct LetIn<B> {
    head: Box<Parts>,
    body: B,
    /// Its `Origin`, where it has one, is its token's; an API key that signs by itself has none.
    origin_holds: bool,
    /// Of a request with a capability.
    ends: Option<Box<Ends>>,
}

impl<B: From<Bytes>> LetIn<B> {
    /// `shortened` is the URI for the router inside, where that is another than the one that was signed.
    fn new(
        mut head: Box<Parts>,
        shortened: Option<Box<Uri>>,
        verified: Verified,
        body: VerifiedBody<B>,
        ends: Option<Box<Ends>>,
        dropped: &AtomicU64,
    ) -> Self {
        if ends.is_some() {
            head.uri = capability::without(&head.uri);
        }
        if let Some(shortened) = shortened {
            head.uri = *shortened;
        }
        let lines = drop_identity_headers(&mut head.headers);
        if lines > 0 {
            dropped.fetch_add(u64::try_from(lines).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        let origin_holds = verified.claims().is_some();
        head.extensions.insert(verified);
        let body = match body {
            VerifiedBody::Empty(body) => body,
            VerifiedBody::Whole(bytes) => B::from(bytes),
        };
        Self { head, body, origin_holds, ends }
    }
}

/// A refusal, with the data that its answer needs.
struct Refused {
    refusal: Refusal,
    request_id: String,
    now: UnixTime,
    origins: AllowedOrigins,
    /// Whether the answer says that the connection ends: the rest of the body is on it, and is not read (RFC 9110 §15.5.9).
    closes: bool,
}

impl Refused {
    fn new(head: &Parts, refusal: Refusal, now: UnixTime, policy: &Policy) -> Self {
        let request_id = problem::request_id(&head.headers, now);
        let (method, path) = (head.method.as_str(), head.uri.path());
        tracing::info!(code = refusal.code().as_str(), %refusal, request_id, method, path, "refused");
        // In HTTP/2 one stream ends and the connection goes on; there the header is not allowed.
        let closes = matches!(refusal, Refusal::BodyTimeout) && head.version < Version::HTTP_2;
        Self { refusal, request_id, now, origins: policy.origins.clone(), closes }
    }

    fn answer<O: From<Bytes>>(self, asked_from: Option<&HeaderValue>, lists: &HeaderLists) -> Response<O> {
        let mut answer = problem::answer(&self.refusal, self.request_id, self.now);
        if self.closes {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        cors::expose(answer.headers_mut(), asked_from, &self.origins, lists);
        answer
    }
}

pin_project! {
    /// The future of [`Verify`].
    pub struct VerifyFuture<I, B, O> where I: Service<Request<B>> {
        #[pin]
        state: State<I, B, O>,
        asked_from: Option<HeaderValue>,
        lists: HeaderLists,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<I, B, O> where I: Service<Request<B>> {
        Deciding { decision: Decision<B>, inner: I },
        Inside { #[pin] future: I::Future, ends: Option<Box<Ends>> },
        Answered { answer: Option<Response<O>> },
    }
}

impl<I: Service<Request<B>>, B, O> State<I, B, O> {
    fn answered(answer: Response<O>) -> Self {
        State::Answered { answer: Some(answer) }
    }

    /// Calls the handler. An origin that was not compared with a token's is not told about the answer.
    fn inside(inner: &mut I, let_in: LetIn<B>, asked_from: &mut Option<HeaderValue>) -> Self {
        if !let_in.origin_holds {
            *asked_from = None;
        }
        State::Inside { future: inner.call(Request::from_parts(*let_in.head, let_in.body)), ends: let_in.ends }
    }
}

impl<I, B, O> Future for VerifyFuture<I, B, O>
where
    I: Service<Request<B>, Response = Response<O>>,
    O: From<Bytes> + Default,
{
    type Output = Result<Response<O>, I::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let answered = match this.state.as_mut().project() {
                StateProjection::Deciding { decision, inner } => {
                    let next = match ready!(decision.as_mut().poll(context)) {
                        Ok(let_in) => State::inside(inner, let_in, this.asked_from),
                        Err(refused) => State::answered(refused.answer(this.asked_from.as_ref(), this.lists)),
                    };
                    this.state.set(next);
                    continue;
                }
                StateProjection::Inside { future, ends } => {
                    let mut response = ready!(future.poll(context))?;
                    if let Some(ends) = ends {
                        ends.bound(response.headers_mut());
                    }
                    cors::expose_to_verified(response.headers_mut(), this.asked_from.take(), this.lists);
                    return Poll::Ready(Ok(response));
                }
                StateProjection::Answered { answer } => answer.take(),
            };
            // Polled after it was ready, there is nothing more to come.
            return answered.map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer)));
        }
    }
}

/// Drops every inbound `bmap-*` header, in any spelling with `-`, `_` or `.`, also behind `x-` (profile §8, R09): the caller's
/// identity comes from [`crate::Verified`] alone. Returns how many lines were dropped.
pub fn drop_identity_headers(headers: &mut HeaderMap) -> usize {
    if !headers.keys().any(is_identity_header) {
        return 0;
    }
    let before = headers.len();
    let names: Vec<HeaderName> = headers.keys().filter(|name| is_identity_header(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    before.saturating_sub(headers.len())
}

fn is_identity_header(name: &HeaderName) -> bool {
    // Names in a HeaderMap are lower case.
    let name = name.as_str().as_bytes();
    let separator = |byte: &u8| matches!(byte, b'-' | b'_' | b'.');
    let name = match name {
        [b'x', between, rest @ ..] if separator(between) => rest,
        [b'b', ..] => name,
        _ => return false,
    };
    name.strip_prefix(b"bmap").and_then(<[u8]>::first).is_some_and(separator)
}
