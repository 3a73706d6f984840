//! How a link is switched on, and what it is bounded by.

use crate::clock::{LinkClock, MachineClock};
use bmap_outbound::{Authorities, OutboundError};
use std::fmt;
use std::sync::Arc;

/// The environment variable that switches the link on: `on` or `off`.
pub const VARIABLE: &str = "BMAP_LINK";
/// The environment variable with [`LinkOptions::max_staleness`], seconds.
pub const STALENESS_VARIABLE: &str = "BMAP_LINK_MAX_STALENESS";

/// Bounds of a link.
///
/// ```
/// use bmap_issuer_link::LinkOptions;
///
/// // Rather no answer than one by what was known a minute ago.
/// let mut options = LinkOptions::default();
/// options.max_staleness = Some(60);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct LinkOptions {
    /// Seconds without a word of the issuer after which requests are refused with 503 `issuer_unavailable`; counted from the start where there
    /// was none. The tool's own setting at the issuer counts beside it, the smaller of both. Default: never.
    pub max_staleness: Option<u32>,
    /// Most denials that are held at once, about 250 bytes each. When another comes, every request is refused with 503 `issuer_unavailable`
    /// until there is room. Default: 100,000.
    pub denials: usize,
    /// Certificate authorities of an issuer that has a certificate of its own. Default: those of the system.
    pub authorities: Option<Authorities>,
    /// What time is read from. Default: this machine's clocks.
    pub clock: Arc<dyn LinkClock>,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self { max_staleness: None, denials: 100_000, authorities: None, clock: Arc::new(MachineClock) }
    }
}

impl fmt::Debug for LinkOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkOptions")
            .field("max_staleness", &self.max_staleness)
            .field("denials", &self.denials)
            .field("authorities", &self.authorities)
            .finish_non_exhaustive()
    }
}

impl LinkOptions {
    /// Options and whether the link is on, from the values of [`VARIABLE`] and [`STALENESS_VARIABLE`].
    ///
    /// # Errors
    /// [`LinkError::Setting`].
    pub(crate) fn from_values(link: Option<&str>, staleness: Option<&str>) -> Result<(bool, Self), LinkError> {
        let is_on = match link.unwrap_or_default() {
            "on" => true,
            "" | "off" => false,
            _ => return Err(LinkError::Setting { variable: VARIABLE, wanted: "on or off" }),
        };
        let max_staleness = match staleness.unwrap_or_default() {
            "" => None,
            seconds => Some(
                seconds
                    .parse()
                    .ok()
                    .filter(|seconds| *seconds > 0)
                    .ok_or(LinkError::Setting { variable: STALENESS_VARIABLE, wanted: "a number of seconds" })?,
            ),
        };
        Ok((is_on, Self { max_staleness, ..Self::default() }))
    }
}

/// Why a link can't be started. An issuer that is away is no reason.
///
/// ```
/// use bmap_issuer_link::LinkError;
///
/// let error = LinkError::Url { issuer: "http://auth.example".to_owned() };
/// assert!(error.to_string().contains("https"), "it says what is taken");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The issuer's URL in the credential is none that a link may be over.
    #[error("the live link is over https, or over http on this machine alone, and not to {issuer}")]
    Url {
        /// The URL.
        issuer: String,
    },
    /// There is no tokio runtime in which the link could run.
    #[error("the live link starts inside of a tokio runtime")]
    NoRuntime,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    NoRandomness,
    /// No HTTP client can be made.
    #[error("{0}")]
    Client(OutboundError),
    /// An environment variable has a value that is not understood.
    #[error("{variable}: give {wanted}")]
    Setting {
        /// The variable.
        variable: &'static str,
        /// The values that it takes.
        wanted: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environments_values() {
        let read = |link, staleness| LinkOptions::from_values(link, staleness).map(|(on, o)| (on, o.max_staleness));
        assert_eq!(read(None, None), Ok((false, None)));
        assert_eq!(read(Some(""), Some("")), Ok((false, None)));
        assert_eq!(read(Some("off"), None), Ok((false, None)));
        assert_eq!(read(Some("on"), Some("60")), Ok((true, Some(60))));
        let said = |outcome: Result<_, LinkError>| outcome.unwrap_err().to_string();
        for wrong in ["ON", "1", "true", " on"] {
            assert_eq!(said(read(Some(wrong), None)), "BMAP_LINK: give on or off");
        }
        for wrong in ["0", "-1", "1 s", "x", "4294967296"] {
            assert_eq!(said(read(Some("on"), Some(wrong))), "BMAP_LINK_MAX_STALENESS: give a number of seconds");
        }
    }
}
