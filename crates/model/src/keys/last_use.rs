//! When, from where and how a key was last used.

use crate::clock::UnixTime;
use std::net::IpAddr;

/// In which of its ways a key was used (profile §4, §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `x-api-key` and `x-api-secret`.
    Headers,
    /// `Authorization: ApiKey`.
    ApiKey,
    /// `Authorization: Basic`.
    Basic,
    /// `client_id` and `client_secret` in the form of an OAuth endpoint (RFC 6749 §2.3.1).
    Form,
    /// An RFC 9421 signature.
    Signature,
}

impl Way {
    const ALL: [Way; 5] = [Way::Headers, Way::ApiKey, Way::Basic, Way::Form, Way::Signature];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Way::Headers => "headers",
            Way::ApiKey => "apikey",
            Way::Basic => "basic",
            Way::Form => "form",
            Way::Signature => "signature",
        }
    }

    /// The way for its word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == word)
    }
}

/// The last use of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastUse {
    /// When.
    pub at: UnixTime,
    /// From which address.
    pub address: IpAddr,
    /// How.
    pub way: Way,
}
