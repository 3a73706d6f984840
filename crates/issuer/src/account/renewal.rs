//! Going on with a session by its refresh token.

use super::service::{AccountService, TokenPair};
use crate::error::IssuerError;
use bmap_model::account::UserSession;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::account::refresh::{self, FoundToken, RefreshRow, Rotation, Salt, Used};
use bmap_model::audit::{Action, Actor, Event, Source};
use bmap_model::clock::UnixTime;
use bmap_model::rng;
use bmap_model::row_seal::RowFault;
use bmap_model::user::UserState;

impl AccountService {
    /// Goes on with a session: one successor for each token, the same for every caller within the grace; after it, the
    /// token counts as a stolen copy, and the session ends (R38, R39). A row that was edited decides nothing (T13).
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn refresh(&self, token: &str, source: &Source) -> Result<TokenPair, IssuerError> {
        let presented = OpaqueToken::parse(Kind::Refresh, token).ok_or(IssuerError::UnknownRefreshToken)?;
        let now = self.issuer.clock.now();
        let roots = &self.issuer.roots;
        // Where another caller is first, or the change to the next root seals it anew, the row is read again.
        for _ in 0..3 {
            let found = self.issuer.store.refresh_token(&presented.hash()).await?;
            let found = found.ok_or(IssuerError::UnknownRefreshToken)?;
            edited_as_unknown(found.session.check_seal(roots))?;
            let is_retired = match found.token.check_seal(roots) {
                // Tokens that were used keep the seal of their epoch. They have no grace any more.
                Err(RowFault::Retired { .. }) if found.token.used.is_some() => true,
                checked => edited_as_unknown(checked).map(|()| false)?,
            };
            source.is_about(found.session.target());
            if found.user_state != UserState::Active {
                return Err(IssuerError::UserInactive);
            }
            if !found.session.is_live(now) {
                return Err(IssuerError::UserSessionOver);
            }
            match &found.token.used {
                Some(used) if !is_retired && used.is_within_grace(now, self.issuer.lives.refresh_grace_seconds) => {
                    return self.same_again(&presented, &found, used, now);
                }
                Some(_) => return Err(self.reused(&found.session, source, now).await?),
                None => {}
            }
            if let Some(pair) = self.rotate(&presented, &found, source, now).await? {
                return Ok(pair);
            }
        }
        Err(IssuerError::UnknownRefreshToken)
    }

    /// Uses a refresh token; `None` where its row is not as it was found any more.
    async fn rotate(
        &self,
        presented: &OpaqueToken,
        found: &FoundToken,
        source: &Source,
        now: UnixTime,
    ) -> Result<Option<TokenPair>, IssuerError> {
        let keys = self.issuer.roots.sealing();
        let used = Used { at: now, salt: Salt::from_bytes(rng::bytes(&*self.issuer.random)?) };
        let next = refresh::successor(&keys, presented, &used.salt)?;
        let token = &found.token;
        let successor = RefreshRow::new(&keys, next.token.hash(), token.session.clone(), Some(token.hash.clone()));
        let rotation = Rotation { presented: token.clone(), used: token.used(&keys, used), successor };
        let event = Event::done(Action::SessionRefresh, source, now);
        if !self.issuer.store.rotate(found, &rotation, &event).await? {
            return Ok(None);
        }
        self.pair(&found.session, next, now, now).map(Some)
    }

    /// The same pair again, for a used token within its grace.
    fn same_again(
        &self,
        presented: &OpaqueToken,
        found: &FoundToken,
        used: &Used,
        now: UnixTime,
    ) -> Result<TokenPair, IssuerError> {
        // The epoch that made the successor is the newest, or was until a moment ago.
        for epoch in self.issuer.roots.all() {
            let next = refresh::successor(&epoch, presented, &used.salt)?;
            if Some(next.token.hash()) == found.successor {
                return self.pair(&found.session, next, used.at, now);
            }
        }
        // The root secret of the successor is not at hand any more; a client that holds the successor goes on with it.
        Err(IssuerError::UnknownRefreshToken)
    }

    /// Ends the session of a token that was used and came back.
    async fn reused(&self, session: &UserSession, source: &Source, now: UnixTime) -> Result<IssuerError, IssuerError> {
        tracing::warn!(session = session.id.as_str(), "a used refresh token came back: its session is ended");
        let event = Event::done(Action::SessionRevoke, source, now).by(Actor::System);
        let event = event.with("reason", "a used refresh token came back");
        self.issuer.store.revoke_user_session(&session.id, now, &event).await?;
        Ok(IssuerError::RefreshReused)
    }
}

/// A refresh token or a session whose row was edited is answered as one that was never there.
fn edited_as_unknown(checked: Result<(), RowFault>) -> Result<(), IssuerError> {
    checked.map_err(|fault| {
        IssuerError::edited("a session or of its refresh token", fault, &IssuerError::UnknownRefreshToken)
    })
}
