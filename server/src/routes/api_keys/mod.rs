//! `/api-keys`: API keys for the people who own them, with their access token.

pub(crate) mod id;
pub(crate) mod revoke;

mod view;

use crate::http::action;
use crate::http::app::App;
use crate::http::body::JsonForm;
use crate::http::caller::UserCaller;
use crate::http::once::Repeatable;
use crate::http::once::{BegunAct, Once, json};
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::problem::RouteError;
use crate::http::query::QueryFields;
use crate::http::query::QueryOf;
use crate::http::step_up::ShownStepUp;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::account::service::SignedIn;
use bmap_issuer::error::IssuerError;
use bmap_issuer::keys::form::{self, KeyForm, invalid};
use bmap_issuer::keys::manager::{Manager, Right};
use bmap_issuer::keys::service::MAX_PAGE;
use bmap_model::api_key::KeyScope;
use bmap_model::clock::UnixTime;
use bmap_model::issuer_code::IssuerCode;
use bmap_model::keys::new_key::NewKey;
use bmap_model::keys::{KeyRows, ManagedKey};
use bmap_model::mail::act::Act;
use bmap_model::role::Role;
use bmap_protocol::code::Code;
use bmap_protocol::ids::{ApiKeyId, UserId};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use view::{KeyView, KeyWithSecret};

/// A new key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKeyForm {
    #[schema(required, value_type = grammar::Name)]
    name: Option<String>,
    /// Ids of tools that are open, or granted to the key's user.
    #[schema(required, value_type = Vec<grammar::KeyTool>, max_items = 64)]
    tools: Option<Vec<String>>,
    /// Serialised origins of pages, like `https://shop.example`.
    #[serde(default)]
    #[schema(value_type = Vec<grammar::Origin>, max_items = 64)]
    origins: Vec<String>,
    /// Networks like `10.0.0.0/8`; none means any.
    #[serde(default)]
    #[schema(max_items = 64)]
    cidrs: Vec<String>,
    /// The end of its life, milliseconds since 1970; whole seconds are kept.
    #[schema(minimum = 0, maximum = 253402300799999_i64)]
    expires_at: Option<i64>,
    /// `hmac-sha256`, which it is without, or `ed25519`.
    #[schema(value_type = Option<grammar::Signing>)]
    signing: Option<String>,
    /// Scopes that its tokens may have at most; whatever its user may have where it is not said.
    #[schema(value_type = Option<grammar::Scope>)]
    scopes: Option<String>,
}

/// Which part of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysQuery {
    /// The `next_cursor` of the page before.
    #[param(pattern = "^bmk_[0-9a-f]{32}$")]
    cursor: Option<String>,
    /// Whose keys, for admins; one's own without.
    #[param(pattern = "^usr_[0-9a-f]{32}$")]
    user: Option<String>,
    /// Keys on a page; 100 where it is not said.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
}

impl QueryFields for KeysQuery {
    fn malformed() -> IssuerError {
        invalid("query", "cursor, limit and user, each once")
    }
}

/// A page of keys.
#[derive(Serialize, ToSchema)]
struct KeyList {
    api_keys: Vec<KeyView>,
    /// The cursor of the next page; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
    server_time: i64,
}

/// The caller's keys, oldest first: 200 with one page of them.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(
    user: UserCaller<action::Request>,
    State(app): State<App>,
    QueryOf(page): QueryOf<KeysQuery>,
) -> Result<Response, RouteError> {
    let UserCaller { signed_in, .. } = user;
    let who = manager(&app, &signed_in);
    let limit = page.limit.unwrap_or(MAX_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(invalid("limit", "1 to 100").into());
    }
    let after = page.cursor.as_deref().map(ApiKeyId::parse).transpose();
    let after = after.map_err(|_| invalid("cursor", "what `next_cursor` said"))?;
    let whose = match page.user.as_deref().map(UserId::parse) {
        None => signed_in.user.id,
        Some(Ok(other)) if who.may_manage(&other) => other,
        Some(Ok(_)) => return Err(IssuerError::NotAdmin.into()),
        Some(Err(_)) => return Err(invalid("user", "a user's id").into()),
    };
    let (keys, more) = app.issuer.keys().list(Some(&whose), after.as_ref(), limit).await?;
    let next_cursor = keys.last().filter(|_| more).map(|last| last.rows.current.id.to_string());
    let now = app.issuer.clock.now();
    let api_keys = keys.iter().map(|key| KeyView::of(&app, key, now)).collect();
    let answer = KeyList { api_keys, next_cursor, server_time: now.0 };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("API keys of one's own, oldest first, a page at a time")
        .answers::<KeyList>(StatusCode::OK, "A page of keys, never with a secret")
        .refuses(IssuerCode::AdminRequired)
}

/// Makes a key: 201 with its secret, shown this once.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    user: UserCaller<action::ApiKeyCreate>,
    State(app): State<App>,
    JsonForm(form): JsonForm<NewKeyForm>,
    request: Repeatable,
    shown: ShownStepUp,
) -> Result<Response, RouteError> {
    let UserCaller { signed_in, .. } = user;
    let who = manager(&app, &signed_in);
    let form = read(form, app.issuer.clock.now())?;
    let (once, stepped_up) = match Once::begin_act(&app, &signed_in, &shown, request).await? {
        BegunAct::First(once, stepped_up) => (once, stepped_up),
        BegunAct::Again(answer) => return Ok(answer),
    };
    let keys = app.issuer.keys();
    let new = keys.make(&who, signed_in.user.id, form).await?;
    let NewKey { key, secret, .. } = &new;
    let stepped_up = app.accounts.with_notices(stepped_up, Act::KeyMade(key.id.clone()), &[]).await?;
    let managed = ManagedKey { rows: KeyRows { current: key.clone(), former: None }, last_use: None };
    let now = app.issuer.clock.now();
    let answer = KeyWithSecret {
        key: KeyView::of(&app, &managed, now),
        secret: &secret.reveal(),
        former_ended: None,
        server_time: now.0,
    };
    let answer = json(StatusCode::CREATED, Some(format!("/api-keys/{}", key.id)), &answer);
    let kept = once.seal(&answer)?;
    let stored = keys.store(&new, kept.as_ref(), Some(&stepped_up)).await;
    if stored.is_ok() {
        app.accounts.notices_wait(&stepped_up);
    }
    once.answer(answer, stored).await
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Make an API key")
        .answers::<KeyWithSecret<'_>>(StatusCode::CREATED, "The key with its secret, shown this once")
        .with_header("location", "The key's path")
        .refuses(Code::ToolDenied)
}

fn read(form: NewKeyForm, now: UnixTime) -> Result<KeyForm, IssuerError> {
    let name = form.name.ok_or_else(|| invalid("name", "what you call the key"))?;
    let tools = form.tools.ok_or_else(|| invalid("tools", "the tools that the key is for"))?;
    Ok(KeyForm {
        name: form::name(&name)?,
        signing: form::signing(form.signing.as_deref().unwrap_or("hmac-sha256"))?,
        scope: KeyScope {
            tools: form::tools(&tools)?,
            origins: form::stored(form::origins(&form.origins)?),
            cidrs: form::cidrs(&form.cidrs)?,
            expires_at: form.expires_at.map(|millis| form::end_of_life(millis, now)).transpose()?,
            scopes: form.scopes.map(|text| form::scopes("scopes", &text)).transpose()?,
            administer: false,
        },
    })
}

/// The right of a signed-in user to manage keys.
fn manager(app: &App, signed_in: &SignedIn) -> Manager {
    let id = signed_in.user.id.clone();
    let right = match app.issuer.role(&signed_in.user) {
        Role::Admin => Right::Admin(id),
        Role::Member => Right::Owner(id),
    };
    Manager { right, source: signed_in.source.clone() }
}
