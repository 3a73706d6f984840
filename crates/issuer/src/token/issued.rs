//! Tool tokens that come back to the issuer as a text in a form: is it one that was minted here?

use crate::issuer::Issuer;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::token::{Claims, Confirmation, IssuerKey, UnverifiedToken};

impl Issuer {
    /// The claims of a tool token that this issuer signed, whether it has ended or not; `None` for any other text. The caller proves nothing by
    /// showing one.
    pub(crate) fn issued(&self, compact: &str) -> Option<Claims> {
        let token = UnverifiedToken::parse(compact).ok()?;
        let claims = token.verify(&self.verifying_keys()).ok()?;
        let Confirmation::Session { tool, .. } = &claims.confirmation else { return None };
        (claims.issuer == self.url && *tool == claims.audience).then_some(claims)
    }

    /// The public keys of every issuer key in use.
    fn verifying_keys(&self) -> Vec<IssuerKey> {
        let key = |kid: &str, x: &str| {
            let bytes = Base64UrlUnpadded::decode_vec(x).ok()?;
            IssuerKey::new(kid, &bytes.try_into().ok()?).ok()
        };
        self.public_keys.iter().filter_map(|row| key(&row.kid, &row.public_key)).collect()
    }
}
