//! A route's query.

use super::app::App;
use super::argument::Argument;
use super::openapi::doc::Doc;
use super::problem::RouteError;
use axum::extract::FromRequestParts;
use bmap_issuer::error::IssuerError;
use http::request::Parts;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

/// The fields of a query.
pub struct QueryOf<T>(pub T);

/// What can be the fields of a query.
pub trait QueryFields: DeserializeOwned + IntoParams + Send {
    /// The refusal of a query that has other fields, or one of them twice.
    fn malformed() -> IssuerError {
        IssuerError::Malformed { field: "query" }
    }

    /// What the document says of them.
    fn describe(doc: Doc) -> Doc {
        doc.query::<Self>()
    }
}

impl<T: QueryFields> FromRequestParts<App> for QueryOf<T> {
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, _: &App) -> Result<Self, RouteError> {
        let fields = serde_urlencoded::from_str(head.uri.query().unwrap_or_default());
        Ok(Self(fields.map_err(|_| T::malformed())?))
    }
}

impl<T: QueryFields> Argument for QueryOf<T> {
    fn describe(doc: Doc) -> Doc {
        <T as QueryFields>::describe(doc)
    }
}
