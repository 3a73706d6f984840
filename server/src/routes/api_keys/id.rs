//! `/api-keys/<id>`: one key. Another user's is answered like an unknown one.

use super::super::body;
use super::super::problem::Refused;
use super::super::step_up;
use super::view::KeyView;
use super::{id_in, who_asks};
use crate::clock::UnixMillis;
use crate::domain::audit::Action;
use crate::domain::issuer_code::IssuerCode;
use crate::domain::keys::ManagedKey;
use crate::domain::keys::form::{self, KeyChange, invalid};
use crate::domain::refusal::Refusal;
use crate::mail::act::Act;
use crate::openapi::{Doc, grammar};
use crate::router::App;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// A change (RFC 7396): an absent member leaves its field as it is. Only `expires_at` may be `null`, for no end, and
/// `scopes`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyChangeForm {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = grammar::Name, required = false)]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<grammar::KeyTool>, required = false, max_items = 64)]
    tools: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<grammar::Origin>, required = false, max_items = 64)]
    origins: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<String>, required = false, max_items = 64)]
    cidrs: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, required = false, minimum = 0, maximum = 253402300799999_i64)]
    expires_at: Option<Option<i64>>,
    /// `null` for whatever its user may have.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<grammar::Scope>, required = false)]
    scopes: Option<Option<String>>,
}

/// One key.
#[derive(Serialize, ToSchema)]
struct KeyAnswer {
    #[serde(flatten)]
    key: KeyView,
    server_time: i64,
}

/// Shows it: 200.
///
/// # Errors
/// [`Refused`].
pub async fn get(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let (who, _) = who_asks(&app, &parts, Action::Request).await?;
    let id = id_in(&parts.uri)?;
    let key = app.issuer.keys().find(&who, &id).await?;
    Ok(answer(&app, &key))
}

/// Changes it: 200 with the key as it is then. The change counts for the next request, for both of its secrets.
///
/// # Errors
/// [`Refused`].
pub async fn patch(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let (who, signed_in) = who_asks(&app, &parts, Action::ApiKeyUpdate).await?;
    let id = id_in(&parts.uri)?;
    let body = body::read(body).await?;
    let change = read(body::form(&parts.headers, &body)?, app.issuer.clock.now())?;
    let keys = app.issuer.keys();
    let stepped_up = match change.is_of_limits() {
        true => {
            let owner = keys.find(&who, &id).await?.rows.current.owner;
            let stepped_up = step_up::demand(&app, &parts, &signed_in).await?;
            Some(app.accounts.with_notices(stepped_up, Act::KeyChanged(id.clone()), &[&owner]).await?)
        }
        false => None,
    };
    let key = keys.change(&who, &id, &change, stepped_up.as_ref()).await?;
    if let Some(stepped_up) = &stepped_up {
        app.accounts.notices_wait(stepped_up);
    }
    Ok(answer(&app, &key))
}

/// Revokes it, for good: 204, also for one that was revoked before.
///
/// # Errors
/// [`Refused`].
pub async fn delete(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let (who, _) = who_asks(&app, &parts, Action::ApiKeyRevoke).await?;
    let id = id_in(&parts.uri)?;
    app.issuer.keys().revoke(&who, &id).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// How the document describes the look at it.
pub fn get_doc() -> Doc {
    doc("One API key").answers::<KeyAnswer>(StatusCode::OK, "The key, never with a secret")
}

/// How the document describes a change.
pub fn patch_doc() -> Doc {
    doc("Change what an API key is called and may do")
        .about("What is left out stays. All but the name needs a step-up. It counts for the next request, for both secrets of a key that was given a new one.")
        .reads_header(step_up::HEADER, step_up::PATTERN, step_up::ABOUT_HEADER)
        .takes::<KeyChangeForm>()
        .answers::<KeyAnswer>(StatusCode::OK, "The key as it is then")
        .refuses(IssuerCode::StepUpRequired)
        .refuses(Code::KeyRevoked)
        .refuses(Code::ToolDenied)
        .refuses(IssuerCode::InvalidState)
        .refuses(IssuerCode::Conflict)
}

/// How the document describes the revocation.
pub fn delete_doc() -> Doc {
    doc("Revoke an API key").answers_empty(StatusCode::NO_CONTENT, "It is revoked, now or before")
}

fn doc(summary: &'static str) -> Doc {
    Doc::new(summary).path_part("id", "The key's id").refuses(IssuerCode::NotFound)
}

fn answer(app: &App, key: &ManagedKey) -> Response {
    let now = app.issuer.clock.now();
    let answer = KeyAnswer { key: KeyView::of(app, key, now), server_time: now.0 };
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

fn read(form: KeyChangeForm, now: UnixMillis) -> Result<KeyChange, Refusal> {
    let tools = not_null("tools", form.tools)?;
    let origins = not_null("origins", form.origins)?;
    let cidrs = not_null("cidrs", form.cidrs)?;
    Ok(KeyChange {
        name: not_null("name", form.name)?.map(|text| form::name(&text)).transpose()?,
        tools: tools.map(|texts| form::tools(&texts)).transpose()?,
        origins: origins.map(|texts| form::origins(&texts)).transpose()?,
        cidrs: cidrs.map(|texts| form::cidrs(&texts)).transpose()?,
        expires_at: match form.expires_at {
            None => None,
            Some(None) => Some(None),
            Some(Some(millis)) => Some(Some(form::end_of_life(millis, now)?)),
        },
        scopes: match form.scopes {
            None => None,
            Some(None) => Some(None),
            Some(Some(text)) => Some(Some(form::scopes("scopes", &text)?)),
        },
        // Never over HTTP.
        administer: None,
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
