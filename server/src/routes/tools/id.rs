//! `/tools/{id}`: one tool.

use super::super::body;
use super::super::problem::Refused;
use super::super::{bearer, step_up};
use super::view::{AccessWord, AssuranceWord, CallerWord, OneToolAnswer};
use super::{answer, callers, named, origins, scopes, url, use_step_up};
use crate::domain::audit::Action;
use crate::domain::issuer_code::IssuerCode;
use crate::domain::keys::form::invalid;
use crate::domain::refusal::Refusal;
use crate::domain::tools::ToolChange;
use crate::mail::act::Act;
use crate::openapi::{Doc, grammar};
use crate::router::App;
use crate::store::Tools;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

/// A change (RFC 7396): an absent member leaves its field as it is, and none may be null.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ToolChangeForm {
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
}

/// Shows it: 200.
///
/// # Errors
/// [`Refused`].
pub async fn get(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    app.admin(&parts, &body::read(body).await?, Action::Request).await?;
    let tool = app.issuer.store.tool(&named(id)?).await.map_err(Refusal::from)?;
    Ok(answer(&app, &tool.ok_or(Refusal::NotFound { what: "tool" })?))
}

/// Changes it: 200 with the tool as it is then. The change counts for the next token.
///
/// # Errors
/// [`Refused`].
pub async fn patch(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let body = body::read(body).await?;
    // By its access token the admin is asked for a step-up; a key that administers has none, and opens no tool.
    let (admin, signed_in) = if bearer::is_shown(&parts.headers) {
        let (admin, signed_in) = app.signed_in_admin(&parts, &body, Action::ToolUpdate).await?;
        (admin, Some(signed_in))
    } else {
        (app.admin(&parts, &body, Action::ToolUpdate).await?, None)
    };
    let id = named(id)?;
    let change = read(body::form(&parts.headers, &body)?)?;
    app.issuer.tools().check_change(&id, &change).await?;
    match signed_in {
        Some(signed_in) => use_step_up(&app, &parts, &signed_in, Act::ToolChanged(id.clone())).await?,
        None if change.opens() => return Err(Refusal::SignedInAdminOnly.into()),
        None => {}
    }
    let tool = app.issuer.tools().change(&id, &change, &admin.source).await?;
    Ok(answer(&app, &tool))
}

/// How the document describes the look at it.
pub fn get_doc() -> Doc {
    doc("One tool")
}

/// How the document describes a change.
pub fn patch_doc() -> Doc {
    doc("Change a tool")
        .about(
            "For a signed-in admin, with a step-up; an API key that administers needs none, and neither opens a tool nor changes its open \
             scopes. What is left out stays. It counts for the next token. A tool checks its address, pages, assurance and scopes by its \
             credential: give it a new one (`bmap tool credential`, on the issuer's machine).",
        )
        .takes::<ToolChangeForm>()
        .reads_header(step_up::HEADER, step_up::PATTERN, step_up::ABOUT_HEADER)
        .refuses(IssuerCode::StepUpRequired)
        .refuses(IssuerCode::InvalidState)
        .refuses(IssuerCode::Conflict)
}

fn doc(summary: &'static str) -> Doc {
    Doc::new(summary)
        .path_part("id", "The tool's id")
        .answers::<OneToolAnswer>(StatusCode::OK, "The tool as it is then")
        .refuses(IssuerCode::NotFound)
}

fn read(form: ToolChangeForm) -> Result<ToolChange, Refusal> {
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
    })
}

fn not_null<T>(field: &'static str, value: Option<Option<T>>) -> Result<Option<T>, Refusal> {
    match value {
        None => Ok(None),
        Some(Some(value)) => Ok(Some(value)),
        Some(None) => Err(invalid(field, "left out, or not null")),
    }
}

/// A member that is there, also as `null`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
