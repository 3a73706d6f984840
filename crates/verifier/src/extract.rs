//! `Verified` as an argument of an axum handler.

use crate::verify::verified::Verified;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

/// A handler asks for [`Verified`] where no [`crate::VerifyLayer`] stands in front of it: a mistake of the tool, so it
/// fails loudly and never runs the handler.
///
/// ```
/// # use axum::{Router, body::Body, routing::get};
/// # use bmap_verifier::Verified;
/// # use http::{Request, StatusCode};
/// # use tower::ServiceExt;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// // The route is there, and the layer was forgotten: nothing was verified, so the handler does not run.
/// let tool = Router::new().route("/hello", get(|caller: Verified| async move { caller.subject().to_owned() }));
/// let answer = tool.oneshot(Request::get("/hello").body(Body::empty()).unwrap()).await;
/// assert_eq!(answer.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerMissing;

impl IntoResponse for LayerMissing {
    fn into_response(self) -> Response {
        tracing::error!(
            "a handler takes `Verified`, but no `VerifyLayer` is in front of its route: nothing was verified"
        );
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Verified {
    type Rejection = LayerMissing;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, LayerMissing> {
        parts.extensions.get::<Verified>().cloned().ok_or(LayerMissing)
    }
}
