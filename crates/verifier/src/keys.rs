//! Where a verifier's keys come from (profile §5, step 6).

use bmap_protocol::check::{self, Received};
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::keys::{MacKey, ToolKey};
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::refusal::{Mismatch, Refusal};
use bmap_protocol::token::UnverifiedToken;
use ipnet::IpNet;

/// Finds the key that a request must have been signed with.
///
/// ```
/// use bmap_verifier::protocol::ids::{ApiKeyId, ToolId};
/// use bmap_verifier::protocol::keys::ToolKey;
/// use bmap_verifier::protocol::token::UnverifiedToken;
/// use bmap_verifier::{ApiKeyGrant, Keys, Refusal};
///
/// /// The keys of a process that stands in front of several tools.
/// struct Several(Vec<(ToolId, u32, ToolKey)>);
///
/// impl Keys for Several {
///     fn try_tool_keys(&self, token: &UnverifiedToken<'_>, try_key: &mut dyn FnMut(&ToolId, u32, &ToolKey) -> bool) {
///         // The token chooses which keys are tried, and nothing else.
///         let wanted = token.unverified_audience();
///         let of_the_tool = self.0.iter().filter(|(tool, ..)| Some(tool) == wanted.as_ref());
///         for (tool, epoch, key) in of_the_tool {
///             if try_key(tool, *epoch, key) {
///                 return;
///             }
///         }
///     }
///
///     async fn api_key(&self, _: &ApiKeyId) -> Result<Option<ApiKeyGrant>, Refusal> {
///         Ok(None) // tools take tokens only
///     }
/// }
/// ```
pub trait Keys: Send + Sync + 'static {
    /// Offers each tool key that may have signed a request with this token, until `try_key` says that it did.
    ///
    /// The token is unverified: it may choose among keys, it may not cost more than a few MACs.
    fn try_tool_keys(&self, token: &UnverifiedToken<'_>, try_key: &mut dyn FnMut(&ToolId, u32, &ToolKey) -> bool);

    /// Offers each tool key, until `try_key` says that a capability (profile §10) holds under it. None by default: then no capability is taken.
    fn each_tool_key(&self, try_key: &mut dyn FnMut(&ToolId, u32, &ToolKey) -> bool) {
        let _ = try_key;
    }

    /// Looks up an API key that signs requests itself.
    ///
    /// `None` for an unknown key. Whether key and user are in good standing is asked later, after the signature held.
    ///
    /// # Errors
    /// [`Refusal::IssuerUnavailable`] where the rows are out of reach.
    fn api_key(&self, id: &ApiKeyId) -> impl Future<Output = Result<Option<ApiKeyGrant>, Refusal>> + Send;

    /// A token came whose MAC holds, and whose issuer's key is unknown: the issuer may have a new one. Must not wait. Does nothing by
    /// default.
    fn issuer_key_unknown(&self) {}
}

/// An API key as its verified row has it.
///
/// ```
/// use bmap_verifier::protocol::api_key::ApiSecret;
/// use bmap_verifier::protocol::ids::{ApiKeyId, UserId};
/// use bmap_verifier::protocol::keys::MacKey;
/// use bmap_verifier::{ApiKeyGrant, ApiKeyProof};
///
/// let id = ApiKeyId::from_uuid([1; 16]);
/// let grant = ApiKeyGrant {
///     owner: UserId::from_uuid([2; 16]),
///     proof: ApiKeyProof::HmacSha256(MacKey::new(&ApiSecret::from_bytes([3; 32]).signing_key(&id))),
///     former: None,
///     allowed_ips: vec!["192.0.2.0/24".parse()?],
///     id,
/// };
/// assert!(!format!("{grant:?}").contains("0303"), "key material is not printed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ApiKeyGrant {
    /// The key's id.
    pub id: ApiKeyId,
    /// Its user.
    pub owner: UserId,
    /// The proof that checks its signatures.
    pub proof: ApiKeyProof,
    /// The proof that checks those of its former secret, while that one still works.
    pub former: Option<ApiKeyProof>,
    /// From where it may be used; empty: from everywhere.
    pub allowed_ips: Vec<IpNet>,
}

/// The key material that checks an API key's signatures.
///
/// ```
/// use bmap_verifier::ApiKeyProof;
/// use bmap_verifier::protocol::{api_key::ApiSecret, ids::ApiKeyId, keys::MacKey};
///
/// let (id, secret) = (ApiKeyId::from_uuid([1; 16]), ApiSecret::from_bytes([3; 32]));
/// let symmetric = ApiKeyProof::HmacSha256(MacKey::new(&secret.signing_key(&id)));
/// // Of an Ed25519 key the issuer knows the public half alone.
/// let asymmetric = ApiKeyProof::Ed25519(secret.ed25519_seed(&id).public_key());
/// # let _ = (symmetric, asymmetric);
/// ```
#[derive(Clone, Debug)]
pub enum ApiKeyProof {
    /// HMAC-SHA256 under `K_api`.
    HmacSha256(MacKey),
    /// The raw Ed25519 public key.
    Ed25519([u8; 32]),
}

/// Bytes of an Ed25519 signature; a MAC has 32.
const ED25519_SIGNATURE: usize = 64;
/// A public key to do work on, that of 32 zeros: no signature under it is taken.
const EVERYBODYS_KEY: [u8; 32] = [
    0x3b, 0x6a, 0x27, 0xbc, 0xce, 0xb6, 0xa4, 0x2d, 0x62, 0xa3, 0xa8, 0xd0, 0x2a, 0x6f, 0x0d, 0x73, //
    0x65, 0x32, 0x15, 0x77, 0x1d, 0xe2, 0x43, 0xa6, 0x3a, 0xc0, 0x48, 0xa1, 0x8b, 0x59, 0xda, 0x29,
];

impl ApiKeyProof {
    /// Checks a signature. The work follows from the signature's length alone. So its time tells neither the kind of a key nor,
    /// where a decoy stands for an unknown one, whether the key exists (T23, R31).
    pub(crate) fn check(&self, received: &Received<'_>, signature: &UnverifiedSignature<'_>) -> Result<(), Refusal> {
        let other_kind = |_| Err(Refusal::InvalidSignature(Mismatch::Mac));
        match (self, signature.signature().len() == ED25519_SIGNATURE) {
            (ApiKeyProof::HmacSha256(key), false) => check::mac(received, signature, key),
            (ApiKeyProof::Ed25519(public_key), true) => check::ed25519(received, signature, public_key),
            (ApiKeyProof::HmacSha256(_), true) => other_kind(check::ed25519(received, signature, &EVERYBODYS_KEY)),
            (ApiKeyProof::Ed25519(_), false) => {
                other_kind(check::mac(received, signature, &MacKey::from_key_bytes(&EVERYBODYS_KEY)))
            }
        }
    }
}

/// The keys of one tool, which a tool's own verifier holds. It takes tokens only (profile §4).
///
/// ```
/// use bmap_verifier::ToolKeys;
/// use bmap_verifier::protocol::ids::{Issuer, ToolId};
/// use bmap_verifier::protocol::keys::RootSecret;
///
/// let (issuer, tool) = (Issuer::parse("https://auth.example")?, ToolId::parse("geo")?);
/// // While the root is being changed, the former epoch is still taken.
/// let epoch = |epoch: u32| (epoch, RootSecret::from_bytes([epoch as u8; 32]).epoch(epoch).tool_key(&issuer, &tool));
/// let keys = ToolKeys::new(tool.clone(), vec![epoch(2), epoch(1)]);
/// # let _ = keys;
/// # Ok::<(), bmap_verifier::protocol::ids::InvalidName>(())
/// ```
#[derive(Clone, Debug)]
pub struct ToolKeys {
    tool: ToolId,
    epochs: Vec<(u32, ToolKey)>,
}

impl ToolKeys {
    /// The tool's key of each epoch that is in use, the current one first.
    pub fn new(tool: ToolId, epochs: Vec<(u32, ToolKey)>) -> Self {
        Self { tool, epochs }
    }
}

impl Keys for ToolKeys {
    fn try_tool_keys(&self, _: &UnverifiedToken<'_>, try_key: &mut dyn FnMut(&ToolId, u32, &ToolKey) -> bool) {
        self.each_tool_key(try_key);
    }

    fn each_tool_key(&self, try_key: &mut dyn FnMut(&ToolId, u32, &ToolKey) -> bool) {
        for (epoch, key) in &self.epochs {
            if try_key(&self.tool, *epoch, key) {
                return;
            }
        }
    }

    async fn api_key(&self, _: &ApiKeyId) -> Result<Option<ApiKeyGrant>, Refusal> {
        Ok(None)
    }
}
