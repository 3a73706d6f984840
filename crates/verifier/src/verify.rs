//! The decision: the thirteen steps of the profile (§5), in order, in one function.
//!
//! Nothing stateful is touched before step 6 holds: noise costs a hash and a MAC, not a signature check and not a store
//! entry. Only where API keys sign by themselves, at the issuer, a signature as long as Ed25519's costs a check of one.
//!
//! The clock is read twice: when the head is there, and when all is there and nothing is waited for any more. Checks of time hold at
//! both moments.

use crate::allowed_ips::ip_allowed;
use crate::body::{self, Bounds};
use crate::body_budget::{BodyBudget, Payer};
use crate::capability;
use crate::clock::{Clock, UnixTime, millis};
use crate::keys::{ApiKeyProof, Keys, ToolKeys};
use crate::policy::Policy;
use crate::policy::rate_table::RateTable;
use crate::replay::{MemoryReplayStore, Record, ReplayStore};
use crate::settings::{LiveSettings, Settings, SettingsRef};
use crate::standing::{NoRevocations, Standing};
use crate::token_cache::{KnownToken, Proven, TokenCache, jti_bytes};
use bmap_protocol::check::{self, Received};
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::fields::Fields;
use bmap_protocol::ids::{ApiKeyId, Issuer, hex_id};
use bmap_protocol::keys::{MacKey, TokenDigest};
use bmap_protocol::origin::Origin;
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::refusal::{Denial, Mismatch, Refusal};
use bmap_protocol::signature_base::Component;
use bmap_protocol::token::{IssuerKey, TokenFault, UnverifiedToken};
use bytes::Bytes;
use http::request::Parts;
use http_body::Body;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

mod by_capability;
mod counted;
mod demands;
pub mod fresh;
mod rates;
pub mod verified;

use counted::counted;
use demands::{demands, from_its_network, still_holds};
use fresh::Fresh;
use verified::{Principal, Verified};

/// Decides on requests to one place: a tool, or the issuer.
///
/// `K` finds keys, `R` remembers nonces, `S` knows who is in good standing. The defaults are a tool's own verifier.
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
/// use bmap_verifier::{SystemClock, Verifier};
/// use http::Request;
/// use http_body_util::Empty;
///
/// let verifier = Verifier::from_credential(credential, SystemClock.now());
/// let (head, body) = Request::get("https://geo.example/v1/search?q=Sofia").body(Empty::<bytes::Bytes>::new())?.into_parts();
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let refusal = verifier.verify(&head, body, None, &SystemClock).await.unwrap_err();
/// assert_eq!(refusal.code().as_str(), "missing_signature");
/// # });
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug)]
pub struct Verifier<K = ToolKeys, R = MemoryReplayStore, S = NoRevocations> {
    issuer: Issuer,
    settings: LiveSettings,
    keys: K,
    replay: R,
    standing: S,
    known: TokenCache,
    capabilities: TokenCache,
    rates: RateTable,
    bodies: BodyBudget,
    latest: AtomicI64,
}

/// A request's body after its digest was compared.
///
/// ```
/// use bmap_verifier::VerifiedBody;
/// use bytes::Bytes;
///
/// /// The bytes of a body.
/// fn bytes(body: VerifiedBody<()>) -> Bytes {
///     match body {
///         VerifiedBody::Empty(()) => Bytes::new(),
///         VerifiedBody::Whole(bytes) => bytes, // its digest is the one that was signed
///     }
/// }
/// assert_eq!(bytes(VerifiedBody::Whole(Bytes::from_static(b"{}"))), "{}");
/// ```
#[derive(Debug)]
pub enum VerifiedBody<B> {
    /// There was none: the body as it came, not read.
    Empty(B),
    /// All of it.
    Whole(Bytes),
}

/// How a request names its signer.
enum Caller<'a> {
    /// With a token whose key and claims are remembered.
    KnownToken(Arc<KnownToken>),
    /// With another token.
    NewToken(UnverifiedToken<'a>),
    /// Without a token: with the API key that `keyid` names.
    ApiKey,
}

/// Seconds by which the clock may go back before it is not believed any more.
const CLOCK_STEP: i64 = 5;

impl<K, R, S> Verifier<K, R, S> {
    /// The replay store.
    pub(crate) fn replay(&self) -> &R {
        &self.replay
    }
}

impl<K: Keys, R: ReplayStore, S: Standing> Verifier<K, R, S> {
    /// A verifier from its parts. `own` are the base URLs' origins that requests come to.
    pub fn new(
        issuer: Issuer,
        issuer_keys: Vec<IssuerKey>,
        own: Vec<Origin>,
        policy: Policy,
        keys: K,
        replay: R,
        standing: S,
    ) -> Self {
        let settings = LiveSettings::new(Settings::new(issuer_keys, own, policy));
        Self::with_settings(issuer, settings, keys, replay, standing)
    }

    /// A verifier from its parts, whose settings are exchanged from outside.
    pub fn with_settings(issuer: Issuer, settings: LiveSettings, keys: K, replay: R, standing: S) -> Self {
        let policy = &settings.load().policy;
        let [known, capabilities] = [(); 2].map(|()| TokenCache::new(policy.known_tokens));
        let bodies = BodyBudget::new(policy);
        let latest = AtomicI64::new(replay.latest_seen());
        Self {
            issuer,
            settings,
            keys,
            replay,
            standing,
            known,
            capabilities,
            rates: RateTable::default(),
            bodies,
            latest,
        }
    }

    /// The settings as they are now; [`LiveSettings`] exchanges them.
    pub fn settings(&self) -> SettingsRef {
        self.settings.load()
    }

    /// Bytes of bodies that are held now while their requests wait, for a metric; see [`crate::BodyLimits`].
    pub fn body_bytes_held(&self) -> usize {
        self.bodies.held()
    }

    /// Decides on one request. `peer` is the address at the other end of the connection. `clock` is read when the head is there and
    /// again when the body is; its timer ends a body that does not come.
    ///
    /// # Errors
    /// [`Refusal`]: the request must not reach the tool. [`crate::problem`] makes the answer.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` holds its arguments twice, and this future has to stay small"
    )]
    pub fn verify<B: Body>(
        &self,
        head: &Parts,
        body: B,
        peer: Option<IpAddr>,
        clock: &impl Clock,
    ) -> impl Future<Output = Result<(Verified, VerifiedBody<B>), Refusal>> {
        async move {
            let began = clock.now();
            let has_body = !body.is_end_stream();
            // Read once: all of this decision is by the same settings.
            let settings = if has_body { self.settings.load_for_long() } else { self.settings.load() };
            let policy = &settings.policy;

            // A decision by the address alone costs no more than that.
            if !ip_allowed(&policy.allowed_ips, peer) {
                return Err(Refusal::Denied(Denial::Ip));
            }
            rates::of_address(&self.rates, &policy.rates, peer, millis(began))?;

            // 1. Sizes and framing.
            let fields = Fields::of(&head.headers);
            check_sizes(&fields, policy)?;
            let least = body.size_hint().lower();
            let announced = least > 0;
            if usize::try_from(least).unwrap_or(usize::MAX) > policy.max_body {
                return Err(Refusal::TooLarge { limit: policy.max_body });
            }

            // 2. Request-target rules: refused, not normalised.
            let (path, query) = (head.uri.path(), head.uri.query());
            check::request_target(path, query)?;

            // A capability stands in the place of the steps up to 12. Boxed, because few requests have one.
            if let Some(presented) = capability::presented(head, policy)? {
                let decided = self.by_capability(presented, head, has_body, peer, &settings, clock);
                return Box::pin(decided).await.map(|verified| (verified, VerifiedBody::Empty(body)));
            }

            // 3. Parse. A token that is known was parsed when it was new; it is known no more where its keys are none of the issuer's by now.
            let signature = UnverifiedSignature::parse(&fields)?;
            let caller = match check::presented_token(&fields)? {
                Some(presented) => {
                    match self.known.get(presented).filter(|known| known.holds_by(settings.numbered()).is_ok()) {
                        Some(known) => Caller::KnownToken(known),
                        None => Caller::NewToken(check::unverified_token(presented)?),
                    }
                }
                None => Caller::ApiKey,
            };
            let authority = check::authority(head.uri.authority().map(http::uri::Authority::as_str), &fields)?;
            let own = check::own_origin(authority, &settings.own)?;
            let received = Received {
                method: head.method.as_str(),
                scheme: own.scheme(),
                authority: own.authority(),
                path,
                query,
                fields: &fields,
            };

            // 4. Time window.
            let now = self.check_time(&signature, began, policy)?;

            // 5. Coverage.
            check::coverage(&signature, &fields, !matches!(caller, Caller::ApiKey), announced)?;

            let check_claims = |known: &KnownToken, now: i64| {
                let (tool, epoch) = (&known.tool, known.epoch);
                check::claims(&known.claims, &signature, &self.issuer, tool, epoch, now, policy.window)
            };
            let (principal, key_id) = match caller {
                Caller::KnownToken(known) => {
                    // 6. Check the MAC.
                    let Proven::Session { key, .. } = &known.proven else {
                        return Err(Refusal::InvalidSignature(Mismatch::Mac));
                    };
                    check::token_mac(&received, &signature, key)?;
                    // 7. Claims; the token's signature held when it was new.
                    check_claims(&known, now)?;
                    let id = known.id;
                    (Principal::Token(known), id)
                }
                Caller::NewToken(token) => {
                    // 6. Derive the key, check the MAC.
                    let digest = TokenDigest::of(token.compact().as_bytes());
                    let mut proven = None;
                    self.keys.try_tool_keys(&token, &mut |tool, epoch, tool_key| {
                        if !settings.accepts_epoch(epoch) {
                            return false;
                        }
                        let key = MacKey::new(&tool_key.signing_key(&digest));
                        let holds = check::mac(&received, &signature, &key).is_ok();
                        if holds {
                            proven = Some((tool.clone(), epoch, key));
                        }
                        holds
                    });
                    let (tool, epoch, key) = proven.ok_or(Refusal::InvalidSignature(Mismatch::Mac))?;
                    // 7. Token signature, claims. Only then is the token remembered.
                    let (claims, issuer_key) = token.verify_by(&settings.issuer_keys).inspect_err(|fault| {
                        if *fault == TokenFault::UnknownKey {
                            self.keys.issuer_key_unknown();
                        }
                    })?;
                    let id = jti_bytes(&claims.id);
                    let key = check::TokenMacKey::new(key, token.compact());
                    let token = token.compact().into();
                    let proven = Proven::Session { key, issuer_key: issuer_key.public_key() };
                    let (checked_by, busy_until) = (settings.number().into(), 0.into());
                    let known = KnownToken { token, tool, epoch, proven, checked_by, id, claims, busy_until };
                    check_claims(&known, now)?;
                    (Principal::Token(self.known.insert(Arc::new(known))), id)
                }
                Caller::ApiKey => {
                    // 6 for an API key that signs by itself; there is no token, so there is no 7.
                    self.signing_api_key(&received, &signature).await?
                }
            };

            // 8. Revocations and active user.
            self.standing.check(&principal).await?;

            // 9. Tool, origin, assurance, scope.
            demands(&principal, policy, &received, own)?;

            // 10. Content-Digest over the body, which is read only now, for a caller who is known.
            let payer = match &principal {
                Principal::Token(_) => Payer::Token(key_id),
                Principal::ApiKey(_) => Payer::ApiKey(key_id),
            };
            let mut hold = self.bodies.hold(payer, peer);
            let covers_digest = signature.covers(Component::Header("content-digest"));
            let (body, size, waited) = if !has_body {
                if covers_digest {
                    check::content_digest(&fields, &BodyDigest::of(b""))?;
                }
                (VerifiedBody::Empty(body), 0, false)
            } else {
                let bounds = Bounds { policy, began };
                let arrived = body::read(pin!(body), bounds, &mut hold, clock).await?;
                let size = arrived.bytes.len();
                if !announced {
                    // That there is a body was not known in step 5.
                    check::coverage(&signature, &fields, false, size > 0)?;
                }
                if covers_digest {
                    check::content_digest(&fields, &arrived.digest)?;
                }
                (VerifiedBody::Whole(arrived.bytes), size, arrived.waited)
            };

            let recorded = pin!(async {
                let mut principal = principal;
                // 6 and 8 again, where a body was waited for: a key that was changed or revoked meanwhile counts. Otherwise nothing was
                // waited for since step 8, and it is asked once.
                if waited || size > 0 && clock.now().seconds() != now {
                    if let Principal::ApiKey(_) = &principal {
                        principal = self.signing_api_key(&received, &signature).await?.0;
                    }
                    self.standing.check(&principal).await?;
                    // And so do settings that were exchanged.
                    let newest = self.settings.load();
                    if newest.number() != settings.number() {
                        still_holds(&principal, &newest, &received, own, peer)?;
                    }
                }
                // 4 and 7 again, without a body too, because look-ups may wait. Between this reading and the record nothing does.
                let at = clock.now();
                let later = self.check_time(&signature, at, policy)?;
                if let Principal::Token(known) = &principal
                    && later != now
                {
                    check_claims(known, later)?;
                }
                let fresh = Fresh::new(at);
                // 11. Record (keyid, nonce), refuse if known.
                let until = policy.window.record_until(signature.created);
                self.replay.record(Record { key: key_id, nonce: signature.nonce, until }, fresh).await?;
                Ok((principal, at))
            });
            let (principal, at) = counted(recorded, &mut hold, size, clock).await?;

            // 12. The addresses of the caller's key, the token's network, and the caller's rate.
            let key_ips = match &principal {
                Principal::Token(_) => &[][..],
                Principal::ApiKey(grant) => &grant.allowed_ips,
            };
            if !ip_allowed(key_ips, peer) {
                return Err(Refusal::Denied(Denial::Ip));
            }
            if let Principal::Token(known) = &principal {
                from_its_network(&known.claims, peer)?;
                rates::of_token(&self.rates, policy, known, millis(at))?;
            }

            // 13. Pass on. The caller of this function does so, and rebuilds the identity headers, see `layer`.
            Ok((Verified::new(principal), body))
        }
    }

    /// Step 4, at either reading of the clock: `created` and `expires` within the window, and after the time that the store may have
    /// forgotten. The time in seconds.
    fn check_time(&self, signature: &UnverifiedSignature<'_>, time: UnixTime, policy: &Policy) -> Result<i64, Refusal> {
        let now = self.check_clock(time)?;
        check::time_window(signature, now, policy.window)?;
        match self.replay.forgot_until() {
            Some(forgot_until) if signature.created <= forgot_until => {
                Err(Refusal::BeforeStart { created: signature.created, forgot_until })
            }
            _ => Ok(now),
        }
    }

    /// A clock that went back would make old signatures fresh again (T22).
    fn check_clock(&self, now: UnixTime) -> Result<i64, Refusal> {
        let now = now.seconds();
        // Written once in a second, and read by all: most requests take no cache line from another core.
        let mut seen = self.latest.load(Ordering::Relaxed);
        if now > seen {
            seen = self.latest.fetch_max(now, Ordering::Relaxed);
        }
        if now < seen.saturating_sub(CLOCK_STEP) { Err(Refusal::ClockUnreliable { now, seen }) } else { Ok(now) }
    }

    /// Step 6 for an API key: the key as it is now, and the 16 bytes behind its id, if it made this signature.
    async fn signing_api_key(
        &self,
        received: &Received<'_>,
        signature: &UnverifiedSignature<'_>,
    ) -> Result<(Principal, [u8; 16]), Refusal> {
        let unknown = Refusal::InvalidSignature(Mismatch::UnknownKey);
        let id = ApiKeyId::parse(signature.key_id).map_err(|_| unknown)?;
        let grant = self.keys.api_key(&id).await?.ok_or(unknown)?;
        let check = |proof: &ApiKeyProof| proof.check(received, signature);
        // Where there is no former secret, the same check fails again: both cases cost the same (T23).
        check(&grant.proof).or_else(|_| check(grant.former.as_ref().unwrap_or(&grant.proof)))?;
        let id = hex_id(id.as_str(), "bmk_").ok_or(unknown)?;
        Ok((Principal::ApiKey(Arc::new(grant)), id))
    }
}

/// Step 1: the head within its bounds.
fn check_sizes(fields: &Fields<'_>, policy: &Policy) -> Result<(), Refusal> {
    if fields.size() > policy.max_head || fields.all().len() > policy.max_headers {
        return Err(Refusal::TooLarge { limit: policy.max_head });
    }
    Ok(())
}
