//! Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a creating request that is sent again makes nothing again,
//! and gets the answer that was lost.
//!
//! The answer is kept for a day and written in the transaction of the change itself: a crash leaves both or neither. It may
//! hold a secret, so it is sealed, under a key of its own from the root, to its caller, its idempotency key and its request.

use super::roots::Roots;
use crate::clock::UnixTime;
use crate::rng::{self, NoRandomness, Random};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::keys::EpochKeys;
use bmap_protocol::seal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// How long an answer is kept, in seconds.
pub const KEPT_SECONDS: i64 = 86_400;
/// Most answers that are kept for one caller.
pub const MAX_KEPT: i64 = 10_000;
/// Longest idempotency key.
pub const MAX_LENGTH: usize = 64;
/// The purpose of the answers' key.
const PURPOSE: &str = "idempotent-answers";

/// An answer that is not given, or can't be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdempotencyError {
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The first request with this idempotency key is not answered yet.
    #[error("the first request with this idempotency key is in progress")]
    InProgress,
    /// The answer is given to another session, which needs a step-up for it.
    #[error("the answer was given to another session")]
    OtherSession,
    /// A kept answer was edited: an alarm.
    #[error("a kept answer does not open")]
    Edited,
    /// No randomness.
    #[error("the operating system gave no randomness")]
    NoRandomness,
    /// The answer could not be sealed, to which nothing of this size comes.
    #[error("an answer could not be sealed")]
    NotSealed,
}

impl From<NoRandomness> for IdempotencyError {
    fn from(NoRandomness: NoRandomness) -> Self {
        IdempotencyError::NoRandomness
    }
}

/// A client's name for one request, however often it sends it.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(String);

/// A request that names an idempotency key: its caller, the key's hash, the request's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// A user's id, or that of an API key.
    pub caller: String,
    /// Hash of caller and idempotency key.
    pub key: String,
    /// Hash of method, target and body.
    pub request: String,
    /// The session of a user whose act needed a step-up; `None` for API keys, and as it is read from a row.
    pub session: Option<String>,
}

/// An answer, as it is sent.
#[derive(Deserialize)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Location`, if there is one.
    pub location: Option<String>,
    /// The body: JSON, maybe with a secret in it.
    pub body: Zeroizing<String>,
    /// The session that it was given to; set where it is sealed.
    #[serde(default)]
    pub session: Option<String>,
}

/// What is sealed of an answer.
#[derive(Serialize)]
struct KeptAnswer<'a> {
    status: u16,
    location: &'a Option<String>,
    body: &'a Zeroizing<String>,
    session: &'a Option<String>,
}

/// An answer as it is kept.
#[derive(Clone, Debug)]
pub struct SealedAnswer {
    /// The request that it is for.
    pub attempt: Attempt,
    /// Epoch of the root that sealed it.
    pub epoch: u32,
    /// The answer, sealed.
    pub sealed: String,
    /// When it was given.
    pub created_at: UnixTime,
    /// Until when it is kept.
    pub expires_at: UnixTime,
}

impl IdempotencyKey {
    /// Parses a header's value: 1 to 64 of `A-Z a-z 0-9 . _ : -`, in quotes as the draft has it (RFC 9651 §3.3.3) or without.
    pub fn parse(value: &str) -> Option<Self> {
        let text = value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"'))?;
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
        ((1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(is_plain)).then(|| Self(text.to_owned()))
    }
}

impl Attempt {
    /// The attempt of a caller.
    pub fn new(caller: &str, key: &IdempotencyKey, method: &str, target: &str, body: &[u8]) -> Self {
        Self {
            caller: caller.to_owned(),
            key: hash(&[b"bmap/1/idempotency-key", caller.as_bytes(), key.0.as_bytes()]),
            request: hash(&[b"bmap/1/idempotent-request", method.as_bytes(), target.as_bytes(), body]),
            session: None,
        }
    }

    /// The same, in a session.
    #[must_use]
    pub fn in_session(self, session: &str) -> Self {
        Self { session: Some(session.to_owned()), ..self }
    }

    /// Opens the answer that is kept for this request. Without a step-up it is given to its own session alone, and no other session learns
    /// that there is one: it may hold a secret (O17).
    ///
    /// # Errors
    /// As [`SealedAnswer::open`]; [`IdempotencyError::OtherSession`].
    pub fn answer(&self, kept: &SealedAnswer, roots: &Roots, is_stepped_up: bool) -> Result<Answer, IdempotencyError> {
        if self.session.is_some() && !is_stepped_up && kept.read(roots).is_none_or(|kept| kept.session != self.session)
        {
            return Err(IdempotencyError::OtherSession);
        }
        kept.open(self, roots)
    }

    /// Seals the answer to this request.
    ///
    /// # Errors
    /// [`IdempotencyError`] without randomness.
    pub fn seal(
        &self,
        answer: &Answer,
        roots: &Roots,
        random: &dyn Random,
        now: UnixTime,
    ) -> Result<SealedAnswer, IdempotencyError> {
        let epoch = roots.sealing();
        let key = epoch.storage_key(PURPOSE);
        // Numbers and texts: nothing in it can fail to serialise.
        let Answer { status, location, body, .. } = answer;
        let kept = KeptAnswer { status: *status, location, body, session: &self.session };
        let text = Zeroizing::new(serde_json::to_vec(&kept).unwrap_or_default());
        let sealed = seal::seal(&key, epoch.epoch(), rng::bytes(random)?, &self.associated_data(), &text);
        Ok(SealedAnswer {
            attempt: self.clone(),
            epoch: epoch.epoch(),
            sealed: sealed.map_err(|_| IdempotencyError::NotSealed)?,
            created_at: now,
            expires_at: now.plus_seconds(KEPT_SECONDS),
        })
    }

    fn associated_data(&self) -> Vec<u8> {
        // Ids and base64url: no line ends in them.
        format!("bmap/1/idempotent-answer\n{}\n{}\n{}", self.caller, self.key, self.request).into_bytes()
    }
}

impl SealedAnswer {
    /// The answer, for a caller that sends the same request again.
    ///
    /// # Errors
    /// [`IdempotencyError::KeyReused`] for another request; [`IdempotencyError::Edited`] for a row that was edited.
    pub fn open(&self, attempt: &Attempt, roots: &Roots) -> Result<Answer, IdempotencyError> {
        let Attempt { caller, key, request, .. } = &self.attempt;
        if (caller, key, request) != (&attempt.caller, &attempt.key, &attempt.request) {
            return Err(IdempotencyError::KeyReused);
        }
        self.read(roots).ok_or(IdempotencyError::Edited)
    }

    fn read(&self, roots: &Roots) -> Option<Answer> {
        serde_json::from_slice(&self.unseal(roots)?).ok()
    }

    /// The same answer under other keys, as it is stored; `None` for a row that does not open.
    pub fn sealed_anew(&self, roots: &Roots, keys: &EpochKeys, nonce: [u8; 12]) -> Option<String> {
        let text = self.unseal(roots)?;
        seal::seal(&keys.storage_key(PURPOSE), keys.epoch(), nonce, &self.attempt.associated_data(), &text).ok()
    }

    fn unseal(&self, roots: &Roots) -> Option<Zeroizing<Vec<u8>>> {
        let key = roots.of(self.epoch)?.storage_key(PURPOSE);
        seal::open(&key, self.epoch, &self.attempt.associated_data(), &self.sealed).ok()
    }
}

/// Requests that this process is at work on.
#[derive(Clone, Debug, Default)]
pub struct InProgress(Arc<Mutex<HashSet<String>>>);

/// While it lives, no other task of this process works on the same request.
#[derive(Debug)]
pub struct Turn {
    in_progress: InProgress,
    key: String,
}

impl InProgress {
    /// The turn to work on a request.
    ///
    /// # Errors
    /// [`IdempotencyError::InProgress`] where another task has it.
    pub fn turn(&self, attempt: &Attempt) -> Result<Turn, IdempotencyError> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match keys.insert(attempt.key.clone()) {
            true => Ok(Turn { in_progress: self.clone(), key: attempt.key.clone() }),
            false => Err(IdempotencyError::InProgress),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.in_progress.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// SHA-256 over parts, each behind its length.
fn hash(parts: &[&[u8]]) -> String {
    let add = |hash: Sha256, part: &&[u8]| {
        hash.chain_update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes()).chain_update(part)
    };
    Base64UrlUnpadded::encode_string(&parts.iter().fold(Sha256::new(), add).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SystemRandom;
    use bmap_protocol::keys::RootSecret;

    fn attempt(caller: &str, body: &str) -> Attempt {
        Attempt::new(caller, &IdempotencyKey::parse("k").unwrap(), "POST", "/api-keys", body.as_bytes())
    }

    #[test]
    fn t12_t13_an_answer_opens_for_its_caller_its_key_and_its_request_alone() {
        let roots = Roots::from(RootSecret::from_bytes([7; 32]).epoch(1));
        let answer =
            Answer { status: 201, location: None, body: Zeroizing::new("bms_secret".to_owned()), session: None };
        let sealed = attempt("usr_1", "{}").seal(&answer, &roots, &SystemRandom, UnixTime(0)).unwrap();
        assert!(!sealed.sealed.contains("bms_"));
        assert_eq!(*sealed.open(&attempt("usr_1", "{}"), &roots).unwrap().body, "bms_secret");
        let other_request = sealed.open(&attempt("usr_1", "{ }"), &roots);
        assert!(matches!(other_request, Err(IdempotencyError::KeyReused)));
        // A row that was moved to another caller, or whose hashes were edited.
        let moved = SealedAnswer { attempt: attempt("usr_2", "{}"), ..sealed.clone() };
        assert!(matches!(moved.open(&attempt("usr_2", "{}"), &roots), Err(IdempotencyError::Edited)));
        let other_root = Roots::from(RootSecret::from_bytes([8; 32]).epoch(1));
        assert!(matches!(sealed.open(&attempt("usr_1", "{}"), &other_root), Err(IdempotencyError::Edited)));
    }

    #[test]
    fn one_at_a_time() {
        let in_progress = InProgress::default();
        let turn = in_progress.turn(&attempt("usr_1", "a")).unwrap();
        assert!(matches!(in_progress.turn(&attempt("usr_1", "b")), Err(IdempotencyError::InProgress)));
        in_progress.turn(&attempt("usr_2", "a")).unwrap();
        drop(turn);
        in_progress.turn(&attempt("usr_1", "a")).unwrap();
    }

    #[test]
    fn keys_are_short_and_plain() {
        for good in ["8e03978e-40d5-43dd-bc93-6894a57f9324", "\"a\"", "a", &"x".repeat(64)] {
            assert!(IdempotencyKey::parse(good).is_some(), "{good}");
        }
        for bad in ["", "\"\"", "\"a", "a\"", "a b", "ä", &"x".repeat(65), "a\nb"] {
            assert!(IdempotencyKey::parse(bad).is_none(), "{bad}");
        }
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
    }
}
