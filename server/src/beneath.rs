//! An issuer with a path (`https://host.example/auth`): its routes are beneath that path and nowhere else (U09).
//!
//! A proxy in front passes the path on as it is: a signature covers it.

use axum::Router;
use axum::extract::Request;
use bmap_protocol::ids::Issuer as IssuerUrl;
use http::Uri;
use http::uri::PathAndQuery;
use std::convert::Infallible;
use tower::{ServiceExt, service_fn};

/// Where the metadata of an issuer with a path is: between host and path (RFC 8414 §3.1).
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// Routes for those who look after the process: they reach the listener and know no public URL.
const OF_THE_LISTENER: [&str; 3] = ["/livez", "/readyz", "/healthz"];

/// The URI that a request was sent to, where the routes see another one.
#[derive(Clone, Debug)]
pub struct SentTo(pub Uri);

/// The path of an issuer's URL: empty, or `/` and what follows, without a slash at its end.
pub fn path_of(issuer: &IssuerUrl) -> &str {
    let rest = issuer.as_str().split_once("://").map_or("", |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("")
}

/// Whether an issuer's path is one that every party between client and issuer reads in the same way.
pub fn is_plain(path: &str) -> bool {
    let is_segment = |segment: &str| {
        let is_name = segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        !segment.is_empty() && segment != "." && segment != ".." && is_name
    };
    path.is_empty() || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment))
}

/// The routes beneath a path. `none` answers requests that are not beneath it.
pub fn routes(path: &str, routes: Router, none: Router) -> Router {
    if path.is_empty() {
        return routes;
    }
    let path = path.to_owned();
    Router::new().fallback_service(service_fn(move |mut request: Request| {
        let inner = inner_path(&path, request.uri().path()).and_then(|inner| with_path(request.uri(), inner));
        let service = match inner {
            Some(uri) => {
                let sent_to = std::mem::replace(request.uri_mut(), uri);
                request.extensions_mut().insert(SentTo(sent_to));
                routes.clone()
            }
            None => none.clone(),
        };
        async move { Ok::<_, Infallible>(service.oneshot(request).await.unwrap_or_else(|never| match never {})) }
    }))
}

/// The path of a route, for the path that was sent.
fn inner_path<'a>(path: &str, sent: &'a str) -> Option<&'a str> {
    if sent.strip_prefix(METADATA) == Some(path) {
        return Some(METADATA);
    }
    if OF_THE_LISTENER.contains(&sent) {
        return Some(sent);
    }
    sent.strip_prefix(path).filter(|inner| inner.starts_with('/'))
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u09_what_is_beneath_a_path() {
        for (sent, inner) in [
            ("/auth/oauth/token", Some("/oauth/token")),
            ("/auth/", Some("/")),
            ("/auth/auth/login", Some("/auth/login")),
            ("/.well-known/oauth-authorization-server/auth", Some(METADATA)),
            ("/auth/.well-known/jwks.json", Some("/.well-known/jwks.json")),
            ("/readyz", Some("/readyz")),
            ("/auth", None),
            ("/oauth/token", None),
            ("/authentic/login", None),
            ("/AUTH/oauth/token", None),
            ("/.well-known/oauth-authorization-server", None),
            ("/.well-known/oauth-authorization-server/auth/", None),
        ] {
            assert_eq!(inner_path("/auth", sent), inner, "{sent}");
        }
        let uri = with_path(&"http://a.example/auth/x?y=%2f".parse().unwrap(), "/x").unwrap();
        assert_eq!(uri.to_string(), "http://a.example/x?y=%2f");
    }

    #[test]
    fn u09_paths_that_are_read_in_two_ways_are_none() {
        let of = |text: &str| path_of(&IssuerUrl::parse(text).unwrap()).to_owned();
        assert_eq!(of("https://a.example"), "");
        assert_eq!(of("https://a.example:8443/auth/eu"), "/auth/eu");
        for good in ["", "/auth", "/auth/eu-1", "/~x/v1.0"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["/", "/a//b", "/a/../b", "/./a", "/%61", "/a;b", "/a b"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
