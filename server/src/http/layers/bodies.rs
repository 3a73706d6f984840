//! Bodies as they arrive: each has a deadline and a least rate (profile §5), and an address has a share of the bytes that are held of
//! all of them.
//!
//! A body is at most [`MAX_BODY`], and at most [`MAX_AT_ONCE`] requests are at work: 64 MiB in all. It is read before its caller is known, so
//! a caller is bounded by its address: an eighth of the bodies that may arrive at once, and of the bytes that may be held.

use crate::http::client::ClientAddress;
use crate::http::layers::at_once::MAX_AT_ONCE;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::{BoxError, Error};
use bmap_issuer::body_limit::MAX_BODY;
use bmap_model::network::network;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Longest for a body, from its request's head.
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// How long it may be as slow as it likes.
const FREE_TIME: Duration = Duration::from_secs(5);
/// Bytes that it has to bring in each second after that.
const LEAST_RATE: u32 = 1024;
/// One address's part of the whole: one in so many.
const SHARE: usize = 8;
/// Most bodies of one address, or one IPv6 network of 64 bits, that arrive at once.
pub const BODIES_PER_ADDRESS: usize = MAX_AT_ONCE / SHARE;
/// Most bytes of bodies that are held of one address.
pub const BYTES_PER_ADDRESS: usize = MAX_AT_ONCE * MAX_BODY / SHARE;

/// Why a body was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// It took too long, or came too slowly.
    #[error("the body took too long")]
    Slow,
    /// Its address has its share already.
    #[error("the address has its share of bodies")]
    OverShare,
}

/// The bodies that each address holds.
#[derive(Clone, Debug, Default)]
pub struct Shares(Arc<Mutex<HashMap<Vec<u8>, Held>>>);

#[derive(Debug, Default)]
struct Held {
    arriving: usize,
    bytes: usize,
    /// Requests that hold something of it.
    requests: usize,
}

impl Shares {
    fn held(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Held>> {
        // A panic while the lock is held leaves whole values: poisoning says nothing here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, network: Vec<u8>) -> Share {
        let mut held = self.held();
        let own = held.entry(network.clone()).or_default();
        own.requests = own.requests.saturating_add(1);
        Share { shares: self.clone(), network, bytes: Mutex::default() }
    }
}

/// One request's part of its address' share, until it is dropped.
struct Share {
    shares: Shares,
    network: Vec<u8>,
    bytes: Mutex<usize>,
}

impl Share {
    fn begin(&self) -> Result<(), BodyFault> {
        self.change(|own| {
            if own.arriving >= BODIES_PER_ADDRESS {
                return Err(BodyFault::OverShare);
            }
            own.arriving = own.arriving.saturating_add(1);
            Ok(())
        })
    }

    fn end(&self) {
        let _ = self.change(|own| {
            own.arriving = own.arriving.saturating_sub(1);
            Ok(())
        });
    }

    fn charge(&self, bytes: usize) -> Result<(), BodyFault> {
        self.change(|own| {
            let all = own.bytes.saturating_add(bytes);
            if all > BYTES_PER_ADDRESS {
                return Err(BodyFault::OverShare);
            }
            own.bytes = all;
            Ok(())
        })?;
        let mut own = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        *own = own.saturating_add(bytes);
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut Held) -> Result<(), BodyFault>) -> Result<(), BodyFault> {
        self.shares.held().get_mut(&self.network).map_or(Ok(()), change)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let bytes = *self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.shares.held();
        if let Some(own) = held.get_mut(&self.network) {
            own.bytes = own.bytes.saturating_sub(bytes);
            own.requests = own.requests.saturating_sub(1);
            if own.requests == 0 {
                held.remove(&self.network);
            }
        }
    }
}

/// Puts the bounds around a request's body. Its share is given back with the request's answer.
pub async fn bounded(State(shares): State<Shares>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let address = request.extensions().get::<ClientAddress>().map(|address| address.0);
    let share = address.map(|address| Arc::new(shares.of(network(address))));
    let body = share.clone();
    let response = next.run(request.map(|inner| Body::new(BoundedBody::new(inner, body)))).await;
    drop(share);
    response
}

/// After how long the next bytes have to be there, from a request's head, where so many came.
fn time_for_more(received: usize) -> Duration {
    let received = u32::try_from(received).unwrap_or(u32::MAX);
    let earned = Duration::from_secs(1).saturating_mul(received).checked_div(LEAST_RATE).unwrap_or_default();
    FREE_TIME.saturating_add(earned).min(BODY_TIME)
}

/// A body with its bounds.
struct BoundedBody {
    inner: Body,
    share: Option<Arc<Share>>,
    began: Instant,
    received: usize,
    is_arriving: bool,
    /// Made when the body is first waited for: most are there with their head.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl BoundedBody {
    fn new(inner: Body, share: Option<Arc<Share>>) -> Self {
        Self { inner, share, began: Instant::now(), received: 0, is_arriving: false, sleep: None }
    }

    fn deadline(&self) -> Instant {
        self.began.checked_add(time_for_more(self.received)).unwrap_or(self.began)
    }

    fn begin(&mut self) -> Result<(), BodyFault> {
        if !self.is_arriving {
            self.share.as_ref().map_or(Ok(()), |share| share.begin())?;
            self.is_arriving = true;
        }
        Ok(())
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.is_arriving)
            && let Some(share) = &self.share
        {
            share.end();
        }
    }

    fn receive(&mut self, bytes: usize) -> Result<(), BodyFault> {
        self.received = self.received.saturating_add(bytes);
        self.share.as_ref().map_or(Ok(()), |share| share.charge(bytes))
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = self.deadline();
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx).is_ready()
    }
}

impl HttpBody for BoundedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = &mut *self;
        if let Err(fault) = body.begin() {
            return Poll::Ready(Some(Err(fault.into())));
        }
        let polled = Pin::new(&mut body.inner).poll_frame(cx);
        let is_over = match &polled {
            Poll::Ready(Some(Ok(frame))) => match body.receive(frame.data_ref().map_or(0, Bytes::len)) {
                Ok(()) => body.inner.is_end_stream(),
                Err(fault) => return Poll::Ready(Some(Err(fault.into()))),
            },
            Poll::Ready(_) => true,
            Poll::Pending if body.is_late(cx) => return Poll::Ready(Some(Err(BodyFault::Slow.into()))),
            Poll::Pending => false,
        };
        if is_over {
            body.end();
        }
        polled.map_err(Error::into_inner)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for BoundedBody {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, StreamBody};

    /// Reads a body that comes in such pieces.
    async fn read(piece: usize, share: &Arc<Share>) -> Result<usize, BodyFault> {
        let pieces = futures_util::stream::unfold((), move |()| async move {
            Some((Ok::<_, BoxError>(Frame::data(Bytes::from(vec![b'x'; piece]))), ()))
        });
        let mut body = Box::pin(BoundedBody::new(Body::new(StreamBody::new(pieces)), Some(Arc::clone(share))));
        let mut read = 0;
        while read < MAX_BODY {
            match body.frame().await.unwrap() {
                Ok(frame) => read += frame.data_ref().unwrap().len(),
                Err(fault) => return Err(*fault.downcast().unwrap()),
            }
        }
        Ok(read)
    }

    #[test]
    fn t24_a_body_has_a_least_rate_and_a_deadline() {
        let seconds = |received| time_for_more(received).as_secs_f64();
        // Nothing has to come for 5 s; then each kibibyte brings a second, up to the deadline.
        assert_eq!([0, 1024, 10 * 1024, 25 * 1024, MAX_BODY].map(seconds), [5.0, 6.0, 15.0, 30.0, 30.0]);
        assert_eq!(seconds(usize::MAX), 30.0);
        assert!(seconds(5) < 5.01);
    }

    #[tokio::test]
    async fn t24_a_body_that_does_not_come_is_given_up() {
        let mut body =
            BoundedBody::new(Body::new(StreamBody::new(futures_util::stream::pending::<Result<_, BoxError>>())), None);
        body.began -= FREE_TIME;
        let fault = Box::pin(body).frame().await.unwrap().unwrap_err();
        assert_eq!(*fault.downcast::<BodyFault>().unwrap(), BodyFault::Slow);
    }

    #[tokio::test]
    async fn o18_an_address_has_its_share_of_bodies_and_bytes_and_gives_it_back() {
        let shares = Shares::default();
        let share = || Arc::new(shares.of(vec![1]));
        let arriving: Vec<_> = (0..BODIES_PER_ADDRESS).map(|_| share()).collect();
        arriving.iter().for_each(|share| share.begin().unwrap());
        assert_eq!(read(1, &share()).await, Err(BodyFault::OverShare));
        let others = Arc::new(shares.of(vec![2]));
        assert_eq!(read(MAX_BODY, &others).await, Ok(MAX_BODY));
        drop(others);
        arriving.iter().for_each(|share| share.end());
        // The bytes that were read are held until the request is over.
        for share in &arriving {
            assert_eq!(read(MAX_BODY, share).await, Ok(MAX_BODY));
        }
        assert_eq!(read(1, &share()).await, Err(BodyFault::OverShare));
        drop(arriving);
        assert_eq!(read(MAX_BODY, &share()).await, Ok(MAX_BODY));
        assert!(shares.held().is_empty());
    }
}
