//! `POST /api-keys/<id>/regenerate`: a new secret for a key. The old one works on for a while, so that the change breaks no
//! caller.

use super::super::body;
use super::super::once::{ABOUT_HEADER, BegunAct, HEADER, Once, json};
use super::super::problem::Refused;
use super::super::step_up;
use super::view::{KeyView, KeyWithSecret};
use super::{id_in, who_asks};
use crate::domain::audit::Action;
use crate::domain::issuer_code::IssuerCode;
use crate::domain::keys::ManagedKey;
use crate::domain::keys::form;
use crate::domain::keys::service::IfFormer;
use crate::mail::act::Act;
use crate::openapi::Doc;
use crate::router::App;
use axum::extract::{Request, State};
use axum::response::Response;
use bmap_protocol::code::Code;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

/// How long the old secret works on.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegenerateForm {
    /// 0 to 604800 (seven days); a day where it is not said.
    #[schema(minimum = 0, maximum = 604800)]
    grace_seconds: Option<i64>,
    /// Whether a former secret that still works is to end. Without it such a key gets no new secret.
    end_former: Option<bool>,
}

/// Makes a new secret: 200 with it, shown this once. No body, or `{}`, is a grace of a day.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let (who, signed_in) = who_asks(&app, &parts, Action::ApiKeyRegenerate).await?;
    let id = id_in(&parts.uri)?;
    let body: Bytes = body::read(body).await?;
    let form = if body.is_empty() { RegenerateForm::default() } else { body::form(&parts.headers, &body)? };
    let grace = form::grace(form.grace_seconds)?;
    let keys = app.issuer.keys();
    let if_former = if form.end_former == Some(true) { IfFormer::End } else { IfFormer::Refuse };
    keys.find_own(&who, &id).await?;
    let (once, stepped_up) = match Once::begin_act(&app, &signed_in, &parts, &body).await? {
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

/// How the document describes it.
pub fn post_doc() -> Doc {
    Doc::new("Give an API key a new secret")
        .about("The old one works on for a grace, so that nothing breaks. Two secrets of a key work at most: while a former one does, only a \
             request with end_former makes another, and ends it.")
        .path_part("id", "The key's id")
        .reads_header(HEADER, r#"^("[A-Za-z0-9._:-]{1,64}"|[A-Za-z0-9._:-]{1,64})$"#, ABOUT_HEADER)
        .reads_header(step_up::HEADER, step_up::PATTERN, step_up::ABOUT_HEADER)
        .may_take::<RegenerateForm>()
        .answers::<KeyWithSecret<'_>>(StatusCode::OK, "The key with its new secret, shown this once")
        .refuses(IssuerCode::StepUpRequired)
        .refuses(IssuerCode::OwnerRequired)
        .refuses(IssuerCode::NotFound)
        .refuses(Code::KeyRevoked)
        .refuses(IssuerCode::InvalidState)
        .refuses(IssuerCode::Conflict)
        .refuses(IssuerCode::LimitReached)
        .refuses(IssuerCode::RequestInProgress)
        .refuses(IssuerCode::IdempotencyKeyReused)
}
