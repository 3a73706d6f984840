//! Many entries in one transaction: for tokens and tickets, which are too many for one each, and for refusals.
//!
//! One task writes. A request that records a token, or adds a ticket, waits until its entry is committed, together with those that came
//! meanwhile. A ticket, or the session that a token begins, is a row in the same transaction: it is there with its entry, or
//! neither is.
//! A refused request waits for nothing: how long an answer takes says nothing about what was recorded (R31).

use super::refusals::Refusals;
use crate::error::IssuerError;
use bmap_model::audit::{Action, Event, Outcome, Source};
use bmap_model::clock::{UnixTime, WallClock};
use bmap_model::session::Session;
use bmap_model::ticket::RecordedTicket;
use bmap_store::{ANSWER, Batch, Database, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::MissedTickBehavior;

/// Entries of one transaction.
const BATCH: usize = 256;
/// Callers that wait for their entry; more are told that it is too much.
const WAITING: usize = 4096;
/// Refusals that wait to be counted; more are dropped, and the number of those is recorded.
const REFUSALS: usize = 4096;

/// The way to the task that writes. It ends with the last clone.
#[derive(Clone, Debug)]
pub struct AuditWriter {
    jobs: mpsc::Sender<Job>,
    refusals: mpsc::Sender<Event>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Job {
    Record {
        event: Box<Event>,
        session: Option<Box<Session>>,
        written: oneshot::Sender<bool>,
    },
    /// Answered with whether the ticket is there; not answered where nothing was written.
    Add {
        ticket: Box<RecordedTicket>,
        added: oneshot::Sender<bool>,
    },
    Settle {
        settled: oneshot::Sender<()>,
    },
}

impl AuditWriter {
    /// Starts the task, in the runtime that this is called in.
    pub fn start(store: Database, clock: Arc<dyn WallClock>) -> Self {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let (refusals, refused) = mpsc::channel(REFUSALS);
        let dropped = Arc::<AtomicU64>::default();
        let task = Task { store, clock, waiting, refused, dropped: Arc::clone(&dropped), minute: Refusals::default() };
        tokio::spawn(task.run());
        Self { jobs, refusals, dropped }
    }

    /// Records it: when this returns, it is on the disk.
    ///
    /// # Errors
    /// [`IssuerError::AuditFull`] where too many wait, [`IssuerError::AuditUnwritten`] where the database did not take it. Then what
    /// was to be recorded must not be done.
    pub async fn record(&self, event: Event) -> Result<(), IssuerError> {
        self.record_with(event, None).await
    }

    /// Begins a session and records what began it: when this returns, both are on the disk.
    ///
    /// # Errors
    /// As [`record`](Self::record); then the session is not there.
    pub async fn begin(&self, session: Session, event: Event) -> Result<(), IssuerError> {
        self.record_with(event, Some(Box::new(session))).await
    }

    async fn record_with(&self, event: Event, session: Option<Box<Session>>) -> Result<(), IssuerError> {
        let (written, answer) = oneshot::channel();
        let job = Job::Record { event: Box::new(event), session, written };
        self.jobs.try_send(job).map_err(|_| IssuerError::AuditFull)?;
        match answer.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(IssuerError::AuditUnwritten),
        }
    }

    /// Adds a ticket: when this returns, it is on the disk, with its entry and the answer to its request.
    ///
    /// # Errors
    /// As [`record`](Self::record); then the ticket is not there. [`StoreError::Taken`] with [`ANSWER`] where an answer to its
    /// request is kept already.
    pub async fn add_ticket(&self, ticket: RecordedTicket) -> Result<(), IssuerError> {
        let (added, answer) = oneshot::channel();
        let job = Job::Add { ticket: Box::new(ticket), added };
        self.jobs.try_send(job).map_err(|_| IssuerError::AuditFull)?;
        match answer.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreError::Taken { what: ANSWER }.into()),
            Err(_) => Err(IssuerError::AuditUnwritten),
        }
    }

    /// Counts a refusal of what `source` asked for; 5xx responses are not audited. Waits for nothing.
    pub fn refused(&self, source: &Source, refusal: &IssuerError, now: UnixTime) {
        let code = refusal.code();
        if code.status() >= 500 {
            return;
        }
        let mut event = Event::done(source.action(), source, now);
        event.outcome = Outcome::Refused(code);
        event.target = source.target();
        if self.refusals.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns when all that was recorded or refused before is written, numbers of the minute too.
    pub async fn settle(&self) {
        let (settled, answer) = oneshot::channel();
        if self.jobs.send(Job::Settle { settled }).await.is_ok() {
            // An error would say that the task is gone: then nothing is left to be written.
            let _ = answer.await;
        }
    }
}

struct Task {
    store: Database,
    clock: Arc<dyn WallClock>,
    waiting: mpsc::Receiver<Job>,
    refused: mpsc::Receiver<Event>,
    dropped: Arc<AtomicU64>,
    minute: Refusals,
}

impl Task {
    async fn run(mut self) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut jobs = Vec::new();
            let mut events = Vec::new();
            tokio::select! {
                biased;
                received = self.waiting.recv_many(&mut jobs, BATCH) => {
                    if received == 0 { break }
                    // Requests that are ready to run record first: they go in the same transaction.
                    yield_now().await;
                    while jobs.len() < BATCH && let Ok(job) = self.waiting.try_recv() {
                        jobs.push(job);
                    }
                }
                Some(event) = self.refused.recv() => events.extend(self.minute.take(event)),
                _ = second.tick() => {}
            }
            self.write(jobs, events).await;
        }
        self.write(Vec::new(), Vec::new()).await;
    }

    /// Writes what is there, in one transaction, and then answers the requests that wait for it.
    async fn write(&mut self, jobs: Vec<Job>, events: Vec<Event>) {
        let now = self.clock.now();
        let mut batch = Batch { events, ..Batch::default() };
        let (mut recorded, mut adding, mut settled) = (Vec::new(), Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Job::Record { event, session, written } => {
                    batch.events.push(*event);
                    batch.sessions.extend(session.map(|session| *session));
                    recorded.push(written);
                }
                Job::Add { ticket, added } => {
                    batch.tickets.push(*ticket);
                    adding.push(added);
                }
                Job::Settle { settled: done } => settled.push(done),
            }
        }
        self.count(!settled.is_empty(), now, &mut batch.events);
        // With other entries, so that a flood makes none a second; and before the end, so that none is forgotten.
        let is_time = !(batch.is_empty() && settled.is_empty());
        let dropped = if is_time { self.dropped.swap(0, Ordering::Relaxed) } else { 0 };
        if dropped > 0 {
            batch.events.push(Event::done(Action::AuditDrop, &Source::system(), now).with("count", dropped));
        }
        let written = self.append(&batch).await;
        if written.is_none() {
            let lost = batch.events.iter().map(refusals_in).fold(dropped, u64::saturating_add);
            self.dropped.fetch_add(lost, Ordering::Relaxed);
        }
        // A cancelled request does not wait any more.
        for done in recorded {
            let _ = done.send(written.is_some());
        }
        for (done, is_added) in adding.into_iter().zip(written.unwrap_or_default()) {
            let _ = done.send(is_added);
        }
        for done in settled {
            let _ = done.send(());
        }
    }

    /// Takes the refusals that wait, and the numbers of a minute that is over; of this one too, where everything is to be written.
    fn count(&mut self, everything: bool, now: UnixTime, events: &mut Vec<Event>) {
        for _ in 0..if everything { REFUSALS } else { BATCH } {
            let Ok(event) = self.refused.try_recv() else { break };
            events.extend(self.minute.take(event));
        }
        events.extend(if everything { self.minute.all(now) } else { self.minute.over(now) });
    }

    /// For each ticket whether it was added; `None` where nothing was written.
    async fn append(&self, batch: &Batch) -> Option<Vec<bool>> {
        if batch.is_empty() {
            return Some(Vec::new());
        }
        let written = self.store.write(batch).await;
        written.inspect_err(|error| tracing::error!("the audit log was not written: {error}")).ok()
    }
}

/// How many refusals an entry stands for.
fn refusals_in(event: &Event) -> u64 {
    match event.outcome {
        Outcome::Done => 0,
        Outcome::Refused(_) => event.detail.count(),
    }
}
