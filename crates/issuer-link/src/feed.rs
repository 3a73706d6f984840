//! Follows the feed, and opens it anew when it ends, is silent or is late.

use crate::ask::{Asker, Question};
use crate::backoff::Backoff;
use crate::events::{Event, Events, MAX_EVENT};
use crate::shared::{Part, Shared};
use crate::status::LinkFault;
use bmap_outbound::{LineBounds, OutboundError};
use bmap_protocol::link::{FEED_PATH, SYNC_SECONDS};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Longest time without a mark. The issuer sends one each [`SYNC_SECONDS`].
pub(crate) const SILENCE: Duration = Duration::from_secs(3 * SYNC_SECONDS);
/// Longest wait for the feed's head.
const HEAD: Duration = Duration::from_secs(5);

/// Follows the feed for as long as the link runs.
pub(crate) async fn run(shared: Arc<Shared>, asker: Arc<Asker>) {
    let mut backoff = Backoff::new();
    let (mut needs_state, mut is_gone) = (true, false);
    loop {
        if needs_state {
            shared.wants.whole(is_gone).await;
        }
        let fault = follow(&shared, &asker, &mut backoff).await;
        shared.is_open.store(false, Ordering::SeqCst);
        // What was said is lost, or is late: the state says all of it again.
        is_gone = fault.is_cursor_gone();
        needs_state = is_gone || matches!(fault, LinkFault::Malformed(_) | LinkFault::Late);
        shared.note(Part::Feed, Some(&fault));
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

/// Follows one feed to its end.
async fn follow(shared: &Shared, asker: &Asker, backoff: &mut Backoff) -> LinkFault {
    let query = format!("after={}&", shared.after().unwrap_or_default());
    let question = Question { method: "GET", path: FEED_PATH, query: &query, if_none_match: None, body: b"" };
    let bounds = LineBounds { head: HEAD, idle: SILENCE, line: MAX_EVENT };
    let mut lines = match asker.open(question, bounds).await {
        Ok(lines) => lines,
        Err(fault) => return fault,
    };
    let mut events = Events::default();
    let mut deadline = next_deadline();
    loop {
        let line = match timeout_at(deadline, lines.next()).await {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) => return LinkFault::Ended,
            Ok(Err(OutboundError::TooLarge { .. })) => return LinkFault::Malformed("a line of the feed"),
            Ok(Err(fault)) => return LinkFault::Outbound(fault),
            Err(_) => return LinkFault::Silent,
        };
        match events.line(&line) {
            Ok(Some(Event::Change(change))) => shared.change(&change),
            Ok(Some(Event::Sync(mark))) => {
                if !shared.mark(mark) {
                    return LinkFault::Late;
                }
                deadline = next_deadline();
                backoff.reset();
                shared.is_open.store(true, Ordering::SeqCst);
                shared.note(Part::Feed, None);
            }
            Ok(None) => {}
            Err(_) => return LinkFault::Malformed("an event of the feed"),
        }
    }
}

fn next_deadline() -> Instant {
    // A sum that is out of range does not occur in practice; then there is no time left.
    Instant::now().checked_add(SILENCE).unwrap_or_else(Instant::now)
}
