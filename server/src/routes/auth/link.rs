//! The shared part of the pages of links: a page for the person who follows the link, and an answer to its form or to
//! JSON.
//!
//! The link alone changes nothing: programs that look at mail before its reader does follow links, and send no forms.

use super::page::{self, Form};
use super::password_field;
use crate::http::body::JsonOrPageForm;
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::problem::RouteError;
use axum::response::Response;
use bmap_issuer::error::IssuerError;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::account::password::PlainPassword;
use bmap_model::audit::Source;
use bmap_protocol::code::Code;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::future::Future;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A link's token and a password, from the page's form or JSON.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkForm {
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

/// The page; for a link without a whole token one that says so. It asks nothing of the database.
pub(super) fn follow(form: &Form, kind: Kind, token: Option<Zeroizing<String>>) -> Response {
    // Parsed and written anew: nothing of the caller's text gets into the page but a token.
    match token.and_then(|token| OpaqueToken::parse(kind, &token)) {
        Some(token) => page::form(form, &token.reveal()),
        None => page::refused(IssuerError::Malformed { field: "token" }, form, None),
    }
}

/// Does `work` with token and password, and answers in kind: a page for a form, `json` for JSON.
///
/// # Errors
/// [`RouteError`] for JSON; a form is answered with a page.
pub(super) async fn answer<T, F>(
    source: Source,
    sent: JsonOrPageForm<LinkForm>,
    (form, kind): (&Form, Kind),
    work: impl FnOnce(Zeroizing<String>, PlainPassword, Source) -> F,
    done: impl FnOnce(T) -> Response,
    json: impl FnOnce(T) -> Response,
) -> Result<Response, RouteError>
where
    F: Future<Output = Result<T, IssuerError>>,
{
    // A form can come from another origin's page; but a caller with the token and the password may send it, from any
    // page.
    let sent = match sent {
        JsonOrPageForm::Page(Ok(sent)) => sent,
        JsonOrPageForm::Page(Err(refusal)) => return Ok(page::refused(refusal, form, None)),
        JsonOrPageForm::Json(LinkForm { token, password }) => {
            let password = password_field(password, "password")?;
            return Ok(json(work(token, password, source).await?));
        }
    };
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
pub(super) fn page_doc(summary: &'static str) -> Doc {
    Doc::new(summary)
        .about("The same page for a token that is good and for one that never was.")
        .answers_text(StatusCode::OK, "A page with a form", "text/html")
        .answers_text(StatusCode::BAD_REQUEST, "A page that says that the link is not whole", "text/html")
}

/// How the document describes the route that the page's form is sent to.
pub(super) fn answer_doc<T: ToSchema>(summary: &'static str, about: &'static str) -> Doc {
    let mut doc = Doc::new(summary)
        .about(about)
        .answers::<T>(StatusCode::OK, "Done: to JSON with JSON, to a form with a page")
        .refuses(Code::InvalidCredentials);
    // A form is answered with a page in any case.
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE] {
        doc = doc.answers_text(status, "A page that says what is wrong, to a form", "text/html");
    }
    doc
}
