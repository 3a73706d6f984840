//! Whether the root secrets at hand are those that sealed a database (O14). With another root everything that is written is sealed by
//! it, and opens for no process that has the right one; so a command asks before it writes anything.

use bmap_model::audit::chain::{ChainKeys, Head, Mac};
use bmap_model::issuer_key::{IssuerKeyError, SealedIssuerKey};
use bmap_model::roots::Roots;
use bmap_store::{Database, StoreError};

/// The root secrets at hand are not those of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignRoot {
    /// There are other ones.
    #[error("{what} does not open: the root secret is another one, or the row was edited")]
    Other {
        /// The row that was looked at.
        what: &'static str,
    },
    /// The newest one is missing.
    #[error("the issuer's own key is sealed in epoch {epoch}, and there is no root secret of that epoch")]
    Epoch {
        /// The epoch.
        epoch: u32,
    },
}

/// Looks at the issuer's own keys: one that opens is enough, since rows may be edited one by one. `None` where there is no key yet.
pub fn by_issuer_keys(keys: &[SealedIssuerKey], roots: &Roots) -> Option<Result<(), ForeignRoot>> {
    let opened: Vec<_> = keys.iter().map(|key| key.open(roots)).collect();
    if opened.is_empty() || opened.iter().any(Result::is_ok) {
        return opened.first().map(|_| Ok(()));
    }
    let missing = opened.iter().find_map(|opened| match opened {
        Err(IssuerKeyError::Epoch { epoch }) => Some(ForeignRoot::Epoch { epoch: *epoch }),
        _ => None,
    });
    Some(Err(missing.unwrap_or(ForeignRoot::Other { what: "the issuer's own key" })))
}

/// Looks at the issuer's own keys, and where there is none, at the last entry of the audit log: every change is recorded there. A
/// database without either is new, and takes any root.
///
/// # Errors
/// [`StoreError`] where the database does not answer.
pub async fn check(store: &Database, roots: &Roots) -> Result<Result<(), ForeignRoot>, StoreError> {
    if let Some(looked) = by_issuer_keys(&store.issuer_keys().await?, roots) {
        return Ok(looked);
    }
    let newest = store.newest_audit_row().await?;
    let rows = store.audit_rows(newest.saturating_sub(2).max(0), 2).await?;
    let Some(Some(last)) = rows.last() else { return Ok(Ok(())) };
    let before = match rows.as_slice() {
        [Some(before), _] => Mac::parse(&before.mac).map(|mac| Head { sequence: before.sequence, mac }),
        _ => Some(Head { sequence: 0, mac: Mac::NONE }),
    };
    let key = ChainKeys::new(roots.clone()).of(last.epoch);
    let holds = before.zip(key).is_some_and(|(before, key)| key.follow(&before, last).is_some());
    Ok(if holds { Ok(()) } else { Err(ForeignRoot::Other { what: "the last entry of the audit log" }) })
}
