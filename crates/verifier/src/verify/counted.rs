//! Bytes of a body that are held while its request waits.

use crate::body_budget::Hold;
use crate::clock::{Clock, millis};
use bmap_protocol::refusal::Refusal;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// Counts a body's bytes from the first moment at which `future` waits. Borrowed: an `async fn` would hold its arguments twice.
pub(super) fn counted<T>(
    mut future: Pin<&mut impl Future<Output = Result<T, Refusal>>>,
    hold: &mut Hold<'_>,
    bytes: usize,
    clock: &impl Clock,
) -> impl Future<Output = Result<T, Refusal>> {
    poll_fn(move |context| match future.as_mut().poll(context) {
        Poll::Pending if bytes > 0 => match hold.wait_complete(bytes, millis(clock.now())) {
            Ok(()) => Poll::Pending,
            Err(refusal) => Poll::Ready(Err(refusal)),
        },
        outcome => outcome,
    })
}
