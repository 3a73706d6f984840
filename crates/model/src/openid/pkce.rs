//! PKCE (RFC 7636) between a page and us: only the page that began a sign-in can end it.

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// `code_challenge`: the SHA-256 of a verifier, base64url. Only `S256`; `plain` would be the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(String);

impl Challenge {
    /// Parses a challenge.
    pub fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        let length = Base64UrlUnpadded::decode(text, &mut hash).ok()?.len();
        (length == 32).then(|| Self(text.to_owned()))
    }

    /// The challenge as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this verifier's: 43 to 128 unreserved characters (RFC 7636 §4.1).
    pub fn is_of(&self, verifier: &Zeroizing<String>) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let fits = (43..=128).contains(&verifier.len()) && verifier.bytes().all(is_plain);
        // Hashes of secrets are compared, not secrets: time tells nothing that could be used.
        fits && Base64UrlUnpadded::encode_string(&Sha256::digest(verifier.as_bytes())) == self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pair_of_rfc_7636_appendix_b_fits_and_no_other() {
        let challenge = Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        let is_of = |verifier: &str| challenge.is_of(&Zeroizing::new(verifier.to_owned()));
        assert!(is_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!is_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"));
        assert!(!is_of("") && !is_of(challenge.as_str()));
        // Too short or too long ones are none, also where the hash would fit.
        for verifier in ["short", &"x".repeat(129), &format!("{} ", "x".repeat(50))] {
            let hash = Base64UrlUnpadded::encode_string(&Sha256::digest(verifier.as_bytes()));
            assert!(!Challenge::parse(&hash).unwrap().is_of(&Zeroizing::new((*verifier).to_owned())), "{verifier}");
        }
        for bad in [
            "",
            "x",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=",
            &"A".repeat(44),
            "dBjftJeZ4CVP~mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ] {
            assert!(Challenge::parse(bad).is_none(), "{bad}");
        }
    }
}
