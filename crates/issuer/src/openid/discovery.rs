//! A provider's metadata (OpenID Connect Discovery §3).

use super::provider::{Provider, ProviderIssuer};
use crate::openid::fault::ProviderFault;
use serde::Deserialize;
use url::Url;

/// Longest discovery document, in bytes.
pub const MAX_DISCOVERY: usize = 64 * 1024;
const WHAT: &str = "discovery";

/// The members that are needed.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Where the browser is sent.
    pub authorization_endpoint: Url,
    /// Where the code is swapped.
    pub token_endpoint: Url,
    /// Where its keys are.
    pub jwks_uri: Url,
    /// Whether it names itself when it sends the browser back (RFC 9207 §3): then it has to.
    pub sends_iss: bool,
    /// Whether the client secret goes into the form and not into `Authorization`.
    pub secret_in_form: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Metadata {
    /// Reads the document. Its `issuer` has to be the configured one, byte for byte: an attacker who can make us read another
    /// document must not become this provider (OpenID Connect Discovery §4.3).
    ///
    /// # Errors
    /// [`ProviderFault`].
    pub fn read(provider: &Provider, bytes: &[u8]) -> Result<Self, ProviderFault> {
        let document: Document = serde_json::from_slice(bytes).map_err(|_| ProviderFault::Form { what: WHAT })?;
        let issuer = &provider.issuer;
        if document.issuer != issuer.as_str() {
            return Err(ProviderFault::OtherIssuer);
        }
        // Without a list it is client_secret_basic (OpenID Connect Discovery §3).
        let methods = document.token_endpoint_auth_methods_supported;
        let is_listed =
            |method: &str| methods.as_ref().is_some_and(|methods| methods.iter().any(|listed| listed == method));
        Ok(Self {
            authorization_endpoint: endpoint(issuer, "authorization_endpoint", &document.authorization_endpoint)?,
            token_endpoint: endpoint(issuer, "token_endpoint", &document.token_endpoint)?,
            jwks_uri: endpoint(issuer, "jwks_uri", &document.jwks_uri)?,
            sends_iss: document.authorization_response_iss_parameter_supported,
            secret_in_form: is_listed("client_secret_post") && !is_listed("client_secret_basic"),
        })
    }
}

fn endpoint(issuer: &ProviderIssuer, name: &'static str, text: &str) -> Result<Url, ProviderFault> {
    issuer.endpoint(text).ok_or(ProviderFault::Insecure { endpoint: name })
}
