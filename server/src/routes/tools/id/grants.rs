//! `/tools/{id}/grants…`: who may have a tool.

use super::super::view::GrantView;
use crate::http::action;
use crate::http::app::App;
use crate::http::argument::Argument;
use crate::http::body::JsonForm;
use crate::http::caller::AdminCaller;
use crate::http::caller::SignedInAdmin;
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::path::InPath;
use crate::http::path::PathId;
use crate::http::problem::RouteError;
use crate::http::query::QueryFields;
use crate::http::query::QueryOf;
use crate::http::step_up::ShownStepUp;
use axum::Json;
use axum::extract::FromRequestParts;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_issuer::keys::form::{self, invalid};
use bmap_issuer::tools::GrantForm;
use bmap_model::clock::UnixTime;
use bmap_model::issuer_code::IssuerCode;
use bmap_model::mail::act::Act;
use bmap_model::tool_grant::{Giver, ToolGrant};
use bmap_protocol::ids::{ToolId, UserId};
use bmap_store::Given;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Grants on a page, where the caller doesn't say, and at most.
const PAGE: u16 = 100;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantsQuery {
    /// The `next_cursor` of the page before.
    #[param(pattern = "^usr_[0-9a-f]{32}$")]
    cursor: Option<String>,
    /// Grants on a page; 100 where it is not said.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
}

impl QueryFields for GrantsQuery {}

/// The grant that a path names.
pub(crate) struct GrantInPath {
    tool: ToolId,
    user: UserId,
}

impl FromRequestParts<App> for GrantInPath {
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, RouteError> {
        let path = Path::<(String, String)>::from_request_parts(head, app).await.ok();
        let ids = path.and_then(|Path((tool, user))| {
            Some(Self { tool: ToolId::parse(&tool).ok()?, user: UserId::parse(&user).ok()? })
        });
        Ok(ids.ok_or(IssuerError::NotFound { what: "grant" })?)
    }
}

impl Argument for GrantInPath {
    fn describe(doc: Doc) -> Doc {
        doc.path_part("id", ToolId::ABOUT).path_part("user", UserId::ABOUT).refuses(IssuerCode::NotFound)
    }
}

/// A new grant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGrantForm {
    #[schema(required, value_type = grammar::UserId)]
    user: Option<String>,
    /// Scopes of the tool; all of them where it is not said.
    #[schema(value_type = Option<grammar::Scope>)]
    scopes: Option<String>,
    /// Its end, milliseconds since 1970; without end where it is not said.
    #[schema(minimum = 0, maximum = 253402300799999_i64)]
    ends_at: Option<i64>,
}

/// A page of grants.
#[derive(Serialize, ToSchema)]
struct GrantsAnswer {
    grants: Vec<GrantView>,
    /// For the next page; null on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
    server_time: i64,
}

/// One grant.
#[derive(Serialize, ToSchema)]
struct GrantAnswer {
    #[serde(flatten)]
    grant: GrantView,
    server_time: i64,
}

/// Grants of the tool, by user, a page at a time.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(
    _: AdminCaller<action::Request>,
    State(app): State<App>,
    QueryOf(query): QueryOf<GrantsQuery>,
    id: Result<PathId<ToolId>, RouteError>,
) -> Result<Response, RouteError> {
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&limit) {
        return Err(IssuerError::Malformed { field: "limit" }.into());
    }
    let after = query.cursor.as_deref().map(UserId::parse).transpose();
    let after = after.map_err(|_| IssuerError::Malformed { field: "cursor" })?;
    let PathId(tool) = id?;
    let store = &app.issuer.store;
    store.tool(&tool).await.map_err(IssuerError::from)?.ok_or(IssuerError::NotFound { what: "tool" })?;
    let behind = after.as_ref().map(|user| (&tool, user));
    let mut grants = store.grants(Some(&tool), behind, limit.saturating_add(1)).await.map_err(IssuerError::from)?;
    let is_last = grants.len() <= usize::from(limit);
    grants.truncate(usize::from(limit));
    let now = app.issuer.clock.now();
    let answer = GrantsAnswer {
        grants: grants.iter().map(|grant| GrantView::of(grant, &app.issuer.roots, now)).collect(),
        next_cursor: grants.last().filter(|_| !is_last).map(|last| last.user.to_string()),
        server_time: now.0,
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("Grants of a tool, by user, a page at a time").answers::<GrantsAnswer>(StatusCode::OK, "A page of grants")
}

/// Gives a grant: 201, or 200 in the place of the one that the user has.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    admin: SignedInAdmin<action::ToolGrant>,
    State(app): State<App>,
    PathId(id): PathId<ToolId>,
    JsonForm(form): JsonForm<NewGrantForm>,
    shown: ShownStepUp,
) -> Result<Response, RouteError> {
    let SignedInAdmin { admin, signed_in, .. } = admin;
    let form = read(id, form)?;
    app.issuer.tools().find(&form.tool).await?;
    app.issuer.user_record(&form.user).await?;
    let stepped_up = shown.demand(&app, &signed_in).await?;
    let (user, tool) = (form.user.clone(), form.tool.clone());
    let act = Act::GrantGiven { user: user.clone(), tool };
    let stepped_up = app.accounts.with_notices(stepped_up, act, &[&user]).await?;
    let by = Giver::Admin(admin.user.id);
    let (grant, given) = app.issuer.tools().grant(form, by, Some(&stepped_up), &admin.source).await?;
    app.accounts.notices_wait(&stepped_up);
    let status = if given == Given::New { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, answer(&app, &grant)).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Grant a tool to a user")
        .about("For a signed-in admin. The grant stands in the place of any that the user has of the tool.")
        .answers::<GrantAnswer>(StatusCode::CREATED, "The grant")
        .answers::<GrantAnswer>(StatusCode::OK, "The grant, in the place of the former one")
        .refuses(IssuerCode::InvalidState)
}

/// Takes a user's grant away: 204. Tokens that there are live on for their minutes; none is given or renewed.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn delete(
    admin: SignedInAdmin<action::ToolRevokeGrant>,
    State(app): State<App>,
    GrantInPath { tool, user }: GrantInPath,
    shown: ShownStepUp,
) -> Result<Response, RouteError> {
    let SignedInAdmin { admin, signed_in, .. } = admin;
    let of_user = app.issuer.store.tool_of_user(&tool, &user).await.map_err(IssuerError::from)?;
    of_user.and_then(|of_user| of_user.grant).ok_or(IssuerError::NotFound { what: "grant" })?;
    let stepped_up = shown.demand(&app, &signed_in).await?;
    let act = Act::GrantTaken { user: user.clone(), tool: tool.clone() };
    let stepped_up = app.accounts.with_notices(stepped_up, act, &[&user]).await?;
    app.issuer.tools().revoke_grant(&tool, &user, Some(&stepped_up), &admin.source).await?;
    app.accounts.notices_wait(&stepped_up);
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// The document of [`delete`].
pub(crate) fn delete_doc() -> Doc {
    Doc::new("Take a user's grant of a tool away")
        .about("For a signed-in admin. Tokens that there are live on for their minutes; none is given or renewed.")
        .answers_empty(StatusCode::NO_CONTENT, "It is gone")
}

fn answer(app: &App, grant: &ToolGrant) -> Response {
    let now = app.issuer.clock.now();
    let answer = GrantAnswer { grant: GrantView::of(grant, &app.issuer.roots, now), server_time: now.0 };
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

fn read(tool: ToolId, form: NewGrantForm) -> Result<GrantForm, IssuerError> {
    let user = form.user.ok_or_else(|| invalid("user", "the id of a user"))?;
    Ok(GrantForm {
        tool,
        user: UserId::parse(&user).map_err(|error| invalid("user", error.to_string()))?,
        scopes: form.scopes.map(|text| form::scopes("scopes", &text)).transpose()?,
        ends_at: form.ends_at.map(UnixTime),
    })
}
