//! `POST /auth/register`: an address and a password, kept until the address is confirmed.

use super::Credentials;
use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::OwnProof;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_model::issuer_code::IssuerCode;
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
struct Registered {
    /// `confirmation_sent`
    status: &'static str,
    server_time: i64,
}

/// Registers: 202, whether or not the address has an account.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    OwnProof { source, .. }: OwnProof<action::UserRegister>,
    State(app): State<App>,
    SecretJsonForm(form): SecretJsonForm<Credentials>,
) -> Result<Response, RouteError> {
    let (email, password) = form.read()?;
    app.accounts.register(&email, password, &source).await?;
    let answer = Registered { status: "confirmation_sent", server_time: app.issuer.clock.now().0 };
    Ok((StatusCode::ACCEPTED, [(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Register an address and a password")
        .about("The answer is the same whether or not the address has an account.")
        .answers::<Registered>(StatusCode::ACCEPTED, "A link was sent to the address, which confirms it")
        .refuses(IssuerCode::RegistrationClosed)
        .refuses(Code::RateLimited)
}
