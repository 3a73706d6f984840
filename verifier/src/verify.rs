//! The decision: the thirteen steps of the profile (§5), in order, in one function.
//!
//! Nothing stateful is touched before step 6 holds: noise costs a hash and a MAC, not a signature check and not a store
//! entry. Only where API keys sign by themselves, at the issuer, a signature as long as Ed25519's costs a check of one.

use crate::clock::UnixTime;
use crate::credential::ToolCredential;
use crate::keys::{ApiKeyProof, Keys, ToolKeys};
use crate::policy::{AllowedOrigins, Policy, ip_allowed};
use crate::replay::{MemoryReplayStore, Record, ReplayLimits, ReplayStore};
use crate::standing::{NoRevocations, Standing};
use crate::token_cache::{KnownToken, TokenCache};
use crate::verified::{Principal, Verified};
use bmap_protocol::check::{self, Received};
use bmap_protocol::digest::{BodyDigest, BodyHasher};
use bmap_protocol::fields::Fields;
use bmap_protocol::ids::{ApiKeyId, Issuer, hex_id};
use bmap_protocol::keys::{MacKey, TokenDigest};
use bmap_protocol::origin::Origin;
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::refusal::{Denial, Mismatch, Refusal};
use bmap_protocol::signature_base::Component;
use bmap_protocol::token::{IssuerKey, UnverifiedToken};
use bytes::{Buf, Bytes, BytesMut};
use http::request::Parts;
use http_body::Body;
use http_body_util::BodyExt;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Decides on requests to one place: a tool, or the issuer.
///
/// `K` finds keys, `R` remembers nonces, `S` knows who is in good standing. The defaults are a tool's own verifier.
#[derive(Debug)]
pub struct Verifier<K = ToolKeys, R = MemoryReplayStore, S = NoRevocations> {
    issuer: Issuer,
    issuer_keys: Vec<IssuerKey>,
    own: Vec<Origin>,
    policy: Policy,
    keys: K,
    replay: R,
    standing: S,
    known: TokenCache,
    latest: AtomicI64,
}

/// A request's body after its digest was compared.
#[derive(Debug)]
pub enum VerifiedBody<B> {
    /// There was none: the body as it came, not read.
    Empty(B),
    /// All of it.
    Whole(Bytes),
}

/// Evidence that every step passed; only [`Verifier::verify`] makes it, and [`Verified`] can't be had without.
pub(crate) struct AllStepsPassed(());

/// How a request says who signed it.
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

impl Verifier {
    /// A tool's own verifier with the policy of its credential. Its replay store begins at `now`.
    pub fn from_credential(credential: ToolCredential, now: UnixTime) -> Self {
        let policy = Policy::of(&credential);
        Self::with_policy(credential, policy, ReplayLimits::default(), now)
    }

    /// A tool's own verifier with a policy and bounds of the tool's choice.
    pub fn with_policy(credential: ToolCredential, policy: Policy, limits: ReplayLimits, now: UnixTime) -> Self {
        let replay = MemoryReplayStore::new(limits, policy.window, now.seconds());
        Self::with_store(credential, policy, replay)
    }

    /// A tool's own verifier with a replay store that is there already.
    pub(crate) fn with_store(credential: ToolCredential, policy: Policy, replay: MemoryReplayStore) -> Self {
        let keys = ToolKeys::new(credential.tool, credential.epochs);
        Self::new(credential.issuer, credential.issuer_keys, credential.own, policy, keys, replay, NoRevocations)
    }
}

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
        let known = TokenCache::new(policy.known_tokens);
        let latest = AtomicI64::new(replay.latest_seen());
        Self { issuer, issuer_keys, own, policy, keys, replay, standing, known, latest }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Decides on one request. `peer` is the address at the other end of the connection.
    ///
    /// # Errors
    /// [`Refusal`]: the request must not reach the tool. [`crate::problem`] makes the answer.
    pub async fn verify<B: Body>(
        &self,
        head: &Parts,
        body: B,
        peer: Option<IpAddr>,
        now: UnixTime,
    ) -> Result<(Verified, VerifiedBody<B>), Refusal> {
        // 1. Sizes and framing.
        let fields = Fields::of(&head.headers);
        self.check_sizes(&fields)?;
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.policy.max_body {
            return Err(Refusal::TooLarge { limit: self.policy.max_body });
        }

        // 2. Request-target rules: refused, not normalised.
        let (path, query) = (head.uri.path(), head.uri.query());
        check::request_target(path, query)?;

        // 3. Parse. A token that is known was parsed when it was new.
        let signature = UnverifiedSignature::parse(&fields)?;
        let caller = match check::presented_token(&fields)? {
            Some(presented) => match self.known.get(presented) {
                Some(known) => Caller::KnownToken(known),
                None => Caller::NewToken(check::unverified_token(presented)?),
            },
            None => Caller::ApiKey,
        };
        let authority = check::authority(head.uri.authority().map(http::uri::Authority::as_str), &fields)?;
        let own = check::own_origin(authority, &self.own)?;
        let received =
            Received { method: head.method.as_str(), authority: own.authority(), path, query, fields: &fields };

        // 4. Time window. What was seen before a store in memory began is not known, so it is refused.
        let now_seconds = self.check_clock(now)?;
        check::time_window(&signature, now_seconds, self.policy.window)?;
        if let Some(started) = self.replay.forgot_until()
            && signature.created <= started
        {
            return Err(Refusal::BeforeStart { created: signature.created, forgot_until: started });
        }

        // 5. Coverage.
        check::coverage(&signature, &fields, !matches!(caller, Caller::ApiKey), announced > 0)?;

        let check_claims = |known: &KnownToken| {
            let (tool, epoch) = (&known.tool, known.epoch);
            check::claims(&known.claims, &signature, &self.issuer, tool, epoch, now_seconds, self.policy.window)
        };
        let (principal, key_id) = match caller {
            Caller::KnownToken(known) => {
                // 6. Check the MAC.
                check::token_mac(&received, &signature, &known.key)?;
                // 7. Claims; the token's signature held when it was new.
                check_claims(&known)?;
                let id = known.id;
                (Principal::Token(known), id)
            }
            Caller::NewToken(token) => {
                // 6. Derive the key, check the MAC.
                let digest = TokenDigest::of(token.compact().as_bytes());
                let mut proven = None;
                self.keys.try_tool_keys(&token, &mut |tool, epoch, tool_key| {
                    let key = MacKey::new(&tool_key.signing_key(&digest));
                    let holds = check::mac(&received, &signature, &key).is_ok();
                    if holds {
                        proven = Some((tool.clone(), epoch, key));
                    }
                    holds
                });
                let (tool, epoch, key) = proven.ok_or(Refusal::InvalidSignature(Mismatch::Mac))?;
                // 7. Token signature, claims. Only then is the token remembered.
                let claims = token.verify(&self.issuer_keys)?;
                let id = jti_bytes(&claims.id);
                let key = check::TokenMacKey::new(key, token.compact());
                let token = token.compact().into();
                let known = KnownToken { token, tool, epoch, key, id, claims, busy_until: 0.into() };
                check_claims(&known)?;
                (Principal::Token(self.known.insert(Arc::new(known))), id)
            }
            Caller::ApiKey => {
                // 6 for an API key that signs by itself; there is no token, so there is no 7.
                let unknown = Refusal::InvalidSignature(Mismatch::UnknownKey);
                let id = ApiKeyId::parse(signature.key_id).map_err(|_| unknown)?;
                let grant = self.keys.api_key(&id).await?.ok_or(unknown)?;
                let check = |proof: &ApiKeyProof| proof.check(&received, &signature);
                // Where there is no former secret, the same check fails again: both cases cost the same (T23).
                check(&grant.proof).or_else(|_| check(grant.former.as_ref().unwrap_or(&grant.proof)))?;
                let id = hex_id(id.as_str(), "bmk_").ok_or(unknown)?;
                (Principal::ApiKey(Arc::new(grant)), id)
            }
        };

        // 8. Revocations and active user.
        self.standing.check(&principal).await?;

        // 9. Tool, origin, assurance, scope.
        if let Principal::Token(known) = &principal {
            let claims = &known.claims;
            if claims.audience != known.tool {
                return Err(Refusal::Denied(Denial::Tool));
            }
            check::origin(claims, &fields, own)?;
            if let (AllowedOrigins::These(_), Some(origin)) = (&self.policy.origins, &claims.origin)
                && !self.policy.origins.allow(origin.as_str())
            {
                return Err(Refusal::Denied(Denial::Origin));
            }
            if claims.assurance < self.policy.min_assurance {
                return Err(Refusal::Denied(Denial::Assurance));
            }
            if !self.policy.scopes.iter().all(|scope| claims.has_scope(scope)) {
                return Err(Refusal::Denied(Denial::Scope));
            }
        }

        // 10. Content-Digest over the body, which is read only now, for a caller who is known.
        let covers_digest = signature.covers(Component::Header("content-digest"));
        let body = if body.is_end_stream() {
            if covers_digest {
                check::content_digest(&fields, &BodyDigest::of(b""))?;
            }
            VerifiedBody::Empty(body)
        } else {
            let (bytes, digest) = self.read_body(body).await?;
            if announced == 0 {
                // That there is a body was not known in step 5.
                check::coverage(&signature, &fields, false, !bytes.is_empty())?;
            }
            if covers_digest {
                check::content_digest(&fields, &digest)?;
            }
            VerifiedBody::Whole(bytes)
        };

        // 11. Record (keyid, nonce), refuse if known.
        let until = self.policy.window.record_until(signature.created);
        self.replay.record(Record { key: key_id, nonce: signature.nonce, until }, now_seconds).await?;

        // 12. IP and rate policy.
        let key_ips = match &principal {
            Principal::Token(_) => &[][..],
            Principal::ApiKey(grant) => &grant.allowed_ips,
        };
        if !ip_allowed(&self.policy.allowed_ips, peer) || !ip_allowed(key_ips, peer) {
            return Err(Refusal::Denied(Denial::Ip));
        }
        if let (Some(rate), Principal::Token(known)) = (self.policy.rate, &principal) {
            known.take(rate, now.millis()).map_err(|retry_after| Refusal::RateLimited { retry_after })?;
        }

        // 13. Pass on. Whoever does so rebuilds the identity headers, see `layer`.
        Ok((Verified::new(principal, AllStepsPassed(())), body))
    }

    /// Step 1: the head within its bounds.
    fn check_sizes(&self, fields: &Fields<'_>) -> Result<(), Refusal> {
        if fields.size() > self.policy.max_head || fields.all().len() > self.policy.max_headers {
            return Err(Refusal::TooLarge { limit: self.policy.max_head });
        }
        Ok(())
    }

    /// Step 4: a clock that went back would make old signatures fresh again (T22).
    fn check_clock(&self, now: UnixTime) -> Result<i64, Refusal> {
        let now = now.seconds();
        // Written once in a second, and read by all: most requests take no cache line from another core.
        let mut seen = self.latest.load(Ordering::Relaxed);
        if now > seen {
            seen = self.latest.fetch_max(now, Ordering::Relaxed);
        }
        if now < seen.saturating_sub(CLOCK_STEP) { Err(Refusal::ClockUnreliable { now, seen }) } else { Ok(now) }
    }

    /// Step 10: all of the body, hashed as it comes, within the policy's bound.
    async fn read_body<B: Body>(&self, body: B) -> Result<(Bytes, BodyDigest), Refusal> {
        let mut body = pin!(body);
        let limit = self.policy.max_body;
        let mut hasher = BodyHasher::default();
        let (mut first, mut rest, mut size) = (Bytes::new(), BytesMut::new(), 0_usize);
        // A body that says that it is at its end is not asked again.
        while !body.is_end_stream()
            && let Some(frame) = body.frame().await
        {
            // Trailers are dropped: nothing in them is signed.
            let Ok(mut data) = frame.map_err(|_| Refusal::BodyCut)?.into_data() else { continue };
            size = size.saturating_add(data.remaining());
            if size > limit {
                return Err(Refusal::TooLarge { limit });
            }
            let bytes = data.copy_to_bytes(data.remaining());
            hasher.update(&bytes);
            // A body of one frame, which most are, is not copied.
            if first.is_empty() {
                first = bytes;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&bytes);
            }
        }
        Ok((if rest.is_empty() { first } else { rest.freeze() }, hasher.finish()))
    }
}

/// The 16 bytes behind a verified `jti`, whose form the claims' parser checked.
fn jti_bytes(jti: &str) -> [u8; 16] {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let mut bytes = [0; 16];
    match Base64UrlUnpadded::decode(jti, &mut bytes) {
        Ok(_) => bytes,
        Err(_) => [0; 16],
    }
}
