//! A user's access token on a request: `Authorization: Bearer …` (RFC 6750 §2.1), and nowhere else.

use super::credentials::scheme_and_rest;
use crate::domain::account::service::SignedIn;
use crate::domain::audit::{Action, Source};
use crate::domain::refusal::Refusal;
use crate::domain::request_limits::RateKey;
use crate::router::{App, source};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

/// Whether the request shows one, good or bad: an API key comes in other ways.
pub fn is_shown(headers: &HeaderMap) -> bool {
    let scheme = |value: &HeaderValue| Some(scheme_and_rest(value.to_str().ok()?)?.0.eq_ignore_ascii_case("bearer"));
    headers.get_all(AUTHORIZATION).iter().any(|value| scheme(value) == Some(true))
}

/// The signed-in caller of a request. `action` is the act that they ask for.
///
/// # Errors
/// [`Refusal`]; no token at all is answered like a bad one.
pub async fn signed_in(app: &App, head: &Parts, action: Action) -> Result<SignedIn, Refusal> {
    let source = source(head, action);
    let mut values = head.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Refusal::BadAccessToken) };
    let (scheme, token) = value.to_str().ok().and_then(scheme_and_rest).ok_or(Refusal::BadAccessToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::BadAccessToken);
    }
    shown(app, token, &source).await
}

/// The user of this access token, wherever the request holds it. The request counts as theirs from here on.
///
/// # Errors
/// [`Refusal`].
pub async fn shown(app: &App, token: &str, source: &Source) -> Result<SignedIn, Refusal> {
    let signed_in = app.accounts.signed_in(&app.issuer.read_access(token)?, source).await?;
    app.count(RateKey::User(&signed_in.user.id))?;
    Ok(signed_in)
}
