//! A provider at work: its documents, where the browser is sent, and the swap of a code for an ID token.

use super::cached::Cached;
use super::discovery::{MAX_DISCOVERY, Metadata};
use super::fault::IdTokenFault;
use super::id_token::{self, IdToken};
use super::key_set::{KeySet, MAX_KEY_SET};
use super::provider::Provider;
use crate::openid::fault::ProviderFault;
use bmap_model::clock::WallClock;
use bmap_outbound::{Outbound, OutboundError};
use http::header::ACCEPT;
use http::{Request, Response};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use url::Url;
use zeroize::Zeroizing;

/// Longest answer of a token endpoint, in bytes.
const MAX_TOKEN_ANSWER: usize = 64 * 1024;
const DISCOVERY: &str = "discovery";
const KEY_SET: &str = "key set";
const TOKEN_ENDPOINT: &str = "token endpoint";

/// The member that OpenID adds to the answer of RFC 6749 §5.1 (OpenID Connect Core §3.1.3.3).
#[derive(Serialize, Deserialize)]
struct IdTokenField {
    id_token: Option<Zeroizing<String>>,
}

impl fmt::Debug for IdTokenField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdTokenField(…)")
    }
}

impl ExtraTokenFields for IdTokenField {}

type OpenidClient = Client<
    BasicErrorResponse,
    StandardTokenResponse<IdTokenField, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// The parameters that a browser takes to the provider.
#[derive(Debug)]
pub struct MailJob<'a> {
    /// Where it is to come back.
    pub redirect_uri: &'a str,
    /// `state`, which names the sign-in when it does.
    pub state: String,
    /// The nonce that the ID token has to hold.
    pub nonce: &'a str,
    /// Our PKCE verifier, of which the provider sees the challenge.
    pub verifier: &'a str,
    /// Whether a user who is signed in there has to sign in once more.
    pub is_fresh: bool,
}

/// A provider at work.
#[derive(Debug)]
pub struct Connection {
    provider: Arc<Provider>,
    outbound: Outbound,
    metadata: Arc<Cached<Metadata>>,
    keys: Arc<Cached<KeySet>>,
}

impl Connection {
    /// A provider that was not asked for anything yet.
    pub fn new(provider: Provider, outbound: Outbound) -> Self {
        let (metadata, keys) = (Arc::new(Cached::new(DISCOVERY)), Arc::new(Cached::new(KEY_SET)));
        Self { provider: Arc::new(provider), outbound, metadata, keys }
    }

    /// Its configuration.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Its metadata.
    ///
    /// # Errors
    /// [`ProviderFault`].
    pub async fn metadata(&self, clock: &Arc<dyn WallClock>) -> Result<Metadata, ProviderFault> {
        let (outbound, provider) = (self.outbound.clone(), Arc::clone(&self.provider));
        let fetch = move || async move {
            let url = provider.issuer.discovery();
            Metadata::read(&provider, &get(&outbound, DISCOVERY, &url, MAX_DISCOVERY).await?)
        };
        Ok(self.metadata.get(clock, fetch).await?.document.clone())
    }

    /// Where to send a browser.
    ///
    /// # Errors
    /// [`ProviderFault`].
    pub fn authorization_url(&self, metadata: &Metadata, job: MailJob<'_>) -> Result<Url, ProviderFault> {
        let client = self.client(metadata, job.redirect_uri)?;
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(job.verifier.to_owned()));
        let state = job.state;
        let scopes = self.provider.scopes.iter().map(|scope| Scope::new(scope.clone()));
        let request = client.authorize_url(|| CsrfToken::new(state)).add_scopes(scopes).set_pkce_challenge(challenge);
        let request = request.add_extra_param("nonce", job.nonce.to_owned());
        Ok(match job.is_fresh {
            // OpenID Connect Core §3.1.2.1; with `max_age` the ID token says when they did.
            true => request.add_extra_param("prompt", "login").add_extra_param("max_age", "0").url().0,
            false => request.url().0,
        })
    }

    /// Swaps a code for the ID token, which is not checked yet.
    ///
    /// # Errors
    /// [`ProviderFault`].
    pub async fn swap(
        &self,
        metadata: &Metadata,
        redirect_uri: &str,
        code: String,
        verifier: &str,
    ) -> Result<Zeroizing<String>, ProviderFault> {
        let client = self.client(metadata, redirect_uri)?;
        let outbound = self.outbound.clone();
        let send = move |request| {
            let outbound = outbound.clone();
            async move { outbound.send(request, MAX_TOKEN_ANSWER).await }
        };
        let swap = client.exchange_code(AuthorizationCode::new(code));
        let swap = swap.set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()));
        let answer = swap.request_async(&send).await.map_err(|error| match error {
            RequestTokenError::ServerResponse(_) => ProviderFault::CodeRefused,
            RequestTokenError::Request(cause) => ProviderFault::Outbound { what: TOKEN_ENDPOINT, cause },
            _ => ProviderFault::Form { what: TOKEN_ENDPOINT },
        })?;
        let id_token = answer.extra_fields().id_token.as_ref().map(|token| Zeroizing::new((**token).clone()));
        id_token.ok_or(ProviderFault::NoIdToken)
    }

    /// Checks an ID token. A key that is not in the set may be a new one, so the set is read again, now and then.
    ///
    /// # Errors
    /// [`ProviderFault`].
    pub async fn verify(
        &self,
        clock: &Arc<dyn WallClock>,
        metadata: &Metadata,
        nonce: &str,
        compact: &str,
    ) -> Result<IdToken, ProviderFault> {
        // Before the keys are asked for: noise costs no request.
        id_token::unverified_header(&self.provider, compact)?;
        let fetch = || {
            let (outbound, url) = (self.outbound.clone(), metadata.jwks_uri.clone());
            move || async move { KeySet::read(&get(&outbound, KEY_SET, url.as_str(), MAX_KEY_SET).await?) }
        };
        let keys = self.keys.get(clock, fetch()).await?;
        let checked = id_token::verify(&self.provider, &keys.document, nonce, compact, clock.now());
        if checked != Err(IdTokenFault::UnknownKey) {
            return Ok(checked?);
        }
        let keys = self.keys.newer(clock, fetch()).await?;
        Ok(id_token::verify(&self.provider, &keys.document, nonce, compact, clock.now())?)
    }

    fn client(&self, metadata: &Metadata, redirect_uri: &str) -> Result<OpenidClient, ProviderFault> {
        let redirect =
            RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| ProviderFault::Form { what: "redirect URI" })?;
        let client = Client::new(ClientId::new(self.provider.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(metadata.authorization_endpoint.clone()))
            .set_token_uri(TokenUrl::from_url(metadata.token_endpoint.clone()))
            .set_redirect_uri(redirect)
            .set_auth_type(if metadata.secret_in_form { AuthType::RequestBody } else { AuthType::BasicAuth });
        Ok(match &self.provider.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            None => client,
        })
    }
}

/// A document, which has to come with 200.
async fn get(outbound: &Outbound, what: &'static str, url: &str, limit: usize) -> Result<Vec<u8>, ProviderFault> {
    let request = Request::get(url).header(ACCEPT, "application/json").body(Vec::new());
    let request = request.map_err(|_| ProviderFault::Form { what })?;
    let answer: Result<Response<Vec<u8>>, OutboundError> = outbound.send(request, limit).await;
    let answer = answer.map_err(|cause| ProviderFault::Outbound { what, cause })?;
    match answer.status().as_u16() {
        200 => Ok(answer.into_body()),
        status => Err(ProviderFault::Status { what, status }),
    }
}
