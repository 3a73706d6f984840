//! Notices of changes, mailed to the address of the account, so that its owner learns of a change by another person. A notice
//! is stored in the transaction of the change, and the change is made whether or not a mail server is configured.

use super::email::EmailAddress;
use super::service::{AccountService, LinkDelivery};
use crate::domain::refusal::Refusal;
use crate::mail::errand::{Errand, SealedErrand, Why};

/// How long it is tried to bring it, in seconds.
const WORD_SECONDS: i64 = 24 * 3600;

/// Word of a change, to be written down with it.
#[derive(Debug)]
pub struct Word {
    to: EmailAddress,
    errand: SealedErrand,
}

impl AccountService {
    /// Word to an address; `None` where nothing would bring it.
    ///
    /// # Errors
    /// [`Refusal`] where there is no randomness.
    pub fn word(&self, to: &EmailAddress, why: Why) -> Result<Option<Word>, Refusal> {
        if self.links == LinkDelivery::None {
            return Ok(None);
        }
        let (roots, random, now) = (&self.issuer.roots, &*self.issuer.random, self.issuer.clock.now());
        let errand = Errand { to: to.clone(), why }.seal(roots, random, now, now.plus_seconds(WORD_SECONDS))?;
        Ok(Some(Word { to: to.clone(), errand }))
    }

    /// The change is made, and word of it written down or, because the address got too much of it this hour, not.
    pub fn word_waits(&self, word: Option<&Word>, is_sent: bool) {
        if let Some(Word { to, errand }) = word {
            self.mail_waits(&errand.id, to, is_sent);
        }
    }
}

impl Word {
    /// The mail to be stored.
    pub fn errand(this: Option<&Self>) -> Option<&SealedErrand> {
        this.map(|word| &word.errand)
    }
}
