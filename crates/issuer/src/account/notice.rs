//! Notices of changes, mailed to the address of the account, so that its owner learns of a change by another person. A notice
//! is stored in the transaction of the change, and the change is made whether or not a mail server is configured.

use super::service::{AccountService, LinkDelivery};
use crate::error::IssuerError;
use bmap_model::account::email::EmailAddress;
use bmap_model::mail::job::{MailJob, SealedMailJob, Why};

/// How long it is tried to bring it, in seconds.
const NOTICE_SECONDS: i64 = 24 * 3600;

/// StoredNotice of a change, to be written down with it.
#[derive(Debug)]
pub struct StoredNotice {
    to: EmailAddress,
    job: SealedMailJob,
}

impl AccountService {
    /// StoredNotice to an address; `None` where nothing would bring it.
    ///
    /// # Errors
    /// [`IssuerError`] where there is no randomness.
    pub fn notice(&self, to: &EmailAddress, why: Why) -> Result<Option<StoredNotice>, IssuerError> {
        if self.links == LinkDelivery::None {
            return Ok(None);
        }
        let (roots, random, now) = (&self.issuer.roots, &*self.issuer.random, self.issuer.clock.now());
        let job = MailJob { to: to.clone(), why }.seal(roots, random, now, now.plus_seconds(NOTICE_SECONDS))?;
        Ok(Some(StoredNotice { to: to.clone(), job }))
    }

    /// The change is made, and word of it written down or, because the address got too much of it this hour, not.
    pub fn notice_waits(&self, word: Option<&StoredNotice>, is_sent: bool) {
        if let Some(StoredNotice { to, job }) = word {
            self.mail_waits(&job.id, to, is_sent);
        }
    }
}

impl StoredNotice {
    /// The mail to be stored.
    pub fn job(this: Option<&Self>) -> Option<&SealedMailJob> {
        this.map(|word| &word.job)
    }
}
