//! `/users…`: the administration of users, for admins.

pub(crate) mod id;

use crate::http::action;
use crate::http::app::App;
use crate::http::caller::AdminCaller;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use crate::http::query::QueryFields;
use crate::http::query::QueryOf;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_issuer::users::UserRecord;
use bmap_model::user::UserState;
use bmap_protocol::ids::UserId;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Users on a page, where the caller doesn't say.
const PAGE: u32 = 50;
/// Most users on a page.
const MAX_PAGE: u32 = 200;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsersQuery {
    /// The `next_cursor` of the page before.
    #[param(pattern = "^usr_[0-9a-f]{32}$")]
    cursor: Option<String>,
    /// Users on a page; 50 where it is not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl QueryFields for UsersQuery {}

/// A user.
#[derive(Serialize, ToSchema)]
struct UserAnswer<'a> {
    id: &'a str,
    name: &'a str,
    /// Null for a user without a password.
    #[schema(required)]
    email: Option<&'a str>,
    /// `member` or `admin`.
    role: &'static str,
    /// `active` or `deactivated`.
    state: &'static str,
    created_at: i64,
    #[schema(required)]
    deactivated_at: Option<i64>,
}

impl<'a> UserAnswer<'a> {
    fn of(record: &'a UserRecord) -> Self {
        let user = &record.user;
        let (state, deactivated_at) = match user.state {
            UserState::Active => ("active", None),
            UserState::Deactivated { at } => ("deactivated", Some(at.0)),
        };
        Self {
            id: user.id.as_str(),
            name: user.name.as_str(),
            email: record.email.as_ref().map(|email| email.as_str()),
            role: record.role.as_str(),
            state,
            created_at: user.created_at.0,
            deactivated_at,
        }
    }
}

/// A page of users.
#[derive(Serialize, ToSchema)]
struct UsersAnswer<'a> {
    users: Vec<UserAnswer<'a>>,
    /// For the next page; null on the last one.
    #[schema(required)]
    next_cursor: Option<&'a str>,
    server_time: i64,
}

/// `GET /users`: users, oldest first, a page at a time.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(
    _: AdminCaller<action::Request>,
    State(app): State<App>,
    QueryOf(query): QueryOf<UsersQuery>,
) -> Result<Response, RouteError> {
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(IssuerError::Malformed { field: "limit" }.into());
    }
    let after = query.cursor.as_deref().map(UserId::parse).transpose();
    let after = after.map_err(|_| IssuerError::Malformed { field: "cursor" })?;
    // One more than the page holds says whether there is a next one.
    let records = app.issuer.user_records(after.as_ref(), limit.saturating_add(1)).await?;
    let page = records.get(..usize::try_from(limit).unwrap_or(usize::MAX)).unwrap_or(&records);
    let is_last = page.len() == records.len();
    let answer = UsersAnswer {
        users: page.iter().map(UserAnswer::of).collect(),
        next_cursor: page.last().filter(|_| !is_last).map(|record| record.user.id.as_str()),
        server_time: app.issuer.clock.now().0,
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("Users, oldest first, a page at a time").answers::<UsersAnswer<'_>>(StatusCode::OK, "A page of users")
}

/// The shared documentation of the routes of one user.
fn doc_of_one(summary: &'static str) -> Doc {
    Doc::new(summary).answers::<UserAnswer<'_>>(StatusCode::OK, "The user as it is then")
}

/// The user as it is now.
async fn answer(app: &App, id: &UserId) -> Result<Response, RouteError> {
    let record = app.issuer.user_record(id).await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(UserAnswer::of(&record))).into_response())
}
