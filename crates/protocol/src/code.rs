//! The error codes of the profile (§6). A caller is told the code, and nothing more.
//!
//! ```
//! use bmap_protocol::code::Code;
//!
//! let code = Code::from_name("replayed").unwrap();
//! assert_eq!((code.status(), code.retryable()), (401, false));
//! ```

/// One code of the profile, as it stands in a problem body's `code` and in `WWW-Authenticate`.
///
/// Callers branch on it, so a code never changes its meaning. 401, 403, 429 and 503 are never mixed up.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// 400: framing, sizes or request target outside the profile.
    MalformedRequest,
    /// 400: `Signature-Input` or `Signature` outside the profile.
    MalformedSignature,
    /// 400: at the token endpoint, a ticket, refresh token or subject token that does not hold (RFC 6749 §5.2).
    InvalidGrant,
    /// 401: no signature with our tag.
    MissingSignature,
    /// 401: a component that must be covered is not.
    InsufficientCoverage,
    /// 401: wrong MAC, unknown key, unknown epoch: not told apart.
    InvalidSignature,
    /// 401: `created` outside the window.
    ClockSkew,
    /// 401: this (keyid, nonce) was seen before.
    Replayed,
    /// 401: the body is not the one that was signed.
    DigestMismatch,
    /// 401: the token is not one of ours, or its claims are outside the profile.
    InvalidToken,
    /// 401: the token's time is over.
    TokenExpired,
    /// 401: an API key, password or other credential that is not good.
    InvalidCredentials,
    /// 403: the token or key is not for this tool.
    ToolDenied,
    /// 403: the page's origin is not the token's.
    OriginDenied,
    /// 403: the tool asks for more assurance than the token has.
    AssuranceTooLow,
    /// 403: the token lacks a scope that the tool asks for.
    ScopeDenied,
    /// 403: the user is not active.
    UserInactive,
    /// 403: the API key was revoked.
    KeyRevoked,
    /// 403: the token or its session was revoked.
    TokenRevoked,
    /// 403: the caller's address is not allowed.
    IpDenied,
    /// 403: no verifier on the way can check the body.
    BodyUnverifiable,
    /// 408: the body did not arrive in its time.
    BodyTimeout,
    /// 413: body over the limit.
    TooLarge,
    /// 429: come back after `Retry-After`.
    RateLimited,
    /// 503: the replay store is full or out of reach.
    ReplayStoreUnavailable,
    /// 503: the issuer, or its database, is out of reach.
    IssuerUnavailable,
    /// 503: this machine's clock went back.
    ClockUnreliable,
    /// 503: too much to do.
    Overloaded,
}

impl Code {
    /// Every code, for tables and tests.
    pub const ALL: [Code; 28] = [
        Code::MalformedRequest,
        Code::MalformedSignature,
        Code::InvalidGrant,
        Code::MissingSignature,
        Code::InsufficientCoverage,
        Code::InvalidSignature,
        Code::ClockSkew,
        Code::Replayed,
        Code::DigestMismatch,
        Code::InvalidToken,
        Code::TokenExpired,
        Code::InvalidCredentials,
        Code::ToolDenied,
        Code::OriginDenied,
        Code::AssuranceTooLow,
        Code::ScopeDenied,
        Code::UserInactive,
        Code::KeyRevoked,
        Code::TokenRevoked,
        Code::IpDenied,
        Code::BodyUnverifiable,
        Code::BodyTimeout,
        Code::TooLarge,
        Code::RateLimited,
        Code::ReplayStoreUnavailable,
        Code::IssuerUnavailable,
        Code::ClockUnreliable,
        Code::Overloaded,
    ];

    /// The code, its HTTP status and its title.
    const fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Code::MalformedRequest => ("malformed_request", 400, "Malformed request"),
            Code::MalformedSignature => ("malformed_signature", 400, "Malformed signature"),
            Code::InvalidGrant => ("invalid_grant", 400, "Invalid grant"),
            Code::MissingSignature => ("missing_signature", 401, "Signature required"),
            Code::InsufficientCoverage => ("insufficient_coverage", 401, "Signature covers too little"),
            Code::InvalidSignature => ("invalid_signature", 401, "Invalid signature"),
            Code::ClockSkew => ("clock_skew", 401, "Signed outside the accepted time"),
            Code::Replayed => ("replayed", 401, "Request seen before"),
            Code::DigestMismatch => ("digest_mismatch", 401, "Body is not the signed one"),
            Code::InvalidToken => ("invalid_token", 401, "Invalid token"),
            Code::TokenExpired => ("token_expired", 401, "Token expired"),
            Code::InvalidCredentials => ("invalid_credentials", 401, "Invalid credentials"),
            Code::ToolDenied => ("tool_denied", 403, "Not for this tool"),
            Code::OriginDenied => ("origin_denied", 403, "Not from this origin"),
            Code::AssuranceTooLow => ("assurance_too_low", 403, "Assurance too low"),
            Code::ScopeDenied => ("scope_denied", 403, "Scope missing"),
            Code::UserInactive => ("user_inactive", 403, "User not active"),
            Code::KeyRevoked => ("key_revoked", 403, "API key revoked"),
            Code::TokenRevoked => ("token_revoked", 403, "Token revoked"),
            Code::IpDenied => ("ip_denied", 403, "Address not allowed"),
            Code::BodyUnverifiable => ("body_unverifiable", 403, "Body can't be verified here"),
            Code::BodyTimeout => ("body_timeout", 408, "Body took too long"),
            Code::TooLarge => ("too_large", 413, "Too large"),
            Code::RateLimited => ("rate_limited", 429, "Too many requests"),
            Code::ReplayStoreUnavailable => ("replay_store_unavailable", 503, "Replay store unavailable"),
            Code::IssuerUnavailable => ("issuer_unavailable", 503, "Issuer unavailable"),
            Code::ClockUnreliable => ("clock_unreliable", 503, "Clock unreliable"),
            Code::Overloaded => ("overloaded", 503, "Overloaded"),
        }
    }

    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// A short title for people (RFC 9457 §3.1.3): the same for every occurrence of the code.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// Whether the same call, signed anew, may succeed with nothing changed.
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            Code::ClockSkew
                | Code::TokenExpired
                | Code::BodyTimeout
                | Code::RateLimited
                | Code::ReplayStoreUnavailable
                | Code::IssuerUnavailable
                | Code::ClockUnreliable
                | Code::Overloaded
        )
    }

    /// The code for its name on the wire; `None` if there is no such code.
    pub fn from_name(name: &str) -> Option<Code> {
        Code::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_come_back() {
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.as_str()), Some(code));
            assert_eq!(Code::ALL.iter().filter(|other| other.as_str() == code.as_str()).count(), 1);
        }
        assert_eq!(Code::from_name("Invalid_Signature"), None);
    }

    #[test]
    fn each_code_has_the_status_of_the_profile_and_a_title_of_its_own() {
        for (status, codes) in [
            (400, &["malformed_request", "malformed_signature", "invalid_grant"][..]),
            (
                401,
                &[
                    "missing_signature",
                    "insufficient_coverage",
                    "invalid_signature",
                    "clock_skew",
                    "replayed",
                    "digest_mismatch",
                    "invalid_token",
                    "token_expired",
                    "invalid_credentials",
                ],
            ),
            (
                403,
                &[
                    "tool_denied",
                    "origin_denied",
                    "assurance_too_low",
                    "scope_denied",
                    "user_inactive",
                    "key_revoked",
                    "token_revoked",
                    "ip_denied",
                    "body_unverifiable",
                ],
            ),
            (408, &["body_timeout"]),
            (413, &["too_large"]),
            (429, &["rate_limited"]),
            (503, &["replay_store_unavailable", "issuer_unavailable", "clock_unreliable", "overloaded"]),
        ] {
            let found = Code::ALL.into_iter().filter(|code| code.status() == status);
            assert_eq!(found.map(Code::as_str).collect::<Vec<_>>(), codes, "{status}");
        }
        for code in Code::ALL {
            assert!(code.title().len() > 5, "{code:?}");
            assert_eq!(Code::ALL.iter().filter(|other| other.title() == code.title()).count(), 1, "{code:?}");
        }
    }

    #[test]
    fn what_may_succeed_unchanged_is_marked() {
        let retryable: Vec<_> = Code::ALL.into_iter().filter(|code| code.retryable()).map(Code::as_str).collect();
        assert_eq!(
            retryable,
            [
                "clock_skew",
                "token_expired",
                "body_timeout",
                "rate_limited",
                "replay_store_unavailable",
                "issuer_unavailable",
                "clock_unreliable",
                "overloaded"
            ]
        );
    }
}
