//! `POST /tickets`: a page's backend gets a ticket for its page.

use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::KeyCaller;
use crate::http::once::Repeatable;
use crate::http::once::{Begun, Once, json};
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::problem::RouteError;
use axum::extract::State;
use axum::response::Response;
use bmap_issuer::error::IssuerError;
use bmap_issuer::grant::TicketRequest;
use bmap_model::scope::Scopes;
use bmap_model::ticket::{EndUser, MAX_TICKET_SECONDS};
use bmap_protocol::code::Code;
use bmap_protocol::ids::ToolId;
use bmap_protocol::origin::Origin;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TicketForm {
    #[schema(value_type = grammar::ToolId)]
    tool: String,
    #[schema(value_type = grammar::Origin)]
    origin: String,
    /// The host's own id of its visitor: up to 256 bytes.
    #[schema(min_length = 1, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    end_user: Option<String>,
    #[schema(value_type = Option<grammar::Origin>)]
    embed_origin: Option<String>,
    #[schema(value_type = Option<grammar::Scope>)]
    scope: Option<String>,
    /// Seconds.
    #[schema(minimum = 1, maximum = 120)]
    ttl: Option<i64>,
}

#[derive(Serialize, ToSchema)]
struct TicketAnswer<'a> {
    ticket: &'a str,
    expires_in: i64,
    server_time: i64,
}

/// Makes a ticket: 201 with the ticket, shown this once.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    KeyCaller { caller, .. }: KeyCaller<action::TicketCreate>,
    State(app): State<App>,
    SecretJsonForm(form): SecretJsonForm<TicketForm>,
    request: Repeatable,
) -> Result<Response, RouteError> {
    let wanted = read(&form)?;
    let once = match Once::begin(&app, caller.key.id.as_str(), request).await? {
        Begun::First(once) => once,
        Begun::Again(answer) => return Ok(answer),
    };
    let expires_in = wanted.ttl;
    let ticket = app.issuer.make_ticket(&caller, wanted).await?;
    let answer = TicketAnswer { ticket: ticket.plain.reveal(), expires_in, server_time: app.issuer.clock.now().0 };
    let answer = json(StatusCode::CREATED, None, &answer);
    let kept = once.seal(&answer)?;
    once.answer(answer, app.issuer.store_ticket(&caller, &ticket, kept.as_ref()).await).await
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Make a ticket for a page")
        .about("The page swaps it for a token at `/oauth/token`, once.")
        .answers::<TicketAnswer>(StatusCode::CREATED, "The ticket, shown this once")
        .refuses(Code::ToolDenied)
        .refuses(Code::OriginDenied)
        .refuses(Code::ScopeDenied)
}

fn read(form: &TicketForm) -> Result<TicketRequest, IssuerError> {
    let malformed = |field| IssuerError::Malformed { field };
    let ttl = form.ttl.unwrap_or(MAX_TICKET_SECONDS);
    if !(1..=MAX_TICKET_SECONDS).contains(&ttl) {
        return Err(malformed("ttl"));
    }
    let embed_origin = form.embed_origin.as_deref().map(Origin::parse).transpose();
    Ok(TicketRequest {
        tool: ToolId::parse(&form.tool).map_err(|_| malformed("tool"))?,
        origin: Origin::parse(&form.origin).map_err(|_| malformed("origin"))?,
        embed_origin: embed_origin.map_err(|_| malformed("embed_origin"))?,
        end_user: match &form.end_user {
            None => None,
            Some(text) => Some(EndUser::parse(text).ok_or(malformed("end_user"))?),
        },
        scope: form.scope.as_deref().map(Scopes::parse).transpose().map_err(|_| malformed("scope"))?,
        ttl,
    })
}
