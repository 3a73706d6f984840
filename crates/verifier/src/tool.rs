//! A tool's own verifier, made from its credential.

use crate::clock::UnixTime;
use crate::credential::ToolCredential;
use crate::keys::ToolKeys;
use crate::policy::Policy;
use crate::replay::{MemoryReplayStore, ReplayLimits, ReplayStore};
use crate::settings::{LiveSettings, Settings};
use crate::standing::NoRevocations;
use crate::verify::Verifier;

impl Verifier {
    /// A tool's own verifier with the policy of its credential. Its replay store begins at `now`: read the clock when the process before has ended,
    /// which a listener that could be bound says where both use one address.
    pub fn from_credential(credential: ToolCredential, now: UnixTime) -> Self {
        let policy = Policy::of(&credential);
        Self::with_policy(credential, policy, ReplayLimits::default(), now)
    }

    /// A tool's own verifier with a policy and bounds of the tool's choice. The policy only narrows the settings of the operator
    /// in the credential: of origins those count that both allow, of assurances the higher one, of scopes all.
    pub fn with_policy(credential: ToolCredential, policy: Policy, limits: ReplayLimits, now: UnixTime) -> Self {
        let replay = MemoryReplayStore::new(limits, policy.window, now.seconds());
        Self::with_store(credential, policy, replay)
    }
}

impl<R: ReplayStore> Verifier<ToolKeys, R> {
    /// As [`Verifier::with_policy`], with a replay store that is there already, such as one that several processes share (`bmap-replay-redis`).
    pub fn with_store(credential: ToolCredential, policy: Policy, replay: R) -> Self {
        let settings = LiveSettings::new(Settings::of(&credential, policy));
        let keys = ToolKeys::new(credential.tool, credential.epochs);
        Self::with_settings(credential.issuer, settings, keys, replay, NoRevocations)
    }
}
