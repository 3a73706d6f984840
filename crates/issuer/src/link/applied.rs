//! Waiting until what was changed is in force at every verifier.

use bmap_store::{Database, LinkNode, StoreError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Longest wait that a caller may ask for, seconds.
pub const MAX_WAIT: u32 = 10;
/// Time before the second look at what is in force; it doubles up to [`LONGEST_LOOK`], since a verifier that stays behind is not worth many looks.
const LOOK: Duration = Duration::from_millis(20);
const LONGEST_LOOK: Duration = Duration::from_millis(320);

/// What is in force where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Verifiers that were heard of lately.
    pub nodes: usize,
    /// Those of them at which it is not in force yet.
    pub behind: Vec<LinkNode>,
}

/// Waits until every change that is committed by now is in force at every verifier that was heard of lately, at most that long. One that is
/// silent longer than [`bmap_protocol::link::NODE_SECONDS`] is not waited for: it may be gone for good.
///
/// # Errors
/// [`StoreError`].
pub async fn wait(store: &Database, at_most: Duration) -> Result<Reached, StoreError> {
    let now = Instant::now();
    let until = now.checked_add(at_most).unwrap_or(now);
    // Read once: changes that come meanwhile are not waited for.
    let newest = store.newest_link_changes().await?;
    let wanted = |node: &LinkNode| {
        let touching = newest.iter().filter(|(tool, _)| tool.is_empty() || *tool == node.tool);
        touching.map(|(_, cursor)| *cursor).max().unwrap_or(0)
    };
    let mut look = LOOK;
    loop {
        let nodes = store.link_nodes().await?;
        let behind: Vec<_> = nodes.iter().filter(|node| node.applied < wanted(node)).cloned().collect();
        if behind.is_empty() || Instant::now() >= until {
            return Ok(Reached { nodes: nodes.len(), behind });
        }
        sleep(look).await;
        look = look.saturating_mul(2).min(LONGEST_LOOK);
    }
}
