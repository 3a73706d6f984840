//! The grants of the token endpoint and the ticket endpoint (profile §7).

use super::authenticate::Caller;
use super::error::IssuerError;
use super::error::lack::{ScopeLack, ToolLack};
use super::issuer::Issuer;
use super::mint::{MintedToken, TokenContent};
use super::token::requested_tool::RequestedTool;
use bmap_model::api_key::ApiKey;
use bmap_model::audit::{Action, Actor, Event, Source};
use bmap_model::idempotency::SealedAnswer;
use bmap_model::page_origin::covers;
use bmap_model::rng;
use bmap_model::scope::Scopes;
use bmap_model::session::{Session, SessionId, SessionState};
use bmap_model::ticket::{
    EndUser, MAX_LIVE_TICKETS, MAX_TICKET_SECONDS, PlainTicket, RecordedTicket, Ticket, TicketHash,
};
use bmap_model::tool::{CallerKind, Tool};
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::origin::Origin;
use bmap_protocol::token::Assurance;

/// A granted token, and the tool that it is for.
#[derive(Debug)]
pub struct Granted {
    /// The token and its keys.
    pub token: MintedToken,
    /// The tool.
    pub tool: Tool,
}

/// A request for a ticket.
#[derive(Clone, Debug)]
pub struct TicketRequest {
    /// The tool.
    pub tool: ToolId,
    /// The page.
    pub origin: Origin,
    /// The page around it.
    pub embed_origin: Option<Origin>,
    /// The host's own user id.
    pub end_user: Option<EndUser>,
    /// Scopes; `None` for those that the tool asks for.
    pub scope: Option<Scopes>,
    /// Seconds; at most 120.
    pub ttl: i64,
}

/// The token that a page asks for with its ticket.
#[derive(Clone, Debug)]
pub struct TicketGrant<'a> {
    /// The tool.
    pub tool: &'a RequestedTool,
    /// The page.
    pub origin: &'a Origin,
    /// Scopes, of those of the ticket; `None` for all of them.
    pub scope: Option<Scopes>,
    /// Whether an encryption key is asked for too.
    pub encrypt: bool,
}

/// A ticket that is made and not stored yet.
#[derive(Debug)]
pub struct NewTicket {
    /// The ticket, to be shown once.
    pub plain: PlainTicket,
    /// Its hash.
    pub hash: TicketHash,
    /// Its content.
    pub ticket: Ticket,
}

/// The claims of a tool token that are carried over when it is renewed.
#[derive(Clone, Debug)]
pub struct Renewable {
    /// The tool.
    pub tool: ToolId,
    /// Whom it is about.
    pub user: UserId,
    /// The API key that it comes from.
    pub key: ApiKeyId,
    /// Scopes.
    pub scope: Scopes,
    /// The page.
    pub origin: Option<Origin>,
    /// The page around it.
    pub embed_origin: Option<Origin>,
    /// The host's own user id.
    pub end_user: Option<EndUser>,
    /// How sure the issuer was.
    pub assurance: Assurance,
    /// The session.
    pub session: Option<SessionId>,
}

impl Issuer {
    /// `client_credentials`: a direct token for a backend.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn grant_direct(
        &self,
        caller: &Caller,
        tool: &RequestedTool,
        scope: Option<Scopes>,
        encrypt: bool,
    ) -> Result<Granted, IssuerError> {
        let tool = self.requested(tool).await?;
        let entitled = self.entitled(&caller.key, &tool, CallerKind::Direct).await?;
        let scope = entitled.scope(scope)?;
        let tool = entitled.tool;
        let token = self.mint(&TokenContent {
            tool: &tool,
            user: &caller.user.id,
            key: &caller.key.id,
            scope,
            origin: None,
            embed_origin: None,
            end_user: None,
            assurance: Assurance::Server,
            session: None,
            encrypt,
        })?;
        self.audit
            .record(granted(Event::done(Action::TokenGrant, &caller.source, self.clock.now()), &token, &tool))
            .await?;
        Ok(Granted { token, tool })
    }

    /// Makes a ticket, and does not store it yet: so that the answer with it can be kept in the same transaction.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn make_ticket(&self, caller: &Caller, request: TicketRequest) -> Result<NewTicket, IssuerError> {
        let entitled = self.entitled(&caller.key, &request.tool, CallerKind::Page).await?;
        origin_allowed(&caller.key, &entitled.tool, &request.origin)?;
        embedding_allowed(&caller.key, request.embed_origin.as_ref())?;
        let ticket = Ticket {
            scope: entitled.scope(request.scope)?,
            tool: entitled.tool.id,
            origin: request.origin,
            embed_origin: request.embed_origin,
            end_user: request.end_user,
            key: caller.key.id.clone(),
            user: caller.user.id.clone(),
            expires_at: self.clock.now().plus_seconds(request.ttl.clamp(1, MAX_TICKET_SECONDS)),
        };
        // In the epoch that every process has by now.
        let plain = PlainTicket::make(&self.roots.minting(), &rng::bytes(&*self.random)?, &ticket);
        let hash = TicketHash::of(plain.reveal()).ok_or(IssuerError::Signing)?;
        Ok(NewTicket { plain, hash, ticket })
    }

    /// Stores a ticket that was made, with its entry in the audit log.
    ///
    /// # Errors
    /// [`IssuerError`]; [`bmap_store::StoreError::Taken`] for an answer that is kept already.
    pub async fn store_ticket(
        &self,
        caller: &Caller,
        new: &NewTicket,
        answer: Option<&SealedAnswer>,
    ) -> Result<(), IssuerError> {
        let now = self.clock.now();
        if self.store.live_tickets(&new.ticket.key, now).await? >= MAX_LIVE_TICKETS {
            return Err(IssuerError::RateLimited { retry_after: 10 });
        }
        let event = Event::done(Action::TicketCreate, &caller.source, now).on(&new.ticket.tool);
        let event = event.with("origin", &new.ticket.origin).with("scope", &new.ticket.scope);
        let (hash, ticket) = (new.hash.clone(), new.ticket.clone());
        self.audit.add_ticket(RecordedTicket { hash, ticket, answer: answer.cloned(), event }).await
    }

    /// Swaps a ticket for a tool token. Whatever comes of it, the ticket is used up.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn grant_for_ticket(
        &self,
        ticket: &str,
        wanted: TicketGrant<'_>,
        source: &Source,
    ) -> Result<Granted, IssuerError> {
        let TicketGrant { tool, origin, scope: asked, encrypt } = wanted;
        let (text, hash) = (ticket, TicketHash::of(ticket).ok_or(IssuerError::UnknownTicket)?);
        let ticket = self.store.take_ticket(&hash).await?.ok_or(IssuerError::UnknownTicket)?;
        if !ticket.is_of(text, &self.roots) {
            tracing::error!(key = ticket.key.as_str(), "ALARM: the row of a ticket is not as it was written");
            return Err(IssuerError::UnknownTicket);
        }
        // A page has its ticket from this key's backend.
        source.acts_as(Actor::ApiKey { key: ticket.key.clone(), owner: ticket.user.clone() });
        let now = self.clock.now();
        if now >= ticket.expires_at {
            return Err(IssuerError::UnknownTicket);
        }
        if !tool.can_be(&ticket.tool) {
            return Err(IssuerError::ToolDenied(ToolLack::OtherTool));
        }
        if ticket.origin != *origin {
            return Err(IssuerError::OriginDenied);
        }
        // Opened again, and looked at again: a change since the ticket was made counts at once.
        let opened = self.open_key(&ticket.key).await?;
        let user = self.usable(&opened)?;
        let key = &opened.key;
        let entitled = self.entitled(key, &ticket.tool, CallerKind::Page).await?;
        if !tool.is(&entitled.tool) {
            return Err(IssuerError::ToolDenied(ToolLack::Address));
        }
        origin_allowed(key, &entitled.tool, origin)?;
        embedding_allowed(key, ticket.embed_origin.as_ref())?;
        let scope = entitled.scope(Some(within(asked, ticket.scope)?))?;
        let tool = entitled.tool;
        let session = Session {
            id: SessionId::from_uuid(rng::uuid_v7(now, &*self.random)?),
            user: user.id.clone(),
            key: key.id.clone(),
            tool: tool.id.clone(),
            user_session: None,
            created_at: now,
            expires_at: now.plus_seconds(self.lives.session_seconds),
            state: SessionState::Active,
        };
        let token = self.mint(&TokenContent {
            tool: &tool,
            user: &session.user,
            key: &session.key,
            scope,
            origin: Some(&ticket.origin),
            embed_origin: ticket.embed_origin.as_ref(),
            end_user: ticket.end_user.as_ref(),
            assurance: Assurance::Server,
            session: Some(&session.id),
            encrypt,
        })?;
        let event = Event::done(Action::TokenGrant, source, now).with("origin", origin).with("session", &session.id);
        self.audit.begin(session, granted(event, &token, &tool)).await?;
        Ok(Granted { token, tool })
    }

    /// Renews a tool token whose signature was verified: the same binding, in the same session.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn renew(
        &self,
        current: &Renewable,
        tool: &RequestedTool,
        scope: Option<Scopes>,
        encrypt: bool,
        source: &Source,
    ) -> Result<Granted, IssuerError> {
        source.acts_as(match current.assurance {
            Assurance::User => Actor::User(current.user.clone()),
            _ => Actor::ApiKey { key: current.key.clone(), owner: current.user.clone() },
        });
        if !tool.can_be(&current.tool) {
            return Err(IssuerError::ToolDenied(ToolLack::OtherTool));
        }
        let session = self.session_of(current).await?.ok_or(IssuerError::NoSession)?;
        let opened = self.open_key(&current.key).await?;
        let entitled = self.still_entitled(current, Some(&session), &opened).await?;
        if !tool.is(&entitled.tool) {
            return Err(IssuerError::ToolDenied(ToolLack::Address));
        }
        // As they are: a session whose scopes were narrowed since is refused, and the page begins anew.
        let scope = entitled.scope(Some(within(scope, current.scope.clone())?))?;
        let tool = entitled.tool;
        let token = self.mint(&TokenContent {
            tool: &tool,
            user: &session.user,
            key: &opened.key.id,
            scope,
            origin: current.origin.as_ref(),
            embed_origin: current.embed_origin.as_ref(),
            end_user: current.end_user.as_ref(),
            assurance: current.assurance,
            session: Some(&session.id),
            encrypt,
        })?;
        let event = Event::done(Action::TokenRenew, source, self.clock.now()).with("session", &session.id);
        self.audit.record(granted(event, &token, &tool)).await?;
        Ok(Granted { token, tool })
    }
}

/// The scopes that are asked for of those that the subject token stands for; all of them where none are (RFC 8693 §2.1, RFC 6749 §3.3).
pub(crate) fn within(asked: Option<Scopes>, of_subject: Scopes) -> Result<Scopes, IssuerError> {
    match asked {
        Some(asked) if asked.is_within(&of_subject) => Ok(asked),
        Some(_) => Err(IssuerError::ScopeDenied(ScopeLack::Subject)),
        None => Ok(of_subject),
    }
}

/// The event of a granted token: its tool, its id and its scopes. The token itself is not recorded.
pub(super) fn granted(event: Event, token: &MintedToken, tool: &Tool) -> Event {
    event.on(&tool.id).with("token", &token.jti).with("scope", &token.scope)
}

/// Whether the key registered the origin and the tool takes it.
pub(super) fn origin_allowed(key: &ApiKey, tool: &Tool, origin: &Origin) -> Result<(), IssuerError> {
    if covers(&key.scope.origins, origin) && tool.origins.allow(origin) {
        Ok(())
    } else {
        Err(IssuerError::OriginDenied)
    }
}

/// Whether the key registered the page around the page, where there is one.
pub(super) fn embedding_allowed(key: &ApiKey, around: Option<&Origin>) -> Result<(), IssuerError> {
    let is_registered = around.is_none_or(|around| covers(&key.scope.origins, around));
    if is_registered { Ok(()) } else { Err(IssuerError::OriginDenied) }
}
