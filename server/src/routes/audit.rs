//! `GET /audit`: the audit log, for admins.

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
use bmap_issuer::audit::page;
use bmap_issuer::error::IssuerError;
use bmap_model::audit::Action;
use bmap_model::audit::chain::{Content, Row};
use bmap_model::audit::query::{Cursor, Filter, MAX_PAGE, OutcomeFilter};
use bmap_model::problem_code::ProblemCode;
use bmap_protocol::ids::UserId;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Entries on a page, where the caller doesn't say.
const PAGE: u32 = 50;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// A kind of actor (`user`, `api_key`, `command_line`, `anonymous`, `system`), an id, or the id of the user behind it.
    #[param(pattern = "^[a-z0-9_-]{1,64}$")]
    actor: Option<String>,
    /// The action: `api_key.create`, `token.grant`, …
    action: Option<String>,
    /// A kind of target (`user`, `api_key`, `session`, `tool`, `token`), an id, or the id of the user behind it.
    #[param(pattern = "^[a-z0-9_-]{1,64}$")]
    target: Option<String>,
    /// `done`, `refused`, or the code of a refusal.
    outcome: Option<String>,
    /// Not before that, unix milliseconds.
    from: Option<i64>,
    /// Before that, unix milliseconds.
    to: Option<i64>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Entries on a page; 50 where it is not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl QueryFields for AuditQuery {
    fn describe(doc: Doc) -> Doc {
        let outcomes = ["done", "refused"].into_iter().chain(ProblemCode::all().map(ProblemCode::as_str));
        doc.query::<Self>()
            .one_of("action", Action::ALL.iter().map(|action| action.as_str()))
            .one_of("outcome", outcomes)
    }
}

/// An entry of the audit log.
#[derive(Serialize, ToSchema)]
struct AuditEntry {
    sequence: i64,
    at: i64,
    action: String,
    /// `done`, or the code that the caller was refused with.
    outcome: String,
    actor: AuditSubject,
    #[schema(required)]
    target: Option<AuditSubject>,
    #[schema(required)]
    address: Option<String>,
    #[schema(required)]
    request_id: Option<String>,
    detail: BTreeMap<String, String>,
}

/// The actor or the target.
#[derive(Serialize, ToSchema)]
struct AuditSubject {
    kind: String,
    #[schema(required)]
    id: Option<String>,
    /// The user behind it.
    #[schema(required)]
    user: Option<String>,
}

/// A page of the audit log.
#[derive(Serialize, ToSchema)]
struct AuditPage {
    entries: Vec<AuditEntry>,
    /// For the next page; null on the last one. A page with few entries, or none, is not the last one for that.
    #[schema(required)]
    next_cursor: Option<String>,
    server_time: i64,
}

/// Every entry: 200 with a page, newest first.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(
    _: AdminCaller<action::Request>,
    State(app): State<App>,
    QueryOf(query): QueryOf<AuditQuery>,
) -> Result<Response, RouteError> {
    Ok(answer(&app, query, None).await?)
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    doc("The audit log, newest first, a page at a time")
}

pub(super) async fn answer(app: &App, query: AuditQuery, of: Option<UserId>) -> Result<Response, IssuerError> {
    let (filter, cursor, limit) = read(query, of)?;
    let (rows, next) = page::page(&app.issuer.store, &filter, cursor, limit).await?;
    let page = AuditPage {
        entries: rows.into_iter().map(|row| entry(row, filter.of.as_ref())).collect(),
        next_cursor: next.map(Cursor::to_text),
        server_time: app.issuer.clock.now().0,
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(page)).into_response())
}

fn read(query: AuditQuery, of: Option<UserId>) -> Result<(Filter, Option<Cursor>, u32), IssuerError> {
    let malformed = |field| IssuerError::Malformed { field };
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(malformed("limit"));
    }
    let action = query.action.as_deref().map(|name| Action::from_name(name).ok_or(malformed("action")));
    let outcome = query.outcome.as_deref().map(|text| OutcomeFilter::parse(text).ok_or(malformed("outcome")));
    let cursor = query.cursor.as_deref().map(|text| Cursor::parse(text).ok_or(malformed("cursor")));
    if !query.actor.as_deref().is_none_or(is_plain) {
        return Err(malformed("actor"));
    }
    if !query.target.as_deref().is_none_or(is_plain) {
        return Err(malformed("target"));
    }
    let filter = Filter {
        actor: query.actor,
        action: action.transpose()?,
        target: query.target,
        outcome: outcome.transpose()?,
        from: query.from,
        to: query.to,
        of,
    };
    Ok((filter, cursor.transpose()?, limit))
}

/// Whether it can be a kind or an id.
fn is_plain(text: &str) -> bool {
    let is_in_one = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(is_in_one)
}

/// An entry as `of` may see it: without the address and the request id of another user.
fn entry(row: Row, of: Option<&UserId>) -> AuditEntry {
    let Content { actor, actor_id, actor_user, target, target_id, target_user, .. } = row.content;
    let is_of_another = of.is_some_and(|of| actor != "anonymous" && actor_user.as_deref() != Some(of.as_str()));
    let whence = |text: Option<String>| text.filter(|_| !is_of_another);
    AuditEntry {
        sequence: row.sequence,
        at: row.content.at,
        action: row.content.action,
        outcome: row.content.outcome,
        address: whence(row.content.address),
        request_id: whence(row.content.request_id),
        actor: AuditSubject { kind: actor, id: actor_id, user: actor_user },
        target: target.map(|kind| AuditSubject { kind, id: target_id, user: target_user }),
        // It is ours: an edited one is for `bmap audit verify` to find.
        detail: serde_json::from_str(&row.content.detail).unwrap_or_default(),
    }
}

pub(super) fn doc(summary: &'static str) -> Doc {
    Doc::new(summary).answers::<AuditPage>(StatusCode::OK, "A page of entries")
}
