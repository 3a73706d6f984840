//! Tools, and who had tokens of them without a grant.

use super::findings::Findings;
use bmap_model::clock::UnixTime;
use bmap_model::roots::Roots;
use bmap_model::stored_origin::StoredOrigin;
use bmap_model::tool::{Access, CallerKind, ToolOrigins};
use bmap_protocol::ids::UserId;
use bmap_store::{Database, Result};
use std::collections::BTreeMap;

/// How long ago a token may be to count, in seconds: thirty days.
const RECENT: i64 = 30 * 86_400;
/// Entries of the audit log that are looked at, the newest.
const ENTRIES: i64 = 100_000;
/// Names that are shown of many.
const SHOWN: usize = 5;

pub(super) async fn examine(
    store: &Database,
    roots: Option<&Roots>,
    now: UnixTime,
    found: &mut Findings,
) -> Result<()> {
    let is_pending = store.grants_upgrade_is_pending().await?;
    let tools = store.tools().await?;
    if is_pending && !tools.is_empty() {
        let says = "its tools are not sealed with their access yet, and get no tokens";
        found.warning(
            "database",
            says,
            "start the server, or run any command that changes something: it does the rest of the upgrade",
        );
    }
    for tool in &tools {
        if let (Some(Err(fault)), false) = (roots.map(|roots| tool.check_seal(roots)), is_pending) {
            let advice = "look at it (bmap tool list); where it is right, bmap tool confirm ID";
            found.fault("tool", format!("the row of {} is not as it was written: {fault}", tool.id), advice);
        }
        if let Some(fault) = tool.base_url.fault() {
            let says = format!("{} has a base URL in a former spelling: {fault}", tool.id);
            found.fault("tool", says, "bmap tool edit ID --url URL, then a new credential: it gets none before");
        }
        if let ToolOrigins::Only(origins) = &tool.origins {
            for fault in origins.iter().filter_map(StoredOrigin::fault) {
                let says = format!("{} has an origin in a former spelling: {fault}", tool.id);
                found.fault(
                    "tool",
                    says,
                    "bmap tool edit ID with every --origin, then a new credential: it gets none before",
                );
            }
        }
        if tool.base_url.origin().is_some_and(|url| url.scheme() == "http" && !url.is_loopback()) {
            let says = format!("{} is called at {}, which is not encrypted", tool.id, tool.base_url);
            found.warning("tool", says, "signed requests don't hide what is in them: use https");
        }
    }
    let mut without: BTreeMap<String, Vec<UserId>> = BTreeMap::new();
    let since = now.plus_seconds(RECENT.saturating_neg());
    for (tool, user) in store.tools_of_signed_in_users(since, ENTRIES).await? {
        let takes = |known: &&bmap_model::tool::Tool| {
            known.id == tool && known.access == Access::Granted && known.callers.contains(CallerKind::User)
        };
        if !tools.iter().any(|known| takes(&known)) {
            continue;
        }
        let grants = store.grants_of_user(&user).await?;
        if !grants.iter().any(|grant| grant.tool == tool && grant.is_in_force(now)) {
            without.entry(tool.to_string()).or_default().push(user);
        }
    }
    for (tool, users) in without {
        let named = users.iter().take(SHOWN).map(UserId::as_str).collect::<Vec<_>>().join(", ");
        let says = format!(
            "{} signed-in users had tokens of {tool} in the last 30 days and have no grant of it: {named}",
            users.len()
        );
        found.warning(
            "grants",
            says,
            "bmap tool grant USER TOOL for each, or bmap tool edit TOOL --open with its --open-scopes",
        );
    }
    Ok(())
}
