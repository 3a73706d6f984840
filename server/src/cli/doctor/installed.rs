//! The rows of the database, against the root secrets, the clock and the configuration.

use super::findings::Findings;
use super::grants;
use crate::cli::installation::ISSUER_SETTING;
use crate::config::Config;
use bmap_issuer::root_check;
use bmap_model::clock::UnixTime;
use bmap_model::role::Role;
use bmap_model::roots::{Roots, TOKEN_EPOCH_SETTING};
use bmap_model::stored_origin::StoredOrigin;
use bmap_model::user::UserState;
use bmap_store::{Database, Result};

/// This program is younger than this (2026-01-01): a clock before it was never set.
const NOT_BEFORE: UnixTime = UnixTime(1_767_225_600_000);
/// Clocks of machines that are well differ by less.
const SKEW_MILLIS: i64 = 5_000;
/// Names that are shown of many.
const SHOWN: usize = 5;

pub(super) async fn examine(
    store: &Database,
    roots: Option<&Roots>,
    config: &Config,
    now: UnixTime,
    found: &mut Findings,
) -> Result<()> {
    for damage in store.damage().await? {
        found.fault("database", format!("it is damaged: {damage}"), "stop the server, restore the last backup");
    }
    clock(store, now, found).await?;
    // With another root nothing opens: the consequences are no faults of their own (O14).
    let roots = match roots {
        Some(roots) => is_root_of(store, roots, found).await?.then_some(roots),
        None => None,
    };
    if let Some(roots) = roots {
        sealed(store, roots, found).await?;
        epochs(store, roots, found).await?;
        admins(store, roots, found).await?;
    }
    grants::examine(store, roots, now, found).await?;
    proxies(store, config, now, found).await?;
    let remembered = store.setting(ISSUER_SETTING).await?;
    if let (Some(remembered), Some(issuer)) = (remembered, &config.issuer)
        && remembered != issuer.as_str()
    {
        let says = format!("it was {remembered} when the server last ran and is {} now", issuer.as_str());
        found.warning("issuer", says, "every tool needs a new credential: bmap tool credential ID");
    }
    Ok(())
}

/// Days for which a proxy that was not believed is named.
const PROXY_DAYS: i64 = 7;

/// Proxies that are not named in the configuration: all who come through one share its budgets (O15).
async fn proxies(store: &Database, config: &Config, now: UnixTime, found: &mut Findings) -> Result<()> {
    for proxy in store.ignored_proxies().await? {
        let is_named = config.trusted_proxies.iter().any(|network| network.contains(&proxy.peer));
        if is_named || proxy.seen_at < now.plus_seconds(-PROXY_DAYS * 86_400) {
            continue;
        }
        let says =
            format!("{} sends X-Forwarded-For and is not believed: who comes through it shares its limits", proxy.peer);
        found.warning("trusted_proxies", says, "if the proxy is yours, name it in trusted_proxies");
    }
    Ok(())
}

/// A clock that went back makes ended rows good again, and has signed requests refused.
async fn clock(store: &Database, now: UnixTime, found: &mut Findings) -> Result<()> {
    let advice = "set the clock, and keep it set (chrony, systemd-timesyncd)";
    if now < NOT_BEFORE {
        found.fault("clock", "it was never set", advice);
        return Ok(());
    }
    match behind_by(store, now).await? {
        Some(seconds) => {
            found.fault("clock", format!("it is {seconds} s behind the newest row of the database"), advice);
        }
        None => found.good("clock", "not behind what is in the database"),
    }
    Ok(())
}

/// The seconds by which this clock is behind the latest time in the database, where that is more than clocks of well kept machines
/// differ.
pub(in super::super) async fn behind_by(store: &Database, now: UnixTime) -> Result<Option<i64>> {
    let ahead = store.newest_time().await?.map_or(0, |newest| newest.0.saturating_sub(now.0));
    Ok((ahead > SKEW_MILLIS).then_some(ahead / 1000))
}

/// Whether the root secrets at hand are those of this database.
async fn is_root_of(store: &Database, roots: &Roots, found: &mut Findings) -> Result<bool> {
    let checked = root_check::check(store, roots).await?;
    if let Err(foreign) = checked {
        let advice =
            "put the root secret back that belongs to this database; nothing can be said of its rows until then";
        found.fault("root secret", foreign, advice);
    }
    Ok(checked.is_ok())
}

/// Whether the rows are as the root secrets sealed them.
async fn sealed(store: &Database, roots: &Roots, found: &mut Findings) -> Result<()> {
    for key in store.issuer_keys().await? {
        if key.open(roots).is_err() {
            let says = format!("the issuer's key {} does not open: its row was edited", key.kid);
            found.fault(
                "issuer keys",
                says,
                "restore the last backup, or delete the row: the server makes another key",
            );
        }
    }
    let keys = store.api_keys().await?;
    let mut broken: Vec<&str> = Vec::new();
    for key in &keys {
        let Ok(opened) = key.open(roots) else {
            broken.push(key.id.as_str());
            continue;
        };
        for fault in opened.scope.origins.iter().filter_map(StoredOrigin::fault) {
            let says = format!("{} has an origin in a former spelling: {fault}", key.id);
            found.warning("API keys", says, "bmap key edit ID with every --origin");
        }
    }
    if broken.is_empty() {
        found.good("API keys", format!("all {} open", keys.len()));
        return Ok(());
    }
    let named = broken.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    let says = format!("{} of {} don't open: {named}", broken.len(), keys.len());
    found.fault("API keys", says, "the database was edited by hand: find out by whom, make the keys anew");
    Ok(())
}

async fn epochs(store: &Database, roots: &Roots, found: &mut Findings) -> Result<()> {
    for used in store.epochs_in_use().await? {
        if roots.of(used.epoch).is_none() {
            let says = format!("that of epoch {} is not at hand, and needed by {}", used.epoch, used.counted());
            found.fault("root secret", says, "put the file back from its backup");
        }
    }
    let told = store.setting(TOKEN_EPOCH_SETTING).await?;
    let minting = told.and_then(|text| text.parse::<u32>().ok());
    if let Some(epoch) = minting
        && roots.of(epoch).is_none()
    {
        let says = format!("tokens are to be minted in epoch {epoch}, which is not at hand");
        found.fault("root secret", says, "put the file back from its backup");
    }
    if roots.minting().epoch() != roots.sealing().epoch() && minting != Some(roots.sealing().epoch()) {
        let says = format!("the change to epoch {} is under way", roots.sealing().epoch());
        found.warning("root secret", says, "docs/root.md: credentials to the tools, then bmap root activate");
    }
    Ok(())
}

async fn admins(store: &Database, roots: &Roots, found: &mut Findings) -> Result<()> {
    let users = store.users().await?;
    let mut admins = 0_usize;
    for user in &users {
        match user.unverified_role.open(roots, &user.id) {
            Ok(Role::Admin) if user.state == UserState::Active => admins = admins.saturating_add(1),
            Ok(_) => {}
            Err(_) => {
                let says = format!("the role of {} is not as it was written", user.id);
                found.fault("users", says, "the database was edited by hand: find out by whom, then bmap user role");
            }
        }
    }
    if admins == 0 {
        found.warning("users", "no active user is an admin", "bmap user role USER admin");
    } else {
        let all = if users.len() == 1 { "1 user".to_owned() } else { format!("{} users", users.len()) };
        let admins = if admins == 1 { "1 admin".to_owned() } else { format!("{admins} admins") };
        found.good("users", format!("{all}, with {admins} among them"));
    }
    Ok(())
}
