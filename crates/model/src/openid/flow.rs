//! The state of a sign-in while the browser is at the provider, and then until the page comes with its code. Both rest
//! sealed, both are used once.

use super::IdentityKey;
use super::pkce::Challenge;
use crate::account::email::EmailAddress;
use crate::account::opaque::TokenHash;
use crate::clock::UnixTime;
use crate::roots::Roots;
use bmap_protocol::keys::EpochKeys;
use bmap_protocol::seal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// How long a user may take at the provider, in seconds.
pub const FLOW_SECONDS: i64 = 600;
/// How long a page has to swap its code, in seconds.
pub const CODE_SECONDS: i64 = 60;
/// Names the key that seals both.
const PURPOSE: &str = "openid";

/// The state of a sign-in that can't be sealed, or does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// It could not be sealed, to which nothing of this size comes.
    #[error("the state of a sign-in could not be sealed")]
    NotSealed,
    /// It was edited, or another root secret sealed it.
    #[error("the state of a sign-in does not open")]
    DoesNotOpen,
}

/// The purpose of a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// A session.
    SignIn,
    /// Another way to sign in, for a user who is signed in.
    Link,
    /// Proof that the signed-in user is still there: the provider is asked to have them sign in once more.
    Confirm,
    /// The same for a step-up, where the provider also has to say that they did.
    StepUp,
}

/// A sign-in whose browser is at the provider. Redacted in `Debug`.
#[derive(Serialize, Deserialize)]
pub struct Flow {
    /// Its purpose.
    pub intent: Intent,
    /// The nonce that the ID token has to hold.
    pub nonce: Zeroizing<String>,
    /// Our PKCE verifier at the provider.
    pub verifier: Zeroizing<String>,
    /// The page to go on at.
    pub return_to: String,
    /// The page's PKCE challenge.
    pub challenge: String,
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flow({:?}, …)", self.intent)
    }
}

/// The values that have to come together for a sign-in to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// SHA-256 of `state`.
    pub state: TokenHash,
    /// SHA-256 of the browser's cookie.
    pub browser: TokenHash,
    /// Whose callback it waits for.
    pub provider: String,
}

/// Its row.
#[derive(Clone, Debug)]
pub struct SealedFlow {
    /// Its key.
    pub key: FlowKey,
    /// Epoch of the root that sealed it.
    pub epoch: u32,
    /// The [`Flow`], sealed.
    pub sealed: String,
    /// Its end.
    pub expires_at: UnixTime,
}

impl SealedFlow {
    fn associated_data(&self) -> Vec<u8> {
        let FlowKey { state, browser, provider } = &self.key;
        let (state, browser, expires_at) = (state.as_str(), browser.as_str(), self.expires_at.0);
        format!("bmap/1/openid-flow\n{state}\n{browser}\n{provider}\n{expires_at}").into_bytes()
    }

    /// Seals a flow to its row.
    ///
    /// # Errors
    /// [`FlowError::NotSealed`], which nothing of this size comes to.
    pub fn seal(
        keys: &EpochKeys,
        random: [u8; 12],
        key: FlowKey,
        expires_at: UnixTime,
        flow: &Flow,
    ) -> Result<Self, FlowError> {
        let row = Self { key, epoch: keys.epoch(), sealed: String::new(), expires_at };
        Ok(Self { sealed: sealed(keys, random, &row.associated_data(), flow)?, ..row })
    }

    /// Opens the row.
    ///
    /// # Errors
    /// [`FlowError::DoesNotOpen`] for one that was edited, or that another root secret sealed.
    pub fn open(&self, roots: &Roots) -> Result<Flow, FlowError> {
        opened(roots, self.epoch, &self.associated_data(), &self.sealed).ok_or(FlowError::DoesNotOpen)
    }
}

/// A user whom a provider vouched for, and whose page has not redeemed the code yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The user at the provider.
    pub key: IdentityKey,
    /// An address that the provider has checked.
    pub email: Option<EmailAddress>,
    /// Its purpose.
    pub intent: Intent,
    /// The code is good only together with the verifier of this challenge.
    pub challenge: Challenge,
}

#[derive(Serialize, Deserialize)]
struct VouchedForm {
    issuer: String,
    subject: String,
    email: Option<String>,
    intent: Intent,
    challenge: String,
}

/// Its row.
#[derive(Clone, Debug)]
pub struct SealedCode {
    /// SHA-256 of the code.
    pub code: TokenHash,
    /// Epoch of the root that sealed it.
    pub epoch: u32,
    /// The [`Vouched`], sealed.
    pub sealed: String,
    /// Its end.
    pub expires_at: UnixTime,
}

impl SealedCode {
    fn associated_data(&self) -> Vec<u8> {
        format!("bmap/1/openid-code\n{}\n{}", self.code.as_str(), self.expires_at.0).into_bytes()
    }

    /// Seals it to its row.
    ///
    /// # Errors
    /// [`FlowError::NotSealed`], which nothing of this size comes to.
    pub fn seal(
        keys: &EpochKeys,
        random: [u8; 12],
        code: TokenHash,
        expires_at: UnixTime,
        vouched: &Vouched,
    ) -> Result<Self, FlowError> {
        let form = VouchedForm {
            issuer: vouched.key.issuer.clone(),
            subject: vouched.key.subject.clone(),
            email: vouched.email.as_ref().map(|email| email.as_str().to_owned()),
            intent: vouched.intent,
            challenge: vouched.challenge.as_str().to_owned(),
        };
        let row = Self { code, epoch: keys.epoch(), sealed: String::new(), expires_at };
        Ok(Self { sealed: sealed(keys, random, &row.associated_data(), &form)?, ..row })
    }

    /// Opens the row.
    ///
    /// # Errors
    /// [`FlowError::DoesNotOpen`] for one that was edited, or that another root secret sealed.
    pub fn open(&self, roots: &Roots) -> Result<Vouched, FlowError> {
        let form: VouchedForm =
            opened(roots, self.epoch, &self.associated_data(), &self.sealed).ok_or(FlowError::DoesNotOpen)?;
        Ok(Vouched {
            key: IdentityKey { issuer: form.issuer, subject: form.subject },
            email: form.email.and_then(|email| EmailAddress::parse(&email).ok()),
            intent: form.intent,
            challenge: Challenge::parse(&form.challenge).ok_or(FlowError::DoesNotOpen)?,
        })
    }
}

fn sealed(keys: &EpochKeys, random: [u8; 12], bound: &[u8], value: &impl Serialize) -> Result<String, FlowError> {
    let text = serde_json::to_vec(value).map(Zeroizing::new).map_err(|_| FlowError::NotSealed)?;
    seal::seal(&keys.storage_key(PURPOSE), keys.epoch(), random, bound, &text).map_err(|_| FlowError::NotSealed)
}

fn opened<T: DeserializeOwned>(roots: &Roots, epoch: u32, bound: &[u8], sealed: &str) -> Option<T> {
    let text = seal::open(&roots.of(epoch)?.storage_key(PURPOSE), epoch, bound, sealed).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::opaque::{Kind, OpaqueToken};
    use bmap_protocol::keys::RootSecret;

    fn hash(byte: u8) -> TokenHash {
        OpaqueToken::from_bytes(Kind::SignInState, [byte; 32]).hash()
    }

    #[test]
    fn t13_an_edited_row_does_not_open() {
        let keys = RootSecret::from_bytes([7; 32]).epoch(1);
        let roots = Roots::from(keys.clone());
        let text = |text: &str| Zeroizing::new(text.to_owned());
        let flow = Flow {
            intent: Intent::Link,
            nonce: text("the nonce"),
            verifier: text("the verifier"),
            return_to: "https://a.example/".to_owned(),
            challenge: "c".to_owned(),
        };
        let key = FlowKey { state: hash(1), browser: hash(2), provider: "acme".to_owned() };
        let row = SealedFlow::seal(&keys, [1; 12], key.clone(), UnixTime(3), &flow).unwrap();
        assert_eq!(row.open(&roots).unwrap().verifier, flow.verifier);
        assert!(!format!("{row:?} {flow:?}").contains("the verifier"));
        for edited in [
            SealedFlow { key: FlowKey { state: hash(3), ..key.clone() }, ..row.clone() },
            SealedFlow { key: FlowKey { browser: hash(3), ..key.clone() }, ..row.clone() },
            SealedFlow { key: FlowKey { provider: "other".to_owned(), ..key }, ..row.clone() },
            SealedFlow { epoch: 2, ..row.clone() },
            SealedFlow { expires_at: UnixTime(4), ..row.clone() },
        ] {
            assert!(matches!(edited.open(&roots), Err(FlowError::DoesNotOpen)), "{edited:?}");
        }
        assert!(row.open(&RootSecret::from_bytes([8; 32]).epoch(1).into()).is_err());

        let vouched = Vouched {
            key: IdentityKey { issuer: "https://a.example".to_owned(), subject: "7".to_owned() },
            email: EmailAddress::parse("ana@shop.example").ok(),
            intent: Intent::SignIn,
            challenge: Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap(),
        };
        let row = SealedCode::seal(&keys, [1; 12], hash(1), UnixTime(3), &vouched).unwrap();
        assert_eq!(row.open(&roots).unwrap(), vouched);
        assert!(SealedCode { code: hash(2), ..row.clone() }.open(&roots).is_err());
        assert!(SealedCode { expires_at: UnixTime(4), ..row }.open(&roots).is_err());
    }
}
