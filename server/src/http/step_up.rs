//! A step-up on a request: `Bmap-Step-Up` (profile §7). Each route whose act outlives the session takes it as an argument.

use super::app::App;
use super::argument::Argument;
use super::openapi::doc::Doc;
use axum::extract::FromRequestParts;
use bmap_issuer::account::service::SignedIn;
use bmap_issuer::error::IssuerError;
use bmap_model::account::step_up::SteppedUp;
use bmap_model::issuer_code::IssuerCode;
use http::request::Parts;
use std::convert::Infallible;
use zeroize::Zeroizing;

/// The header.
pub const HEADER: &str = "bmap-step-up";
/// Its grammar.
const PATTERN: &str = "^bmu_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$";
/// Its description in the document.
const ABOUT_HEADER: &str = "The `step_up` of `/auth/login`, `/auth/openid/token` or `/auth/step-up`: good once, for five minutes, and in \
                            its own session. Without it 403 `step_up_required`";

/// The step-up that a request shows, unchecked: the handler demands it when it has read the request.
pub struct ShownStepUp(Option<Zeroizing<String>>);

impl FromRequestParts<App> for ShownStepUp {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _: &App) -> Result<Self, Infallible> {
        let mut values = head.headers.get_all(HEADER).iter();
        let shown = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        };
        Ok(Self(shown.map(|text| Zeroizing::new(text.to_owned()))))
    }
}

impl Argument for ShownStepUp {
    fn describe(doc: Doc) -> Doc {
        doc.reads_header(HEADER, PATTERN, ABOUT_HEADER).refuses(IssuerCode::StepUpRequired)
    }
}

impl ShownStepUp {
    /// The step-up of the user who is signed in. It is used up by what takes the [`SteppedUp`]: the transaction of the act, or
    /// [`use_step_up`](bmap_issuer::account::service::AccountService::use_step_up) before it.
    ///
    /// # Errors
    /// [`IssuerError::StepUpRequired`] for none, several, and one that is not good.
    pub async fn demand(&self, app: &App, signed_in: &SignedIn) -> Result<SteppedUp, IssuerError> {
        app.accounts.stepped_up(signed_in, self.0.as_ref().map(|text| text.as_str())).await
    }
}
