//! Which API keys a user looks through after a password was set, and their revocation in one call (O08).
//!
//! Shown are the keys that were made or given a new secret since the mailbox last proved the owner: since the last reset of the password by a
//! link, or since the user was made where there was none. A later sign-in or step-up moves nothing: a thief who knows the password makes as
//! many of them as it takes to hide a key behind them, and cannot read the owner's mail.

use super::service::AccountService;
use crate::error::IssuerError;
use bmap_model::account::key_review::{GivenKey, ReviewRow, Span};
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::audit::{Action, Actor, Event, Source};
use bmap_model::clock::UnixTime;
use bmap_model::rng;
use bmap_protocol::ids::{ApiKeyId, UserId};

/// Life of what such an answer revokes keys with, in seconds: a day.
pub const REVIEW_SECONDS: i64 = 86_400;
/// Most keys that one call revokes.
pub const MAX_REVOKED: usize = 100;

/// The keys that the answer to a change or reset of the password shows.
#[derive(Debug)]
pub struct KeyReview {
    /// The keys to look through, latest first.
    pub keys: Vec<GivenKey>,
    /// The token that revokes them in one call.
    pub token: OpaqueToken,
}

impl AccountService {
    /// The keys of a user to look through at `until`.
    ///
    /// # Errors
    /// [`IssuerError`] where the database does not answer.
    pub(super) async fn span(&self, user: &UserId, until: UnixTime) -> Result<Span, IssuerError> {
        let since = self.issuer.store.mailbox_proved_at(user).await?;
        Ok(Span { user: user.clone(), since, until })
    }

    /// The keys of a span, latest first.
    ///
    /// # Errors
    /// [`IssuerError`] where the database does not answer.
    pub async fn keys_of(&self, span: &Span) -> Result<Vec<GivenKey>, IssuerError> {
        Ok(self.issuer.store.given_keys(span).await?)
    }

    /// A token that revokes the keys of a span without a session.
    pub(super) fn new_review(&self, span: Span) -> Result<(OpaqueToken, ReviewRow), IssuerError> {
        let token = OpaqueToken::from_bytes(Kind::KeyReview, rng::bytes(&*self.issuer.random)?);
        let expires_at = span.until.plus_seconds(REVIEW_SECONDS);
        let row = ReviewRow { hash: token.hash(), span, expires_at, seal: None };
        Ok((token, row.sealed(&self.issuer.roots.sealing())))
    }

    /// Revokes keys by the token that the answer to a change or reset of the password had: all that it is for, or some of them. It works until its end, and twice
    /// changes nothing.
    ///
    /// # Errors
    /// [`IssuerError::UnknownConfirmation`] for a token that is not good; [`IssuerError::NotFound`] for a key that it is not for: then none is revoked.
    pub async fn revoke_reviewed(
        &self,
        token: &str,
        keys: Option<Vec<ApiKeyId>>,
        source: &Source,
    ) -> Result<Vec<ApiKeyId>, IssuerError> {
        let token = OpaqueToken::parse(Kind::KeyReview, token).ok_or(IssuerError::UnknownConfirmation)?;
        let now = self.issuer.clock.now();
        let row = self.issuer.store.key_review(&token.hash(), now).await?.ok_or(IssuerError::UnknownConfirmation)?;
        row.check_seal(&self.issuer.roots)
            .map_err(|fault| IssuerError::edited("a key review", fault, &IssuerError::UnknownConfirmation))?;
        source.acts_as(Actor::User(row.span.user.clone()));
        let given: Vec<ApiKeyId> = self.keys_of(&row.span).await?.into_iter().map(|key| key.id).collect();
        let keys = match keys {
            None => given,
            Some(keys) => keys,
        };
        self.revoke_keys(&row.span.user, &keys, source, now).await
    }

    async fn revoke_keys(
        &self,
        user: &UserId,
        keys: &[ApiKeyId],
        source: &Source,
        now: UnixTime,
    ) -> Result<Vec<ApiKeyId>, IssuerError> {
        for key in keys {
            let owner = self.issuer.store.managed_key(key).await?.map(|found| found.rows.current.owner);
            if owner.as_ref() != Some(user) {
                return Err(IssuerError::NotFound { what: "API key" });
            }
        }
        let event = Event::done(Action::ApiKeyRevoke, source, now);
        Ok(self.issuer.store.revoke_api_keys(user, keys, now, &event).await?)
    }
}
