//! `/api-keys/<id>`: one key. Another user's is answered like an unknown one.

pub(crate) mod regenerate;

use super::manager;
use super::view::KeyView;
use crate::http::action;
use crate::http::app::App;
use crate::http::body::JsonForm;
use crate::http::caller::UserCaller;
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::patched::{not_null, present};
use crate::http::path::PathId;
use crate::http::problem::RouteError;
use crate::http::step_up::ShownStepUp;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_issuer::keys::form::{self, KeyChange};
use bmap_model::clock::UnixTime;
use bmap_model::issuer_code::IssuerCode;
use bmap_model::keys::ManagedKey;
use bmap_model::mail::act::Act;
use bmap_protocol::code::Code;
use bmap_protocol::ids::ApiKeyId;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change (RFC 7396): an absent member leaves its field as it is. Only `expires_at` may be `null`, for no end, and
/// `scopes`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyChangeForm {
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
/// [`RouteError`].
pub(crate) async fn get(
    user: UserCaller<action::Request>,
    State(app): State<App>,
    PathId(id): PathId<ApiKeyId>,
) -> Result<Response, RouteError> {
    let key = app.issuer.keys().find(&manager(&app, &user.signed_in), &id).await?;
    Ok(answer(&app, &key))
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("One API key").answers::<KeyAnswer>(StatusCode::OK, "The key, never with a secret")
}

/// Changes it: 200 with the key as it is then. The change counts for the next request, for both of its secrets.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn patch(
    user: UserCaller<action::ApiKeyUpdate>,
    State(app): State<App>,
    PathId(id): PathId<ApiKeyId>,
    JsonForm(form): JsonForm<KeyChangeForm>,
    shown: ShownStepUp,
) -> Result<Response, RouteError> {
    let UserCaller { signed_in, .. } = user;
    let who = manager(&app, &signed_in);
    let change = read(form, app.issuer.clock.now())?;
    let keys = app.issuer.keys();
    let stepped_up = match change.is_of_limits() {
        true => {
            let owner = keys.find(&who, &id).await?.rows.current.owner;
            let stepped_up = shown.demand(&app, &signed_in).await?;
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

/// The document of [`patch`].
pub(crate) fn patch_doc() -> Doc {
    Doc::new("Change what an API key is called and may do")
        .about("What is left out stays. All but the name needs a step-up. It counts for the next request, for both secrets of a key that was given a new one.")
        .answers::<KeyAnswer>(StatusCode::OK, "The key as it is then")
        .refuses(Code::KeyRevoked)
        .refuses(Code::ToolDenied)
        .refuses(IssuerCode::InvalidState)
        .refuses(IssuerCode::Conflict)
}

/// Revokes it, for good: 204, also for one that was revoked before.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn delete(
    user: UserCaller<action::ApiKeyRevoke>,
    State(app): State<App>,
    PathId(id): PathId<ApiKeyId>,
) -> Result<Response, RouteError> {
    app.issuer.keys().revoke(&manager(&app, &user.signed_in), &id).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// The document of [`delete`].
pub(crate) fn delete_doc() -> Doc {
    Doc::new("Revoke an API key").answers_empty(StatusCode::NO_CONTENT, "It is revoked, now or before")
}

fn answer(app: &App, key: &ManagedKey) -> Response {
    let now = app.issuer.clock.now();
    let answer = KeyAnswer { key: KeyView::of(app, key, now), server_time: now.0 };
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

fn read(form: KeyChangeForm, now: UnixTime) -> Result<KeyChange, IssuerError> {
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
