//! A request's body. It knows whether it was read to its end: if not, the connection can't carry another request (R44). And while it is
//! waited for, its request leaves its turn to others.

use crate::turns::{RequestTurn, Resuming};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::{fmt, mem};

/// What a poll of a body brings.
type Arrived = Option<Result<Frame<Bytes>, hyper::Error>>;

/// A request's body. It notes when its end was reached.
///
/// A service reads it as any other [`Body`], and bounds what it reads:
///
/// ```
/// use bmap_listener::RequestBody;
/// use bytes::Bytes;
/// use http::{Request, StatusCode};
/// use http_body_util::{BodyExt, Limited};
///
/// /// The body, of at most 64 KiB.
/// async fn read(request: Request<RequestBody>) -> Result<Bytes, StatusCode> {
///     match Limited::new(request.into_body(), 64 << 10).collect().await {
///         Ok(collected) => Ok(collected.to_bytes()),
///         Err(_) => Err(StatusCode::PAYLOAD_TOO_LARGE),
///     }
/// }
/// # use axum::{body::Body, response::Response};
/// # use bmap_listener::{ConnectionLimits, Listener};
/// # use std::convert::Infallible;
/// # use std::future::Future;
/// # use std::pin::Pin;
/// # use std::task::{Context, Poll};
/// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// #
/// # #[derive(Clone)]
/// # struct Echo;
/// # impl tower_service::Service<Request<RequestBody>> for Echo {
/// #     type Response = Response;
/// #     type Error = Infallible;
/// #     type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;
/// #     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
/// #         Poll::Ready(Ok(()))
/// #     }
/// #     fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
/// #         Box::pin(async { Ok(Response::new(Body::from(read(request).await.unwrap_or_default()))) })
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), ConnectionLimits::total(64)).await?;
/// # let address = listener.local_address()?;
/// # let mut answer = String::new();
/// # let caller = async {
/// #     let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
/// #     let request = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
/// #     connection.write_all(request).await.unwrap();
/// #     connection.read_to_string(&mut answer).await.unwrap();
/// # };
/// # listener.serve(Echo, caller).await;
/// # assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
/// # Ok(())
/// # }
/// ```
pub struct RequestBody {
    inner: Incoming,
    read: ReadToEnd,
    turn: Arc<RequestTurn>,
    /// What has come while its request waits for its turn.
    arrived: Option<Arrived>,
    resuming: Option<Resuming>,
}

/// Whether the body was read to its end.
#[derive(Clone, Debug)]
pub(crate) struct ReadToEnd(Arc<AtomicBool>);

impl ReadToEnd {
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming, turn: Arc<RequestTurn>) -> (Self, ReadToEnd) {
        let read = ReadToEnd(Arc::new(AtomicBool::new(inner.is_end_stream())));
        (Self { inner, read: read.clone(), turn, arrived: None, resuming: None }, read)
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Arrived> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.inner.is_end_stream() {
            self.read.0.store(true, Ordering::SeqCst);
        }
        polled
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Arrived> {
        let this = &mut *self;
        if this.arrived.is_none() {
            match this.poll_inner(cx) {
                Poll::Ready(arrived) => this.arrived = Some(arrived),
                Poll::Pending => {
                    this.turn.pause();
                    return Poll::Pending;
                }
            }
        }
        ready!(this.turn.poll_resume(cx, &mut this.resuming));
        Poll::Ready(mem::take(&mut this.arrived).flatten())
    }

    fn is_end_stream(&self) -> bool {
        self.arrived.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        if let Some(Some(Ok(frame))) = &self.arrived
            && let Some(data) = frame.data_ref()
        {
            let waits = u64::try_from(data.len()).unwrap_or(u64::MAX);
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper.saturating_add(waits));
            }
            hint.set_lower(hint.lower().saturating_add(waits));
        }
        hint
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("inner", &self.inner).field("read", &self.read).finish_non_exhaustive()
    }
}
