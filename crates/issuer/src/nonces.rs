//! The replay store of the issuer's own verifier: the database, so that issuers which share it accept each request once.

use bmap_protocol::refusal::Refusal;
use bmap_store::Database;
use bmap_verifier::replay::Record;
use bmap_verifier::{Fresh, ReplayStore};

/// Nonces of signed requests, used up in the database by its own clock (profile §5, step 11).
#[derive(Clone, Debug)]
pub struct DatabaseNonces(pub Database);

impl ReplayStore for DatabaseNonces {
    /// The time of the proof is not asked for: the database's own decides.
    async fn record(&self, record: Record, _fresh: Fresh) -> Result<(), Refusal> {
        self.0.use_nonce(record.key, record.nonce, record.until).await
    }

    fn forgot_until(&self) -> Option<i64> {
        None
    }
}
