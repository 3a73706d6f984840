//! `POST /api-keys/<id>/regenerate`: a new secret for a key. The old one works on for a while, so that the change breaks no
//! caller.

use super::super::manager;
use super::super::view::{KeyView, KeyWithSecret};
use crate::http::action;
use crate::http::app::App;
use crate::http::body::OptionalJsonForm;
use crate::http::caller::UserCaller;
use crate::http::once::Repeatable;
use crate::http::once::{BegunAct, Once, json};
use crate::http::openapi::doc::Doc;
use crate::http::path::PathId;
use crate::http::problem::RouteError;
use crate::http::step_up::ShownStepUp;
use axum::extract::State;
use axum::response::Response;
use bmap_issuer::keys::form;
use bmap_issuer::keys::service::IfFormer;
use bmap_model::issuer_code::IssuerCode;
use bmap_model::keys::ManagedKey;
use bmap_model::mail::act::Act;
use bmap_protocol::code::Code;
use bmap_protocol::ids::ApiKeyId;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

/// How long the old secret works on.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegenerateForm {
    /// 0 to 604800 (seven days); a day where it is not said.
    #[schema(minimum = 0, maximum = 604800)]
    grace_seconds: Option<i64>,
    /// Whether a former secret that still works is to end. Without it such a key gets no new secret.
    end_former: Option<bool>,
}

/// Makes a new secret: 200 with it, shown this once. No body, or `{}`, is a grace of a day.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    user: UserCaller<action::ApiKeyRegenerate>,
    State(app): State<App>,
    PathId(id): PathId<ApiKeyId>,
    OptionalJsonForm(form): OptionalJsonForm<RegenerateForm>,
    request: Repeatable,
    shown: ShownStepUp,
) -> Result<Response, RouteError> {
    let UserCaller { signed_in, .. } = user;
    let who = manager(&app, &signed_in);
    let grace = form::grace(form.grace_seconds)?;
    let keys = app.issuer.keys();
    let if_former = if form.end_former == Some(true) { IfFormer::End } else { IfFormer::Refuse };
    keys.find_own(&who, &id).await?;
    let (once, stepped_up) = match Once::begin_act(&app, &signed_in, &shown, request).await? {
        BegunAct::First(once, stepped_up) => (once, stepped_up),
        BegunAct::Again(answer) => return Ok(answer),
    };
    let stepped_up = app.accounts.with_notices(stepped_up, Act::NewSecret(id.clone()), &[]).await?;
    let new = keys.make_secret(&who, &id, grace, if_former).await?;
    let managed = ManagedKey { rows: new.after.clone(), last_use: new.last_use };
    let answer = KeyWithSecret {
        key: KeyView::of(&app, &managed, new.at),
        secret: &new.secret.reveal(),
        former_ended: Some(new.ends_former),
        server_time: new.at.0,
    };
    let answer = json(StatusCode::OK, None, &answer);
    let kept = once.seal(&answer)?;
    let stored = keys.store_secret(&new, kept.as_ref(), Some(&stepped_up)).await;
    if stored.is_ok() {
        app.accounts.notices_wait(&stepped_up);
    }
    once.answer(answer, stored).await
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Give an API key a new secret")
        .about("The old one works on for a grace, so that nothing breaks. Two secrets of a key work at most: while a former one does, only a \
             request with end_former makes another, and ends it.")
        .answers::<KeyWithSecret<'_>>(StatusCode::OK, "The key with its new secret, shown this once")
        .refuses(IssuerCode::OwnerRequired)
        .refuses(Code::KeyRevoked)
        .refuses(IssuerCode::InvalidState)
}
