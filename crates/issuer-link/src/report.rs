//! Tells the issuer what is in force, and takes out denials whose time is over.

use crate::ask::{Asker, Question};
use crate::backoff::Backoff;
use crate::shared::Shared;
use crate::status::LinkFault;
use bmap_protocol::link::{APPLIED_PATH, APPLIED_SECONDS, Applied};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Most bytes of the answer.
const MAX_ANSWER: usize = 4 << 10;

/// Reports for as long as the link runs: at once after a change is in force, and before the issuer stops waiting for this node.
pub(crate) async fn run(shared: Arc<Shared>, asker: Arc<Asker>) {
    let mut applied = shared.applied.subscribe();
    let (mut reported, mut backoff) = (None, Backoff::new());
    loop {
        let now = *applied.borrow_and_update();
        if let Some(in_force) = now
            && reported.is_none_or(|newest| newest != in_force.newest)
        {
            match report(&asker, in_force.cursor).await {
                Ok(()) => {
                    reported = Some(in_force.newest);
                    backoff.reset();
                }
                Err(fault) => {
                    tracing::debug!(%fault, "what is in force could not be reported");
                    sleep(backoff.next_wait()).await;
                }
            }
            continue;
        }
        // Each change wakes this; the time makes it report though nothing has changed.
        if timeout(Duration::from_secs(APPLIED_SECONDS), wait_for_news(&mut applied, reported)).await.is_err() {
            reported = None;
        }
    }
}

/// Waits for a change that came into force since the last report.
async fn wait_for_news(
    applied: &mut tokio::sync::watch::Receiver<Option<crate::shared::InForce>>,
    reported: Option<i64>,
) {
    let is_news = |now: &Option<crate::shared::InForce>| now.is_some_and(|now| reported != Some(now.newest));
    if applied.wait_for(is_news).await.is_err() {
        // The sender lives as long as this task.
        std::future::pending::<()>().await;
    }
}

async fn report(asker: &Asker, cursor: i64) -> Result<(), LinkFault> {
    let body = serde_json::to_vec(&Applied { cursor }).map_err(|_| LinkFault::Unsigned)?;
    let question = Question { method: "POST", path: APPLIED_PATH, query: "", if_none_match: None, body: &body };
    asker.send(question, MAX_ANSWER).await.map(|_| ())
}

/// Takes out, each second, denials whose time is over.
pub(crate) async fn purge(shared: Arc<Shared>) {
    let mut each_second = interval(Duration::from_secs(1));
    each_second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        each_second.tick().await;
        shared.purge();
    }
}
