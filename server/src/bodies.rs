//! Bodies as they arrive: each has a deadline and a least rate (profile §5), and an address has a share of what is held of all of them.
//!
//! A body is at most [`MAX_BODY`], and at most [`MAX_AT_ONCE`] requests are at work: 64 MiB in all. It is read before its caller is known, so
//! what bounds one caller is its address: an eighth of the bodies that may arrive at once, and of the bytes that may be held.

use crate::domain::limits::network;
use crate::domain::signed::MAX_BODY;
use crate::middleware::{ClientAddress, MAX_AT_ONCE};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::{BoxError, Error};
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
/// What an address has of the whole.
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

/// What each address holds.
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

/// What one request holds of its address' share, until it is dropped.
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

/// Puts the bounds around a request's body. What it holds is given back with the request's answer.
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

    /// Until when the next bytes have to be there.
    fn deadline(&self) -> Instant {
        let received = u32::try_from(self.received).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1).saturating_mul(received).checked_div(LEAST_RATE).unwrap_or_default();
        let time = FREE_TIME.saturating_add(earned).min(BODY_TIME);
        self.began.checked_add(time).unwrap_or(self.began)
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

    /// Reads a body of which a piece comes every so often; after how many bytes and seconds it was given up.
    async fn read(piece: usize, every: Duration, share: Option<Arc<Share>>) -> Result<usize, (BodyFault, usize, u64)> {
        let pieces = futures_util::stream::unfold((), move |()| async move {
            tokio::time::sleep(every).await;
            Some((Ok::<_, BoxError>(Frame::data(Bytes::from(vec![b'x'; piece]))), ()))
        });
        let began = Instant::now();
        let mut body = Box::pin(BoundedBody::new(Body::new(StreamBody::new(pieces)), share));
        let mut read = 0;
        while read < MAX_BODY {
            match body.frame().await.unwrap() {
                Ok(frame) => read += frame.data_ref().unwrap().len(),
                Err(fault) => return Err((*fault.downcast().unwrap(), read, began.elapsed().as_secs())),
            }
        }
        Ok(read)
    }

    #[tokio::test(start_paused = true)]
    async fn t24_a_body_has_a_least_rate_and_a_deadline() {
        let second = Duration::from_secs(1);
        assert_eq!(read(1, second, None).await, Err((BodyFault::Slow, 5, 5)));
        assert_eq!(read(1, Duration::from_secs(60), None).await, Err((BodyFault::Slow, 0, 5)));
        // As fast as it has to be, and not there in its time.
        assert_eq!(read(1024, second, None).await, Err((BodyFault::Slow, 30 * 1024, 30)));
        // Slower than that after a good beginning.
        assert_eq!(read(600, second, None).await, Err((BodyFault::Slow, 6_000, 10)));
        assert_eq!(read(4096, second, None).await, Ok(MAX_BODY));
    }

    #[tokio::test(start_paused = true)]
    async fn o18_an_address_has_its_share_of_bodies_and_bytes_and_gives_it_back() {
        let shares = Shares::default();
        let share = || Arc::new(shares.of(vec![1]));
        let arriving: Vec<_> = (0..BODIES_PER_ADDRESS).map(|_| share()).collect();
        arriving.iter().for_each(|share| share.begin().unwrap());
        let over = read(1, Duration::ZERO, Some(share())).await;
        assert_eq!(over, Err((BodyFault::OverShare, 0, 0)));
        let others = Arc::new(shares.of(vec![2]));
        assert_eq!(read(MAX_BODY, Duration::ZERO, Some(others)).await, Ok(MAX_BODY));
        arriving.iter().for_each(|share| share.end());
        // What was read is held until the request is over.
        for share in &arriving {
            assert_eq!(read(MAX_BODY, Duration::ZERO, Some(Arc::clone(share))).await, Ok(MAX_BODY));
        }
        assert_eq!(read(1, Duration::ZERO, Some(share())).await, Err((BodyFault::OverShare, 0, 0)));
        drop(arriving);
        assert_eq!(read(MAX_BODY, Duration::ZERO, Some(share())).await, Ok(MAX_BODY));
        assert!(shares.held().is_empty());
    }
}
