//! What a verifier demands, as it is now. A live link exchanges it while the verifier runs (profile §13).
//!
//! A decision reads the settings once and keeps them to its end. Where it waited for a body it looks at the newest ones too, because a key
//! that was withdrawn meanwhile counts.

use crate::credential::ToolCredential;
use crate::policy::Policy;
use arc_swap::{ArcSwap, Guard};
use bmap_protocol::origin::Origin;
use bmap_protocol::token::IssuerKey;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys, epochs, base URLs and policy of one verifier.
///
/// ```
/// # use bmap_verifier::protocol::{ids::{Issuer, ToolId}, keys::ToolKey, token::{Assurance, IssuerKey}};
/// # let issuer_key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes();
/// # let credential = bmap_verifier::ToolCredential {
/// #     issuer: Issuer::parse("https://auth.example").unwrap(),
/// #     tool: ToolId::parse("geo").unwrap(),
/// #     own: vec!["https://geo.example".parse().unwrap()],
/// #     epochs: vec![(1, ToolKey::from_bytes([1; 32]))],
/// #     issuer_keys: vec![IssuerKey::new("bj1.a", &issuer_key).unwrap()],
/// #     origins: bmap_verifier::AllowedOrigins::NamedByToken,
/// #     min_assurance: Assurance::Origin,
/// #     scopes: Vec::new(),
/// #     policy: Default::default(),
/// # };
///
/// use bmap_verifier::{Policy, Settings};
///
/// let settings = Settings::of(&credential, Policy::default());
/// assert_eq!(settings.own[0].as_str(), "https://geo.example");
/// assert!(settings.accepts_epoch(1), "every epoch whose key is there");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Keys of the issuer, by which tokens are signed.
    pub issuer_keys: Vec<IssuerKey>,
    /// Epochs whose tokens are taken; `None`: every one that [`crate::Keys`] offers a key of.
    pub epochs: Option<Vec<u32>>,
    /// The origins of the base URLs that requests come to.
    pub own: Vec<Origin>,
    /// The policy.
    pub policy: Policy,
}

impl Settings {
    /// Settings with every epoch whose key is there.
    pub const fn new(issuer_keys: Vec<IssuerKey>, own: Vec<Origin>, policy: Policy) -> Self {
        Self { issuer_keys, epochs: None, own, policy }
    }

    /// The settings in a credential, and a policy no wider than the operator's in it.
    pub fn of(credential: &ToolCredential, policy: Policy) -> Self {
        let policy = policy.within(&Policy::of(credential));
        Self::new(credential.issuer_keys.clone(), credential.own.clone(), policy)
    }

    /// Whether tokens of an epoch are taken.
    pub fn accepts_epoch(&self, epoch: u32) -> bool {
        self.epochs.as_ref().is_none_or(|epochs| epochs.contains(&epoch))
    }

    /// Whether a key is one of the issuer's.
    pub(crate) fn has_issuer_key(&self, public_key: &[u8; 32]) -> bool {
        self.issuer_keys.iter().any(|key| key.public_key() == *public_key)
    }
}

/// Settings that verifiers share, and that are exchanged under them. Cloned, it is the same place.
///
/// ```
/// # use bmap_verifier::protocol::{ids::{Issuer, ToolId}, keys::ToolKey, token::{Assurance, IssuerKey}};
/// # let issuer_key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes();
/// # let credential = bmap_verifier::ToolCredential {
/// #     issuer: Issuer::parse("https://auth.example").unwrap(),
/// #     tool: ToolId::parse("geo").unwrap(),
/// #     own: vec!["https://geo.example".parse().unwrap()],
/// #     epochs: vec![(1, ToolKey::from_bytes([1; 32]))],
/// #     issuer_keys: vec![IssuerKey::new("bj1.a", &issuer_key).unwrap()],
/// #     origins: bmap_verifier::AllowedOrigins::NamedByToken,
/// #     min_assurance: Assurance::Origin,
/// #     scopes: Vec::new(),
/// #     policy: Default::default(),
/// # };
///
/// use bmap_verifier::{LiveSettings, MemoryReplayStore, NoRevocations, Policy, ReplayLimits, Settings, ToolKeys, Verifier};
///
/// let settings = Settings::of(&credential, Policy::default());
/// let live = LiveSettings::new(settings.clone());
/// let replay = MemoryReplayStore::new(ReplayLimits::default(), settings.policy.window, 1_764_000_000);
/// let keys = ToolKeys::new(credential.tool, credential.epochs);
/// let verifier = Verifier::with_settings(credential.issuer, live.clone(), keys, replay, NoRevocations);
///
/// // From here on only for users who are signed in; requests on their way are decided by either.
/// let mut narrower = settings;
/// narrower.policy.min_assurance = Assurance::User;
/// live.replace(narrower);
/// assert_eq!(verifier.settings().policy.min_assurance, Assurance::User);
/// ```
#[derive(Clone, Debug)]
pub struct LiveSettings(Arc<Place>);

#[derive(Debug)]
struct Place {
    current: ArcSwap<Numbered>,
    last_number: AtomicU64,
}

/// Settings with a number of their own, so that two readings are compared by it.
#[derive(Debug)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    settings: Settings,
}

impl Deref for Numbered {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

/// Reads [`Settings`] for as long as it lives.
///
/// ```
/// use bmap_verifier::{AllowedOrigins, SettingsRef};
///
/// /// Any field, as of [`bmap_verifier::Settings`] itself.
/// fn is_open(settings: &SettingsRef) -> bool {
///     settings.policy.origins == AllowedOrigins::NamedByToken
/// }
/// ```
#[derive(Debug)]
pub struct SettingsRef(Guard<Arc<Numbered>>);

impl SettingsRef {
    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    pub(crate) fn numbered(&self) -> &Numbered {
        &self.0
    }
}

impl Deref for SettingsRef {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0.settings
    }
}

impl LiveSettings {
    /// The first settings.
    pub fn new(settings: Settings) -> Self {
        let current = ArcSwap::from_pointee(Numbered { number: 0, settings });
        Self(Arc::new(Place { current, last_number: AtomicU64::new(0) }))
    }

    /// The settings as they are now. Takes no lock and nothing from the heap.
    pub fn load(&self) -> SettingsRef {
        SettingsRef(self.0.current.load())
    }

    /// As [`LiveSettings::load`], to be held while something is waited for: it takes none of the few places for short readings that a thread has.
    pub(crate) fn load_for_long(&self) -> SettingsRef {
        SettingsRef(Guard::from_inner(self.0.current.load_full()))
    }

    /// Exchanges all of them at once. The window, the limits on bodies, the number of remembered tokens and the lists of headers stay those of
    /// the first settings, because a store, a budget, a cache and a layer were made by them.
    pub fn replace(&self, mut settings: Settings) {
        let number = self.0.last_number.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let before = self.load();
        let first = &before.policy;
        settings.policy.window = first.window;
        settings.policy.bodies = first.bodies;
        settings.policy.known_tokens = first.known_tokens;
        settings.policy.allow_headers.clone_from(&first.allow_headers);
        settings.policy.expose_headers.clone_from(&first.expose_headers);
        self.0.current.store(Arc::new(Numbered { number, settings }));
    }

    /// Whether another clone of this place is there, such as a verifier's.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}
