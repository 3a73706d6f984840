//! `/tools/{id}`: one tool.

pub(crate) mod grants;

use super::policy::{PolicyForm, PolicySchema};
use super::view::{AccessWord, AssuranceWord, CallerWord, OneToolAnswer};
use super::{answer, callers, origins, scopes, url, use_step_up};
use crate::http::action;
use crate::http::app::App;
use crate::http::body::JsonForm;
use crate::http::caller::AdminCaller;
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::patched::{not_null, present};
use crate::http::path::PathId;
use crate::http::problem::RouteError;
use crate::http::step_up::ShownStepUp;
use axum::extract::State;
use axum::response::Response;
use bmap_issuer::error::IssuerError;
use bmap_issuer::tools::ToolChange;
use bmap_model::issuer_code::IssuerCode;
use bmap_model::mail::act::Act;
use bmap_protocol::ids::ToolId;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

/// A change (RFC 7396): an absent member leaves its field as it is, and none may be null.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolChangeForm {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = grammar::Origin, required = false)]
    base_url: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<grammar::ToolOrigin>, required = false, min_items = 1, max_items = 64)]
    origins: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = AssuranceWord, required = false)]
    min_assurance: Option<Option<AssuranceWord>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = grammar::Scope, required = false)]
    scopes: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = grammar::Scope, required = false)]
    required_scopes: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = AccessWord, required = false)]
    access: Option<Option<AccessWord>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<CallerWord>, required = false, min_items = 1, max_items = 4)]
    callers: Option<Option<Vec<CallerWord>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = grammar::Scope, required = false)]
    open_scopes: Option<Option<String>>,
    /// The whole policy, in the place of the former one.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = PolicySchema, required = false)]
    policy: Option<Option<PolicyForm>>,
}

/// Shows it: 200.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(
    _: AdminCaller<action::Request>,
    State(app): State<App>,
    PathId(id): PathId<ToolId>,
) -> Result<Response, RouteError> {
    let tool = app.issuer.store.tool(&id).await.map_err(IssuerError::from)?;
    Ok(answer(&app, &tool.ok_or(IssuerError::NotFound { what: "tool" })?))
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    doc("One tool")
}

/// Changes it: 200 with the tool as it is then. The change counts for the next token.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn patch(
    caller: AdminCaller<action::ToolUpdate>,
    State(app): State<App>,
    PathId(id): PathId<ToolId>,
    JsonForm(form): JsonForm<ToolChangeForm>,
    shown: ShownStepUp,
) -> Result<Response, RouteError> {
    let AdminCaller { admin, signed_in, .. } = caller;
    let change = read(form)?;
    app.issuer.tools().check_change(&id, &change).await?;
    // By its access token the admin is asked for a step-up; a key that administers has none, and opens no tool.
    match signed_in {
        Some(signed_in) => use_step_up(&app, &shown, &signed_in, Act::ToolChanged(id.clone())).await?,
        None if change.opens() => return Err(IssuerError::SignedInAdminOnly.into()),
        None => {}
    }
    let tool = app.issuer.tools().change(&id, &change, &admin.source).await?;
    Ok(answer(&app, &tool))
}

/// The document of [`patch`].
pub(crate) fn patch_doc() -> Doc {
    doc("Change a tool")
        .about(
            "For a signed-in admin, with a step-up; an API key that administers needs none, and neither opens a tool nor changes its open \
             scopes. What is left out stays. It counts for the next token. A tool checks its address, pages, assurance and scopes by its \
             credential: give it a new one (`bmap tool credential`, on the issuer's machine), unless it has a live link.",
        )
        .refuses(IssuerCode::InvalidState)
        .refuses(IssuerCode::Conflict)
}

fn doc(summary: &'static str) -> Doc {
    Doc::new(summary).answers::<OneToolAnswer>(StatusCode::OK, "The tool as it is then")
}

fn read(form: ToolChangeForm) -> Result<ToolChange, IssuerError> {
    let text =
        |field, value: Option<Option<String>>| not_null(field, value)?.map(|text| scopes(field, &text)).transpose();
    Ok(ToolChange {
        base_url: not_null("base_url", form.base_url)?.map(|text| url(&text)).transpose()?,
        origins: not_null("origins", form.origins)?.map(|texts| origins(&texts)).transpose()?,
        min_assurance: not_null("min_assurance", form.min_assurance)?.map(Into::into),
        scopes: text("scopes", form.scopes)?,
        required_scopes: text("required_scopes", form.required_scopes)?,
        access: not_null("access", form.access)?.map(Into::into),
        callers: not_null("callers", form.callers)?.map(|words| callers(&words)).transpose()?,
        open_scopes: text("open_scopes", form.open_scopes)?,
        policy: not_null("policy", form.policy)?.map(|policy| policy.0),
    })
}
