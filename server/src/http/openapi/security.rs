//! How callers say who they are, in the document's terms.

use crate::http::access::Access;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};

/// Every scheme, by its name.
pub(super) fn schemes() -> Vec<(&'static str, SecurityScheme)> {
    let header =
        |name: &str, text: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, text)));
    let http = |scheme: HttpAuthScheme, text: &str| {
        SecurityScheme::Http(HttpBuilder::new().scheme(scheme).description(Some(text)).build())
    };
    vec![
        ("accessToken", http(HttpAuthScheme::Bearer, "A user's access token, from `/auth/login` (RFC 6750).")),
        ("basic", http(HttpAuthScheme::Basic, "An API key: its id and its secret (RFC 7617).")),
        ("apiKey", header("authorization", "An API key: `ApiKey ` and the base64 of its id, a colon and its secret.")),
        ("xApiKey", header("x-api-key", "An API key's id, in base64. Goes with `x-api-secret`.")),
        ("xApiSecret", header("x-api-secret", "An API key's secret, in base64. Goes with `x-api-key`.")),
        (
            "signature",
            header(
                "signature",
                "The request signed with an API key (RFC 9421, tag `bmap-1`), with `Signature-Input` and, where there is a \
                 body, `Content-Digest`. No secret travels.",
            ),
        ),
        (
            "linkSignature",
            header(
                "signature",
                "The request signed with a tool's link key (RFC 9421, tag `bmap-link-1`), with `Signature-Input` and, where there is a \
                 body, `Content-Digest`.",
            ),
        ),
        (
            "toolToken",
            header(
                "authorization",
                "`HTTPSig ` and a tool's token, on a request that is signed with that token's key (RFC 9421, tag `bmap-1`).",
            ),
        ),
    ]
}

/// The credentials that a route asks for: one of these.
pub(super) fn of(access: Access) -> Vec<SecurityRequirement> {
    match access {
        Access::Open | Access::OwnProof => Vec::new(),
        Access::User => vec![one("accessToken")],
        Access::Credential => api_key(),
        Access::Verifier => vec![link_key()],
        Access::Admin => [one("accessToken")].into_iter().chain(api_key()).collect(),
    }
}

/// An API key in one of its four ways.
fn api_key() -> Vec<SecurityRequirement> {
    vec![one("basic"), one("apiKey"), one("xApiKey").add("xApiSecret", none()), one("signature")]
}

/// The requirement that nothing is required.
pub(super) fn nothing() -> SecurityRequirement {
    SecurityRequirement::default()
}

/// A tool's token on a signed request.
pub(super) fn tool_token() -> SecurityRequirement {
    one("toolToken").add("signature", none())
}

/// A signature with a tool's link key.
pub(super) fn link_key() -> SecurityRequirement {
    one("linkSignature")
}

fn one(name: &str) -> SecurityRequirement {
    SecurityRequirement::new(name, none())
}

fn none() -> [&'static str; 0] {
    []
}
