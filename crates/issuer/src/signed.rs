//! Signed requests to the issuer itself: `bmap_verifier` decides, this file only finds it the keys.

use super::body_limit::MAX_BODY;
use super::error::IssuerError;
use super::grant::Renewable;
use super::issuer::Issuer;
use crate::nonces::DatabaseNonces;
use bmap_model::api_key::KeyMaterial;
use bmap_model::issuer_path;
use bmap_model::keys::OwnedKey;
use bmap_model::problem_code::ProblemCode;
use bmap_model::scope::Scopes;
use bmap_model::session::SessionId;
use bmap_model::ticket::EndUser;
use bmap_protocol::code::Code;
use bmap_protocol::ids::{ApiKeyId, ToolId};
use bmap_protocol::keys::{MacKey, ToolKey};
use bmap_protocol::refusal::{Denial, Refusal};
use bmap_protocol::token::{Claims, IssuerKey, Subject, TokenFault, UnverifiedToken};
use bmap_verifier::credential::base_origin;
use bmap_verifier::{ApiKeyGrant, ApiKeyProof, Clock, Keys, Policy, Principal, Standing, UnixTime, Verifier};
use std::sync::Arc;
use std::time::Duration;

/// The verifier of the issuer's own routes. Nonces are used up in the database, which other issuers share and which outlives a process.
pub type IssuerVerifier = Verifier<IssuerKeyring, DatabaseNonces, IssuerKeyring>;

/// Finds the key of any tool and of any API key.
#[derive(Clone)]
pub struct IssuerKeyring(Arc<Issuer>);

/// The issuer's URL is no place that a request can come to.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "the issuer's URL is spelled otherwise than requests name it: host in lower case, no default port, a path of A-Z, a-z, 0-9 and -._~"
)]
pub struct BadIssuerUrl;

/// The verifier of the issuer's own routes.
///
/// # Errors
/// [`BadIssuerUrl`].
pub fn verifier(issuer: &Arc<Issuer>) -> Result<IssuerVerifier, BadIssuerUrl> {
    let own = base_origin(issuer.url.as_str()).ok_or(BadIssuerUrl)?;
    if !issuer_path::is_plain(issuer_path::path_of(&issuer.url)) {
        return Err(BadIssuerUrl);
    }
    let key = IssuerKey::new(issuer.signer.kid(), issuer.signer.public_key()).map_err(|_| BadIssuerUrl)?;
    let mut policy = Policy::default();
    policy.max_body = MAX_BODY;
    let keyring = IssuerKeyring(Arc::clone(issuer));
    let nonces = DatabaseNonces(issuer.store.clone());
    Ok(Verifier::new(issuer.url.clone(), vec![key], vec![own], policy, keyring.clone(), nonces, keyring))
}

impl Issuer {
    /// Now, as the verifier counts it.
    pub fn unix_time(&self) -> UnixTime {
        self.clock.now()
    }
}

impl Clock for Issuer {
    fn now(&self) -> UnixTime {
        self.unix_time()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }
}

impl Keys for IssuerKeyring {
    fn try_tool_keys(&self, token: &UnverifiedToken<'_>, try_key: &mut dyn FnMut(&ToolId, u32, &ToolKey) -> bool) {
        if let Some(tool) = token.unverified_audience() {
            for epoch in self.0.roots.all() {
                if try_key(&tool, epoch.epoch(), &epoch.tool_key(&self.0.url, &tool)) {
                    return;
                }
            }
        }
    }

    async fn api_key(&self, id: &ApiKeyId) -> Result<Option<ApiKeyGrant>, Refusal> {
        let (OwnedKey { rows, .. }, known) =
            self.0.key_or_decoy(id).await.map_err(|refusal| for_the_verifier(&refusal))?;
        // An unknown key costs what a known one costs, and fails at the same place (T23): under a key whose secret no
        // caller has.
        let current = if known { &rows.current } else { &self.0.decoy };
        let former = rows.former.as_ref().filter(|_| known).unwrap_or(current).open(&self.0.roots);
        match current.open(&self.0.roots) {
            Ok(key) => Ok(Some(ApiKeyGrant {
                id: key.id,
                owner: key.owner,
                proof: proof(&key.material),
                former: former
                    .ok()
                    .filter(|former| rows.former.is_some() && former.scope.is_within_grace(self.0.clock.now()))
                    .map(|former| proof(&former.material)),
                allowed_ips: key.scope.cidrs,
            })),
            Err(broken) => {
                tracing::error!(key = id.as_str(), "{}", IssuerError::BrokenRow(broken));
                Ok(None)
            }
        }
    }
}

impl Standing for IssuerKeyring {
    async fn check(&self, principal: &Principal) -> Result<(), Refusal> {
        let (id, subject) = match principal {
            Principal::ApiKey(grant) => (&grant.id, None),
            Principal::Token(token) => (&token.claims().client_id, Some(&token.claims().subject)),
            _ => return Err(Refusal::InvalidCredentials),
        };
        let standing = async {
            let opened = self.0.open_key(id).await?;
            let owner = self.0.usable(&opened)?;
            match subject {
                // A user other than the key's owner: the one who is signed in on its page.
                Some(Subject::User(user)) if *user != owner.id => self.0.active_user(user).await.map(|_| ()),
                _ => Ok(()),
            }
        };
        standing.await.map_err(|refusal: IssuerError| for_the_verifier(&refusal))
    }
}

/// What a look-up found, in the verifier's terms. These are the refusals of [`Issuer::open_key`], [`Issuer::usable`] and
/// [`Issuer::active_user`]; another one would be a fault of ours.
fn for_the_verifier(refusal: &IssuerError) -> Refusal {
    match refusal {
        IssuerError::Signed(refusal) => *refusal,
        IssuerError::Edited { like, .. } => for_the_verifier(like),
        IssuerError::KeyRevoked => Refusal::Denied(Denial::KeyRevoked),
        IssuerError::UserInactive => Refusal::Denied(Denial::UserInactive),
        IssuerError::AddressDenied => Refusal::Denied(Denial::Ip),
        IssuerError::Busy | IssuerError::PoolFull | IssuerError::AuditFull | IssuerError::Slow => Refusal::Overloaded,
        refusal if refusal.code() == ProblemCode::Profile(Code::InvalidCredentials) => Refusal::InvalidCredentials,
        _ => Refusal::IssuerUnavailable,
    }
}

fn proof(material: &KeyMaterial) -> ApiKeyProof {
    match material {
        KeyMaterial::Hmac(key) => ApiKeyProof::HmacSha256(MacKey::new(key)),
        KeyMaterial::Ed25519(public_key) => ApiKeyProof::Ed25519(*public_key),
    }
}

/// The claims that are carried over from a verified token when it is renewed.
///
/// # Errors
/// [`IssuerError::NoSession`] for a public token.
pub fn renewable(claims: &Claims) -> Result<Renewable, IssuerError> {
    let Subject::User(user) = &claims.subject else { return Err(IssuerError::NoSession) };
    let malformed = || IssuerError::Signed(TokenFault::Claims.into());
    Ok(Renewable {
        tool: claims.audience.clone(),
        user: user.clone(),
        key: claims.client_id.clone(),
        scope: Scopes::parse(&claims.scope).map_err(|_| malformed())?,
        origin: claims.origin.clone(),
        embed_origin: claims.embed_origin.clone(),
        end_user: claims.end_user.as_deref().map(|text| EndUser::parse(text).ok_or_else(malformed)).transpose()?,
        assurance: claims.assurance,
        session: claims.session.as_deref().map(|text| SessionId::parse(text).ok_or_else(malformed)).transpose()?,
    })
}
