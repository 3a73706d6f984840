//! Tool tokens for a signed-in user, on the page of another user's API key (profile §7).
//!
//! Whom a token is about and which key it comes from are two things. A ticket's token is about the key's owner. Here it is about
//! the person, and the key only says which pages and tools there are: its id is public, and proves nothing. So the person needs a grant of
//! their own, unless the tool is open.

use super::account::service::SignedIn;
use super::authenticate::OpenedKey;
use super::error::IssuerError;
use super::grant::{Granted, granted, origin_allowed};
use super::issuer::Issuer;
use super::mint::TokenContent;
use super::token::requested_tool::RequestedTool;
use bmap_model::audit::{Action, Event};
use bmap_model::keys::OwnedKey;
use bmap_model::page_origin::covers;
use bmap_model::rng;
use bmap_model::scope::Scopes;
use bmap_model::session::{Session, SessionId, SessionState};
use bmap_model::user::User;
use bmap_protocol::ids::ApiKeyId;
use bmap_protocol::origin::Origin;
use bmap_protocol::token::Assurance;

/// A page's request for a token in the name of the signed-in user.
#[derive(Clone, Debug)]
pub struct UserGrant {
    /// The API key that registered the page and the tool.
    pub client: ApiKeyId,
    /// The tool.
    pub tool: RequestedTool,
    /// The page, as its browser said.
    pub origin: Origin,
    /// Scopes; `None` for those that the tool asks for.
    pub scope: Option<Scopes>,
    /// Whether to give out the payload key too.
    pub encrypt: bool,
}

impl Issuer {
    /// Token exchange of a user's access token.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn grant_for_user(&self, signed_in: &SignedIn, wanted: UserGrant) -> Result<Granted, IssuerError> {
        let opened = self.client_of_page(&wanted.client, &wanted.origin).await?;
        self.usable(&opened)?;
        let key = &opened.key;
        let tool = self.requested(&wanted.tool).await?;
        let entitled = self.entitled_user(key, &tool, &signed_in.user.id).await?;
        origin_allowed(key, &entitled.tool, &wanted.origin)?;
        if entitled.tool.min_assurance > Assurance::User {
            return Err(IssuerError::AssuranceTooLow);
        }
        let scope = entitled.scope(wanted.scope)?;
        let tool = entitled.tool;
        let now = self.clock.now();
        let session = Session {
            id: SessionId::from_uuid(rng::uuid_v7(now, &*self.random)?),
            user: signed_in.user.id.clone(),
            key: key.id.clone(),
            tool: tool.id.clone(),
            user_session: Some(signed_in.session.id.clone()),
            created_at: now,
            expires_at: now.plus_seconds(self.lives.session_seconds).min(signed_in.session.expires_at),
            state: SessionState::Active,
        };
        let token = self.mint(&TokenContent {
            tool: &tool,
            user: &session.user,
            key: &session.key,
            scope,
            origin: Some(&wanted.origin),
            embed_origin: None,
            end_user: None,
            assurance: Assurance::User,
            session: Some(&session.id),
            encrypt: wanted.encrypt,
        })?;
        let event = Event::done(Action::TokenGrant, &signed_in.source, now).with("origin", &wanted.origin);
        let event = event.with("client", &session.key).with("session", &session.id);
        self.audit.begin(session, granted(event, &token, &tool)).await?;
        Ok(Granted { token, tool })
    }

    /// The key that a page names, if it registered that page. For an unknown id another row is opened, and the answer is the
    /// same: so a caller does not learn which ids there are (R31).
    async fn client_of_page(&self, id: &ApiKeyId, origin: &Origin) -> Result<OpenedKey, IssuerError> {
        let (OwnedKey { rows, owner }, known) = self.key_or_decoy(id).await?;
        let opened = rows.current.open(&self.roots);
        if !known {
            return Err(IssuerError::OriginDenied);
        }
        let key = opened?;
        if !covers(&key.scope.origins, origin) {
            return Err(IssuerError::OriginDenied);
        }
        Ok(OpenedKey { key, owner })
    }

    /// Whether tokens of a session may still be about whom they are about; `owner` is the user of its key.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub(super) async fn subject_stands(
        &self,
        session: &Session,
        owner: &User,
        assurance: Assurance,
    ) -> Result<(), IssuerError> {
        match (&session.user_session, assurance) {
            (None, Assurance::Server) if session.user == owner.id => Ok(()),
            (Some(id), Assurance::User) => {
                self.active_user(&session.user).await?;
                let signed_in = self.store.user_session(id).await?.ok_or(IssuerError::SessionOver)?;
                let like = &IssuerError::SessionOver;
                signed_in.check_seal(&self.roots).map_err(|fault| IssuerError::edited("a session", fault, like))?;
                let lives = signed_in.user == session.user && signed_in.is_live(self.clock.now());
                if lives { Ok(()) } else { Err(IssuerError::SessionOver) }
            }
            _ => Err(IssuerError::SessionOver),
        }
    }
}
