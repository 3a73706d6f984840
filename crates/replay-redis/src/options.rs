//! What a store is told: where, for which tool, and within which bounds.

use crate::fault::StartError;
use bmap_protocol::check::Window;
use bmap_protocol::ids::ToolId;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};
use std::fmt;
use std::time::Duration;

/// How many servers hold the records.
///
/// ```
/// use bmap_replay_redis::Servers;
/// use std::time::Duration;
///
/// assert_eq!(Servers::default(), Servers::Replicated { max_lag: Duration::from_secs(2) });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    /// A primary with replicas, one of which may take its place. The primary must stop by itself when it has lost them:
    /// `min-replicas-to-write` is at least half of the servers, rounded down, and `min-replicas-max-lag` at most this, in whole seconds. For so much
    /// longer requests are refused after a change of the primary, since the former one may have let them in meanwhile.
    Replicated {
        /// The most that `min-replicas-max-lag` may be. Default: 2 s.
        max_lag: Duration,
    },
    /// One server, and no other takes its place while it runs. While it is away, all is refused.
    Single,
}

impl Default for Servers {
    fn default() -> Self {
        Self::Replicated { max_lag: Duration::from_secs(2) }
    }
}

/// Seconds by which the clocks of a store's servers may differ, whose times are whole seconds.
const CLOCKS: i64 = 1;
/// Seconds by which a primary notices later that its replicas are gone: it looks once a second.
const NOTICES: i64 = 1;

/// The longest deadline. A primary that sleeps is left after it and the second between two looks. If it lasted longer, the primary could wake up on
/// the same connection after another one took its place, and believe in its replicas until it has looked.
const LONGEST_DEADLINE: Duration = Duration::from_secs(1);

/// What a store is told.
///
/// ```
/// use bmap_replay_redis::{Options, Servers};
/// use bmap_verifier::protocol::{check::Window, ids::ToolId};
///
/// let mut options = Options::new("redis://127.0.0.1:6379/", ToolId::parse("geo")?, Window::DEFAULT)?;
/// options.servers = Servers::Single;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    url: ConnectionInfo,
    tool: ToolId,
    window: Window,
    /// How many servers there are. Default: a primary with replicas.
    pub servers: Servers,
    /// Longest that a record may take; later it is refused. Default: 50 ms; at most 1 s, within which a primary that fell asleep has to be noticed.
    pub deadline: Duration,
    /// Most records that are sent and not answered. Above, requests are refused at once. Default: 1,024.
    pub in_flight: u32,
    /// Most requests of one key in a minute of the server's; above, 429. Default: 16,384.
    pub per_key: u32,
    /// Accepted requests that this process itself remembers, whatever becomes of the server's memory; 52 bytes each. Default: 65,536.
    pub recent: u32,
    /// How often the settings of the server are checked. Default: each minute.
    pub check_every: Duration,
    /// The certificates (PEM) that a server behind `rediss://` is checked by. Default: those of the system.
    pub root_certificates: Option<Vec<u8>>,
}

impl Options {
    /// For the store at `url`: `redis://user:password@host:port/database`, or `rediss://…` with TLS. `window` is that of the verifier's policy:
    /// it says when a request was signed whose record lives until a given second.
    ///
    /// # Errors
    /// [`StartError::Url`].
    pub fn new(url: &str, tool: ToolId, window: Window) -> Result<Self, StartError> {
        let url = url.into_connection_info().map_err(|error| StartError::Url { why: error.category().to_owned() })?;
        if matches!(url.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            return Err(StartError::Url { why: "#insecure: the server's certificate is always checked".to_owned() });
        }
        Ok(Self {
            url,
            tool,
            window,
            servers: Servers::default(),
            deadline: Duration::from_millis(50),
            in_flight: 1024,
            per_key: 1 << 14,
            recent: 1 << 16,
            check_every: Duration::from_secs(60),
            root_certificates: None,
        })
    }

    /// The tool whose requests are recorded.
    pub fn tool(&self) -> &ToolId {
        &self.tool
    }

    /// The deadline within its bound.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline.min(LONGEST_DEADLINE)
    }

    /// When a request was signed whose record lives until `until`, seconds: the inverse of [`Window::record_until`].
    pub(crate) fn created(&self, until: i64) -> i64 {
        until.saturating_sub(self.longest()).saturating_add(self.window.future.into())
    }

    /// Seconds that a record lives for a request which is as far ahead of its time as one may be.
    pub(crate) fn longest(&self) -> i64 {
        self.window.record_until(self.window.future.into())
    }

    /// Seconds, from a change of the primary on, until which requests are refused. Before it, requests may have been let in that were signed
    /// `future` ahead; and for as long as the former primary does not know that its replicas have left it.
    pub(crate) fn pause(&self) -> i64 {
        let unnoticed = match self.servers {
            Servers::Replicated { max_lag } => seconds(max_lag).saturating_add(NOTICES),
            Servers::Single => 0,
        };
        i64::from(self.window.future).saturating_add(CLOCKS).saturating_add(unnoticed)
    }

    /// The client, which connects to nothing yet.
    pub(crate) fn client(&self) -> Result<Client, StartError> {
        let url = self.url.clone();
        let client = match &self.root_certificates {
            None => Client::open(url),
            Some(pem) => {
                Client::build_with_tls(url, TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) })
            }
        };
        client.map_err(|error| StartError::Url { why: error.category().to_owned() })
    }
}

/// Whole seconds, rounded up.
pub(crate) fn seconds(duration: Duration) -> i64 {
    let whole = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    i64::try_from(whole).unwrap_or(i64::MAX)
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, tool, window, servers, deadline, in_flight, per_key, recent, check_every, root_certificates } =
            self;
        f.debug_struct("Options")
            .field("address", &url.addr().to_string()) // without user and password
            .field("tool", &tool.as_str())
            .field("window", window)
            .field("servers", servers)
            .field("deadline", deadline)
            .field("in_flight", in_flight)
            .field("per_key", per_key)
            .field("recent", recent)
            .field("check_every", check_every)
            .field("root_certificates", &root_certificates.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> Result<Options, StartError> {
        Options::new(url, ToolId::parse("geo").unwrap(), Window::DEFAULT)
    }

    #[test]
    fn when_a_request_was_signed_follows_from_its_record() {
        let options = options("redis://127.0.0.1/").unwrap();
        for created in [0, 1_764_000_000, i64::from(u32::MAX)] {
            assert_eq!(options.created(Window::DEFAULT.record_until(created)), created);
        }
        // A request that is 5 s ahead is at most 71 s from its end.
        assert_eq!(options.longest(), 71);
    }

    #[test]
    fn no_deadline_is_so_long_that_a_primary_can_sleep_through_its_succession() {
        let mut options = options("redis://127.0.0.1/").unwrap();
        assert_eq!(options.deadline(), Duration::from_millis(50));
        options.deadline = Duration::MAX;
        assert_eq!(options.deadline(), Duration::from_secs(1));
    }

    #[test]
    fn the_pause_after_a_change_is_what_the_page_can_wait() {
        let mut options = options("redis://127.0.0.1/").unwrap();
        assert_eq!(options.pause(), 9, "a page waits 10 s in all: `ALLOWANCE` in npm/src/wait.ts");
        options.servers = Servers::Replicated { max_lag: Duration::from_millis(2001) };
        assert_eq!(options.pause(), 10);
        options.servers = Servers::Single;
        assert_eq!(options.pause(), 6);
    }

    #[test]
    fn a_url_that_is_none_is_named_without_its_password() {
        for url in [
            "",
            "http://x/",
            "redis://user:geheim@host:notaport/",
            "redis://:geheim@/",
            "rediss://user:geheim@h/#insecure",
        ] {
            let Err(error) = options(url) else { continue };
            assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
        }
        assert!(options("http://x/").is_err() && options("rediss://h/#insecure").is_err());
        let shown = format!("{:?}", options("redis://user:geheim@host:7/3").unwrap());
        assert!(shown.contains("host:7") && !shown.contains("geheim"), "{shown}");
    }

    #[test]
    fn certificates_without_tls_and_no_certificates_are_refused() {
        let mut without_tls = options("redis://127.0.0.1/").unwrap();
        without_tls.root_certificates = Some(b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".to_vec());
        assert!(matches!(without_tls.client(), Err(StartError::Url { .. })));
    }
}
