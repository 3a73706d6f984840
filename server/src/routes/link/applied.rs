//! `POST /link/applied`: which changes are in force at a verifier.

use crate::http::app::App;
use crate::http::body::JsonForm;
use crate::http::caller::LinkedVerifier;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use crate::http::query::QueryOf;
use crate::routes::link::state::StateQuery;
use axum::extract::State;
use bmap_issuer::error::IssuerError;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

/// What is in force.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppliedForm {
    /// Changes up to this one are in force.
    #[schema(minimum = 0)]
    cursor: i64,
}

/// Notes it: 204.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    LinkedVerifier(caller): LinkedVerifier,
    State(app): State<App>,
    QueryOf(_): QueryOf<StateQuery>,
    JsonForm(form): JsonForm<AppliedForm>,
) -> Result<StatusCode, RouteError> {
    // One that is ahead of all changes would count as done with those that are still to come.
    if form.cursor < 0 || form.cursor > app.issuer.store.link_cursor().await? {
        return Err(IssuerError::Malformed { field: "cursor" }.into());
    }
    if !app.issuer.store.note_link_node(caller.tool.id.as_str(), &caller.node, form.cursor).await? {
        return Err(IssuerError::Busy.into());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Says which changes are in force at a verifier").answers_empty(StatusCode::NO_CONTENT, "Noted")
}
