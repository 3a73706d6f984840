//! A user's access token on a request: `Authorization: Bearer …` (RFC 6750 §2.1), and nowhere else.

use crate::domain::account::service::SignedIn;
use crate::domain::refusal::Refusal;
use crate::router::App;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Who is signed in.
///
/// # Errors
/// [`Refusal`]; no token at all is answered like a bad one.
pub async fn signed_in(app: &App, headers: &HeaderMap) -> Result<SignedIn, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Refusal::BadAccessToken) };
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Refusal::BadAccessToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::BadAccessToken);
    }
    app.accounts.signed_in(&app.issuer.read_access(token)?).await
}
