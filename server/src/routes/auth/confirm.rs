//! `GET /auth/confirm`, where a mail's link leads, and `POST /auth/confirm`, which confirms.
//!
//! The link alone changes nothing: programs that look at mail before its reader does follow links, and send no forms.

use super::super::body;
use super::super::problem::Refused;
use crate::domain::account::opaque::{Kind, OpaqueToken};
use crate::domain::audit::Action;
use crate::domain::refusal::Refusal;
use crate::openapi::{Doc, grammar};
use crate::router::{App, source};
use axum::Json;
use axum::extract::{Query, Request, State};
use axum::response::{Html, IntoResponse, Response};
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use zeroize::Zeroizing;

/// The token, from the link, the page's form, or JSON.
#[derive(Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmForm {
    #[param(value_type = String, pattern = "^bmc_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    #[schema(value_type = grammar::LinkToken)]
    token: Zeroizing<String>,
}

#[derive(Serialize, ToSchema)]
struct Confirmed {
    /// `confirmed`
    status: &'static str,
    server_time: i64,
}

/// The page that the link leads to: one button. It asks nothing of the database.
///
/// # Errors
/// [`Refused`] where the link holds no token.
pub async fn page(
    form: Result<Query<ConfirmForm>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refused> {
    let malformed = Refusal::Malformed { field: "token" };
    let Ok(Query(form)) = form else { return Err(malformed.into()) };
    // Parsed and written anew: nothing of what the caller sent gets into the page but a token.
    let token = OpaqueToken::parse(Kind::Confirmation, &form.token).ok_or(malformed)?.reveal();
    Ok(html(format!(
        "<h1>Confirm your email address</h1>\
         <p>If it was not you who registered with this address, close this page: nothing happens then.</p>\
         <form method=\"post\" action=\"confirm\"><input type=\"hidden\" name=\"token\" value=\"{}\">\
         <button>Confirm</button></form>",
        *token
    )))
}

/// Confirms: 200. Takes the page's form and JSON.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let source = source(&parts, Action::UserConfirm);
    let body = body::read(body).await?;
    // A form can come from another origin's page; but whoever has the token may confirm, from wherever.
    if body::is(&parts.headers, "application/x-www-form-urlencoded") {
        let form: ConfirmForm =
            serde_urlencoded::from_bytes(&body).map_err(|_| Refusal::Malformed { field: "body" })?;
        app.accounts.confirm(&form.token, &source).await?;
        return Ok(html("<h1>Confirmed</h1><p>You can sign in now.</p>".to_owned()));
    }
    let form: ConfirmForm = body::json(&parts.headers, &body)?;
    app.accounts.confirm(&form.token, &source).await?;
    let answer = Confirmed { status: "confirmed", server_time: app.issuer.clock.now().0 };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// A page that loads nothing, is framed by nobody, and whose address, which holds the token, is told to nobody.
fn html(body: String) -> Response {
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    let page = format!("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>bmap</title>{body}</html>");
    (headers, Html(page)).into_response()
}

/// How the document describes it.
pub fn page_doc() -> Doc {
    Doc::new("The page that a confirmation link leads to").query::<ConfirmForm>().answers_text(
        StatusCode::OK,
        "A page with a button, which confirms",
        "text/html",
    )
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    Doc::new("Confirm an address")
        .takes::<ConfirmForm>()
        .takes_form::<ConfirmForm>()
        .answers::<Confirmed>(StatusCode::OK, "It is confirmed: to JSON with JSON, to a form with a page")
        .answers_text(StatusCode::OK, "", "text/html")
        .refuses(Code::InvalidCredentials)
}
