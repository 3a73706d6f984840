//! The address that a request came to, where a router in front of the layer took a prefix off it.

use bmap_protocol::refusal::{Mismatch, Refusal};
use http::request::Parts;
use http::{Extensions, Uri};

/// Finds in a request's extensions the URI that it came with, where something in front of the layer keeps it there.
///
/// It gets no headers: these are the client's to write. See [`crate::VerifyLayer::with_original_uri`].
///
/// ```
/// use axum::extract::OriginalUri;
/// use bmap_verifier::FindOriginalUri;
///
/// const OF_AXUM: FindOriginalUri = |extensions| extensions.get::<OriginalUri>().map(|uri| &uri.0);
/// ```
pub type FindOriginalUri = fn(&Extensions) -> Option<&Uri>;

/// Gives the request the URI that it came with, which is the one that was signed. Returns the one that it has here, for the router inside; nothing where both
/// are the same.
///
/// # Errors
/// [`Mismatch::Rewritten`] where the URI here is not the original without a prefix: what is routed inside would not be what was signed.
pub(crate) fn restore(head: &mut Parts, find: FindOriginalUri) -> Result<Option<Box<Uri>>, Refusal> {
    let Some(original) = find(&head.extensions).filter(|original| **original != head.uri) else { return Ok(None) };
    if !is_without_prefix(&head.uri, original) {
        return Err(Refusal::InvalidSignature(Mismatch::Rewritten));
    }
    let original = original.clone();
    Ok(Some(Box::new(std::mem::replace(&mut head.uri, original))))
}

/// Whether `here` is `original` without some of its first segments, as a nested router sees it: all of them leave `/`.
fn is_without_prefix(here: &Uri, original: &Uri) -> bool {
    let same_server = here.scheme() == original.scheme() && here.authority() == original.authority();
    // A path that begins with `/` is a suffix at the border of a segment alone.
    let path = here.path();
    let is_suffix = path == "/" || path.starts_with('/') && original.path().ends_with(path);
    same_server && is_suffix && here.query() == original.query()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_whole_segments_and_nothing_else_changes() {
        for (original, here, holds) in [
            ("/api/users", "/users", true),
            ("/api/v1/users?q=1", "/users?q=1", true),
            ("/api/v1/users", "/v1/users", true),
            ("/api", "/", true),
            ("/api/", "/", true),
            ("/api?q=1", "/?q=1", true),
            ("/acme/%D0%A1", "/%D0%A1", true),
            ("https://geo.example/api/users", "https://geo.example/users", true),
            ("/a", "/b", false),
            ("/b", "/a/b", false),
            ("/api/users", "/user", false),
            ("/api/users", "/api", false),
            ("/api/users/", "/users", false),
            ("/apiusers", "users", false),
            ("/api/users", "/users?admin=1", false),
            ("/api/users?q=1", "/users", false),
            ("/api/users?q=1", "/users?q=2", false),
            ("/api/users?x=/users", "/users", false),
            ("/api/Users", "/users", false),
            ("/api/%75sers", "/users", false),
            ("https://geo.example/api/users", "https://other.example/users", false),
            ("https://geo.example/api/users", "http://geo.example/users", false),
            ("https://geo.example/api/users", "/users", false),
        ] {
            assert_eq!(
                is_without_prefix(&here.parse().unwrap(), &original.parse().unwrap()),
                holds,
                "{original} {here}"
            );
        }
    }
}
