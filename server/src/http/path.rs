//! Ids in a route's path. One that is malformed is answered like one that is unknown.

use super::app::App;
use super::argument::Argument;
use super::openapi::doc::Doc;
use super::problem::RouteError;
use axum::extract::{FromRequestParts, Path};
use bmap_issuer::error::IssuerError;
use bmap_model::issuer_code::IssuerCode;
use bmap_model::session::SessionId;
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use http::request::Parts;

/// The `{id}` of a path.
pub struct PathId<T>(pub T);

/// What has an id in a path.
pub trait InPath: Sized + Send {
    /// What it is, for the refusal.
    const KIND: &'static str;
    /// What the document says of it.
    const ABOUT: &'static str;
    /// Whether it stands there byte for byte, so that it has one address.
    const IS_VERBATIM: bool = false;

    /// The id in a text.
    fn parse(text: &str) -> Option<Self>;
}

impl InPath for UserId {
    const KIND: &'static str = "user";
    const ABOUT: &'static str = "The user's id";

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl InPath for ToolId {
    const KIND: &'static str = "tool";
    const ABOUT: &'static str = "The tool's id";

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl InPath for ApiKeyId {
    const KIND: &'static str = "API key";
    const ABOUT: &'static str = "The key's id";
    const IS_VERBATIM: bool = true;

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl InPath for SessionId {
    const KIND: &'static str = "session";
    const ABOUT: &'static str = "The session's id";

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl<T: InPath> FromRequestParts<App> for PathId<T> {
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, RouteError> {
        let text = Path::<String>::from_request_parts(head, app).await.ok().map(|Path(text)| text);
        let is_there = |text: &String| !T::IS_VERBATIM || head.uri.path().split('/').any(|part| part == text);
        let id = text.filter(is_there).and_then(|text| T::parse(&text));
        Ok(Self(id.ok_or(IssuerError::NotFound { what: T::KIND })?))
    }
}

impl<T: InPath> Argument for PathId<T> {
    fn describe(doc: Doc) -> Doc {
        doc.path_part("id", T::ABOUT).refuses(IssuerCode::NotFound)
    }
}
