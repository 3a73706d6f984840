//! Why a request is refused: one enum for the thirteen steps (profile §5), and its one map to the wire.
//!
//! The fields are for the log. A caller is told [`Refusal::code`] and nothing more.
//!
//! ```
//! use bmap_protocol::refusal::Refusal;
//!
//! let refusal = Refusal::Header { name: "origin" };
//! assert_eq!(refusal.code().as_str(), "malformed_request");
//! assert_eq!(refusal.to_string(), "header origin is repeated or not plain text");
//! ```

use crate::capability::CapabilityFault;
use crate::code::Code;
use crate::digest::DigestFault;
use crate::received::SignatureFault;
use crate::target::TargetFault;
use crate::token::TokenFault;

/// A refusal, grouped by whose fault it is.
///
/// ```
/// use bmap_protocol::refusal::Refusal;
///
/// let refusal = Refusal::RateLimited { retry_after: 7 };
/// assert_eq!((refusal.code().as_str(), refusal.code().status()), ("rate_limited", 429));
/// assert_eq!(refusal.retry_after(), Some(7));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    // The sender's form.
    /// The request target is outside the profile.
    #[error("request target: {0}")]
    Target(#[from] TargetFault),
    /// A header that decides something is repeated, or has a byte outside ASCII.
    #[error("header {name} is repeated or not plain text")]
    Header {
        /// The header's name.
        name: &'static str,
    },
    /// `Signature-Input` or `Signature` is outside the profile.
    #[error("signature headers: {0}")]
    Signature(#[from] SignatureFault),
    /// `Content-Digest` is not one.
    #[error("content digest: {0}")]
    Digest(DigestFault),

    /// A header that gives the request another method or path is not covered.
    #[error("{header} changes what the request means, and is not covered")]
    UncoveredOverride {
        /// The header's name, spelled with `-`.
        header: &'static str,
    },

    // The sender's proof.
    /// No signature with our tag.
    #[error("no signature with our tag")]
    Unsigned,
    /// A component that must be covered is not.
    #[error("{component} is not covered")]
    Uncovered {
        /// The component's name.
        component: &'static str,
    },
    /// The signature does not hold.
    #[error("the signature does not hold: {0}")]
    InvalidSignature(Mismatch),
    /// `created` or `expires` is outside the window.
    #[error("created {created}, now {now}")]
    ClockSkew {
        /// The signature's `created`, seconds.
        created: i64,
        /// The verifier's time, seconds.
        now: i64,
    },
    /// The replay store began after the request may have been signed, so it cannot know whether it saw it (profile §5, "After a restart").
    #[error("created {created}, but the replay store knows nothing of requests created until {forgot_until}")]
    BeforeStart {
        /// The signature's `created`, seconds.
        created: i64,
        /// The store's start plus the window's `future`, seconds.
        forgot_until: i64,
    },
    /// The (keyid, nonce) was seen before.
    #[error("seen before")]
    Replayed,
    /// The body is not the one that was signed.
    #[error("the body is not the signed one")]
    DigestMismatch,
    /// The token is not one of ours.
    #[error("token: {0}")]
    Token(#[from] TokenFault),
    /// The capability in the query is not one.
    #[error("capability: {0}")]
    Capability(#[from] CapabilityFault),
    /// The token's time is over.
    #[error("token expired at {expired}, now {now}")]
    TokenExpired {
        /// The token's `exp`, seconds.
        expired: u64,
        /// The verifier's time, seconds.
        now: i64,
    },
    /// A credential that is not a signature is wrong.
    #[error("invalid credentials")]
    InvalidCredentials,
    /// The grant that was shown to the token endpoint does not hold.
    #[error("invalid grant")]
    InvalidGrant,

    // Acts that the sender may not do.
    /// Something that is allowed to others.
    #[error("denied: {0}")]
    Denied(Denial),

    // Limits, and our own faults.
    /// Over a limit, in bytes.
    #[error("over {limit} bytes")]
    TooLarge {
        /// The limit, bytes.
        limit: usize,
    },
    /// The body was not complete at its deadline, or came more slowly than the minimum rate.
    #[error("the body was not complete in time")]
    BodyTimeout,
    /// The caller ended its own body early.
    #[error("the body did not arrive whole")]
    BodyCut,
    /// Too many requests.
    #[error("rate limited for {retry_after} s")]
    RateLimited {
        /// When to come back, seconds.
        retry_after: u32,
    },
    /// The replay store is full or out of reach.
    #[error("replay store unavailable")]
    ReplayStoreUnavailable,
    /// The issuer, or its database, is out of reach.
    #[error("issuer unavailable")]
    IssuerUnavailable,
    /// This machine's clock went back.
    #[error("the clock went back: {now} after {seen}")]
    ClockUnreliable {
        /// The clock's time, seconds.
        now: i64,
        /// The latest time seen before, seconds.
        seen: i64,
    },
    /// Too much to do.
    #[error("overloaded")]
    Overloaded,
}

/// The part of the signature that does not hold. Never told to the caller.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The MAC or signature is another one.
    #[error("wrong MAC")]
    Mac,
    /// The key is not known here.
    #[error("unknown key")]
    UnknownKey,
    /// `keyid` is not the token's `jti`.
    #[error("keyid is not the token's jti")]
    KeyId,
    /// `@authority` is not one of this tool's.
    #[error("the authority is not this tool's")]
    Authority,
    /// A covered header is not there.
    #[error("a covered header is absent")]
    AbsentHeader,
    /// Something in front of the verifier changed the request's path or query beyond taking a prefix off.
    #[error("the request's address was rewritten in front of the verifier")]
    Rewritten,
}

/// The denied thing.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The token is for another tool.
    #[error("other tool")]
    Tool,
    /// The page's origin is not the token's, or not allowed at this tool.
    #[error("origin")]
    Origin,
    /// The tool asks for more assurance.
    #[error("assurance")]
    Assurance,
    /// The tool asks for a scope that the token lacks.
    #[error("scope")]
    Scope,
    /// The user is not active.
    #[error("user inactive")]
    UserInactive,
    /// The API key was revoked.
    #[error("key revoked")]
    KeyRevoked,
    /// The token or its session was revoked.
    #[error("token revoked")]
    TokenRevoked,
    /// The caller's address is not allowed.
    #[error("address")]
    Ip,
    /// No verifier on the way can check the body.
    #[error("body unverifiable")]
    BodyUnverifiable,
}

impl Refusal {
    /// The code that the caller is told (profile §6). The one map from decisions to codes.
    pub const fn code(&self) -> Code {
        match self {
            Refusal::Target(_)
            | Refusal::Header { .. }
            | Refusal::UncoveredOverride { .. }
            | Refusal::Digest(DigestFault::Malformed)
            | Refusal::Capability(
                CapabilityFault::NotLast
                | CapabilityFault::Escaped
                | CapabilityFault::BesideProof
                | CapabilityFault::Body
                | CapabilityFault::Nested,
            )
            | Refusal::BodyCut => Code::MalformedRequest,
            Refusal::Signature(_) => Code::MalformedSignature,
            Refusal::Digest(DigestFault::NoSha256) | Refusal::Uncovered { .. } => Code::InsufficientCoverage,
            Refusal::Unsigned => Code::MissingSignature,
            Refusal::InvalidSignature(_) => Code::InvalidSignature,
            Refusal::ClockSkew { .. } => Code::ClockSkew,
            Refusal::Replayed => Code::Replayed,
            Refusal::DigestMismatch => Code::DigestMismatch,
            Refusal::Token(_) | Refusal::Capability(_) => Code::InvalidToken,
            Refusal::TokenExpired { .. } => Code::TokenExpired,
            Refusal::InvalidCredentials => Code::InvalidCredentials,
            Refusal::InvalidGrant => Code::InvalidGrant,
            Refusal::Denied(denial) => match denial {
                Denial::Tool => Code::ToolDenied,
                Denial::Origin => Code::OriginDenied,
                Denial::Assurance => Code::AssuranceTooLow,
                Denial::Scope => Code::ScopeDenied,
                Denial::UserInactive => Code::UserInactive,
                Denial::KeyRevoked => Code::KeyRevoked,
                Denial::TokenRevoked => Code::TokenRevoked,
                Denial::Ip => Code::IpDenied,
                Denial::BodyUnverifiable => Code::BodyUnverifiable,
            },
            Refusal::BodyTimeout => Code::BodyTimeout,
            Refusal::TooLarge { .. } => Code::TooLarge,
            Refusal::RateLimited { .. } => Code::RateLimited,
            Refusal::BeforeStart { .. } | Refusal::ReplayStoreUnavailable => Code::ReplayStoreUnavailable,
            Refusal::IssuerUnavailable => Code::IssuerUnavailable,
            Refusal::ClockUnreliable { .. } => Code::ClockUnreliable,
            Refusal::Overloaded => Code::Overloaded,
        }
    }

    /// Seconds after which the caller may try again, for `Retry-After`.
    pub const fn retry_after(&self) -> Option<u32> {
        match self {
            Refusal::RateLimited { retry_after } => Some(*retry_after),
            // A request that is signed after these seconds is past the rule (profile §5).
            Refusal::BeforeStart { created, forgot_until } => {
                Some(retry_seconds(forgot_until.saturating_sub(*created).saturating_add(1)))
            }
            Refusal::ReplayStoreUnavailable | Refusal::Overloaded => Some(1),
            _ => None,
        }
    }
}

/// A wait in the range that `Retry-After` is given in here: at least 1 s, at most an hour.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 1 to 3600")]
const fn retry_seconds(seconds: i64) -> u32 {
    if seconds < 1 {
        1
    } else if seconds > 3600 {
        3600
    } else {
        seconds as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_restart_a_caller_that_waits_as_told_signs_past_the_rule() {
        let before_start = |created| Refusal::BeforeStart { created, forgot_until: 1005 };
        for (created, wait) in [(1000, 6), (1005, 1), (1003, 3), (1004, 2), (999, 7)] {
            assert_eq!(before_start(created).retry_after(), Some(wait));
            assert_eq!(created + i64::from(wait), 1006);
        }
        // A clock that is wrong by more than that does not make a caller wait for days, or not at all.
        assert_eq!(before_start(1006).retry_after(), Some(1));
        assert_eq!(before_start(i64::MAX).retry_after(), Some(1));
        assert_eq!(before_start(1006 - 3600).retry_after(), Some(3600));
        assert_eq!(before_start(1006 - 3601).retry_after(), Some(3600));
        assert_eq!(before_start(i64::MIN).retry_after(), Some(3600));
    }

    #[test]
    fn other_refusals_name_a_wait_only_where_waiting_helps() {
        assert_eq!(Refusal::RateLimited { retry_after: 7 }.retry_after(), Some(7));
        assert_eq!(Refusal::ReplayStoreUnavailable.retry_after(), Some(1));
        assert_eq!(Refusal::Overloaded.retry_after(), Some(1));
        assert_eq!(Refusal::Replayed.retry_after(), None);
        assert_eq!(Refusal::ClockUnreliable { now: 1, seen: 9 }.retry_after(), None);
    }
}
