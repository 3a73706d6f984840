//! Proves who is calling: an API key in any of its four ways, or a user's access token (profile §4, §7).

use super::app::App;
use super::client::{address, source};
use super::credentials::{self, Credential, is_bearer_shown, scheme_and_rest};
use super::layers::beneath::SentTo;
use bmap_issuer::account::service::SignedIn;
use bmap_issuer::authenticate::Caller;
use bmap_issuer::error::IssuerError;
use bmap_issuer::grant::Renewable;
use bmap_issuer::link::caller::LinkCaller;
use bmap_issuer::request_limits::RateKey;
use bmap_issuer::signed;
use bmap_issuer::users::Admin;
use bmap_model::audit::{Action, Source};
use bmap_model::keys::last_use::{LastUse, Way};
use bmap_protocol::check;
use bmap_protocol::fields::Fields;
use bmap_protocol::ids::ApiKeyId;
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::refusal::Refusal;
use bmap_protocol::token::{Assurance, Claims, Subject};
use bmap_verifier::Principal;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http_body_util::Full;

impl App {
    /// The caller with an API key, by any of the four ways (profile §4, §7). `action` is the act that it asks for.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn caller(&self, head: &Parts, body: &Bytes, action: Action) -> Result<Caller, IssuerError> {
        self.caller_with_form(head, body, None, action).await
    }

    /// The same, where the form may have the key's id and its secret in the place of these.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub(super) async fn caller_with_form(
        &self,
        head: &Parts,
        body: &Bytes,
        in_form: Option<(&str, &str)>,
        action: Action,
    ) -> Result<Caller, IssuerError> {
        let source = source(head, action);
        let credential = credentials::find_with_form(&head.headers, in_form)?;
        let caller = self.proved_caller(head, body, credential, source).await?;
        self.count(RateKey::Key(&caller.key.id))?;
        Ok(caller)
    }

    async fn proved_caller(
        &self,
        head: &Parts,
        body: &Bytes,
        credential: Credential,
        source: Source,
    ) -> Result<Caller, IssuerError> {
        let (caller, way) = match credential {
            Credential::Secret(way, presented) => (self.issuer.caller_by_secret(&presented, &source).await?, way),
            Credential::Signature => match self.verify(head, body, &source).await?.principal() {
                Principal::ApiKey(grant) => {
                    let key = self.issuer.open_key(&grant.id).await?;
                    (self.issuer.caller(key, &source)?, Way::Signature)
                }
                _ => return Err(IssuerError::BadCredential),
            },
        };
        let source_address = caller.source.ip();
        self.last_uses.note(&caller.key.id, LastUse { at: self.issuer.clock.now(), address: source_address, way });
        Ok(caller)
    }

    /// The admin who is calling: signed in, or with an API key of its own that administers, by whichever of the four ways. The session is there
    /// where they are signed in.
    ///
    /// # Errors
    /// [`IssuerError`]; for a known caller who is no admin [`IssuerError::NotAdmin`].
    pub(super) async fn admin(
        &self,
        head: &Parts,
        body: &Bytes,
        action: Action,
    ) -> Result<(Admin, Option<SignedIn>), IssuerError> {
        if !is_bearer_shown(&head.headers) {
            let caller = self.caller(head, body, action).await?;
            return Ok((self.issuer.admin(caller.user, Some(&caller.key), &caller.source)?, None));
        }
        let signed_in = self.signed_in(head, action).await?;
        let admin = self.issuer.admin(signed_in.user.clone(), None, &signed_in.source)?;
        Ok((admin, Some(signed_in)))
    }

    /// The signed-in caller of a request. `action` is the act that they ask for.
    ///
    /// # Errors
    /// [`IssuerError`]; no token at all is answered like a bad one.
    pub(super) async fn signed_in(&self, head: &Parts, action: Action) -> Result<SignedIn, IssuerError> {
        let source = source(head, action);
        let mut values = head.headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(IssuerError::BadAccessToken) };
        let (scheme, token) = value.to_str().ok().and_then(scheme_and_rest).ok_or(IssuerError::BadAccessToken)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(IssuerError::BadAccessToken);
        }
        self.user_of_access_token(token, &source).await
    }

    /// The user of this access token, wherever the request holds it. The request counts as theirs from here on.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub(super) async fn user_of_access_token(&self, token: &str, source: &Source) -> Result<SignedIn, IssuerError> {
        let signed_in = self.accounts.signed_in(&self.issuer.read_access(token)?, source).await?;
        self.count(RateKey::User(&signed_in.user.id))?;
        Ok(signed_in)
    }

    /// The verified token that a request was signed with, which must be the one that it asks to renew.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub(super) async fn renewable(
        &self,
        head: &Parts,
        body: &Bytes,
        subject: &str,
        source: &Source,
    ) -> Result<Renewable, IssuerError> {
        let claims = self.tool_token(head, body, source).await?;
        let signed_with = check::authorization(&Fields::of(&head.headers))?.ok_or(IssuerError::OtherSubject)?;
        if signed_with.compact() != subject {
            return Err(IssuerError::OtherSubject);
        }
        signed::renewable(&claims)
    }

    /// The claims of the verified tool token that a request was signed with. It is counted to its caller.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub(super) async fn tool_token(&self, head: &Parts, body: &Bytes, source: &Source) -> Result<Claims, IssuerError> {
        let verified = self.verify(head, body, source).await?;
        let claims = verified.claims().ok_or(IssuerError::OtherSubject)?;
        match (&claims.subject, claims.assurance) {
            (Subject::User(user), Assurance::User) => self.count(RateKey::User(user))?,
            _ => self.count(RateKey::Key(&claims.client_id))?,
        }
        Ok(claims.clone())
    }

    /// The verifier of a tool that sent a request. It counts as its tool's from here on.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub(super) async fn linked_verifier(&self, head: &Parts, body: &Bytes) -> Result<LinkCaller, IssuerError> {
        let as_sent = as_sent(head);
        let caller = self.issuer.link_caller(as_sent.as_ref().unwrap_or(head), body).await?;
        self.count(RateKey::Tool(&caller.tool.id))?;
        Ok(caller)
    }

    async fn verify(
        &self,
        head: &Parts,
        body: &Bytes,
        source: &Source,
    ) -> Result<bmap_verifier::Verified, IssuerError> {
        let body = Full::new(body.clone());
        let as_sent = as_sent(head);
        let head = as_sent.as_ref().unwrap_or(head);
        match self.verifier.verify(head, body, Some(address(head)), &*self.issuer).await {
            Ok((verified, _)) => Ok(verified),
            Err(refusal) => {
                if let Refusal::InvalidSignature(_) = refusal
                    && let Ok(signature) = UnverifiedSignature::parse(&Fields::of(&head.headers))
                    && let Ok(id) = ApiKeyId::parse(signature.key_id)
                {
                    self.issuer.note_attempt(&id, source).await?;
                }
                Err(refusal.into())
            }
        }
    }
}

/// The head with the target that the client sent, which its signature covers, where the routes see another one.
fn as_sent(head: &Parts) -> Option<Parts> {
    let sent = head.extensions.get::<SentTo>()?;
    let mut head = head.clone();
    head.uri = sent.0.clone();
    Some(head)
}
