//! `/users…`: the administration of users, for admins.

pub mod activate;
pub mod deactivate;
pub mod role;
pub mod user;

use super::body;
use super::problem::Refused;
use crate::domain::audit::Action;
use crate::domain::issuer_code::IssuerCode;
use crate::domain::refusal::Refusal;
use crate::domain::user::UserState;
use crate::domain::users::UserRecord;
use crate::openapi::Doc;
use crate::router::App;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
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
struct UsersQuery {
    /// The `next_cursor` of the page before.
    #[param(pattern = "^usr_[0-9a-f]{32}$")]
    cursor: Option<String>,
    /// Users on a page; 50 where it is not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

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
/// [`Refused`].
pub async fn get(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    app.admin(&parts, &body::read(body).await?, Action::Request).await?;
    let query = parts.uri.query().unwrap_or_default();
    let query: UsersQuery = serde_urlencoded::from_str(query).map_err(|_| Refusal::Malformed { field: "query" })?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Refusal::Malformed { field: "limit" }.into());
    }
    let after = query.cursor.as_deref().map(UserId::parse).transpose();
    let after = after.map_err(|_| Refusal::Malformed { field: "cursor" })?;
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

/// How the document describes it.
pub fn get_doc() -> Doc {
    Doc::new("Users, oldest first, a page at a time")
        .query::<UsersQuery>()
        .answers::<UsersAnswer<'_>>(StatusCode::OK, "A page of users")
}

/// The shared documentation of the routes of one user.
fn doc_of_one(summary: &'static str) -> Doc {
    Doc::new(summary)
        .path_part("id", "The user's id")
        .answers::<UserAnswer<'_>>(StatusCode::OK, "The user as it is then")
        .refuses(IssuerCode::NotFound)
}

/// The user that a path names; a malformed id is no user's.
fn named(id: Result<Path<String>, PathRejection>) -> Result<UserId, Refusal> {
    let id = id.ok().and_then(|Path(id)| UserId::parse(&id).ok());
    id.ok_or(Refusal::NotFound { what: "user" })
}

/// The user as it is now.
async fn answer(app: &App, id: &UserId) -> Result<Response, Refused> {
    let record = app.issuer.user_record(id).await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(UserAnswer::of(&record))).into_response())
}
