//! A provider's faults.

use bmap_outbound::OutboundError;

/// A provider's fault. For the log; no text of the provider's is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderFault {
    /// It does not answer as it should.
    #[error("{what}: {cause}")]
    Outbound {
        /// Which document or endpoint.
        what: &'static str,
        /// Why.
        cause: OutboundError,
    },
    /// It answers with another status.
    #[error("{what}: status {status}")]
    Status {
        /// Which document or endpoint.
        what: &'static str,
        /// The status.
        status: u16,
    },
    /// Its answer is not of the form that it should have.
    #[error("{what}: not of the form that it should have")]
    Form {
        /// Which document or endpoint.
        what: &'static str,
    },
    /// Its discovery document is another issuer's.
    #[error("discovery: `issuer` is not the configured one")]
    OtherIssuer,
    /// An endpoint that would have to be called without TLS.
    #[error("discovery: `{endpoint}` is neither https nor on the loopback of a provider that is there too")]
    Insecure {
        /// Its name in the document.
        endpoint: &'static str,
    },
    /// It was asked a moment ago, and that failed.
    #[error("{what}: it failed a moment ago")]
    JustFailed {
        /// Which document.
        what: &'static str,
    },
    /// It does not take the code: `invalid_grant` and others of RFC 6749 §5.2.
    #[error("token endpoint: it refused the code")]
    CodeRefused,
    /// Its answer to the code has no ID token.
    #[error("token endpoint: no ID token")]
    NoIdToken,
    /// Its ID token is not good.
    #[error("ID token: {0}")]
    IdToken(#[from] IdTokenFault),
}

/// Why an ID token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenFault {
    /// No compact JWT, too long, or a claim is missing or of a wrong type.
    #[error("not of the form of one")]
    Form,
    /// Its header asks for something that is not done, or is that of another kind of token.
    #[error("a header that is not an ID token's")]
    Header,
    /// Its algorithm is not among the configured ones.
    #[error("its algorithm is not allowed")]
    Algorithm,
    /// No key of the provider's has that id and is for that algorithm.
    #[error("no key of that id and for that algorithm")]
    UnknownKey,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature,
    /// Another issuer's.
    #[error("`iss` is not the configured issuer")]
    Issuer,
    /// For another client.
    #[error("`aud` or `azp` is not this client")]
    Audience,
    /// Its time is over, or has not come.
    #[error("`exp` is over, or `iat` is not from now")]
    Time,
    /// Of a sign-in long before this one, or it does not say when.
    #[error("`auth_time` is not from now, or missing where it has to be there")]
    Stale,
    /// Of another sign-in.
    #[error("`nonce` is not this sign-in's")]
    Nonce,
    /// A malformed subject.
    #[error("`sub` is not 1 to 255 printable ASCII characters")]
    Subject,
}
