//! `/tools…`: tools and their grants, for admins.

pub(crate) mod id;
mod policy;
pub(super) mod view;

use crate::http::action;
use crate::http::app::App;
use crate::http::body::JsonForm;
use crate::http::caller::AdminCaller;
use crate::http::caller::SignedInAdmin;
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::problem::RouteError;
use crate::http::step_up::ShownStepUp;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::account::service::SignedIn;
use bmap_issuer::error::IssuerError;
use bmap_issuer::keys::form::{self, invalid};
use bmap_model::issuer_code::IssuerCode;
use bmap_model::mail::act::Act;
use bmap_model::page_origin::{base_url, page_origin};
use bmap_model::scope::Scopes;
use bmap_model::stored_origin::StoredOrigin;
use bmap_model::tool::{Access, CallerKinds, Tool, ToolOrigins};
use bmap_protocol::ids::ToolId;
use bmap_protocol::origin::Origin;
use bmap_protocol::token::Assurance;
use http::StatusCode;
use http::header::{CACHE_CONTROL, LOCATION};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use view::{OneToolAnswer, ToolView};

/// Most origins of a tool that are named over HTTP.
const MAX_ORIGINS: usize = 64;

/// A new tool.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToolForm {
    #[schema(required, value_type = grammar::ToolId)]
    id: Option<String>,
    /// Its public base URL: scheme, host and port only.
    #[schema(required, value_type = grammar::Origin)]
    base_url: Option<String>,
    /// Pages that may use it; `*` alone, as where nothing is said, for every page that an API key registered.
    #[schema(value_type = Option<Vec<grammar::ToolOrigin>>, min_items = 1, max_items = 64)]
    origins: Option<Vec<String>>,
    /// The lowest assurance that it accepts; `origin` where it is not said.
    min_assurance: Option<view::AssuranceWord>,
    /// Scopes that tokens for it may have.
    #[schema(value_type = Option<grammar::Scope>)]
    scopes: Option<String>,
    /// Scopes that every token for it must have.
    #[schema(value_type = Option<grammar::Scope>)]
    required_scopes: Option<String>,
    /// Which users may have it; `granted` where it is not said.
    access: Option<view::AccessWord>,
    /// The kinds of callers that it takes; `page` and `direct` where it is not said.
    #[schema(min_items = 1, max_items = 4)]
    callers: Option<Vec<view::CallerWord>>,
    /// While it is open: the scopes that a user without a grant may have. They hold the required ones.
    #[schema(value_type = Option<grammar::Scope>)]
    open_scopes: Option<String>,
    /// What is asked of its requests beside.
    #[schema(value_type = Option<policy::PolicySchema>)]
    policy: Option<policy::PolicyForm>,
}

/// Every tool.
#[derive(Serialize, ToSchema)]
struct ToolsAnswer {
    tools: Vec<ToolView>,
    server_time: i64,
}

/// `GET /tools`: every tool, by id.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(_: AdminCaller<action::Request>, State(app): State<App>) -> Result<Response, RouteError> {
    let tools = app.issuer.store.tools().await.map_err(IssuerError::from)?;
    let view = |tool: &Tool| ToolView::of(tool, &app.issuer.roots);
    let answer = ToolsAnswer { tools: tools.iter().map(view).collect(), server_time: app.issuer.clock.now().0 };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("Tools").answers::<ToolsAnswer>(StatusCode::OK, "Every tool, by id")
}

/// `POST /tools`: adds one: 201.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    admin: SignedInAdmin<action::ToolCreate>,
    State(app): State<App>,
    JsonForm(form): JsonForm<NewToolForm>,
    shown: ShownStepUp,
) -> Result<Response, RouteError> {
    let SignedInAdmin { admin, signed_in, .. } = admin;
    let tool = read(form, &app)?;
    app.issuer.tools().check_new(&tool).await?;
    use_step_up(&app, &shown, &signed_in, Act::ToolAdded(tool.id.clone())).await?;
    let tool = app.issuer.tools().add(tool, &admin.source).await?;
    let location = [(LOCATION, format!("/tools/{}", tool.id))];
    Ok((StatusCode::CREATED, location, answer(&app, &tool)).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Add a tool")
        .about(
            "For a signed-in admin, with a step-up. Its credential is made on the issuer's machine: `bmap tool credential`.",
        )
        .answers::<OneToolAnswer>(StatusCode::CREATED, "The tool")
        .with_header("location", "The tool's path")
        .refuses(IssuerCode::InvalidState)
}

/// Uses up the step-up that the admin shows (profile §7): a tool that is added or changed outlives the session, and may be open to all. The
/// change itself follows in a transaction of its own.
///
/// # Errors
/// [`IssuerError::StepUpRequired`].
async fn use_step_up(app: &App, shown: &ShownStepUp, signed_in: &SignedIn, act: Act) -> Result<(), IssuerError> {
    let stepped_up = shown.demand(app, signed_in).await?;
    app.accounts.use_step_up(&app.accounts.with_notices(stepped_up, act, &[]).await?).await
}

fn answer(app: &App, tool: &Tool) -> Response {
    let answer = OneToolAnswer { tool: ToolView::of(tool, &app.issuer.roots), server_time: app.issuer.clock.now().0 };
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

fn read(form: NewToolForm, app: &App) -> Result<Tool, IssuerError> {
    let id = form.id.ok_or_else(|| invalid("id", "1 to 32 of a-z, 0-9 and -"))?;
    let base_url = form.base_url.ok_or_else(|| invalid("base_url", "the tool's public address"))?;
    let scopes = |field, text: Option<String>| form::scopes(field, &text.unwrap_or_default());
    Ok(Tool {
        id: ToolId::parse(&id).map_err(|error| invalid("id", error.to_string()))?,
        base_url: url(&base_url)?.into(),
        origins: form.origins.map_or(Ok(ToolOrigins::AnyRegistered), |texts| origins(&texts))?,
        min_assurance: form.min_assurance.map_or(Assurance::Origin, Into::into),
        scopes: scopes("scopes", form.scopes)?,
        required_scopes: scopes("required_scopes", form.required_scopes)?,
        access: form.access.map_or(Access::Granted, Into::into),
        callers: form.callers.map_or(Ok(CallerKinds::default()), |words| callers(&words))?,
        open_scopes: scopes("open_scopes", form.open_scopes)?,
        policy: form.policy.unwrap_or_default().0,
        created_at: app.issuer.clock.now(),
        seal: None,
    })
}

fn url(text: &str) -> Result<Origin, IssuerError> {
    base_url(text).map_err(|problem| invalid("base_url", problem))
}

fn scopes(field: &'static str, text: &str) -> Result<Scopes, IssuerError> {
    form::scopes(field, text)
}

fn callers(words: &[view::CallerWord]) -> Result<CallerKinds, IssuerError> {
    CallerKinds::of(words.iter().map(|word| (*word).into())).map_err(|error| invalid("callers", error.to_string()))
}

fn origins(texts: &[String]) -> Result<ToolOrigins, IssuerError> {
    if texts.iter().any(|text| text == "*") {
        return match texts {
            [_] => Ok(ToolOrigins::AnyRegistered),
            _ => Err(invalid("origins", "\"*\" stands for every page and goes with no other")),
        };
    }
    if !(1..=MAX_ORIGINS).contains(&texts.len()) {
        return Err(invalid("origins", "1 to 64, or \"*\""));
    }
    let parse = |(index, text): (usize, &String)| {
        let read = page_origin(text).map(StoredOrigin::from);
        read.map_err(|problem| invalid("origins", format!("entry {}: {problem}", index.saturating_add(1))))
    };
    texts.iter().enumerate().map(parse).collect::<Result<_, _>>().map(ToolOrigins::Only)
}
