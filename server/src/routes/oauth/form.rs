//! The form of an OAuth endpoint, read field by field.

use crate::http::body;
use bmap_issuer::error::IssuerError;
use bmap_issuer::token::requested_tool::{RequestedTool, Resource};
use bmap_model::audit::detail::Fact;
use bmap_model::scope::Scopes;
use bmap_protocol::ids::{ApiKeyId, ToolId};
use bmap_protocol::origin::Origin;
use http::HeaderMap;
use http::header::ORIGIN;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The page that asks. `http/layers/middleware.rs` has already refused an unregistered origin.
pub(super) fn page_origin(headers: &HeaderMap) -> Result<Origin, IssuerError> {
    let mut values = headers.get_all(ORIGIN).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => {
            value.to_str().ok().and_then(|text| Origin::parse(text).ok()).ok_or(IssuerError::OriginDenied)
        }
        (None, _) => Err(IssuerError::OriginDenied),
        (Some(_), Some(_)) => Err(IssuerError::Malformed { field: "origin" }),
    }
}

/// The fields that a form may have.
const FIELDS: [&str; 14] = [
    "grant_type",
    "audience",
    "subject_token",
    "subject_token_type",
    "client_id",
    "client_secret",
    "refresh_token",
    "scope",
    "encrypt",
    "requested_token_type",
    "resource",
    "token",
    "token_type_hint",
    "path_prefix",
];

/// A form without repeated fields (RFC 6749 §3.2).
pub(super) struct Form(BTreeMap<String, Zeroizing<String>>);

impl Form {
    pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, IssuerError> {
        if !body::is(headers, "application/x-www-form-urlencoded") {
            return Err(IssuerError::MediaType);
        }
        let pairs: Vec<(String, Zeroizing<String>)> =
            serde_urlencoded::from_bytes(body).map_err(|_| IssuerError::Malformed { field: "body" })?;
        let mut form = BTreeMap::new();
        for (name, value) in pairs {
            if name == "resource" && form.contains_key(&name) {
                // RFC 8707 §2 lets a client name several; a token has one audience (profile §3).
                return Err(IssuerError::InvalidResource { hint: "one resource: a token is for one tool" });
            }
            if form.contains_key(&name) {
                let field = FIELDS.into_iter().find(|field| *field == name).unwrap_or("body");
                // It quotes the caller: escaped, and without what looks like a secret (T33).
                let hint = format!("the parameter {} once", Fact::of_text(&name).as_str());
                return Err(IssuerError::Invalid { field, hint });
            }
            form.insert(name, value);
        }
        Ok(Self(form))
    }

    /// A field; an empty one counts as absent (RFC 6749 §3.2).
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn text(&self, field: &'static str) -> Result<&str, IssuerError> {
        self.optional(field).ok_or(IssuerError::Malformed { field })
    }

    /// The tool, by its id or its address.
    pub(super) fn tool(&self) -> Result<RequestedTool, IssuerError> {
        let audience = self.optional("audience").map(ToolId::parse).transpose();
        let audience = audience.map_err(|_| IssuerError::Malformed { field: "audience" })?;
        RequestedTool::new(audience, self.optional("resource").map(Resource::parse).transpose()?)
    }

    pub(super) fn client(&self) -> Result<ApiKeyId, IssuerError> {
        ApiKeyId::parse(self.text("client_id")?).map_err(|_| IssuerError::Malformed { field: "client_id" })
    }

    /// The API key whose id and secret the form has (`client_secret_post`, RFC 6749 §2.3.1). An id alone proves nothing.
    pub(super) fn secret(&self) -> Option<(&str, &str)> {
        let secret = self.optional("client_secret")?;
        Some((self.optional("client_id").unwrap_or_default(), secret))
    }

    pub(super) fn scope(&self) -> Result<Option<Scopes>, IssuerError> {
        self.optional("scope").map(Scopes::parse).transpose().map_err(|_| IssuerError::Malformed { field: "scope" })
    }

    pub(super) fn encrypt(&self) -> Result<bool, IssuerError> {
        match self.optional("encrypt") {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(_) => Err(IssuerError::Malformed { field: "encrypt" }),
        }
    }
}
