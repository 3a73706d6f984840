//! Forgetting the passwords that need a root secret which is to go: those of people who did not sign in since the change of the
//! root. The account stays, with its address, sealed anew under the newest root; its owner sets a new password by a mailed link.

use crate::error::IssuerError;
use bmap_model::account::password::StoredPassword;
use bmap_model::account::{Account, sealed};
use bmap_model::audit::{Action, Event, Source};
use bmap_model::clock::WallClock;
use bmap_model::rng::Random;
use bmap_model::roots::Roots;
use bmap_protocol::ids::UserId;
use bmap_store::Database;

/// Accounts that are read at once.
const BATCH: u16 = 100;

/// The result of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Passwords.
    pub done: u64,
    /// Users whose accounts are not as they were written: edited by hand. Sealed anew, they would get a link at the address that
    /// the editor wrote there; so where there is one, its root has to stay, and nothing is forgotten.
    pub broken: Vec<UserId>,
}

/// Forgets every password of an epoch whose root is still at hand. Each account is a transaction of its own: stopped half-way, another
/// run goes on. `progress` is called with the result so far after each batch.
///
/// # Errors
/// [`IssuerError`].
pub async fn forget_passwords(
    store: &Database,
    roots: &Roots,
    clock: &dyn WallClock,
    random: &dyn Random,
    epoch: u32,
    mut progress: impl FnMut(&Forgotten),
) -> Result<Forgotten, IssuerError> {
    let mut forgotten = Forgotten::default();
    let mut after = None;
    while let Some((accounts, last)) = page(store, epoch, after.as_ref()).await? {
        let broken = accounts.iter().filter(|account| account.check_seal(roots).is_err());
        forgotten.broken.extend(broken.map(|account| account.user.clone()));
        after = Some(last);
    }
    if !forgotten.broken.is_empty() {
        return Ok(forgotten);
    }
    let none = StoredPassword::forgotten(roots.sealing().epoch());
    let mut after = None;
    while let Some((accounts, last)) = page(store, epoch, after.as_ref()).await? {
        for account in &accounts {
            // Once more: nothing is sealed that was not checked as it is sealed.
            account.check_seal(roots)?;
            let seal = sealed::account(roots, random, &account.user, &account.email, &none)?;
            let event = Event::done(Action::PasswordForget, &Source::command_line(), clock.now());
            let event = event.on(&account.user).with("epoch", i64::from(epoch));
            // A user who signed in a moment ago has a new hash, and keeps it.
            let was_there = store.replace_hash(account, &none, &seal, &event).await?;
            forgotten.done = forgotten.done.saturating_add(was_there.into());
        }
        progress(&forgotten);
        after = Some(last);
    }
    Ok(forgotten)
}

/// Accounts with a password of that epoch, out of the next batch, and where that ends.
async fn page(
    store: &Database,
    epoch: u32,
    after: Option<&UserId>,
) -> Result<Option<(Vec<Account>, UserId)>, IssuerError> {
    let mut accounts = store.accounts_before(epoch.saturating_add(1), after, BATCH).await?;
    let Some(last) = accounts.last().map(|account| account.user.clone()) else { return Ok(None) };
    accounts.retain(|account| account.password.epoch == epoch && !account.password.is_forgotten());
    Ok(Some((accounts, last)))
}
