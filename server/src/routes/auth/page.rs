//! The pages that a mail's link leads to: a form, and what became of it. They load nothing, run nothing, can't be framed, and send
//! no other site their address, which holds the link's token.

use crate::http::problem::PageError;
use axum::response::{Html, IntoResponse, Response};
use base64ct::{Base64, Encoding};
use bmap_issuer::account::key_review::KeyReview;
use bmap_issuer::error::IssuerError;
use bmap_model::account::key_review::{Given, GivenKey};
use bmap_model::utc;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderName, StatusCode};
use sha2::{Digest, Sha256};
use std::sync::Arc;

const STYLE: &str = "\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText}\
main{box-sizing:border-box;width:min(26rem,100vw);padding:2rem 1.5rem}\
h1{font-size:1.35rem;line-height:1.25;margin:0 0 .75rem}\
p{margin:0 0 1rem}\
label{display:block;font-weight:600;margin:0 0 .35rem}\
input{box-sizing:border-box;width:100%;font:inherit;padding:.6rem .7rem;border:1px solid GrayText;border-radius:.4rem;background:Field;color:FieldText}\
button{width:100%;margin-top:1rem;font:inherit;font-weight:600;padding:.65rem;border:0;border-radius:.4rem;background:#1a56c4;color:#fff;cursor:pointer}\
button:hover{background:#164aa8}\
input:focus-visible,button:focus-visible{outline:3px solid #7aa7ff;outline-offset:2px}\
.refused{border-left:.25rem solid #c4372a;padding-left:.75rem}\
.small{font-size:.875rem;margin:1.25rem 0 0;opacity:.8}";

/// Where keys are revoked, seen from the answer to a reset; relative, so that the issuer may live under a path.
const REVOKE_FROM_RESET: &str = "../../../api-keys/revoke";
/// The same, seen from there.
const REVOKE_AGAIN: &str = "revoke";

/// One form.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// Its heading, and the page's title.
    pub(super) title: &'static str,
    /// The instruction.
    pub(super) text: &'static str,
    /// Where it goes, seen from the link; relative, so that the issuer may live under a path.
    pub(super) action: &'static str,
    /// The same, seen from there.
    pub(super) again: &'static str,
    /// The name of the password's field for the person who fills it in.
    pub(super) label: &'static str,
    /// For password managers: `current-password` or `new-password`.
    pub(super) autocomplete: &'static str,
    /// Its button.
    pub(super) button: &'static str,
    /// The text for a person who did not ask for it.
    pub(super) otherwise: &'static str,
}

/// The form for a link's token, which must be in base64url: the caller of this function parsed it. The same page for a link that
/// is good and for one that never was.
pub(super) fn form(form: &Form, token: &str) -> Response {
    page(StatusCode::OK, form.title, &fields(form, form.action, token))
}

/// The page after the form: the outcome.
pub(in crate::routes) fn done(title: &str, text: &str) -> Response {
    page(StatusCode::OK, title, &format!("<h1>{title}</h1><p>{text}</p>"))
}

/// That the password is set, with the keys to look through and a button that revokes them.
pub(super) fn password_set(review: &KeyReview) -> Response {
    let title = "Password set";
    let mut body = format!(
        "<h1>{title}</h1><p>Every session of the account was ended. You can sign in with the new password now.</p>"
    );
    if !review.keys.is_empty() {
        let key = |key: &GivenKey| {
            let how = match key.given {
                Given::Made => "made",
                Given::NewSecret => "given a new secret",
            };
            let from = key.address.map_or_else(String::new, |address| format!(" from {address}"));
            let (name, at) = (escaped(key.name.as_str()), utc::time(key.at.0));
            format!("<p><strong>{name}</strong><br>{}<br>{how} {at}{from}</p>", key.id)
        };
        let keys: String = review.keys.iter().map(key).collect();
        let token = review.token.reveal();
        body.push_str(&format!(
            "<p>These API keys work on. They were made, or given a new secret, since a mail to you last set the password, or \
             since the account began. If you do not know one of them, revoke them all here, or sign in and revoke that one.</p>\
             {keys}{}",
            revocation(REVOKE_FROM_RESET, &token)
        ));
    }
    page(StatusCode::OK, title, &body)
}

/// That keys were not revoked, with the button once more where another try may help.
pub(in crate::routes) fn keys_not_revoked(refusal: IssuerError, token: Option<&str>) -> Response {
    let status = StatusCode::from_u16(refusal.code().status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let again = token.filter(|_| status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS);
    let (text, form) = match again {
        Some(token) => ("That did not work just now. Please try again in a moment.", revocation(REVOKE_AGAIN, token)),
        None => ("This page is too old to revoke them. Sign in and revoke them there.", String::new()),
    };
    let body = format!("<h1>Not revoked</h1><p class=\"refused\" role=\"alert\">{text}</p>{form}");
    answered(page(status, "Not revoked", &body), status, refusal)
}

fn revocation(action: &str, token: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\
         <button>Revoke these keys</button></form>"
    )
}

/// A refusal for the person who sent the form, with the form once more where another try may help.
pub(super) fn refused(refusal: IssuerError, form: &Form, token: Option<&str>) -> Response {
    let status = StatusCode::from_u16(refusal.code().status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let (text, is_another_try) = match &refusal {
        IssuerError::WrongPassword => ("That is not the right password.".to_owned(), true),
        IssuerError::WeakPassword { hint, .. } => (escaped(hint), true),
        IssuerError::Malformed { field: "password" } => ("A password has at most 256 bytes.".to_owned(), true),
        IssuerError::Malformed { field: "token" } => (
            "This link is not whole: mail programs sometimes cut off the end of a long one. Copy all of it from the mail into the address \
             bar, or ask for a new one."
                .to_owned(),
            false,
        ),
        IssuerError::Malformed { .. } => {
            ("The form did not arrive as it was sent. Open the link of the mail once more.".to_owned(), false)
        }
        IssuerError::RegistrationClosed { .. } => ("This site takes no registrations now.".to_owned(), false),
        _ if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS => {
            ("That did not work just now. Please try again in a moment.".to_owned(), true)
        }
        _ => ("This link was used, has ended, or was tried too often. You can ask for a new one.".to_owned(), false),
    };
    let message = format!("<p class=\"refused\" role=\"alert\">{text}</p>");
    let body = match token.filter(|_| is_another_try) {
        Some(token) => format!("{message}{}", fields(form, form.again, token)),
        None => format!("<h1>{}</h1>{message}", form.title),
    };
    answered(page(status, form.title, &body), status, refusal)
}

/// The status and headers of a page that refuses.
fn answered(mut response: Response, status: StatusCode, refusal: IssuerError) -> Response {
    if status == StatusCode::UNAUTHORIZED {
        let challenge = format!("HTTPSig error=\"{}\"", refusal.code().as_str());
        response.headers_mut().extend(HeaderValue::from_str(&challenge).ok().map(|value| (WWW_AUTHENTICATE, value)));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response.extensions_mut().insert(PageError(Arc::new(refusal)));
    response
}

fn fields(form: &Form, action: &str, token: &str) -> String {
    let Form { title, text, label, autocomplete, button, otherwise, .. } = form;
    format!(
        "<h1>{title}</h1><p>{text}</p><form method=\"post\" action=\"{action}\">\
         <input type=\"hidden\" name=\"token\" value=\"{token}\">\
         <label for=\"password\">{label}</label>\
         <input id=\"password\" name=\"password\" type=\"password\" required maxlength=\"768\" \
         autocomplete=\"{autocomplete}\" autofocus>\
         <button>{button}</button></form><p class=\"small\">{otherwise}</p>"
    )
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    // The hash lets this one style in, and nothing that an attacker could add to the page (CSP 3 §6.7.3.3).
    let style = Base64::encode_string(&Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    );
    let headers: [(HeaderName, &str); 3] =
        [(CACHE_CONTROL, "no-store"), (CONTENT_SECURITY_POLICY, &policy), (REFERRER_POLICY, "no-referrer")];
    (status, headers, Html(html)).into_response()
}

/// Advice comes from a library, and might one day quote the password.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
