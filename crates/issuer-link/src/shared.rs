//! What the tasks of a link and the requests of its verifiers share.

use crate::clock::{LinkClock, millis};
use crate::denials::Denials;
use crate::issuer_time::IssuerTime;
use crate::lock::locked;
use crate::options::LinkOptions;
use crate::progress::Progress;
use crate::status::LinkFault;
use crate::wants::Wants;
use bmap_protocol::ids::{Issuer, ToolId};
use bmap_protocol::link::{Change, ChangeKind, Mark, State};
use bmap_protocol::refusal::Refusal;
use bmap_verifier::{LiveSettings, Policy, Settings, ToolCredential};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Milliseconds in which an unknown key of the issuer causes one look at its state (F19).
const UNKNOWN_KEY_MILLIS: u64 = 30_000;
/// No bound on staleness.
const NEVER: u64 = u64::MAX;

/// Everything that is known.
pub(crate) struct Shared {
    pub(crate) issuer: Issuer,
    pub(crate) tool: ToolId,
    pub(crate) clock: Arc<dyn LinkClock>,
    pub(crate) denials: Denials,
    pub(crate) wants: Wants,
    /// What is in force; `None` before the first state.
    pub(crate) applied: watch::Sender<Option<InForce>>,
    pub(crate) is_open: AtomicBool,
    pub(crate) time: Mutex<IssuerTime>,
    faults: Mutex<[Option<LinkFault>; 2]>,
    pub(crate) operator: Mutex<Operator>,
    progress: Mutex<Progress>,
    started: u64,
    /// When the last mark came; 0: none did.
    synced: AtomicU64,
    own_max_staleness: Option<u32>,
    /// Milliseconds, or [`NEVER`].
    max_staleness: AtomicU64,
    /// When an unknown key last caused a look at the state, plus one; 0: none did.
    asked_for_key: AtomicU64,
}

/// A part of the link that can fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    State,
    Feed,
}

/// Cursors that are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InForce {
    /// Every change up to this one.
    pub(crate) cursor: i64,
    /// The newest change, of which the issuer waits to hear.
    pub(crate) newest: i64,
}

/// The operator's settings as they are at the issuer, and the verifiers that follow them.
pub(crate) struct Operator {
    pub(crate) settings: Settings,
    pub(crate) held_epochs: Vec<u32>,
    pub(crate) missing_epochs: Vec<u32>,
    verifiers: Vec<(Policy, LiveSettings)>,
}

impl Shared {
    pub(crate) fn new(credential: &ToolCredential, options: &LinkOptions) -> Self {
        let held_epochs = credential.epochs.iter().map(|(epoch, _)| *epoch).collect();
        let settings = Settings::of(credential, Policy::of(credential));
        let operator = Operator { settings, held_epochs, missing_epochs: Vec::new(), verifiers: Vec::new() };
        let shared = Self {
            issuer: credential.issuer.clone(),
            tool: credential.tool.clone(),
            clock: Arc::clone(&options.clock),
            denials: Denials::new(credential.tool.as_str(), options.denials),
            wants: Wants::default(),
            applied: watch::Sender::new(None),
            is_open: AtomicBool::new(false),
            time: Mutex::default(),
            faults: Mutex::default(),
            operator: Mutex::new(operator),
            progress: Mutex::default(),
            started: millis(options.clock.elapsed()),
            synced: AtomicU64::new(0),
            own_max_staleness: options.max_staleness,
            max_staleness: AtomicU64::new(NEVER),
            asked_for_key: AtomicU64::new(0),
        };
        // What the credential says counts until the issuer has said more.
        shared.limit_staleness(credential.policy.max_staleness);
        shared
    }

    /// Settings for another verifier, with a policy of its own that only narrows the operator's.
    pub(crate) fn follow(&self, policy: Policy) -> LiveSettings {
        let mut operator = locked(&self.operator);
        let live = LiveSettings::new(narrowed(&operator.settings, &policy));
        operator.verifiers.retain(|(_, live)| live.is_shared());
        operator.verifiers.push((policy, live.clone()));
        live
    }

    /// Refuses where the last word of the issuer is older than it may be.
    pub(crate) fn check_staleness(&self) -> Result<(), Refusal> {
        let most = self.max_staleness.load(Ordering::SeqCst);
        if most == NEVER || self.age() <= most { Ok(()) } else { Err(Refusal::IssuerUnavailable) }
    }

    /// Milliseconds since the last mark, or since the start.
    fn age(&self) -> u64 {
        let last = match self.synced.load(Ordering::SeqCst) {
            0 => self.started,
            synced => synced,
        };
        millis(self.clock.elapsed()).saturating_sub(last)
    }

    /// Milliseconds since the last mark; `None` where there was none.
    pub(crate) fn lag(&self) -> Option<u64> {
        (self.synced.load(Ordering::SeqCst) != 0).then(|| self.age())
    }

    /// Time since the last mark, or since the start.
    pub(crate) fn age_since_start(&self) -> Duration {
        Duration::from_millis(self.age())
    }

    /// Looks at the state because of an unknown key of the issuer: once in 30 s, however many requests have one.
    pub(crate) fn issuer_key_unknown(&self) {
        let now = millis(self.clock.elapsed()).saturating_add(1);
        let last = self.asked_for_key.load(Ordering::SeqCst);
        let is_due = last == 0 || now.saturating_sub(last) >= UNKNOWN_KEY_MILLIS;
        if is_due && self.asked_for_key.compare_exchange(last, now, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.wants.once();
        }
    }

    /// A change came by the feed.
    pub(crate) fn change(&self, change: &Change) {
        let mut progress = locked(&self.progress);
        // The state in force has it in it, and may have what ended it.
        if !progress.is_covered(change.cursor) {
            match change.kind {
                ChangeKind::Policy | ChangeKind::Keys | ChangeKind::Allowlist => {
                    if progress.wants_state(change.cursor) {
                        self.wants.state();
                    }
                }
                _ => self.denials.apply(change, self.earlier_second()),
            }
        }
        progress.change(change.cursor);
        self.note_applied(&progress);
    }

    /// A mark came by the feed. Whether it is one of now.
    pub(crate) fn mark(&self, mark: Mark) -> bool {
        let elapsed = self.clock.elapsed();
        if !locked(&self.time).mark(mark.server_time, elapsed) {
            return false;
        }
        let mut progress = locked(&self.progress);
        progress.mark(mark.cursor);
        self.note_applied(&progress);
        // A moment of 0 stands for none.
        self.synced.store(millis(elapsed).max(1), Ordering::SeqCst);
        true
    }

    /// A state was loaded. `settings` are what it says of this tool.
    pub(crate) fn state(&self, state: &State, settings: Settings, max_staleness: Option<u32>, reset: bool) {
        let mut progress = locked(&self.progress);
        self.denials.replace(&state.denials, state.cursor, !reset, self.earlier_second());
        if reset || !progress.is_older(state.cursor) {
            self.limit_staleness(max_staleness);
            let mut operator = locked(&self.operator);
            for (own, live) in &operator.verifiers {
                live.replace(narrowed(&settings, own));
            }
            let epochs = settings.epochs.clone().unwrap_or_default();
            let missing: Vec<u32> = epochs.into_iter().filter(|epoch| !operator.held_epochs.contains(epoch)).collect();
            if missing != operator.missing_epochs && !missing.is_empty() {
                tracing::warn!(epochs = ?missing, "the issuer has epochs whose key is not in the credential: make a new credential");
            }
            operator.missing_epochs = missing;
            operator.settings = settings;
        }
        progress.state(state.cursor, reset);
        if progress.is_wanting() {
            self.wants.state();
        }
        self.note_applied(&progress);
    }

    /// The issuer says that the state is the one that is in force.
    pub(crate) fn state_is_unchanged(&self) {
        let mut progress = locked(&self.progress);
        progress.state_is_unchanged();
        self.note_applied(&progress);
    }

    /// The cursor behind which a feed goes on.
    pub(crate) fn after(&self) -> Option<i64> {
        locked(&self.progress).after()
    }

    /// Takes out denials whose time is over.
    pub(crate) fn purge(&self) {
        self.denials.purge(self.earlier_second());
    }

    /// Keeps why a try failed, or that one succeeded, and logs what is new.
    pub(crate) fn note(&self, part: Part, outcome: Option<&LinkFault>) {
        let [state, feed] = &mut *locked(&self.faults);
        let (fault, part) = match part {
            Part::State => (state, "state"),
            Part::Feed => (feed, "feed"),
        };
        if fault.as_ref() != outcome {
            match outcome {
                Some(fault) => {
                    tracing::warn!(part, %fault, "the live link to the issuer has a fault; what is known is kept")
                }
                None => tracing::info!(part, "the live link to the issuer is mended"),
            }
            *fault = outcome.cloned();
        }
    }

    /// The fault that there is now.
    pub(crate) fn fault(&self) -> Option<LinkFault> {
        let [state, feed] = &*locked(&self.faults);
        state.as_ref().or(feed.as_ref()).cloned()
    }

    /// The second by the clock that is behind: this machine's, or the issuer's as it was last heard of.
    fn earlier_second(&self) -> i64 {
        let own = self.clock.now().seconds();
        let issuers = locked(&self.time).now(self.clock.elapsed());
        issuers.map_or(own, |millis| own.min(millis.div_euclid(1000)))
    }

    fn limit_staleness(&self, of_tool: Option<u32>) {
        let most = [self.own_max_staleness, of_tool].into_iter().flatten().min();
        let most = most.map_or(NEVER, |seconds| u64::from(seconds).saturating_mul(1000));
        self.max_staleness.store(most, Ordering::SeqCst);
    }

    fn note_applied(&self, progress: &Progress) {
        self.applied.send_if_modified(|applied| {
            let now =
                progress.applied().zip(progress.newest_applied()).map(|(cursor, newest)| InForce { cursor, newest });
            std::mem::replace(applied, now) != now
        });
    }
}

/// The operator's settings with a tool's own policy, which only narrows them.
fn narrowed(operator: &Settings, own: &Policy) -> Settings {
    let mut settings = operator.clone();
    settings.policy = own.clone().within(&operator.policy);
    settings
}
