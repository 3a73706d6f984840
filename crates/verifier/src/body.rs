//! Step 10: a body read to its end, hashed as it comes, within its size, its time and its share of the budgets (T24).

use crate::body_budget::Hold;
use crate::clock::{Clock, UnixTime, millis};
use crate::policy::{BodyLimits, Policy};
use bmap_protocol::digest::{BodyDigest, BodyHasher};
use bmap_protocol::refusal::Refusal;
use bytes::{Buf, Bytes};
use http_body::Body;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A body that is there.
pub(crate) struct Arrived {
    pub(crate) bytes: Bytes,
    pub(crate) digest: BodyDigest,
    /// Whether its request had to wait for it.
    pub(crate) waited: bool,
}

/// The bounds of a body.
pub(crate) struct Bounds<'a> {
    pub(crate) policy: &'a Policy,
    /// When the head came.
    pub(crate) began: UnixTime,
}

/// Reads a body. A timer is started, and the budgets are asked, only where it is not there at once.
///
/// # Errors
/// [`Refusal::TooLarge`], [`Refusal::BodyTimeout`], [`Refusal::BodyCut`], and those of the budgets.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` holds its arguments twice, and this future has to stay small"
)]
pub(crate) fn read<B: Body>(
    mut body: Pin<&mut B>,
    bounds: Bounds<'_>,
    hold: &mut Hold<'_>,
    clock: &impl Clock,
) -> impl Future<Output = Result<Arrived, Refusal>> {
    async move {
        let mut hasher = BodyHasher::default();
        let announced = body.size_hint().upper().and_then(|upper| usize::try_from(upper).ok());
        let mut pieces = Pieces {
            most: announced.unwrap_or(bounds.policy.max_body).min(bounds.policy.max_body),
            ..Pieces::default()
        };
        // Boxed, so that bodies that are there at once do not carry it.
        let mut patience: Option<Box<Patience<'_>>> = None;
        // A body that says that it is at its end is not asked again.
        while !body.is_end_stream() {
            let next = poll_fn(|context| match body.as_mut().poll_frame(context) {
                Poll::Ready(frame) => Poll::Ready(Ok(frame)),
                Poll::Pending => {
                    pieces.own();
                    let now = clock.now();
                    if let Err(refusal) = hold.wait_for_more(pieces.len(), millis(now), context.waker()) {
                        return Poll::Ready(Err(refusal));
                    }
                    let patience = patience.get_or_insert_with(|| Box::new(Patience::begun(bounds.began, now)));
                    patience
                        .poll(&bounds.policy.bodies, pieces.len(), clock, context)
                        .map(|()| Err(Refusal::BodyTimeout))
                }
            });
            let Some(frame) = next.await? else { break };
            // Trailers are dropped: nothing in them is signed.
            let Ok(mut data) = frame.map_err(|_| Refusal::BodyCut)?.into_data() else { continue };
            if data.remaining() > bounds.policy.max_body.saturating_sub(pieces.len()) {
                return Err(Refusal::TooLarge { limit: bounds.policy.max_body });
            }
            let piece = data.copy_to_bytes(data.remaining());
            hasher.update(&piece);
            pieces.push(piece);
        }
        Ok(Arrived { bytes: pieces.whole(), digest: hasher.finish(), waited: patience.is_some() })
    }
}

/// Shortest time between two looks at a body's rate: it bounds what timers cost, and what their lateness adds up to.
const STEP: Duration = Duration::from_secs(1);

/// How long a body may still take. After its first wait, time is counted by timers alone: setting the clock changes nothing.
struct Patience<'c> {
    /// Time since the head.
    spent: Duration,
    timer: Option<Timer<'c>>,
}

struct Timer<'c> {
    /// The time since the head at which it completes.
    until: Duration,
    sleep: Pin<Box<dyn Future<Output = ()> + Send + 'c>>,
}

impl<'c> Patience<'c> {
    /// For a body that is waited for first at `now`: the look-ups before it took the time since `began`.
    fn begun(began: UnixTime, now: UnixTime) -> Self {
        Self { spent: Duration::from_millis(millis(now).saturating_sub(millis(began))), timer: None }
    }

    /// Ready when a body of which `bytes` are there is late.
    fn poll(
        &mut self,
        limits: &BodyLimits,
        bytes: usize,
        clock: &'c impl Clock,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            if let Some(timer) = &mut self.timer {
                ready!(timer.sleep.as_mut().poll(context));
                self.spent = timer.until;
            }
            // Bytes that came since the timer was started move the moment on.
            let late = late(limits, bytes);
            if late <= self.spent {
                return Poll::Ready(());
            }
            let until = late.max(self.spent.saturating_add(STEP)).min(limits.deadline);
            self.timer = Some(Timer { until, sleep: Box::pin(clock.sleep(until.saturating_sub(self.spent))) });
        }
    }
}

/// The time after its head at which a body of which no more than `bytes` are there is late.
fn late(limits: &BodyLimits, bytes: usize) -> Duration {
    let millis = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(1000).checked_div(limits.min_rate.into());
    let slow = millis.map(|millis| limits.grace.saturating_add(Duration::from_millis(millis)));
    slow.map_or(limits.deadline, |slow| slow.min(limits.deadline))
}

/// A body as it grows. One piece, which most bodies are, is not copied.
#[derive(Default)]
struct Pieces {
    only: Bytes,
    joined: Vec<u8>,
    /// Most bytes that there can be.
    most: usize,
}

impl Pieces {
    fn len(&self) -> usize {
        self.only.len().saturating_add(self.joined.len())
    }

    fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.only = piece;
        } else {
            self.own();
            self.join(&piece);
        }
    }

    /// Copies a piece that shares its memory with a listener's buffer, which may be much larger.
    fn own(&mut self) {
        let only = std::mem::take(&mut self.only);
        self.join(&only);
    }

    fn join(&mut self, piece: &[u8]) {
        let needed = self.joined.len().saturating_add(piece.len());
        if needed > self.joined.capacity() {
            // Doubled, so that it is copied seldom, and never beyond the bytes that can come.
            let capacity = needed.saturating_mul(2).min(self.most).max(needed);
            self.joined.reserve_exact(capacity.saturating_sub(self.joined.len()));
        }
        self.joined.extend_from_slice(piece);
    }

    fn whole(self) -> Bytes {
        if self.joined.is_empty() { self.only } else { self.joined.into() }
    }
}
