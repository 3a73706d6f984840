//! The shared part of the pages of links: a page for the person who follows the link, and an answer to its form or to
//! JSON.
//!
//! The link alone changes nothing: programs that look at mail before its reader does follow links, and send no forms.

use super::super::body;
use super::super::problem::Refused;
use super::page::{self, Form};
use super::password_field;
use crate::domain::account::opaque::{Kind, OpaqueToken};
use crate::domain::account::password::PlainPassword;
use crate::domain::audit::{Action, Source};
use crate::domain::refusal::Refusal;
use crate::openapi::{Doc, grammar};
use crate::router::source;
use axum::extract::Request;
use axum::response::Response;
use bmap_protocol::code::Code;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::future::Future;
use utoipa::{IntoParams, ToSchema};
use zeroize::Zeroizing;

/// A link's token and a password, from the page's form or JSON.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkForm {
    /// The token of the link.
    #[schema(value_type = grammar::LinkToken)]
    token: Zeroizing<String>,
    #[schema(value_type = grammar::Password)]
    password: Zeroizing<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AddressConfirmed {
    /// `confirmed`
    pub(super) status: &'static str,
    pub(super) server_time: i64,
}

/// The page. It asks nothing of the database.
///
/// # Errors
/// [`Refused`] where the link holds no token of that kind.
pub(super) fn follow(form: &Form, kind: Kind, token: Option<Zeroizing<String>>) -> Result<Response, Refused> {
    let malformed = Refusal::Malformed { field: "token" };
    let Some(token) = token else { return Err(malformed.into()) };
    // Parsed and written anew: nothing of the caller's text gets into the page but a token.
    let token = OpaqueToken::parse(kind, &token).ok_or(malformed)?.reveal();
    Ok(page::form(form, &token))
}

/// Does `work` with token and password, and answers in kind: a page for a form, `json` for JSON.
///
/// # Errors
/// [`Refused`] for JSON; a form is answered with a page.
pub(super) async fn answer<T, F>(
    request: Request,
    action: Action,
    (form, kind): (&Form, Kind),
    work: impl FnOnce(Zeroizing<String>, PlainPassword, Source) -> F,
    done: impl FnOnce(T) -> Response,
    json: impl FnOnce(T) -> Response,
) -> Result<Response, Refused>
where
    F: Future<Output = Result<T, Refusal>>,
{
    let (parts, body) = request.into_parts();
    let source = source(&parts, action);
    let body = body::read(body).await?;
    // A form can come from another origin's page; but a caller with the token and the password may send it, from any
    // page.
    if !body::is(&parts.headers, "application/x-www-form-urlencoded") {
        let LinkForm { token, password } = body::json(&parts.headers, &body)?;
        let password = password_field(password, "password")?;
        return Ok(json(work(token, password, source).await?));
    }
    let sent: LinkForm = serde_urlencoded::from_bytes(&body).map_err(|_| Refusal::Malformed { field: "body" })?;
    let token = OpaqueToken::parse(kind, &sent.token).map(|token| token.reveal());
    let outcome = match password_field(sent.password, "password") {
        Ok(password) => work(sent.token, password, source).await,
        Err(refusal) => Err(refusal),
    };
    Ok(match outcome {
        Ok(outcome) => done(outcome),
        Err(refusal) => page::refused(refusal, form, token.as_ref().map(|token| token.as_str())),
    })
}

/// How the document describes a page.
pub(super) fn page_doc<T: IntoParams>(summary: &'static str) -> Doc {
    Doc::new(summary)
        .about("The same page for a token that is good and for one that never was.")
        .query::<T>()
        .answers_text(StatusCode::OK, "A page with a form", "text/html")
}

/// How the document describes the route that the page's form is sent to.
pub(super) fn answer_doc<T: ToSchema>(summary: &'static str, about: &'static str) -> Doc {
    let mut doc = Doc::new(summary)
        .about(about)
        .takes::<LinkForm>()
        .takes_form::<LinkForm>()
        .answers::<T>(StatusCode::OK, "Done: to JSON with JSON, to a form with a page")
        .refuses(Code::InvalidCredentials);
    // A form is answered with a page in any case.
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE] {
        doc = doc.answers_text(status, "A page that says what is wrong, to a form", "text/html");
    }
    doc
}
