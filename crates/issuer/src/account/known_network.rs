//! Networks that a user signed in from, or set or confirmed the password from by a mailed link. Strangers who try that user's password from
//! elsewhere do not lock these out (O13).

use super::service::AccountService;
use crate::error::IssuerError;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::known_network::KnownNetwork;
use bmap_model::audit::Source;
use bmap_model::clock::UnixTime;
use bmap_protocol::ids::UserId;

/// How long a network is known after the last sign-in from it, in days.
pub const KNOWN_DAYS: i64 = 90;
/// Most networks that are known of one user: each has guesses of its own, so these bound them.
pub const MOST_NETWORKS: u32 = 8;
/// A row is written again when its end is closer than this, in days.
const AGAIN_DAYS: i64 = KNOWN_DAYS - 7;

impl AccountService {
    /// Whether the account of that address was signed in to from the caller's network. One statement for an account that exists and
    /// for one that does not.
    pub(super) async fn is_known_network(&self, email: &EmailAddress, source: &Source) -> Result<bool, IssuerError> {
        let now = self.issuer.clock.now();
        let known = self.issuer.store.networks_of_address(email, now).await?;
        Ok(known.iter().any(|one| one.is_of(&self.issuer.roots, source.ip(), now)))
    }

    /// Remembers the network of a caller who knows the password: who signed in, or who sent the form of a mailed link with it. Where this does
    /// not work, the sign-in is no less good.
    pub(super) async fn remember_network(&self, user: &UserId, source: &Source, now: UnixTime) {
        let remembered = async {
            let (store, roots) = (&self.issuer.store, &self.issuer.roots);
            let known = store.networks_of_user(user, now).await?;
            let former = known.iter().find(|one| one.is_of(roots, source.ip(), now));
            if former.is_some_and(|one| one.expires_at > now.plus_seconds(AGAIN_DAYS * 86_400)) {
                return Ok(());
            }
            let end = now.plus_seconds(KNOWN_DAYS * 86_400);
            let network = KnownNetwork::new(&roots.sealing(), user.clone(), source.ip(), end);
            store.remember_network(&network, former, MOST_NETWORKS).await
        };
        if let Err(error) = remembered.await {
            tracing::warn!(user = user.as_str(), %error, "the network of a sign-in was not remembered");
        }
    }
}
