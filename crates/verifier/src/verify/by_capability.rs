//! A request with a capability URL in the place of a signature (profile §10). It is taken where the tool's policy lists that proof; it is not used up, and
//! proves neither the query nor a body.

use crate::allowed_origins::AllowedOrigins;
use crate::clock::{Clock, UnixTime, millis};
use crate::keys::Keys;
use crate::replay::ReplayStore;
use crate::settings::SettingsRef;
use crate::standing::Standing;
use crate::token_cache::{KnownToken, Proven, jti_bytes};
use crate::verify::demands::{asked_of, from_its_network};
use crate::verify::verified::{Principal, ProofKind, Verified};
use crate::verify::{Verifier, rates};
use bmap_protocol::capability::{self, CapabilityFault, CapabilityMac, Presented};
use bmap_protocol::check::{self, Received};
use bmap_protocol::fields::Fields;
use bmap_protocol::refusal::{Denial, Refusal};
use bmap_protocol::tool_policy::Proof;
use http::header::{AUTHORIZATION, HeaderMap, UPGRADE};
use http::request::Parts;
use http::{Method, Version};
use std::net::IpAddr;
use std::sync::Arc;

/// Places in a page that a browser shows a whole document or a program in.
const DOCUMENTS: [&str; 5] = ["document", "iframe", "frame", "object", "embed"];
/// Headers of other proofs.
const PROOFS: [&str; 3] = ["signature", "signature-input", "dpop"];

impl<K: Keys, R: ReplayStore, S: Standing> Verifier<K, R, S> {
    /// Decides on a request with a capability. The head's sizes, its target and the caller's address were looked at before.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) async fn by_capability(
        &self,
        presented: Presented<'_>,
        head: &Parts,
        has_body: bool,
        peer: Option<IpAddr>,
        settings: &SettingsRef,
        clock: &impl Clock,
    ) -> Result<Verified, Refusal> {
        if head.headers.contains_key(AUTHORIZATION) || PROOFS.iter().any(|name| head.headers.contains_key(*name)) {
            return Err(CapabilityFault::BesideProof.into());
        }
        if has_body {
            return Err(CapabilityFault::Body.into());
        }
        let known = self.opened(presented.text, settings)?;
        self.is_in_time(&known, clock.now(), settings)?;
        let fields = Fields::of(&head.headers);
        is_of_its_kind(head, &known)?;
        has_its_origin(&fields, &head.headers, head.version, &known)?;
        let authority = check::authority(head.uri.authority().map(http::uri::Authority::as_str), &fields)?;
        let own = check::own_origin(authority, &settings.own)?;
        let received = Received {
            method: head.method.as_str(),
            scheme: own.scheme(),
            authority: own.authority(),
            path: head.uri.path(),
            query: presented.rest,
            fields: &fields,
        };
        let claims = &known.claims;
        if let (AllowedOrigins::These(_), Some(origin)) = (&settings.policy.origins, &claims.origin)
            && !settings.policy.origins.allow(origin.as_str())
        {
            return Err(Refusal::Denied(Denial::Origin));
        }
        let principal = Principal::Token(Arc::clone(&known));
        self.standing.check(&principal).await?;
        asked_of(claims, &settings.policy, &received)?;
        // A look-up may have waited.
        let at = clock.now();
        self.is_in_time(&known, at, settings)?;
        from_its_network(claims, peer)?;
        rates::of_token(&self.rates, &settings.policy, &known, millis(at))?;
        Ok(Verified::new(principal))
    }

    /// Whether what let a request in holds now, for an answer that goes on, such as an event stream or a WebSocket: it ends with the token or capability, and
    /// when these are denied (profile §10). Ask each second.
    ///
    /// ```
    /// use bmap_verifier::{SystemClock, Verified, Verifier};
    ///
    /// /// Ends when the caller may not be there any more.
    /// async fn ended(verifier: &Verifier, caller: &Verified) {
    ///     while verifier.still_stands(caller, &SystemClock).await.is_ok() {
    ///         tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Refusal`]: what a new request would be refused with, as far as it does not follow from its path.
    pub async fn still_stands(&self, verified: &Verified, clock: &impl Clock) -> Result<(), Refusal> {
        self.standing.check(verified.principal()).await?;
        let now = self.check_clock(clock.now())?;
        let Principal::Token(known) = verified.principal() else { return Ok(()) };
        let (settings, expired) = (self.settings.load(), known.claims.expires_at);
        if expired <= u64::try_from(now).unwrap_or(0) {
            return Err(Refusal::TokenExpired { expired, now });
        }
        known.holds_by(settings.numbered())?;
        if verified.proof() == ProofKind::Capability && !settings.policy.takes(Proof::Capability) {
            return Err(Refusal::Unsigned);
        }
        if known.claims.assurance < settings.policy.min_assurance {
            return Err(Refusal::Denied(Denial::Assurance));
        }
        let has_all = settings.policy.scopes.iter().all(|scope| known.claims.has_scope(scope));
        if has_all { Ok(()) } else { Err(Refusal::Denied(Denial::Scope)) }
    }

    /// The capability, whose MAC holds under a key of the tool.
    fn opened(&self, text: &str, settings: &SettingsRef) -> Result<Arc<KnownToken>, Refusal> {
        let known = self.capabilities.get(text.as_bytes());
        if let Some(known) = known.filter(|known| known.holds_by(settings.numbered()).is_ok()) {
            return Ok(known);
        }
        let mut outcome = Err(CapabilityFault::Mac);
        self.keys.each_tool_key(&mut |tool, epoch, key| {
            if !settings.accepts_epoch(epoch) {
                return false;
            }
            let opened = CapabilityMac::new(&key.capability_key()).open(text, &self.issuer, tool, epoch);
            let goes_on = matches!(opened, Err(CapabilityFault::Mac));
            if !goes_on {
                outcome = opened.map(|opened| (opened, tool.clone(), epoch));
            }
            !goes_on
        });
        let (opened, tool, epoch) = outcome?;
        let id = jti_bytes(&opened.claims.id);
        let proven = Proven::Capability { path_prefix: opened.path_prefix };
        let (checked_by, busy_until) = (settings.number().into(), 0.into());
        let known =
            KnownToken { token: text.into(), tool, epoch, proven, checked_by, id, claims: opened.claims, busy_until };
        Ok(self.capabilities.insert(Arc::new(known)))
    }

    fn is_in_time(&self, known: &KnownToken, time: UnixTime, settings: &SettingsRef) -> Result<(), Refusal> {
        let now = self.check_clock(time)?;
        let expired = known.claims.expires_at;
        let at = u64::try_from(now).unwrap_or(0);
        if expired <= at {
            return Err(Refusal::TokenExpired { expired, now });
        }
        let longest = capability::MAX_LIFE.saturating_add(settings.policy.window.future.into());
        if expired > at.saturating_add(longest) { Err(CapabilityFault::Life.into()) } else { Ok(()) }
    }
}

/// The path below its prefix, and a method that changes nothing.
fn is_of_its_kind(head: &Parts, known: &KnownToken) -> Result<(), Refusal> {
    let Proven::Capability { path_prefix } = &known.proven else { return Err(CapabilityFault::Form.into()) };
    let is_below = head.uri.path().as_bytes().starts_with(path_prefix.as_bytes());
    if !is_below || head.method != Method::GET && head.method != Method::HEAD {
        return Err(Refusal::Denied(Denial::Scope));
    }
    Ok(())
}

/// Its page's `Origin`, or none: images and tiles send none. Without one nothing is opened that becomes a document, or a connection that other pages can open
/// too.
fn has_its_origin(
    fields: &Fields<'_>,
    headers: &HeaderMap,
    version: Version,
    known: &KnownToken,
) -> Result<(), Refusal> {
    let Some(sent) = check::sent_origin(fields)? else {
        let is_document = headers
            .get_all("sec-fetch-dest")
            .iter()
            .any(|value| DOCUMENTS.iter().any(|document| value.as_bytes().eq_ignore_ascii_case(document.as_bytes())));
        // In HTTP/2 a connection is upgraded by CONNECT (RFC 8441), which is no GET.
        let upgrades = version < Version::HTTP_2 && headers.contains_key(UPGRADE);
        return if is_document || upgrades { Err(Refusal::Denied(Denial::Scope)) } else { Ok(()) };
    };
    let is_its_own = known.claims.origin.as_ref().is_some_and(|origin| origin.as_str() == sent);
    if is_its_own { Ok(()) } else { Err(Refusal::Denied(Denial::Origin)) }
}
