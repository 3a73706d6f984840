//! What the database holds, against the root secrets, the clock and the configuration.

use super::super::installation::ISSUER_SETTING;
use super::findings::Findings;
use crate::clock::UnixMillis;
use crate::config::Config;
use crate::domain::role::Role;
use crate::domain::roots::{Roots, TOKEN_EPOCH_SETTING};
use crate::domain::user::UserState;
use crate::store::{ApiKeys, Database, Epochs, Health, IssuerKeys, Result, Settings, Users};

/// This program is younger than this (2026-01-01): a clock before it was never set.
const NOT_BEFORE: UnixMillis = UnixMillis(1_767_225_600_000);
/// Clocks of machines that are well differ by less.
const SKEW_MILLIS: i64 = 5_000;
/// Names that are shown of many.
const SHOWN: usize = 5;

pub(super) async fn examine(
    store: &Database,
    roots: Option<&Roots>,
    config: &Config,
    now: UnixMillis,
    found: &mut Findings,
) -> Result<()> {
    for damage in store.damage().await? {
        found.fault("database", format!("it is damaged: {damage}"), "stop the server, restore the last backup");
    }
    clock(store, now, found).await?;
    if let Some(roots) = roots {
        sealed(store, roots, found).await?;
        epochs(store, roots, found).await?;
        admins(store, roots, found).await?;
    }
    let remembered = store.setting(ISSUER_SETTING).await?;
    if let (Some(remembered), Some(issuer)) = (remembered, &config.issuer)
        && remembered != issuer.as_str()
    {
        let says = format!("it was {remembered} when the server last ran and is {} now", issuer.as_str());
        found.warning("issuer", says, "every tool needs a new credential: bmap tool credential ID");
    }
    Ok(())
}

/// A clock that went back makes what has ended good again, and refuses what was made before.
async fn clock(store: &Database, now: UnixMillis, found: &mut Findings) -> Result<()> {
    let advice = "set the clock, and keep it set (chrony, systemd-timesyncd)";
    if now < NOT_BEFORE {
        found.fault("clock", "it was never set", advice);
        return Ok(());
    }
    let ahead = store.newest_time().await?.map_or(0, |newest| newest.0.saturating_sub(now.0));
    if ahead > SKEW_MILLIS {
        let says = format!("it is {} s behind the newest row of the database", ahead / 1000);
        found.fault("clock", says, advice);
    } else {
        found.good("clock", "not behind what is in the database");
    }
    Ok(())
}

/// Whether the root secrets are those that sealed the rows.
async fn sealed(store: &Database, roots: &Roots, found: &mut Findings) -> Result<()> {
    let issuer_keys = store.issuer_keys().await?;
    let foreign = issuer_keys.iter().filter(|key| key.open(roots).is_err()).count();
    if foreign > 0 {
        let says = "the issuer's own key does not open: the root secret is another one, or the row was edited";
        found.fault("root secret", says, "put the root secret back that belongs to this database");
        // Nothing else would open either.
        return Ok(());
    }
    let keys = store.api_keys().await?;
    let broken: Vec<&str> = keys.iter().filter(|key| key.open(roots).is_err()).map(|key| key.id.as_str()).collect();
    if broken.is_empty() {
        found.good("API keys", format!("all {} open", keys.len()));
        return Ok(());
    }
    let named = broken.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    let says = format!("{} of {} don't open: {named}", broken.len(), keys.len());
    found.fault("API keys", says, "somebody edited the database: find out who, make the keys anew");
    Ok(())
}

async fn epochs(store: &Database, roots: &Roots, found: &mut Findings) -> Result<()> {
    for used in store.epochs_in_use().await? {
        if roots.of(used.epoch).is_none() {
            let says = format!("{} {} need that of epoch {}, which is not at hand", used.rows, used.what, used.epoch);
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
                found.fault("users", says, "somebody edited the database: find out who, then bmap user role");
            }
        }
    }
    if admins == 0 {
        found.warning("users", "no active user is an admin", "bmap user role USER admin");
    } else {
        found.good("users", format!("{} users, {admins} of them admins", users.len()));
    }
    Ok(())
}
