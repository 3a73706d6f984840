//! `POST /auth/register`: an address and a password, kept until the address is confirmed.

use super::super::body;
use super::super::problem::Refused;
use super::Credentials;
use crate::domain::audit::Action;
use crate::domain::issuer_code::IssuerCode;
use crate::openapi::Doc;
use crate::router::{App, source};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
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
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let source = source(&parts, Action::UserRegister);
    let body = body::read(body).await?;
    let (email, password) = body::json::<Credentials>(&parts.headers, &body)?.read()?;
    app.accounts.register(&email, password, &source).await?;
    let answer = Registered { status: "confirmation_sent", server_time: app.issuer.clock.now().0 };
    Ok((StatusCode::ACCEPTED, [(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    Doc::new("Register an address and a password")
        .about("The answer is the same whether or not the address has an account.")
        .takes::<Credentials>()
        .answers::<Registered>(StatusCode::ACCEPTED, "A link was sent to the address, which confirms it")
        .refuses(IssuerCode::RegistrationClosed)
        .refuses(Code::RateLimited)
}
