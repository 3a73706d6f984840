//! A running server takes over what `bmap root` does beside it: a new root secret, the epoch of new tokens, one that is gone.

use crate::cli::installation::mint_as_told;
use crate::config::RootPlace;
use bmap_issuer::issuer::Issuer;
use bmap_issuer::reseal::reseal;
use std::sync::Arc;
use std::time::Duration;

/// How long a change may go unseen. A row in a new epoch is opened at once: for that the roots are read again.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// Looks again and again; never ends.
pub(super) async fn follow(place: RootPlace, issuer: Arc<Issuer>) {
    let mut sealed_in = issuer.roots.sealing().epoch();
    loop {
        tokio::time::sleep(EVERY).await;
        look(&place, &issuer, &mut sealed_in).await;
    }
}

/// Takes over what changed. Whatever can't be read stays as it was.
async fn look(place: &RootPlace, issuer: &Issuer, sealed_in: &mut u32) {
    match place.read() {
        Ok(epochs) => {
            // None at all is an error of `read`, so there is one.
            let _replaced = issuer.roots.replace(epochs);
        }
        Err(error) => tracing::error!("the root secrets can't be read again; those from before go on: {error}"),
    }
    if let Err(error) = mint_as_told(&issuer.roots, &issuer.store).await {
        tracing::warn!("the epoch of new tokens can't be read: {error}");
    }
    let now = issuer.roots.sealing().epoch();
    // A row that named it may have brought the new root before this look.
    if now == std::mem::replace(sealed_in, now) {
        return;
    }
    tracing::info!(epoch = now, "a new root secret: what is sealed is sealed in it from now on");
    // Rows that this process wrote in the old epoch while `bmap root rotate` was at work, and those that it left.
    match reseal(&issuer.store, &issuer.roots, &*issuer.random, |_| {}).await {
        Ok(resealed) => {
            tracing::info!(rows = resealed.done, "sealed in the new epoch");
            for row in resealed.broken {
                tracing::error!(row, "ALARM: a sealed row does not open and stays in its epoch");
            }
        }
        Err(error) => tracing::error!("sealing in the new epoch: {error}; `bmap root rotate` goes on with it"),
    }
}
