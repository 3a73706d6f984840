//! `Prefer: wait=2` (RFC 7240 §4.3): an act is answered once it is in force at the verifiers with a live link, or the time is over.

use crate::http::access::{Access, AccessOfRoutes};
use crate::http::app::App;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use bmap_issuer::link::applied::{self, MAX_WAIT, Reached};
use http::{HeaderMap, Method};
use std::fmt::Write;
use std::time::Duration;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The verifiers at which the act is in force, and those at which it is not yet: a dictionary (RFC 9651 §3.2).
pub const VERIFIERS: HeaderName = HeaderName::from_static("bmap-verifiers");
/// Most verifiers that are named.
const NAMED: usize = 32;

/// What an answer says of it, for the document.
pub(crate) const ANSWERED: [(HeaderName, &str); 2] = [
    (PREFERENCE_APPLIED, "`wait=` and the seconds, where `Prefer: wait=2` asked for it (RFC 7240)"),
    (
        VERIFIERS,
        "Where `Prefer: wait=2` asked for it: at how many verifiers with a live link the act is in force (`applied`), and those at which it is \
         not yet (`pending-count`; for admins `pending` names them); a dictionary (RFC 9651 §3.2)",
    ),
];

/// Whether a route is an act that can be waited for. It takes a caller who proved to be one: waiting looks at the database again and again.
pub(crate) fn is_act(access: Access, method: &Method) -> bool {
    matches!(access, Access::Credential | Access::User | Access::Admin)
        && *method != Method::GET
        && *method != Method::HEAD
}

/// The layer. A refused act has nothing to wait for.
pub async fn until_in_force(
    State((app, routes)): State<(App, AccessOfRoutes)>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let access = routes.of(route.as_ref().map_or("", MatchedPath::as_str), request.method());
    let seconds = preferred(request.headers()).filter(|_| is_act(access, request.method()));
    let mut response = next.run(request).await;
    let Some(seconds) = seconds.filter(|_| response.status().is_success()) else { return response };
    // The act is done whatever becomes of this: without the header the caller knows that it was not waited for.
    match applied::wait(&app.issuer.store, Duration::from_secs(seconds.into())).await {
        Ok(reached) => {
            let said = [(PREFERENCE_APPLIED, format!("wait={seconds}")), (VERIFIERS, dictionary(&reached, access))];
            for (name, value) in said {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    response.headers_mut().insert(name, value);
                }
            }
        }
        Err(error) => tracing::warn!("an act was not waited for: {error}"),
    }
    response
}

/// The seconds of `wait`, at most [`MAX_WAIT`]. A preference that is not understood is ignored (RFC 7240 §2).
fn preferred(headers: &HeaderMap) -> Option<u32> {
    let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let wait = preferences.flat_map(|line| line.split(',')).find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"').parse::<u32>().ok())?
    });
    wait.map(|seconds| seconds.min(MAX_WAIT))
}

/// `applied=2, pending=("geo.<node>"), pending-count=1`. Which tools have verifiers, and which of these are behind, is for admins.
fn dictionary(reached: &Reached, access: Access) -> String {
    let mut text = format!("applied={}", reached.nodes.saturating_sub(reached.behind.len()));
    if reached.behind.is_empty() {
        return text;
    }
    if access == Access::Admin {
        let named: Vec<_> =
            reached.behind.iter().take(NAMED).map(|node| format!("\"{}.{}\"", node.tool, node.node)).collect();
        // Writing to a String does not fail.
        let _ = write!(text, ", pending=({})", named.join(" "));
    }
    let _ = write!(text, ", pending-count={}", reached.behind.len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_store::LinkNode;

    #[test]
    fn the_preference_is_read_as_rfc_7240_has_it() {
        let read = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(PREFER, HeaderValue::from_str(line).unwrap());
            }
            preferred(&headers)
        };
        assert_eq!(read(&["wait=2"]), Some(2));
        assert_eq!(read(&["respond-async, Wait = \"3\"; x=1"]), Some(3));
        assert_eq!(read(&["return=minimal", "wait=100000"]), Some(MAX_WAIT));
        for ignored in [&[][..], &["wait"], &["wait=-1"], &["wait=x"], &["waits=2"]] {
            assert_eq!(read(ignored), None, "{ignored:?}");
        }
    }

    #[test]
    fn those_that_are_behind_are_counted_and_named_to_admins() {
        let node = |node: &str| LinkNode { tool: "geo".into(), node: node.into(), applied: 1, silent: 2 };
        assert_eq!(dictionary(&Reached { nodes: 2, behind: vec![] }, Access::Admin), "applied=2");
        let reached = Reached { nodes: 3, behind: vec![node("AA"), node("BB")] };
        assert_eq!(dictionary(&reached, Access::Admin), "applied=1, pending=(\"geo.AA\" \"geo.BB\"), pending-count=2");
        for access in [Access::User, Access::Credential] {
            assert_eq!(dictionary(&reached, access), "applied=1, pending-count=2");
        }
        assert!(!is_act(Access::OwnProof, &Method::POST) && !is_act(Access::Open, &Method::POST));
    }
}
