//! The link itself: started, asked, closed.

use crate::ask::Asker;
use crate::feed::SILENCE;
use crate::lock::locked;
use crate::options::{LinkError, LinkOptions, STALENESS_VARIABLE, VARIABLE};
use crate::parts::{LinkKeys, LinkStanding};
use crate::running::Running;
use crate::shared::Shared;
use crate::status::{LinkState, LinkStatus};
use crate::{feed, load, report};
use bmap_outbound::Outbound;
use bmap_verifier::{MemoryReplayStore, Policy, ReplayStore, ToolCredential, ToolKeys, Verifier};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Handle;

/// A tool's verifier that follows a link.
///
/// ```
/// use bmap_issuer_link::LinkedVerifier;
/// use bmap_verifier::VerifyLayer;
///
/// /// The layer around it is the same as around every verifier.
/// fn layer(verifier: LinkedVerifier) -> VerifyLayer<bmap_issuer_link::LinkKeys, bmap_verifier::MemoryReplayStore, bmap_issuer_link::LinkStanding> {
///     VerifyLayer::new(verifier)
/// }
/// # let _ = layer;
/// ```
pub type LinkedVerifier<R = MemoryReplayStore> = Verifier<LinkKeys, R, LinkStanding>;

/// A live link to the issuer of a credential. Cloned, it is the same link. It runs until it is closed, or until the last of its clones and
/// of its verifiers is gone.
///
/// ```
/// # use bmap_verifier::protocol::{ids::{Issuer, ToolId}, keys::ToolKey, token::{Assurance, IssuerKey}};
/// # let issuer_key = [0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
/// #     0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a];
/// # let credential = bmap_verifier::ToolCredential {
/// #     issuer: Issuer::parse("http://127.0.0.1:9").unwrap(),
/// #     tool: ToolId::parse("geo").unwrap(),
/// #     own: vec!["https://geo.example".parse().unwrap()],
/// #     epochs: vec![(1, ToolKey::from_bytes([1; 32]))],
/// #     issuer_keys: vec![IssuerKey::new("bj1.a", &issuer_key).unwrap()],
/// #     origins: bmap_verifier::AllowedOrigins::NamedByToken,
/// #     min_assurance: Assurance::Origin,
/// #     scopes: Vec::new(),
/// #     policy: Default::default(),
/// # };
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use bmap_issuer_link::{Link, LinkOptions, LinkState};
/// use bmap_verifier::{MemoryReplayStore, Policy, ReplayLimits, SystemClock, VerifyLayer};
///
/// // It starts without the issuer: until that one is heard, the credential counts alone.
/// let link = Link::start(credential, LinkOptions::default())?;
/// let policy = Policy::default();
/// let replay = MemoryReplayStore::new(ReplayLimits::default(), policy.window, SystemClock.now().seconds());
/// let layer = VerifyLayer::new(link.verifier(policy, replay));
/// assert_eq!(link.status().state, LinkState::NeverConnected);
/// link.close();
/// # let _ = layer;
/// # Ok::<(), bmap_issuer_link::LinkError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Link {
    keys: ToolKeys,
    running: Arc<Running>,
}

impl Link {
    /// Starts a link in the background of this tokio runtime. An issuer that is away is no error: it is tried for until it is there.
    ///
    /// # Errors
    /// [`LinkError`]: a URL that a link may not go to, or no runtime.
    pub fn start(credential: ToolCredential, options: LinkOptions) -> Result<Self, LinkError> {
        let runtime = Handle::try_current().map_err(|_| LinkError::NoRuntime)?;
        let shared = Arc::new(Shared::new(&credential, &options));
        let outbound = Outbound::unpooled(options.authorities.as_ref()).map_err(LinkError::Client)?;
        let asker = Arc::new(Asker::new(&credential, outbound, Arc::clone(&shared))?);
        let tasks = vec![
            runtime.spawn(load::run(Arc::clone(&shared), Arc::clone(&asker))),
            runtime.spawn(feed::run(Arc::clone(&shared), Arc::clone(&asker))),
            runtime.spawn(report::run(Arc::clone(&shared), asker)),
            runtime.spawn(report::purge(Arc::clone(&shared))),
        ];
        Ok(Self::new(credential, Running::new(shared, true, tasks)))
    }

    /// A link as `BMAP_LINK` says: `on`, or else one that does nothing and whose verifiers are as those of the credential alone.
    ///
    /// # Errors
    /// As [`Link::start`], and [`LinkError::Setting`] for a value that is not understood.
    pub fn from_env(credential: ToolCredential) -> Result<Self, LinkError> {
        let value = |name| std::env::var(name).ok();
        let values = (value(VARIABLE), value(STALENESS_VARIABLE));
        let (is_on, options) = LinkOptions::from_values(values.0.as_deref(), values.1.as_deref())?;
        if is_on { Self::start(credential, options) } else { Ok(Self::off(credential)) }
    }

    /// A link that is switched off.
    pub fn off(credential: ToolCredential) -> Self {
        let shared = Arc::new(Shared::new(&credential, &LinkOptions::default()));
        Self::new(credential, Running::new(shared, false, Vec::new()))
    }

    fn new(credential: ToolCredential, running: Running) -> Self {
        Self { keys: ToolKeys::new(credential.tool, credential.epochs), running: Arc::new(running) }
    }

    /// A verifier that follows this link: the issuer's keys, epochs and denials as they are. `policy` only narrows what the operator set,
    /// now and after each change of it.
    pub fn verifier<R: ReplayStore>(&self, policy: Policy, replay: R) -> LinkedVerifier<R> {
        let shared = &self.running.shared;
        let settings = shared.follow(policy);
        let keys = LinkKeys { keys: self.keys.clone(), running: Arc::clone(&self.running) };
        let standing = LinkStanding { running: Arc::clone(&self.running) };
        Verifier::with_settings(shared.issuer.clone(), settings, keys, replay, standing)
    }

    /// What the link knows now.
    pub fn status(&self) -> LinkStatus {
        let shared = &self.running.shared;
        let lag = shared.lag().map(Duration::from_millis);
        let state = match lag {
            _ if !self.running.is_on => LinkState::Off,
            _ if self.running.is_closed() => LinkState::Closed,
            None if shared.after().is_none() => LinkState::NeverConnected,
            None => LinkState::Stale { since: shared.age_since_start() },
            Some(lag) if shared.is_open.load(Ordering::SeqCst) && lag <= SILENCE => LinkState::Live,
            Some(since) => LinkState::Stale { since },
        };
        let applied = *shared.applied.borrow();
        let (denials, is_full) = shared.denials.usage();
        LinkStatus {
            state,
            cursor: shared.after(),
            applied: applied.map(|applied| applied.cursor),
            lag,
            denials,
            is_full,
            is_too_stale: shared.check_staleness().is_err(),
            missing_epochs: locked(&shared.operator).missing_epochs.clone(),
            fault: shared.fault(),
        }
    }

    /// Ends the link. Its verifiers go on with what was known by then, and a bound on staleness counts from the last word.
    pub fn close(&self) {
        self.running.close();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("status", &self.status()).finish_non_exhaustive()
    }
}
