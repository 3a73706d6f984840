//! Revocation (RFC 7009) of what an API key was given: tool tokens and tickets. A user's refresh token proves itself, and is revoked by
//! [`AccountService::sign_out`](crate::account::service::AccountService::sign_out).

use crate::authenticate::Caller;
use crate::error::IssuerError;
use crate::issuer::Issuer;
use bmap_model::audit::{Action, Event, Target};
use bmap_model::link::CLOCK_SECONDS;
use bmap_model::session::{SessionId, TokenId};
use bmap_model::ticket::TicketHash;
use bmap_protocol::token::{Claims, Subject};
use bmap_store::TokenRevocation;

impl Issuer {
    /// Revokes a token of the calling client. What is no token of this issuer, was used or has ended is no error (§2.2).
    ///
    /// A tool token is denied by its id, and the session that it is renewed in ends: so the tokens that it was renewed into end too (§2.1).
    /// Verifiers with a live link are told in the same transaction.
    ///
    /// # Errors
    /// [`IssuerError::OtherClient`] for a token of another client (§2.1), [`IssuerError::UnsupportedTokenType`] for a user's access token.
    pub async fn revoke(&self, caller: &Caller, token: &str) -> Result<(), IssuerError> {
        if let Some(hash) = TicketHash::of(token) {
            return self.revoke_ticket(caller, token, &hash).await;
        }
        if self.unverified_is_for_issuer(token) == Some(true) {
            return Err(IssuerError::UnsupportedTokenType);
        }
        match self.issued(token) {
            Some(claims) if claims.client_id == caller.key.id => self.revoke_tool_token(caller, &claims).await,
            Some(_) => Err(IssuerError::OtherClient),
            None => Ok(()),
        }
    }

    async fn revoke_tool_token(&self, caller: &Caller, claims: &Claims) -> Result<(), IssuerError> {
        let now = self.clock.now();
        let event = |action| Event::done(action, &caller.source, now);
        let ends = i64::try_from(claims.expires_at).unwrap_or(i64::MAX);
        let is_over = now.seconds() >= ends.saturating_add(CLOCK_SECONDS);
        let token = match (TokenId::parse(&claims.id), &claims.subject) {
            (Some(id), Subject::User(user)) if !is_over => {
                let target = Target::Token { id: id.clone(), user: user.clone() };
                Some((id, event(Action::TokenRevoke).on(target).with("tool", &claims.audience)))
            }
            _ => None,
        };
        let session = match (claims.session.as_deref().and_then(SessionId::parse), &claims.subject) {
            (Some(id), Subject::User(user)) => {
                let target = Target::Session { id: id.clone(), user: user.clone() };
                Some((id, event(Action::SessionRevoke).on(target).with("reason", "its token was revoked")))
            }
            _ => None,
        };
        self.store.revoke_token(&TokenRevocation { token, session }, now).await?;
        Ok(())
    }

    async fn revoke_ticket(&self, caller: &Caller, text: &str, hash: &TicketHash) -> Result<(), IssuerError> {
        let Some(ticket) = self.store.ticket(hash).await? else { return Ok(()) };
        if !ticket.is_of(text, &self.roots) {
            tracing::error!(key = ticket.key.as_str(), "ALARM: the row of a ticket is not as it was written");
            return Ok(());
        }
        if ticket.key != caller.key.id {
            return Err(IssuerError::OtherClient);
        }
        let event = Event::done(Action::TicketRevoke, &caller.source, self.clock.now()).on(&ticket.tool);
        self.store.revoke_ticket(hash, &event).await?;
        Ok(())
    }
}
