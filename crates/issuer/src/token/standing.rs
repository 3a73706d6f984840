//! Whether what a tool token rests on holds now: its session, its key, its users, its tool and its grants.

use crate::authenticate::OpenedKey;
use crate::entitled::Entitled;
use crate::error::IssuerError;
use crate::grant::{Renewable, embedding_allowed, origin_allowed};
use crate::issuer::Issuer;
use bmap_model::session::{Session, SessionState};
use bmap_model::tool::CallerKind;
use bmap_protocol::token::Assurance;

impl Issuer {
    /// The session of a token; `None` for a token that has none.
    ///
    /// # Errors
    /// [`IssuerError::SessionOver`] for one that has ended, or is of other tokens.
    pub(crate) async fn session_of(&self, current: &Renewable) -> Result<Option<Session>, IssuerError> {
        let Some(id) = &current.session else { return Ok(None) };
        let session = self.store.session(id).await?.ok_or(IssuerError::SessionOver)?;
        let over = session.state != SessionState::Active || self.clock.now() >= session.expires_at;
        if over || session.user != current.user || session.key != current.key || session.tool != current.tool {
            return Err(IssuerError::SessionOver);
        }
        Ok(Some(session))
    }

    /// What tokens like this one may be made for now. Its scopes are not looked at.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub(crate) async fn still_entitled<'k>(
        &self,
        current: &Renewable,
        session: Option<&Session>,
        opened: &'k OpenedKey,
    ) -> Result<Entitled<'k>, IssuerError> {
        let owner = self.usable(opened)?;
        match session {
            Some(session) => self.subject_stands(session, owner, current.assurance).await?,
            None if current.user == owner.id => {}
            None => return Err(IssuerError::NoSession),
        }
        let (key, tool) = (&opened.key, &current.tool);
        let entitled = match (current.assurance, session) {
            (Assurance::Server, Some(_)) => self.entitled(key, tool, CallerKind::Page).await?,
            (Assurance::Server, None) => self.entitled(key, tool, CallerKind::Direct).await?,
            (Assurance::User, _) => self.entitled_user(key, tool, &current.user).await?,
            (Assurance::Origin, _) => self.entitled(key, tool, CallerKind::Public).await?,
        };
        if let Some(origin) = &current.origin {
            origin_allowed(key, &entitled.tool, origin)?;
        }
        embedding_allowed(key, current.embed_origin.as_ref())?;
        if entitled.tool.min_assurance > current.assurance {
            return Err(IssuerError::AssuranceTooLow);
        }
        Ok(entitled)
    }
}
