//! What a link says of itself.

use bmap_outbound::OutboundError;
use std::time::Duration;

/// What a link knows, for a health page or a metric.
///
/// ```
/// use bmap_issuer_link::{LinkState, LinkStatus};
///
/// /// A line for a log.
/// fn line(status: &LinkStatus) -> String {
///     match &status.state {
///         LinkState::Live => format!("live, at {:?}", status.cursor),
///         LinkState::Stale { since } => format!("no word for {} s: {:?}", since.as_secs(), status.fault),
///         other => format!("{other:?}"),
///     }
/// }
/// # let _ = line;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LinkStatus {
    /// Whether the issuer is heard.
    pub state: LinkState,
    /// Every change up to this cursor has arrived; `None` before the first state.
    pub cursor: Option<i64>,
    /// Every change up to this cursor is in force.
    pub applied: Option<i64>,
    /// Time since the issuer's last mark; it sends one each second.
    pub lag: Option<Duration>,
    /// Denials that are held, and lifts that are remembered.
    pub denials: usize,
    /// Whether every request is refused because there is no room for a denial.
    pub is_full: bool,
    /// Whether every request is refused because the link is older than it may be.
    pub is_too_stale: bool,
    /// Epochs of the issuer whose key is not in the credential: a new credential is needed before the others are retired.
    pub missing_epochs: Vec<u32>,
    /// Why the last try failed; `None` after one that succeeded.
    pub fault: Option<LinkFault>,
}

/// Whether the issuer is heard.
///
/// ```
/// use bmap_issuer_link::LinkState;
/// use std::time::Duration;
///
/// let state = LinkState::Stale { since: Duration::from_secs(7) };
/// assert_ne!(state, LinkState::Live);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkState {
    /// It is switched off: the credential alone counts.
    Off,
    /// No state was loaded since the start: the credential alone counts.
    NeverConnected,
    /// The feed is open and marks come.
    Live,
    /// No mark came for some seconds: what is known is kept.
    Stale {
        /// Time since the last mark.
        since: Duration,
    },
    /// It was closed: what was known is kept.
    Closed,
}

/// Why a try failed. None of it holds a part of a token or a key.
///
/// ```
/// use bmap_issuer_link::LinkFault;
///
/// let fault = LinkFault::Refused { status: 401, code: "invalid_signature".to_owned() };
/// assert_eq!(fault.to_string(), "the issuer answered 401 invalid_signature");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// No answer.
    #[error("{0}")]
    Outbound(OutboundError),
    /// An answer that is not the one that was asked for.
    #[error("the issuer answered {status} {code}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The code of its problem document, where it has one.
        code: String,
    },
    /// A state or an event that is not in its form, or of another issuer.
    #[error("the issuer sent what is not in its form: {0}")]
    Malformed(&'static str),
    /// The feed ended.
    #[error("the feed ended")]
    Ended,
    /// No mark came in time.
    #[error("the feed is silent")]
    Silent,
    /// A mark was held up on its way.
    #[error("the feed is late")]
    Late,
    /// A request can't be signed.
    #[error("a request can't be signed")]
    Unsigned,
}

impl LinkFault {
    /// Whether the issuer no longer knows the cursor.
    pub(crate) fn is_cursor_gone(&self) -> bool {
        matches!(self, Self::Refused { status: 410, code } if code == "cursor_gone")
    }
}
