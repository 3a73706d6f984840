//! `GET /auth/me/tools`: the tools that the signed-in user may have.

use crate::http::action;
use crate::http::app::App;
use crate::http::caller::UserCaller;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::own_tools::OwnTool;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

/// A tool that is open to the user, or granted. Scopes have a space between them.
#[derive(Serialize, ToSchema)]
struct OwnToolView {
    id: String,
    base_url: String,
    /// The scopes that tokens of the user's may have at most.
    scopes: String,
    /// Those that a token has where none are asked for.
    required_scopes: String,
    /// The end of the user's grant; null without one, and for a grant without end.
    #[schema(required)]
    ends_at: Option<i64>,
    /// `open` or `granted`.
    access: &'static str,
    /// Of `page`, `direct`, `user` and `public`: the kinds of callers that it takes.
    callers: Vec<&'static str>,
}

/// The tools of the signed-in user.
#[derive(Serialize, ToSchema)]
struct OwnToolsAnswer {
    tools: Vec<OwnToolView>,
    server_time: i64,
}

impl OwnToolView {
    fn of(own: &OwnTool) -> Self {
        let OwnTool { tool, scopes, ends_at } = own;
        Self {
            id: tool.id.to_string(),
            base_url: tool.base_url.to_string(),
            scopes: scopes.to_string(),
            required_scopes: tool.required_scopes.to_string(),
            ends_at: ends_at.map(|end| end.0),
            access: tool.access.as_str(),
            callers: tool.callers.words().collect(),
        }
    }
}

/// The tools that are open to the user, or granted, by id.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(
    UserCaller { signed_in, .. }: UserCaller<action::Request>,
    State(app): State<App>,
) -> Result<Response, RouteError> {
    let tools = app.issuer.tools_of(&signed_in.user.id).await?;
    let answer =
        OwnToolsAnswer { tools: tools.iter().map(OwnToolView::of).collect(), server_time: app.issuer.clock.now().0 };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("The tools that the signed-in user may have")
        .about("Those that are open, and those that are granted to the user and whose grant has not ended.")
        .answers::<OwnToolsAnswer>(StatusCode::OK, "The tools, by id")
}
