//! Requests of our own to others: an OpenID provider's documents and its token endpoint, and what an issuer tells a verifier.
//!
//! Where they go is in the configuration and never in a request (T14). They follow no redirects, use no proxy of the
//! environment, and end: in time, and in size, whatever the other side does (R23). An answer that is read in [`Lines`] has no time as a whole,
//! and ends when it is silent for too long.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod certificate;
mod lines;

pub use lines::{LineBounds, Lines};

use bytes::BytesMut;
use http::{Request, Response};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::time::Duration;

/// Longest wait for a connection.
pub const CONNECT_TIME: Duration = Duration::from_secs(2);
/// Longest time for a request as a whole, its answer's body included.
pub const TOTAL_TIME: Duration = Duration::from_secs(5);

/// Certificate authorities that are trusted instead of those of the system.
#[derive(Clone)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// Reads certificates in PEM; other text is ignored. `None` where there is none, or one that can't vouch for another.
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
        let mut store = RootCertStore::empty();
        let is_good = certificates.iter().all(|certificate| store.add(certificate.clone()).is_ok());
        (is_good && !store.is_empty()).then_some(Self(certificates))
    }

    fn certificates(&self) -> Result<Vec<reqwest::Certificate>, OutboundError> {
        let read = |der: &CertificateDer<'_>| reqwest::Certificate::from_der(der);
        self.0.iter().map(read).collect::<Result<_, _>>().map_err(|_| OutboundError::Client)
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

/// An HTTP client with these bounds.
#[derive(Clone, Debug)]
pub struct Outbound(reqwest::Client);

/// Why there is no answer. None of it holds a part of a request or of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The client can't be made: there are no root certificates.
    #[error("the HTTP client can't be made")]
    Client,
    /// No server answered there, or not with TLS.
    #[error("no connection")]
    Connect,
    /// A server answered there whose certificate does not hold.
    #[error("its certificate {0}")]
    Certificate(&'static str),
    /// The answer was not complete in time.
    #[error("no answer in time")]
    Time,
    /// The answer is over the limit.
    #[error("an answer over {limit} bytes")]
    TooLarge {
        /// Bytes that would have been taken.
        limit: usize,
    },
    /// The answer broke off, or was no HTTP.
    #[error("the answer broke off")]
    Broken,
}

impl Outbound {
    /// A client that trusts the authorities that the system does.
    ///
    /// # Errors
    /// [`OutboundError::Client`].
    pub fn new() -> Result<Self, OutboundError> {
        Self::build(|client| client)
    }

    /// A client that trusts these authorities and no other.
    ///
    /// # Errors
    /// [`OutboundError::Client`].
    pub fn trusting(authorities: &Authorities) -> Result<Self, OutboundError> {
        let authorities = authorities.certificates()?;
        Self::build(|client| client.tls_certs_only(authorities))
    }

    /// As [`Outbound::new`] or [`Outbound::trusting`], and each request has a connection of its own. Behind an address that several servers share,
    /// the next try reaches another one, where a kept connection would lead to the server that just failed.
    ///
    /// # Errors
    /// [`OutboundError::Client`].
    pub fn unpooled(authorities: Option<&Authorities>) -> Result<Self, OutboundError> {
        let certificates = authorities.map(Authorities::certificates).transpose()?;
        Self::build(|client| {
            let client = client.pool_max_idle_per_host(0);
            certificates.into_iter().fold(client, reqwest::ClientBuilder::tls_certs_only)
        })
    }

    fn build(trust: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Result<Self, OutboundError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIME)
            .timeout(TOTAL_TIME)
            .user_agent(concat!("bmap/", env!("CARGO_PKG_VERSION")));
        trust(client).build().map(Self).map_err(|_| OutboundError::Client)
    }

    /// Sends a request, and reads the answer up to `limit` bytes.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn send(&self, request: Request<Vec<u8>>, limit: usize) -> Result<Response<Vec<u8>>, OutboundError> {
        let request = request.try_into().map_err(|_| OutboundError::Connect)?;
        let mut answer = self.0.execute(request).await.map_err(|error| why(&error))?;
        // A stated length over the limit saves reading the answer; without one the bytes are counted.
        let said = answer.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        if said > limit {
            return Err(OutboundError::TooLarge { limit });
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| why(&error))? {
            if body.len().saturating_add(chunk.len()) > limit {
                return Err(OutboundError::TooLarge { limit });
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(Vec::from(body));
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}

fn why(error: &reqwest::Error) -> OutboundError {
    if error.is_timeout() {
        OutboundError::Time
    } else if let Some(fault) = certificate::fault(error) {
        OutboundError::Certificate(fault)
    } else if error.is_connect() {
        OutboundError::Connect
    } else {
        OutboundError::Broken
    }
}
