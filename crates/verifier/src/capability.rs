//! What the layer does for a request with a capability (profile §10): the tool and caches see no capability, and its answer is kept no longer than it lives.

use crate::clock::UnixTime;
use crate::policy::Policy;
use bmap_protocol::capability::{self, Presented};
use bmap_protocol::refusal::Refusal;
use bmap_protocol::tool_policy::Proof;
use http::header::{
    CACHE_CONTROL, EXPIRES, HeaderMap, HeaderName, HeaderValue, PRAGMA, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use std::fmt;

/// The capability of a request, where the tool takes them.
///
/// # Errors
/// [`Refusal::Capability`].
pub(crate) fn presented<'h>(head: &'h Parts, policy: &Policy) -> Result<Option<Presented<'h>>, Refusal> {
    if policy.takes(Proof::Capability) { Ok(capability::find(head.uri.query())?) } else { Ok(None) }
}

/// Headers by which a tool speaks to caches that many callers share. Shared caches stand behind the verifier.
const OF_SHARED_CACHES: [HeaderName; 4] =
    [HeaderName::from_static("cdn-cache-control"), HeaderName::from_static("surrogate-control"), EXPIRES, PRAGMA];

/// The address without its capability. One that can't be written is the path alone.
pub(crate) fn without(uri: &Uri) -> Uri {
    let rest = capability::find(uri.query()).ok().flatten().and_then(|found| found.rest);
    let target = match rest {
        Some(query) => format!("{}?{query}", uri.path()),
        None => uri.path().to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(target).ok().or_else(|| PathAndQuery::try_from(uri.path()).ok());
    // Parts of a URI, with a target that was one, are a URI.
    Uri::from_parts(parts).unwrap_or_default()
}

/// When a capability ends, and the clock that says how long that is.
pub(crate) struct Ends {
    /// Seconds since 1970.
    pub(crate) at: u64,
    /// The layer's clock.
    pub(crate) now: Box<dyn Fn() -> UnixTime + Send + Sync>,
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ends").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Ends {
    /// Bounds how long the answer is kept, and says that it is no page.
    pub(crate) fn bound(&self, answer: &mut HeaderMap) {
        let now = u64::try_from((self.now)().seconds()).unwrap_or(u64::MAX);
        let cache_control = cache_control(answer, self.at.saturating_sub(now));
        answer.insert(CACHE_CONTROL, cache_control);
        for name in OF_SHARED_CACHES {
            answer.remove(name);
        }
        answer.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        answer.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
}

/// What the tool said, for private caches and at most that many seconds (RFC 9111 §5.2.2).
fn cache_control(answer: &HeaderMap, seconds: u64) -> HeaderValue {
    let said: Vec<String> = answer
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|directive| directive.trim().to_ascii_lowercase())
        .collect();
    let says = |directive: &str| said.iter().any(|said| said.split('=').next() == Some(directive));
    if says("no-store") {
        return HeaderValue::from_static("no-store");
    }
    let max_ages = said.iter().filter_map(|said| said.strip_prefix("max-age="));
    // One that is no number counts as stale (RFC 9111 §4.2.1).
    let own = max_ages.map(|text| text.trim_matches('"').parse().unwrap_or(0_u64)).min();
    let mut text = format!("private, max-age={}", own.unwrap_or(seconds).min(seconds));
    for kept in ["no-cache", "must-revalidate", "no-transform"] {
        if says(kept) {
            text.push_str(", ");
            text.push_str(kept);
        }
    }
    // Words and numbers are a value.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("no-store"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_sees_no_capability() {
        for (from, to) in [
            ("/a?bmap-cap=bmc1.x.y", "/a"),
            ("/a?b=1&c&bmap-cap=bmc1.x.y", "/a?b=1&c"),
            ("/a?&bmap-cap=x", "/a?"),
            ("/a%20b?x=%26&bmap-cap=", "/a%20b?x=%26"),
            ("https://geo.example/a?q=1&bmap-cap=x", "https://geo.example/a?q=1"),
            ("https://geo.example/?bmap-cap=x", "https://geo.example/"),
        ] {
            assert_eq!(without(&from.parse().unwrap()).to_string(), to, "{from}");
        }
    }

    #[test]
    fn an_answer_is_kept_by_its_reader_and_no_longer_than_the_capability_lives() {
        let bound = |said: &[(&'static str, &'static str)]| {
            let mut answer = HeaderMap::new();
            for (name, value) in said {
                answer.append(*name, HeaderValue::from_static(value));
            }
            let ends = Ends { at: 1_100, now: Box::new(|| UnixTime::from_seconds(1_040)) };
            ends.bound(&mut answer);
            assert_eq!(answer["referrer-policy"], "no-referrer");
            assert_eq!(answer["x-content-type-options"], "nosniff");
            assert!(!answer.contains_key("expires") && !answer.contains_key("cdn-cache-control"));
            let mut lines = answer.get_all(CACHE_CONTROL).iter();
            let line = lines.next().unwrap().to_str().unwrap().to_owned();
            assert_eq!(lines.next(), None);
            line
        };
        assert_eq!(bound(&[]), "private, max-age=60");
        for (said, kept) in [
            ("public, max-age=31536000, immutable", "private, max-age=60"),
            ("s-maxage=86400", "private, max-age=60"),
            ("max-age=5", "private, max-age=5"),
            ("MAX-AGE=\"5\"", "private, max-age=5"),
            ("max-age=x", "private, max-age=0"),
            ("No-Store", "no-store"),
            ("no-cache, max-age=9", "private, max-age=9, no-cache"),
            ("public, must-revalidate", "private, max-age=60, must-revalidate"),
        ] {
            assert_eq!(bound(&[("cache-control", said)]), kept, "{said}");
        }
        let several = [
            ("cache-control", "max-age=9"),
            ("cache-control", "max-age=3"),
            ("expires", "0"),
            ("cdn-cache-control", "max-age=9"),
        ];
        assert_eq!(bound(&several), "private, max-age=3");
        let late = Ends { at: 1_000, now: Box::new(|| UnixTime::from_seconds(1_040)) };
        let mut answer = HeaderMap::new();
        late.bound(&mut answer);
        assert_eq!(answer[CACHE_CONTROL], "private, max-age=0");
    }
}
