//! The self-test at the start: a token is minted and read back by both readers, before the first request (R02).
//!
//! A process whose JWT library has no working cryptography, or whose header or claims the verifiers would refuse, must
//! not start and then fail at every request.

use super::issuer::Issuer;
use super::mint::TokenContent;
use bmap_model::scope::Scopes;
use bmap_model::tool::{Access, CallerKinds, Tool, ToolOrigins};
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::origin::Origin;
use bmap_protocol::token::{Assurance, IssuerKey, UnverifiedToken};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

/// The self-test failed; the process must not serve.
#[derive(Clone, Debug, thiserror::Error)]
#[error("self-test of the token signature failed: {0}")]
pub struct SelfTestFailed(String);

impl Issuer {
    /// Mints a token and has it read by the verifiers' code and by the JWT library.
    ///
    /// # Errors
    /// [`SelfTestFailed`].
    pub fn self_test(&self) -> Result<(), SelfTestFailed> {
        let failed = |what: &str, why: &dyn std::fmt::Display| SelfTestFailed(format!("{what}: {why}"));
        let invalid = |_| SelfTestFailed("constants".to_owned());
        let page = Origin::parse("https://self-test.invalid").map_err(|error| failed("constants", &error))?;
        let tool = Tool {
            id: ToolId::parse("self-test").map_err(invalid)?,
            base_url: page.clone().into(),
            origins: ToolOrigins::AnyRegistered,
            min_assurance: Assurance::Origin,
            scopes: Scopes::default(),
            required_scopes: Scopes::default(),
            access: Access::Granted,
            callers: CallerKinds::default(),
            open_scopes: Scopes::default(),
            policy: Default::default(),
            created_at: self.clock.now(),
            seal: None,
        };
        let minted = self
            .mint(&TokenContent {
                tool: &tool,
                user: &UserId::from_uuid([0; 16]),
                key: &ApiKeyId::from_uuid([0; 16]),
                scope: Scopes::default(),
                origin: Some(&page),
                embed_origin: None,
                end_user: None,
                assurance: Assurance::Server,
                session: None,
                encrypt: false,
            })
            .map_err(|error| failed("mint", &error))?;

        let key = IssuerKey::new(self.signer.kid(), self.signer.public_key()).map_err(|error| failed("key", &error))?;
        let claims = UnverifiedToken::parse(&minted.token)
            .and_then(|token| token.verify(&[key]))
            .map_err(|error| failed("verifier", &error))?;
        if claims.issuer != self.url || claims.audience != tool.id || *claims.id != *minted.jti.as_str() {
            return Err(failed("verifier", &"other claims"));
        }

        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[tool.id.as_str()]);
        validation.set_issuer(&[self.url.as_str()]);
        // The times are the injected clock's, which need not be the machine's.
        validation.validate_exp = false;
        let key = DecodingKey::from_ed_der(self.signer.public_key());
        jsonwebtoken::decode::<serde_json::Value>(minted.token.as_str(), &key, &validation)
            .map_err(|error| failed("JWT library", &error))?;
        let (signed, _) = minted.token.rsplit_once('.').unwrap_or_default();
        let damaged = format!("{signed}.{}", "A".repeat(86));
        if jsonwebtoken::decode::<serde_json::Value>(damaged, &key, &validation).is_ok() {
            return Err(failed("JWT library", &"it took a damaged signature"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::issuer::{Issuer, Lives};
    use bmap_model::clock::MachineClock;
    use bmap_model::rng::SystemRandom;
    use bmap_protocol::ids::Issuer as IssuerUrl;
    use bmap_protocol::keys::RootSecret;
    use bmap_store::Database;
    use jsonwebtoken::{Algorithm, EncodingKey};
    use std::sync::Arc;

    #[tokio::test]
    async fn r02_a_signer_that_verifiers_would_refuse_is_found_at_the_start() {
        crate::install_crypto_providers();
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open_sqlite(&folder.path().join("bmap.sqlite")).await.unwrap();
        let issuer = async || {
            let url = IssuerUrl::parse("https://auth.example").unwrap();
            let epoch = RootSecret::from_bytes([7; 32]).epoch(1);
            let (clock, random) = (Arc::new(MachineClock), Arc::new(SystemRandom));
            Issuer::open(url, store.clone(), epoch, clock, random, Lives::default()).await.unwrap()
        };
        issuer().await.self_test().unwrap();
        let spoiled: [fn(&mut Issuer); 4] = [
            |issuer| issuer.signer.header.typ = Some("JWT".to_owned()),
            |issuer| issuer.signer.header.kid = None,
            |issuer| issuer.signer.header.alg = Algorithm::ES256,
            |issuer| issuer.signer.key = EncodingKey::from_ed_der(&[0; 48]),
        ];
        for spoil in spoiled {
            let mut issuer = issuer().await;
            spoil(&mut issuer);
            assert!(issuer.self_test().is_err());
        }
    }
}
