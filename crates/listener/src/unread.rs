//! Knowing whether a request's body was read to its end: if not, the connection can't carry another request (R44).

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// A request's body. It notes when its end was reached.
#[derive(Debug)]
pub struct RequestBody {
    inner: Incoming,
    read: ReadToEnd,
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
    pub(crate) fn new(inner: Incoming) -> (Self, ReadToEnd) {
        let read = ReadToEnd(Arc::new(AtomicBool::new(inner.is_end_stream())));
        (Self { inner, read: read.clone() }, read)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.inner.is_end_stream() {
            self.read.0.store(true, Ordering::SeqCst);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
